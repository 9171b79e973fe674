"""The drill's count: each kind of wrong is counted, and only that, and where it happened."""

from dataclasses import replace

import pytest

from scheduler.drill_count import (
    SETTLING,
    Strike,
    by_fault,
    failovers,
    judged,
    percentiles,
    upper_bound,
)
from schemas.control import JobTriggered
from schemas.testing import build
from schemas.topics import TRIGGERS
from schemas.units import Micros

SLOTS = [Micros(n * 1_000_000) for n in range(1, 6)]
DUE = {(job, at) for job in ("a", "b") for at in SLOTS}
FIRE: JobTriggered = build(TRIGGERS)
GOOD = [replace(FIRE, job=job, slot=at, fire_id=f"{job}{at}") for at in SLOTS for job in ("a", "b")]
NOTHING = {"duplicates": 0, "missing": 0, "not_due": 0, "inversions": 0}
STRIKES = [
    Strike("cut", SLOTS[1], 10.0, fired_s=10.5),
    Strike("killed", SLOTS[2], 20.0, taken_s=22.0, fired_s=22.5),
    Strike("cut", SLOTS[3], 30.0, taken_s=33.0, fired_s=33.5),
]


@pytest.mark.parametrize(
    ("triggers", "wrong"),
    [
        (GOOD, {}),
        ([*GOOD, GOOD[-1]], {"duplicates": 1}),
        ([*GOOD, replace(GOOD[-1], fire_id="another")], {"duplicates": 1}),
        (GOOD[:-1], {"missing": 1}),
        ([*GOOD, replace(GOOD[-1], slot=Micros(SLOTS[-1] + 1), fire_id="late")], {"not_due": 1}),
        ([GOOD[2], GOOD[0], GOOD[1], *GOOD[3:]], {"inversions": 1}),
    ],
)
def test_each_wrong_is_counted_once_and_by_its_name(
    triggers: list[JobTriggered], wrong: dict[str, int]
) -> None:
    assert judged(DUE, triggers) == {"fires": len(triggers), **NOTHING, **wrong}


@pytest.mark.parametrize(
    ("slot", "fault"),
    [(0, "cut"), (1, "cut"), (2, "killed"), (3, "cut"), (4, SETTLING)],
)
def test_a_wrong_belongs_to_the_first_strike_at_or_after_its_slot(slot: int, fault: str) -> None:
    doubled = by_fault(STRIKES, DUE, [*GOOD, GOOD[2 * slot]])
    missed = by_fault(STRIKES, DUE, GOOD[: 2 * slot] + GOOD[2 * slot + 1 :])

    assert {name for name, found in doubled.items() if found["duplicates"]} == {fault}
    assert {name for name, found in missed.items() if found["missing"]} == {fault}
    assert doubled[fault]["missing"] == missed[fault]["duplicates"] == 0


def test_a_clean_log_has_a_row_for_each_fault_and_none_for_settling() -> None:
    found = by_fault(STRIKES, DUE, GOOD)

    assert {name: row["rounds"] for name, row in found.items()} == {"cut": 2, "killed": 1}
    assert found["cut"]["takeovers"] == 1
    assert found["cut"]["failover_s"] == {"p50": 3.0, "p99": 3.0}
    assert found["cut"]["outage_s"] == {"p50": 3.5, "p99": 3.5}
    assert found["killed"]["outage_s"]["p50"] == 2.5


def test_three_hundred_clean_rounds_leave_one_in_a_hundred_open() -> None:
    assert upper_bound(300) == pytest.approx(0.00994, abs=1e-5)
    assert upper_bound(30) == pytest.approx(0.09503, abs=1e-5)
    assert (1 - upper_bound(30)) ** 30 == pytest.approx(0.05, abs=1e-4)


def test_a_leader_that_stays_is_no_failover() -> None:
    assert failovers(STRIKES) == [2.0, 3.0]
    assert percentiles(failovers(STRIKES[:1])) == {"p50": None, "p99": None}
