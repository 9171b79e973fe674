"""What the control interface puts on ``ops.audit``: every privileged act and every denial."""

import threading
from typing import Final

from infra.clock import wall_now
from infra.connection import Connection
from infra.publish import Publisher
from infra.registry import Serde
from schemas.errors import Transient
from schemas.ops import ActAudited
from schemas.topics import AUDIT

SERVICE: Final = "api"


class Audit:
    """Writes entries, each on the broker before the act goes on."""

    def __init__(self, connection: Connection, serde: Serde) -> None:
        self._connection, self._serde = connection, serde
        self._lock = threading.Lock()
        self._publisher: Publisher | None = None

    def write(self, actor: str, act: str, subject: str, *, allowed: bool, reason: str) -> None:
        """Write an entry and wait until it is kept.

        Args:
            actor: Name of a key; ``nobody`` when none was right.
            act: What was asked.
            subject: ``job:``, ``fire:``, ``key:`` or ``address:`` and a name.
            allowed: Let through, or denied.
            reason: The actor's, or why it was denied.

        Raises:
            Transient: It is not kept: do not do what it is about.
        """
        now = wall_now()
        entry = ActAudited(
            ts_event=now,
            ts_ingest=now,
            service=SERVICE,
            actor=actor,
            act=act,
            subject=subject,
            allowed=allowed,
            reason=reason,
        )
        with self._lock:
            if self._publisher is None:
                self._publisher = Publisher(self._connection, self._serde, client="scheduler.api")
            try:
                self._publisher.send(AUDIT, SERVICE, entry)
                self._publisher.flush()
            except Transient:
                self._publisher.close()
                self._publisher = None
                raise

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            if self._publisher is not None:
                self._publisher.close()
                self._publisher = None
