"""The scheduler's drill on brokers of its own: nothing lost, nothing fired twice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import register_all
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack.endpoints import Endpoints
from scheduler import drill_run
from scheduler.drill_plan import CUT, FAULTS, JOBS, STOPPED
from schemas.errors import Misconfigured

pytestmark = pytest.mark.stack

QUICK = ("produced", STOPPED, CUT)
"""One of each kind that needs no broker to die; `make torture` plays them all."""


def played(
    stack: Endpoints, var_dir: Path, rounds: int, faults: Sequence[str], said: list[str]
) -> dict[str, Any]:
    registry = Registry(stack.registry_url)
    register_all(registry)
    try:
        return drill_run.play(
            Settings(var_dir=var_dir),
            stack,
            Serde(registry),
            rounds=rounds,
            seed=1,
            say=said.append,
            faults=faults,
        )
    finally:
        registry.close()


def wrong(found: dict[str, Any]) -> dict[str, int]:
    return {name: found[name] for name in drill_run.WRONGS if found[name]}


def test_killed_stopped_and_cut_off_leaders_lose_and_double_nothing_and_the_control_does(
    stack: Endpoints, tmp_path: Path
) -> None:
    found = played(stack, tmp_path, len(QUICK), QUICK, [])

    assert set(found["steps"]) == set(QUICK)
    assert min(row["rounds"] for row in found["steps"].values()) >= 1
    assert found["takeovers"] >= len(QUICK)
    assert found["fires"] > 5 * len(QUICK)
    assert wrong(found) == {}, found
    assert found["restarts"] == 0
    assert found["fenced_duplicates"] == 0
    assert found["control_duplicates"] == JOBS
    assert not list(tmp_path.iterdir()), "a drill that went well leaves nothing behind"


def test_a_fault_that_nobody_knows_is_refused_with_those_there_are(
    stack: Endpoints, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match=r"expected faults of decided, .*leader, was flood"):
        played(stack, tmp_path, 1, ["flood"], [])
    assert not list(tmp_path.iterdir())


@pytest.mark.torture
@pytest.mark.timeout(1_200)
def test_dead_brokers_and_lost_answers_lose_and_double_nothing(
    stack: Endpoints, tmp_path: Path
) -> None:
    said: list[str] = []
    found = played(stack, tmp_path, 3 * len(FAULTS), FAULTS, said)

    assert set(FAULTS) <= set(found["steps"])
    assert min(row["rounds"] for row in found["steps"].values()) >= 2
    assert wrong(found) == {}, found
    assert found["control_duplicates"] == JOBS
    assert said[0].startswith("10 of 21 rounds of decided, ")
