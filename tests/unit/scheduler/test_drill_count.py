"""The drill's count: each kind of wrong is counted, and only that."""

from dataclasses import replace

import pytest

from scheduler.drill import judged
from schemas.control import JobTriggered
from schemas.testing import build
from schemas.topics import TRIGGERS
from schemas.units import Micros

SLOTS = [Micros(n * 1_000_000) for n in range(1, 6)]
DUE = {(job, at) for job in ("a", "b") for at in SLOTS}
FIRE: JobTriggered = build(TRIGGERS)
GOOD = [replace(FIRE, job=job, slot=at, fire_id=f"{job}{at}") for at in SLOTS for job in ("a", "b")]
NOTHING = {"duplicates": 0, "missing": 0, "not_due": 0, "inversions": 0}


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
