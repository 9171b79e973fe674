"""The seven steps of a run (scheduler document 4.1), read back from the log for one fire.

1 due   2 runnable   3 dependencies   4 resources   5 run   6 result   7 followers
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from scheduler.state import ENDED
from schemas.control import JobTriggered, RunReported, ScheduleDecided
from schemas.units import Micros

_CAPS: Final = ("for capacity", "for group", "for its own run")
_LAST: Final = ENDED | {"exhausted"}


class Step(NamedTuple):
    """One step: its market time, None when it was not reached, and what it found."""

    number: int
    name: str
    at: Micros | None
    told: str


def of(
    decisions: Sequence[ScheduleDecided],
    reports: Sequence[RunReported],
    followers: Sequence[JobTriggered],
) -> list[Step]:
    """Return the seven steps of a fire, times ascending as far as it came.

    Args:
        decisions: About this fire, in order; at least one.
        reports: Of this fire, in order.
        followers: Triggers that name this fire as their cause.
    """
    first = decisions[0]
    fired = next((each for each in decisions if each.decision == "fired"), None)
    ended = next((each for each in reversed(decisions) if each.decision in _LAST), None)
    stopped = first if first.decision == "suppressed" else None
    waits = [each for each in decisions if each.decision == "waiting"]
    gates = [each.reason for each in waits if not each.reason.startswith(_CAPS)]
    caps = [each.reason for each in waits if each.reason.startswith(_CAPS)]
    began = next((each for each in reports if each.state == "running"), None)
    go = None if fired is None else fired.decided
    attempts = sum(each.decision == "fired" for each in decisions)
    return [
        Step(1, "due", first.slot, f"{first.job}, {first.kind}"),
        Step(2, "runnable", first.decided, "yes" if stopped is None else stopped.reason),
        Step(3, "dependencies", go, "; ".join(gates) or "nothing to wait for"),
        Step(4, "resources", go, "; ".join(caps) or "room at once"),
        Step(5, "run", max(began.started, go) if began is not None and go is not None else go,
             f"{attempts} attempts, {began.worker if began is not None else '-'}"),
        Step(6, "result", None if ended is None else ended.decided,
             "open" if ended is None else f"{ended.decision}: {ended.reason}"),
        Step(7, "followers", max((each.ts_event for each in followers), default=None),
             ", ".join(sorted(each.job for each in followers)) or "nobody waited for it"),
    ]  # fmt: skip
