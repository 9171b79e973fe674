"""The main job, short: the front door plays a part of a day, judges it, makes it again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.failpoint import SAVED
from infra.stack.endpoints import Endpoints

pytestmark = pytest.mark.stack

AEGIS = [sys.executable, "-m", "infra.cli"]
PART = ["--names", "600", "--begin", "08:25", "--end", "09:25"]
LIMIT_S = 280


def aegis(stack: Endpoints, var: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    env = {
        **os.environ,
        "AEGIS_KAFKA__BOOTSTRAP": stack.kafka_bootstrap,
        "AEGIS_REGISTRY__URL": stack.registry_url,
        "AEGIS_POSTGRES__DSN": stack.postgres_dsn,
        "AEGIS_REDIS__URL": stack.redis_url,
        "AEGIS_VAR_DIR": str(var),
    }
    done = subprocess.run(
        [*AEGIS, *arguments, "--json"], env=env, capture_output=True, timeout=LIMIT_S, check=False
    )
    lines = done.stdout.decode().splitlines()
    assert lines, done.stderr.decode()[-4_000:]
    return done.returncode, json.loads(lines[-1])


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
    log = (tmp_path / day["namespace"] / "logs" / "market.log").read_text()
    assert any(
        json.loads(line[line.index("{") :])["restored_offset"] > 0
        for line in log.splitlines()
        if '"restored"' in line
    )
    status, again = aegis(stack, tmp_path, "verify", "--partitions", "3", "--recompute")
    assert again["verified"], again
    assert status == 0
    assert again["recomputed"]["compared"] >= 2
    signal = next(iter(day["first_signals"]))
    _, chain = aegis(stack, tmp_path, "explain", signal)
    assert abs(chain["score"]["sum"] - chain["score"]["score"]) < 1e-9
    assert chain["trigger"][0]["job"] in {"ai_analysis", "rescoring"}
