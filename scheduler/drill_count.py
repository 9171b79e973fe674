"""What a drill found: the committed log against the timetable, as a whole and fault by fault.

A slot belongs to the first strike at or after it: whatever was in flight when the strike came was
due by then, and what was due before an earlier strike had its own.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemas.control import JobTriggered
from schemas.units import Micros

SETTLING: Final = "settling"
"""Where a slot after the last strike belongs."""


@dataclass(slots=True)
class Strike:
    """One round.

    Attributes:
        fault: Which.
        market: Market time when it came.
        struck_s: Wall seconds when it came; the others are on the same clock.
        taken_s: When another instance was seen to lead.
        fired_s: When a fire was seen that was not yet due when it came.
    """

    fault: str
    market: Micros
    struck_s: float
    taken_s: float | None = None
    fired_s: float | None = None


def judged(due: set[tuple[str, Micros]], triggers: Sequence[JobTriggered]) -> dict[str, int]:
    """Compare what was committed with what was due: fires, duplicates, missing, not due, disorder.

    A slot is a duplicate as often as it was fired beyond once, by fire id or by job and slot.
    """
    slots = Counter((each.job, each.slot) for each in triggers)
    names = Counter(each.fire_id for each in triggers)
    beyond = max(len(triggers) - len(slots), len(triggers) - len(names))
    newest: dict[str, Micros] = {}
    inversions = 0
    for each in triggers:
        inversions += each.slot < newest.get(each.job, Micros(0))
        newest[each.job] = max(each.slot, newest.get(each.job, Micros(0)))
    return {
        "fires": len(triggers),
        "duplicates": beyond,
        "missing": len(due - set(slots)),
        "not_due": len(set(slots) - due),
        "inversions": inversions,
    }


def by_fault(
    strikes: Sequence[Strike], due: set[tuple[str, Micros]], triggers: Sequence[JobTriggered]
) -> dict[str, dict[str, Any]]:
    """Return for each fault its rounds, what went wrong in them, and how long nothing fired.

    ``upper_bound_95`` is the share of rounds that may go wrong at most, with 95 % confidence,
    when none of so many did; ``failover_s`` ends with another leader, ``outage_s`` with a fire.
    """
    marks = [each.market for each in strikes]
    faults = [*(each.fault for each in strikes), SETTLING]
    fired = Counter((each.job, each.slot) for each in triggers)
    doubled: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for slot in due | set(fired):
        fault = faults[bisect_left(marks, slot[1])]
        doubled[fault] += max(fired[slot] - 1, 0)
        missed[fault] += slot in due and not fired[slot]
    rounds = Counter(each.fault for each in strikes)
    return {
        fault: {
            "rounds": rounds[fault],
            "duplicates": doubled[fault],
            "missing": missed[fault],
            "upper_bound_95": upper_bound(rounds[fault]),
            **_waits([each for each in strikes if each.fault == fault]),
        }
        for fault in dict.fromkeys(faults)
        if fault != SETTLING or doubled[fault] or missed[fault]
    }


def upper_bound(rounds: int) -> float:
    """Return the failing share that so many clean rounds rule out with 95 % confidence."""
    return round(1.0 - float(0.05 ** (1.0 / max(rounds, 1))), 5)


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """Return the median and the 99th percentile, None without any value."""
    ordered = sorted(values)
    return {"p50": _at(ordered, 0.5), "p99": _at(ordered, 0.99)}


def failovers(strikes: Sequence[Strike]) -> list[float]:
    """Return the wall seconds from each strike to the next leader, where there was one."""
    return [each.taken_s - each.struck_s for each in strikes if each.taken_s is not None]


def _waits(strikes: Sequence[Strike]) -> dict[str, Any]:
    outages = [each.fired_s - each.struck_s for each in strikes if each.fired_s is not None]
    waits = failovers(strikes)
    return {
        "takeovers": len(waits),
        "failover_s": percentiles(waits),
        "outage_s": percentiles(outages),
    }


def _at(values: Sequence[float], share: float) -> float | None:
    return round(values[min(int(len(values) * share), len(values) - 1)], 3) if values else None
