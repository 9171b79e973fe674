"""The scheduler's log as it is now, for many who ask at once: each reads only what is new."""

import threading
from collections.abc import Iterable
from typing import Final

from infra.connection import Connection
from infra.registry import Serde
from infra.tail import Tail, decoded
from scheduler.api.answers import StateTold
from scheduler.api.database import Owed
from scheduler.api.ledger import Ledger
from scheduler.follower import Follower
from scheduler.history import Fire
from schemas.control import LeadershipHeld, ScheduleDecided
from schemas.topics import RUNS, SCHEDULE

END_WAIT_MS: Final = 50


class Log:
    """What was decided and reported, up to the end there is when it is asked.

    Every method but ``close`` raises ``Transient`` when the broker falls silent.

    Args:
        connection: Where.
        serde: How events are read.
        jobs: The timetable's; what is said of any other is not kept.
    """

    def __init__(self, connection: Connection, serde: Serde, jobs: Iterable[str]) -> None:
        self._serde = serde
        self._lock = threading.Lock()
        self._follower = Follower(connection, serde)
        self._tail = Tail(
            connection, (SCHEDULE, RUNS), client="scheduler.api", end_wait_ms=END_WAIT_MS
        )
        self._ledger = Ledger(jobs)

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            self._follower.close()
            self._tail.close()

    def fires(self, job: str) -> list[Fire]:
        """Return the fires of a job that are kept, by slot."""
        with self._lock:
            return self._read().fires(job)

    def fire(self, fire_id: str) -> Fire | None:
        """Return a fire, None when none of that name is kept."""
        with self._lock:
            return self._read().fire(fire_id)

    def ends_of(self, owed: Iterable[Owed]) -> dict[str, ScheduleDecided]:
        """Return the ends of those fires that have ended, by fire id."""
        with self._lock:
            ledger = self._read()
            ends = (ledger.end_of(each.job, each.fire_id) for each in owed)
            return {end.fire_id: end for end in ends if end is not None}

    def state(self) -> StateTold:
        """Return what waits, runs and is held."""
        with self._lock:
            self._follower.to_end()
            return StateTold.of(self._follower.left())

    def held(self) -> LeadershipHeld | None:
        """Return the newest word of a leader."""
        with self._lock:
            self._follower.to_end()
            return self._follower.left().held

    def _read(self) -> Ledger:
        news = self._tail.catch_up()
        decided, reported = (
            decoded(self._serde, topic, [each for each in news if each.topic == topic.name])
            for topic in (SCHEDULE, RUNS)
        )
        self._ledger.take(decided, reported)
        return self._ledger
