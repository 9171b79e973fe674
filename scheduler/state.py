"""What the scheduler knows, as a fold of ``control.schedule`` and of nothing else.

    waiting -> fired -> succeeded | degraded
       ^         |----> expired | cancelled
       |         |----> failed -> retrying (waits again, until due) | exhausted
       |-----> suppressed | cancelled

Every change is a ``ScheduleDecided`` (``schemas.control.DECISIONS``): the leader applies what it
writes, a standby applies what it reads, and both hold the same state, hash for hash.  A decision
whose attempt is 0 is about no run: what the calendar forbids, a job held or let go by an operator,
an answer to a command that could not be done.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from scheduler.timetable import Job
from scheduler.triggers import Slot
from schemas.control import ScheduleDecided
from schemas.units import DAY, Micros

REMEMBERED: Final = Micros(4 * DAY)
"""How long the end of a slot is kept; a gate never looks beyond its own logical date."""

GOOD: Final = frozenset({"succeeded", "degraded"})
ENDED: Final = GOOD | {"failed", "suppressed", "expired", "cancelled"}

_STATUS: Final = {
    "waiting": "waiting", "fired": "running", "suppressed": "suppressed", "succeeded": "succeeded",
    "degraded": "degraded", "failed": "failed", "expired": "expired", "cancelled": "cancelled",
    "retrying": "retrying", "exhausted": "failed",
}  # fmt: skip
_HOLDS: Final = {"quarantined", "paused"}
_LETS_GO: Final = {"released", "resumed"}

Place = tuple[str, Micros]
"""A job's slot: the job and the nominal instant."""


class Waiting(NamedTuple):
    """A slot that has not started, or waits to be tried again.

    Attributes:
        fire_id: What it will be fired as.
        kind: auto, manual, backfill or event.
        attempt: Which attempt comes next, from 1.
        due: When a retry may start; None when it may now.
        reason: What was last recorded about it; empty when nothing was.
        cause: Fire id of the parent it waited for last, or id of the command it comes from.
    """

    slot: Slot
    fire_id: str
    kind: str = "auto"
    attempt: int = 1
    due: Micros | None = None
    reason: str = ""
    cause: str = ""


class Running(NamedTuple):
    """An attempt that was fired and whose end is not known."""

    slot: Slot
    started: Micros
    kind: str = "auto"
    attempt: int = 1


class Held(NamedTuple):
    """A job that fires nothing until an operator lets it go: ``quarantined`` or ``paused``."""

    word: str
    since: Micros
    reason: str


class State(NamedTuple):
    """What the scheduler knows; treat it as a value.

    Attributes:
        clock: Every slot up to and at this instant is known.
        waiting: What has not started, by place.
        running: Fire id to run.
        status: Place to waiting, retrying, running, or how it ended.
        slots: (job, logical date) to its slots so far, by time.
        failures: Job to the number of its runs that came to nothing, one after another.
        held: Jobs that fire nothing.
    """

    clock: Micros
    waiting: Mapping[Place, Waiting]
    running: Mapping[str, Running]
    status: Mapping[Place, str]
    slots: Mapping[tuple[str, int], tuple[Micros, ...]]
    failures: Mapping[str, int]
    held: Mapping[str, Held]


def initial(at: Micros) -> State:
    """Return the state of a scheduler that decides what comes due after ``at``."""
    return State(at, *(MappingProxyType[Any, Any]({}) for _ in State._fields[1:]))


def rebuild(decisions: Iterable[ScheduleDecided], start: State | None = None) -> State | None:
    """Fold decisions into the state they left, or None when there is none to begin with.

    Args:
        decisions: ``control.schedule`` in order, from its beginning or from where ``start`` ends.
        start: The state before them.
    """
    book = None if start is None else Book(start)
    for each in decisions:
        book = Book(initial(each.decided)) if book is None else book
        book.follow(each)
    return None if book is None else book.state()


