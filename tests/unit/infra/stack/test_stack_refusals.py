"""What the stack refuses, it refuses in one sentence: the thing, its setting, the way out."""

import os
from pathlib import Path

import psutil
import pytest

from infra.settings import Settings
from infra.stack import cluster, doctor, machine, stack, state
from infra.stack.endpoints import Endpoints, kafka_client, masked
from infra.stack.service import services
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


@pytest.mark.parametrize(("made", "asked"), [(1, 3), (3, 1)])
def test_a_folder_made_with_another_number_of_brokers_is_refused_with_the_way_out(
    made: int, asked: int, tmp_path: Path
) -> None:
    formatted(tmp_path / "stack", made)

    with pytest.raises(
        Misconfigured,
        match=rf"expected --brokers {made}, .*/stack was made with, was {asked}; .*AEGIS_VAR_DIR",
    ):
        stack.up(Settings(var_dir=tmp_path), brokers=asked)
    assert not stack.status(Settings(var_dir=tmp_path)).children


@pytest.mark.parametrize("made", [1, 3])
def test_a_folder_keeps_its_number_of_brokers_and_their_id(made: int, tmp_path: Path) -> None:
    assert cluster.wanted(tmp_path, None) == 1
    formatted(tmp_path, made)

    assert cluster.wanted(tmp_path, None) == made
    assert cluster.wanted(tmp_path, made) == made
    assert cluster.identity(tmp_path) == "itsOwnIdentity00000000"


def formatted(root: Path, brokers: int) -> None:
    for name in services(("kafka",), brokers)[-1:]:  # as when the first start was cut short
        (root / name / "data").mkdir(parents=True)
        properties = root / name / "data" / "meta.properties"
        properties.write_text("version=1\ncluster.id=itsOwnIdentity00000000\n", "utf-8")


def test_two_brokers_are_refused_and_so_is_a_number_for_a_users_own_kafka(tmp_path: Path) -> None:
    own = Settings.model_validate({"var_dir": tmp_path, "kafka": {"bootstrap": "k:1"}})

    with pytest.raises(Misconfigured, match=r"expected 1 or 3 brokers, was 2"):
        stack.up(Settings(var_dir=tmp_path), brokers=2)
    with pytest.raises(Misconfigured, match=r"was given k:1; unset AEGIS_KAFKA__BOOTSTRAP"):
        stack.up(own, brokers=3)


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
