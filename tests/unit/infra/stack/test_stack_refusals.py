"""What the stack refuses, it refuses in one sentence: the thing, its setting, the way out."""

import os
from pathlib import Path

import psutil
import pytest

from infra.settings import Settings
from infra.stack import doctor, machine, stack, state
from infra.stack.endpoints import Endpoints, kafka_client, masked
from schemas.errors import Misconfigured

SECRETS = ("word-one", "word-two", "word-three", "word-four", "word-five")


def test_little_disk_is_refused_with_its_figure_and_setting() -> None:
    with pytest.raises(Misconfigured, match=r"expected 2\.0 GB free .* was 1\.9 GB.*AEGIS_VAR_DIR"):
        machine.enough_disk(Path("var"), 1_900_000_000, "AEGIS_VAR_DIR")
    machine.enough_disk(Path("var"), 2_000_000_000, "AEGIS_VAR_DIR")


def test_little_memory_is_refused_with_its_figure_and_a_way_out() -> None:
    with pytest.raises(Misconfigured, match=r"expected 2\.0 GB of memory.*AEGIS_KAFKA__BOOTSTRAP"):
        machine.enough_memory(1_999_999_999)
    machine.enough_memory(2_000_000_000)


def test_a_folder_that_cannot_be_made_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Misconfigured, match=r"expected to write .*file/var.*AEGIS_VAR_DIR"):
        machine.writable(tmp_path / "file" / "var", "AEGIS_VAR_DIR")


def test_a_part_that_nobody_runs_is_named_with_both_ways_out(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"kafka: expected .*aegis up.*AEGIS_KAFKA__BOOTSTRAP"):
        stack.require(Settings(var_dir=tmp_path))


def test_what_was_written_down_is_read_back(tmp_path: Path) -> None:
    there = state.State(
        phase=state.READY,
        ports={"kafka": 1},
        keeper=state.Process(1, 2.5),
        children={"redis": state.Process(3, 4.5)},
    )
    state.write(tmp_path / "stack.json", there)

    assert state.read(tmp_path / "stack.json") == there
    assert state.read(tmp_path / "absent.json") == state.State()


def test_a_process_with_the_same_id_but_another_birth_is_not_ours() -> None:
    import os  # noqa: PLC0415 -- only this test looks at a process

    us = state.Process.of(os.getpid())

    assert us.living() is not None
    assert state.Process(us.pid, us.born - 60).living() is None


def test_no_secret_of_any_setting_is_shown() -> None:
    raw = {
        "kafka": {"sasl_username": "me", "sasl_password": SECRETS[0]},
        "postgres": {"dsn": f"postgresql://me:{SECRETS[1]}@h/db"},
        "redis": {"url": f"redis://:{SECRETS[2]}@h:1"},
        "kis": {"app_key": SECRETS[3]},
        "registry": {"url": f"http://me:{SECRETS[4]}@h:1"},
    }
    own = Settings.model_validate(raw)
    there = Endpoints(kafka_bootstrap="k", registry_url="r", postgres_dsn="p", redis_url="q")

    shown = repr(doctor.shown(own)) + repr(there) + masked(raw["redis"]["url"])

    assert not [secret for secret in SECRETS if secret in shown]
    assert kafka_client(own, "k")["sasl.password"] == SECRETS[0]


def test_a_process_keeps_its_start_when_the_clock_is_corrected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    us = state.Process.of(os.getpid())
    moved = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: moved(self) + 7)

    assert us.living() is not None