def digest(state: State) -> str:
    """Return SHA-256 of everything a state says; equal states have equal digests."""
    plain = [
        state.clock,
        sorted(([*at], [*each]) for at, each in state.waiting.items()),
        sorted((name, [*each]) for name, each in state.running.items()),
        *(
            sorted(([*at], end) for at, end in found.items())
            for found in (state.status, state.slots)
        ),
        sorted(state.failures.items()),
        sorted((job, [*each]) for job, each in state.held.items()),
    ]
    return hashlib.sha256(json.dumps(plain, default=str).encode()).hexdigest()


def fire_id(job: Job, slot: Micros, kind: str = "auto", command: str = "") -> str:
    """Return the name of a fire: the same content gives the same name, for ever."""
    told = f"|{command}" if command else ""
    return hashlib.sha256(f"{job.name}|{job.version}|{slot}|{kind}{told}".encode()).hexdigest()


def yyyymmdd(day: date) -> int:
    """Return a date as a number."""
    return day.year * 10_000 + day.month * 100 + day.day


def day_of(number: int) -> date:
    """Return a number's date."""
    return date(number // 10_000, number // 100 % 100, number % 100)


class Book:
    """A state at work: copies of its maps, changed by one decision after another."""

    def __init__(self, state: State) -> None:
        self.clock = state.clock
        self.waiting, self.running = dict(state.waiting), dict(state.running)
        self.status, self.slots = dict(state.status), dict(state.slots)
        self.failures, self.held = dict(state.failures), dict(state.held)

    def state(self) -> State:
        """Return the state as a value that nobody changes."""
        return State(
            self.clock,
            MappingProxyType(self.waiting),
            MappingProxyType(self.running),
            MappingProxyType(self.status),
            MappingProxyType(self.slots),
            MappingProxyType(self.failures),
            MappingProxyType(self.held),
        )

    def follow(self, decided: ScheduleDecided) -> None:
        """Apply a decision that somebody else made; time comes with it."""
        self.at(decided.decided)
        self.apply(decided)

    def at(self, now: Micros) -> None:
        """Let time go on: what is too old to matter is forgotten."""
        if now <= self.clock:
            return
        self.clock = now
        oldest = now - REMEMBERED
        for (job, logical), slots in list(self.slots.items()):
            if slots[-1] < oldest and all(self.status[job, at] in ENDED for at in slots):
                del self.slots[job, logical]
                for at in slots:
                    del self.status[job, at]

    def apply(self, decided: ScheduleDecided) -> None:
        """Apply one decision."""
        if decided.attempt == 0:
            self._hold(decided)
            return
        slot = Slot(decided.job, decided.slot, day_of(decided.logical_date))
        place = decided.job, decided.slot
        self.know(slot)
        self.status[place] = _STATUS[decided.decision]
        self.waiting.pop(place, None)
        self.running.pop(decided.fire_id, None)
        if decided.decision in {"waiting", "retrying"}:
            self.waiting[place] = Waiting(
                slot, decided.fire_id, decided.kind, decided.attempt, decided.due,
                decided.reason, decided.cause,
            )  # fmt: skip
        elif decided.decision == "fired":
            self.running[decided.fire_id] = Running(
                slot, decided.decided, decided.kind, decided.attempt
            )
        elif decided.decision in {"exhausted", "expired"}:
            self.failures[decided.job] = self.failures.get(decided.job, 0) + 1
        elif decided.decision in GOOD:
            self.failures.pop(decided.job, None)

    def open_fire(self, place: Place) -> str:
        """Return the name under which a slot waits or runs; empty when it does neither."""
        if place in self.waiting:
            return self.waiting[place].fire_id
        runs = (name for name, run in self.running.items() if (run.slot.job, run.slot.at) == place)
        return next(runs, "")

    def know(self, slot: Slot) -> None:
        """Take note of a slot: gates of its children look for it."""
        key = slot.job, yyyymmdd(slot.logical_date)
        known = self.slots.get(key, ())
        if slot.at not in known:
            self.slots[key] = tuple(sorted((*known, slot.at)))
        self.status.setdefault((slot.job, slot.at), "waiting")

    def _hold(self, decided: ScheduleDecided) -> None:
        if decided.decision in _HOLDS:
            self.held[decided.job] = Held(decided.decision, decided.decided, decided.reason)
        elif decided.decision in _LETS_GO:
            self.held.pop(decided.job, None)
            self.failures.pop(decided.job, None)
