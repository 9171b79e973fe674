"""The main job, short: the front door plays a part of a day, judges it, makes it again.

The drill kills a process five times at a named place in the middle of it (``make torture``).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.failpoint import PRODUCED, SAVED, SUBMITTING
from infra.stack.endpoints import Endpoints
from schemas.role import Limits

pytestmark = pytest.mark.stack

AEGIS = [sys.executable, "-m", "infra.cli"]
PART = ["--names", "600", "--begin", "08:25", "--end", "09:25"]
LIMIT_S = 280
KILLS = 5
DRILL = ["--names", "600", "--begin", "08:25", "--end", "10:10"]
DRILL_LIMIT_S = 600


def aegis(
    stack: Endpoints, var: Path, *arguments: str, limit_s: float = LIMIT_S
) -> tuple[int, dict[str, Any]]:
    env = {
        **os.environ,
        "AEGIS_KAFKA__BOOTSTRAP": stack.kafka_bootstrap,
        "AEGIS_REGISTRY__URL": stack.registry_url,
        "AEGIS_POSTGRES__DSN": stack.postgres_dsn,
        "AEGIS_REDIS__URL": stack.redis_url,
        "AEGIS_VAR_DIR": str(var),
    }
    done = subprocess.run(
        [*AEGIS, *arguments, "--json"], env=env, capture_output=True, timeout=limit_s, check=False
    )
    lines = done.stdout.decode().splitlines()
    assert lines, done.stderr.decode()[-4_000:]
    return done.returncode, json.loads(lines[-1])


def restores(log: Path) -> list[dict[str, Any]]:
    """Return what a process said of each state it went on from."""
    lines = [line for line in log.read_text().splitlines() if '"restored"' in line]
    said: list[dict[str, Any]] = [json.loads(line[line.index("{") :]) for line in lines]
    return [each for each in said if each.get("restored_offset", 0) > 0]


@pytest.mark.timeout(600)
def test_a_killed_part_of_a_day_is_judged_right_and_made_again(
    stack: Endpoints, tmp_path: Path
) -> None:
    status, day = aegis(stack, tmp_path, "demo", *PART, "--failpoint", f"market={SAVED}:6")

    assert day["restarts"]["market"] == 1
    assert not any(day["audit"].values()), day["audit"]
    assert status == 0
    assert day["data"] == "synthetic"
    assert day["events_by_topic"]["scores.final"] >= 2
    assert day["events_by_topic"]["features.windows"] > 1_000
    assert day["orders"] > 0
    assert restores(tmp_path / day["namespace"] / "logs" / "market.log")
    status, again = aegis(stack, tmp_path, "verify", "--partitions", "3", "--recompute")
    assert again["verified"], again
    assert status == 0
    assert again["recomputed"]["compared"] >= 2
    signal = next(iter(day["first_signals"]))
    _, chain = aegis(stack, tmp_path, "explain", signal)
    assert abs(chain["score"]["sum"] - chain["score"]["score"]) < 1e-9
    assert chain["trigger"][0]["job"] in {"ai_analysis", "rescoring"}


@pytest.mark.torture
@pytest.mark.timeout(1_500)
@pytest.mark.parametrize(
    ("process", "place", "passes"),
    [("market", PRODUCED, 4), ("scoring", SAVED, 6), ("desk", SUBMITTING, 4)],
)
def test_a_day_killed_five_times_at_a_place_loses_and_doubles_nothing(
    process: str, place: str, passes: int, stack: Endpoints, tmp_path: Path
) -> None:
    drill = f"{process}={place}:{passes}*{KILLS}"

    status, day = aegis(
        stack, tmp_path, "demo", *DRILL, "--failpoint", drill, limit_s=DRILL_LIMIT_S
    )

    assert day["restarts"][process] == KILLS
    assert not any(day["audit"].values()), day["audit"]
    assert status == 0
    assert day["orders"] > 0
    said = restores(tmp_path / day["namespace"] / "logs" / f"{process}.log")
    assert len(said) >= KILLS
    limit = Limits().save_records_max
    assert all(0 <= each["records_replayed"] <= limit for each in said), said
    status, again = aegis(
        stack, tmp_path, "verify", "--partitions", "3", "--recompute", limit_s=DRILL_LIMIT_S
    )
    assert again["verified"], again
    assert status == 0
