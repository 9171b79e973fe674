"""A standby's eye on the log: the state that the leader's decisions have left, all the time.

Whoever takes over has it in hand but for the last records: those that were committed before the
fence (``to_end``).  What nobody leads needs no memory of its own.
"""

from typing import Any, Final, NamedTuple

from infra.connection import Connection
from infra.registry import Serde
from infra.runner import Incoming
from infra.tail import Tail, decoded, watermark_of
from scheduler import snapshots
from scheduler.lease import SHARD
from scheduler.state import Book, State, initial
from schemas.control import LeadershipHeld
from schemas.topics import LEADER, SCHEDULE, TRIGGERS, Topic
from schemas.units import MILLISECOND, Micros

NEWEST_BACK: Final = 64
"""Offsets before the end of ``control.leader`` that are read: the newest record is among them."""

END_WAIT_MS: Final = 50
"""A takeover waits as long as this to hear that there is no more."""


class Left(NamedTuple):
    """What a leader has left on the log.

    Attributes:
        state: What it had decided; None when nobody ever decided anything.
        said: How far the time of ``control.triggers`` was said to have come; 0 if never.
        newest: The newest T of a trigger, in whole milliseconds; 0 if there is none.
        held: The newest word of a leader, None when there never was one.
        decisions: How many were read; those in a snapshot were not.
    """

    state: State | None
    said: Micros
    newest: Micros
    held: LeadershipHeld | None
    decisions: int


class Follower:
    """Follows what the leader writes, committed records only."""

    def __init__(self, connection: Connection, serde: Serde) -> None:
        self._serde = serde
        taken = snapshots.newest(connection, serde, SHARD)
        start = {} if taken is None else {
            SCHEDULE: taken.schedule_next, TRIGGERS: taken.triggers_next
        }  # fmt: skip
        self._tail = Tail(
            connection,
            (SCHEDULE, TRIGGERS, LEADER),
            client="scheduler.follower",
            start=start,
            back={LEADER: NEWEST_BACK},
            end_wait_ms=END_WAIT_MS,
        )
        self._book = None if taken is None else Book(taken.state)
        self._said = Micros(0) if taken is None else taken.said
        self._newest = Micros(0) if taken is None else taken.newest
        self._held: LeadershipHeld | None = None
        self._decisions = 0

    def poll(self, wait_s: float) -> list[LeadershipHeld]:
        """Take what has come, waiting up to ``wait_s`` for the first; return who said to lead."""
        return self._take(self._tail.poll(wait_s))

    def to_end(self) -> list[LeadershipHeld]:
        """Take everything up to the end there is now; return who said to lead."""
        return self._take(self._tail.catch_up())

    def left(self) -> Left:
        """Return what has been read so far, as a whole."""
        state = None if self._book is None else self._book.state()
        return Left(state, self._said, self._newest, self._held, self._decisions)

    def close(self) -> None:
        """Let go of the connection."""
        self._tail.close()

    def _take(self, records: list[Incoming]) -> list[LeadershipHeld]:
        for each in records:
            if each.topic != TRIGGERS.name:
                continue
            if each.value is not None:
                self._newest = max(self._newest, Micros(each.timestamp_ms * MILLISECOND))
            mark = watermark_of(each)
            self._said = self._said if mark is None else max(self._said, mark)
        for decided in self._of(SCHEDULE, records):
            if self._book is None:
                self._book = Book(initial(decided.decided))
            self._book.follow(decided)
            self._decisions += 1
        held: list[LeadershipHeld] = self._of(LEADER, records)
        self._held = held[-1] if held else self._held
        return held

    def _of(self, topic: Topic, records: list[Incoming]) -> list[Any]:
        return decoded(self._serde, topic, (each for each in records if each.topic == topic.name))
