"""The scheduler's drill on the real broker, a small one: nothing lost, nothing fired twice."""

from pathlib import Path

import pytest

from infra.deploy import register_all
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack.endpoints import Endpoints
from scheduler import drill, drill_run

pytestmark = pytest.mark.stack

ROUNDS = len(drill.FATES)


def test_killed_and_stopped_leaders_lose_and_double_nothing_and_the_control_does(
    stack: Endpoints, tmp_path: Path
) -> None:
    registry = Registry(stack.registry_url)
    register_all(registry)
    told: list[str] = []
    found = drill_run.play(
        Settings(var_dir=tmp_path), stack, Serde(registry), rounds=ROUNDS, seed=1, say=told.append
    )
    registry.close()

    assert found["rounds"] >= ROUNDS
    assert found["takeovers"] > ROUNDS
    assert found["fires"] > 5 * ROUNDS
    wrong = {name: found[name] for name in ("duplicates", "missing", "not_due", "inversions")}
    assert wrong == dict.fromkeys(wrong, 0), found
    assert found["fenced_duplicates"] == 0
    assert found["control_duplicates"] == drill.JOBS
    assert not list(tmp_path.iterdir()), "a drill that went well leaves nothing behind"
