"""What stands behind the endpoints: the log, the scheduler's ear, the keys and the record."""

from typing import Final

from infra.clock import wall_now
from infra.connection import Connection
from infra.registry import Serde
from infra.settings import Api, Settings
from scheduler import control
from scheduler.api.administration import Administration
from scheduler.api.audit import Audit
from scheduler.api.database import Database
from scheduler.api.keys import Key
from scheduler.api.log import Log
from scheduler.api.slowdown import Knocks
from scheduler.timetable import Timetable
from schemas.control import LeadershipHeld
from schemas.errors import Transient
from schemas.units import SECOND, Micros

SILENT: Final = Micros(10 * SECOND)
"""A scheduler that has not been heard for so long of wall time, or for three leases, is not asked:
what it would be told would lie there and be done at some other time.
"""


class Desk:
    """Everything an endpoint needs, made once for a process.

    Args:
        connection: Where the scheduler is.
        serde: How events are written and read.
        timetable: The scheduler's.
        settings: Everything a service is told.
    """

    def __init__(
        self, connection: Connection, serde: Serde, timetable: Timetable, settings: Settings
    ) -> None:
        self.timetable = timetable
        self.settings: Api = settings.api
        self.database = Database(connection.endpoints.postgres_dsn, connection.pg_schema)
        self.audit = Audit(connection, serde)
        self.administration = Administration(self.database, self.audit, timetable.groups)
        self.knocks = Knocks()
        self.log = Log(connection, serde, timetable.jobs)
        self._connection, self._serde = connection, serde
        self._silent = max(SILENT, Micros(int(3 * settings.scheduler.lease_s * SECOND)))

    def close(self) -> None:
        """Let go of everything."""
        self.log.close()
        self.audit.close()
        self.database.close()

    def leader(self) -> tuple[LeadershipHeld, Micros]:
        """Return who leads and how long ago it was heard, wall time.

        Raises:
            Transient: Nobody.
        """
        held = self.log.held()
        if held is None or held.state == "left":
            raise Transient("expected a scheduler that leads, was none; see 'aegis status'")
        ago = Micros(max(0, wall_now() - held.ts_ingest))
        if ago > self._silent:
            raise Transient(
                f"expected to hear the scheduler every {self._silent // SECOND} s, {held.node} "
                f"was silent for {ago // SECOND} s; see 'aegis status'"
            )
        return held, ago

    def ask(
        self, key: Key, verb: str, subject: str, reason: str, slot: Micros | None = None
    ) -> control.Answer:
        """Give the scheduler a command in the name of a key, on record, and wait for its answer.

        Raises:
            Transient: Nobody leads and nothing was given, or no answer came.
        """
        self.leader()
        self.audit.write(key.name, verb, subject, allowed=True, reason=reason)
        return control.ask(
            self._connection, self._serde, verb, subject, actor=key.name, reason=reason, slot=slot
        )
