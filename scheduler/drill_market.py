"""The world of a drill: it serves market time, and answers for the roles.

Time goes on a second at a time while the leader follows: by its own word, and by its fires.
"""

import time
from typing import Final

from infra.clock import wall_now
from infra.publish import Publisher
from infra.served_clock import ServedClock
from infra.tail import Tail, decoded
from scheduler.drill_plan import Drill, begin
from schemas.control import JobTriggered, RunReported
from schemas.errors import Fatal
from schemas.topics import RUNS, TRIGGERS
from schemas.units import SECOND, Micros

AHEAD: Final = Micros(2 * SECOND)
"""How far market time runs ahead of the leader's word, and of the newest fire."""

PACE_S: Final = 0.1
"""Wall seconds a market second takes at least: 50 fires a second."""

STANDS_S_MAX: Final = 180.0


class Market:
    """Market time and what it brings."""

    def __init__(self, drill: Drill) -> None:
        self._drill = drill
        self.clock = ServedClock(begin(), "scheduler")
        self._triggers = Tail(drill.connection, (TRIGGERS,), client="drill.triggers")
        self._publisher = Publisher(drill.connection, drill.serde, client="drill.roles")
        self._newest = begin()
        self._moved_s = time.monotonic()

    @property
    def now(self) -> Micros:
        """Return market time."""
        return Micros(self.clock.now)

    def advance(self) -> None:
        """Let a second pass if the leader has followed.

        Raises:
            Fatal: Nobody has followed for too long.
        """
        clock, now_s = self.clock, time.monotonic()
        with clock.changed:
            followed = min(clock.reached, self._newest) + AHEAD > clock.now
            if followed and now_s - self._moved_s >= PACE_S:
                clock.now += SECOND
                self._moved_s = now_s
        clock.say()
        if now_s - self._moved_s > STANDS_S_MAX:
            raise Fatal(
                f"drill: expected market time to go on within {STANDS_S_MAX} s, stands at "
                f"{clock.now}; see the logs in {self._drill.folder}"
            )

    def answer(self) -> int:
        """Report every fire as done, note which strikes are over; return how many came."""
        triggers = decoded(self._drill.serde, TRIGGERS, self._triggers.poll(0))
        now_s = time.monotonic()
        for each in triggers:
            self._publisher.send(RUNS, each.job, _ended(each, self.now))
            self._newest = max(self._newest, each.slot)
        for strike in self._drill.unanswered:
            if self._newest > strike.market:
                strike.fired_s = now_s
        self._publisher.poll()
        return len(triggers)

    def stands(self) -> bool:
        """Return whether the leader is where time is, and nothing more has come."""
        self.clock.say()
        return self.clock.reached >= self.clock.now and not self.answer()

    def close(self) -> None:
        """Let go."""
        self.clock.close()
        self._triggers.close()
        self._publisher.close()


def _ended(trigger: JobTriggered, now: Micros) -> RunReported:
    return RunReported(
        ts_event=now,
        ts_ingest=wall_now(),
        fire_id=trigger.fire_id,
        job=trigger.job,
        slot=trigger.slot,
        state="succeeded",
        attempt=trigger.attempt,
        worker="drill",
        detail="answered",
        started=now,
        ended=now,
    )
