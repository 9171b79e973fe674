"""How a test asks the front door, and one part of a day for all who ask about a day that is over.

The part is played once, however many workers ask: the first one plays it in the session's scratch
folder, the others find it there.
"""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.failpoint import SAVED
from infra.settings import Settings
from infra.stack.endpoints import Endpoints

PART = ("--names", "600", "--begin", "08:50", "--end", "09:20")
KILL = ("--failpoint", f"market={SAVED}:6")
LIMIT_S = 280


FIRST = "test_readme_commands.py"
"""It plays the part of a day, which takes longest: the other worker has all the rest meanwhile."""

LATE = "test_demo_day.py"
"""It asks for the same part, and would stand still until it has been played."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drills come last: a day that is played deletes the days before it."""

    def turn(item: pytest.Item) -> int:
        if item.get_closest_marker("torture") is not None:
            return 3
        return {FIRST: 0, LATE: 2}.get(item.path.name, 1)

    items.sort(key=turn)


@pytest.fixture(scope="session")
def environment_of(stack: Endpoints) -> Callable[[Path], dict[str, str]]:
    """Return what makes a process's environment: the session's stack, a folder of its own."""

    def environment(var: Path) -> dict[str, str]:
        return {
            **os.environ,
            "AEGIS_KAFKA__BOOTSTRAP": stack.kafka_bootstrap,
            "AEGIS_REGISTRY__URL": stack.registry_url,
            "AEGIS_POSTGRES__DSN": stack.postgres_dsn,
            "AEGIS_REDIS__URL": stack.redis_url,
            "AEGIS_VAR_DIR": str(var),
        }

    return environment


@pytest.fixture(scope="session")
def aegis(
    environment_of: Callable[[Path], dict[str, str]],
) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Return what runs ``aegis ... --json`` in a folder: its status and its JSON object."""

    def run(var: Path, *arguments: str, limit_s: float = LIMIT_S) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "infra.cli", *arguments, "--json"],
            env=environment_of(var),
            capture_output=True,
            timeout=limit_s,
            check=False,
        )
        lines = done.stdout.decode().splitlines()
        assert lines, done.stderr.decode()[-4_000:]
        return done.returncode, json.loads(lines[-1])

    return run


@pytest.fixture(scope="session")
def part_of_a_day(
    aegis: Callable[..., tuple[int, dict[str, Any]]], stack_settings: Settings
) -> tuple[Path, int, dict[str, Any]]:
    """Play a part of a day, one process killed in it; return its folder, status and result."""
    var = stack_settings.var_dir / "part-of-a-day"
    var.mkdir(parents=True, exist_ok=True)
    told = var / "told.json"
    with (var / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            told.write_text(json.dumps(aegis(var, "demo", *PART, *KILL)), "utf-8")
    status, day = json.loads(told.read_text("utf-8"))
    return var, status, day
