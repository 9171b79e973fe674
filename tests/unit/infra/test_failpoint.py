"""A failpoint kills as often as it was asked to, and says what it does not understand."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra import failpoint
from schemas.errors import Misconfigured

LIFE = """
from infra import failpoint
for _ in range(5):
    print("alive", flush=True)
    failpoint.hit(failpoint.SAVED)
    failpoint.hit(failpoint.PRODUCED)
"""


def live(asked: str, deaths: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "AEGIS_FAILPOINT": asked, "AEGIS_FAILPOINT_DEATHS": str(deaths)}
    return subprocess.run(
        [sys.executable, "-c", LIFE], env=env, capture_output=True, text=True, check=False
    )


def test_a_process_dies_the_nth_time_it_passes_in_each_of_its_first_lives(tmp_path: Path) -> None:
    lives = [live(f"{failpoint.SAVED}:3*2", tmp_path / "deaths") for _ in range(3)]

    assert [each.returncode for each in lives] == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert [each.stdout.count("alive") for each in lives] == [3, 3, 5]


def test_without_a_number_of_lives_a_process_dies_once(tmp_path: Path) -> None:
    lives = [live(f"{failpoint.SAVED}:1", tmp_path / "deaths") for _ in range(2)]

    assert [each.returncode for each in lives] == [-signal.SIGKILL, 0]


@pytest.mark.parametrize("asked", ["nowhere:1", f"{failpoint.SAVED}:x", f"{failpoint.SAVED}:1*y"])
def test_a_failpoint_that_is_none_is_refused_by_name(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_FAILPOINT", asked)

    with pytest.raises(Misconfigured, match="expected one of"):
        failpoint.hit(failpoint.SAVED)
