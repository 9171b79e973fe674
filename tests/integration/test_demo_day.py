"""The main job, short: the front door plays a part of a day and judges it.

``test_readme_commands.py`` judges the same part again, makes its decisions again and explains them.
The drill kills a process five times at a named place in the middle of it (``make torture``).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.failpoint import PRODUCED, SAVED, SUBMITTING
from schemas.role import Limits

pytestmark = pytest.mark.stack

Aegis = Callable[..., tuple[int, dict[str, Any]]]
KILLS = 5
DRILL = ["--names", "600", "--begin", "08:25", "--end", "10:10"]
DRILL_LIMIT_S = 600


def restores(log: Path) -> list[dict[str, Any]]:
    """Return what a process said of each state it went on from."""
    lines = [line for line in log.read_text().splitlines() if '"restored"' in line]
    said: list[dict[str, Any]] = [json.loads(line[line.index("{") :]) for line in lines]
    return [each for each in said if each.get("restored_offset", 0) > 0]


@pytest.mark.timeout(600)
def test_a_killed_part_of_a_day_is_judged_right(
    part_of_a_day: tuple[Path, int, dict[str, Any]],
) -> None:
    var, status, day = part_of_a_day

    assert day["restarts"]["market"] == 1
    assert not any(day["audit"].values()), day["audit"]
    assert status == 0
    assert day["data"] == "synthetic"
    assert day["events_by_topic"]["scores.final"] >= 2
    assert day["events_by_topic"]["features.windows"] > 1_000
    assert day["orders"] > 0
    assert restores(var / day["namespace"] / "logs" / "market.log")


@pytest.mark.torture
@pytest.mark.timeout(1_500)
@pytest.mark.parametrize(
    ("process", "place", "passes"),
    [("market", PRODUCED, 4), ("scoring", SAVED, 6), ("desk", SUBMITTING, 4)],
)
def test_a_day_killed_five_times_at_a_place_loses_and_doubles_nothing(
    process: str, place: str, passes: int, aegis: Aegis, tmp_path: Path
) -> None:
    drill = f"{process}={place}:{passes}*{KILLS}"

    status, day = aegis(tmp_path, "demo", *DRILL, "--failpoint", drill, limit_s=DRILL_LIMIT_S)

    assert day["restarts"][process] == KILLS
    assert not any(day["audit"].values()), day["audit"]
    assert status == 0
    assert day["orders"] > 0
    said = restores(tmp_path / day["namespace"] / "logs" / f"{process}.log")
    assert len(said) >= KILLS
    limit = Limits().save_records_max
    assert all(0 <= each["records_replayed"] <= limit for each in said), said
    status, again = aegis(
        tmp_path, "verify", "--partitions", "3", "--recompute", limit_s=DRILL_LIMIT_S
    )
    assert again["verified"], again
    assert status == 0
