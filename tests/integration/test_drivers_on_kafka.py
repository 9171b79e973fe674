"""The conformance roles on the real broker: killed, restored, and byte for byte the same."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from infra.admin import create_topics, delete_namespace
from infra.connection import Connection
from infra.deploy import register_all
from infra.engine import Engine
from infra.failpoint import PRODUCED, SAVED
from infra.log_model import LogModel, digest
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.runner import Incoming
from infra.settings import Settings
from schemas.conformance import LEAGUE, TALLY
from schemas.role import ORIGIN_HEADER
from schemas.topics import DEAD_LETTERS, SCREEN, WINDOWS

HERE = Path(__file__).parent
SECONDS = 240
WAIT_S = 60.0

pytestmark = pytest.mark.stack


def suite() -> Any:
    """Load the conformance suite's builders: one day, made once, for every driver."""
    spec = util.spec_from_file_location(
        "conformance_suite", HERE.parent / "conformance" / "test_drivers.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def place(stack: Any) -> Iterator[tuple[Connection, Serde, dict[str, str]]]:
    namespace = f"demo.test.{os.getpid()}-{time.monotonic_ns()}"
    connection = Connection(settings=Settings(), endpoints=stack, namespace=namespace)
    registry = Registry(stack.registry_url)
    register_all(registry)
    create_topics(connection, suite().topology(4))
    env = {
        **os.environ,
        "AEGIS_NAMESPACE": namespace,
        "AEGIS_KAFKA__BOOTSTRAP": stack.kafka_bootstrap,
        "AEGIS_REGISTRY__URL": stack.registry_url,
        "AEGIS_POSTGRES__DSN": stack.postgres_dsn,
        "AEGIS_REDIS__URL": stack.redis_url,
    }
    yield connection, Serde(registry), env
    delete_namespace(connection, namespace)
    registry.close()


def publish_day(
    connection: Connection, serde: Serde, start: float = 0.0, stop: float = 1.0
) -> None:
    """Publish a part of the day, from a share of its records to another."""
    publisher = Publisher(connection, serde, client="test")
    said = suite().day(SECONDS)
    for each in said[int(len(said) * start) : int(len(said) * stop)]:
        count = 4 if each.topic.spread == "symbol" else 1
        spots = range(count) if each.partition == -1 else (None,)
        for spot in spots:
            publisher.write(each._replace(partition=spot))
    publisher.flush()


def start(kind: str, env: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, str(HERE / "driver_child.py"), kind], env=env, stderr=sink, stdout=sink
        )


def engine_log() -> Any:
    module = suite()
    where = module.topology(4)
    log = module.log_of(module.day(SECONDS), where)
    Engine((TALLY, LEAGUE), where, log, module.Plain()).run()
    return log


def expected() -> dict[str, tuple[str, int]]:
    log = engine_log()
    return {topic.name: digest(log.records(topic.name)) for topic in (WINDOWS, SCREEN)}


def missing(connection: Connection, log: Path) -> str:
    """Say what the engine gives and the driver did not, for whoever reads the failure."""
    found = {(each.key, each.timestamp_ms) for each in values(connection, WINDOWS)}
    wanted = [each for each in engine_log().records(WINDOWS.name) if each.value is not None]
    absent = [each[:5] for each in wanted if (each.key, each.timestamp_ms) not in found]
    letters = [each.key for each in read_all(connection, DEAD_LETTERS)]
    return f"absent {absent}; dead letters {letters}; {log.read_text()[-3000:]}"


def on_kafka(connection: Connection, topic: Any) -> tuple[str, int]:
    log = LogModel()
    records = read_all(connection, topic)
    del log
    return digest(records)


def values(connection: Connection, topic: Any) -> list[Incoming]:
    return [each for each in read_all(connection, topic) if each.value is not None]


def wait_for(connection: Connection, topic: Any, want: tuple[str, int]) -> tuple[str, int]:
    give_up = time.monotonic() + WAIT_S
    found = ("", 0)
    while time.monotonic() < give_up:
        found = on_kafka(connection, topic)
        if found[1] >= want[1]:
            return found
        time.sleep(0.3)
    return found


def restored(log: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return [each for each in lines if each.get("event") == "restored"]


@pytest.mark.parametrize("key_driver", ["faust", "loop-key"])
def test_both_scopes_give_the_engines_bytes(
    place: tuple[Connection, Serde, dict[str, str]], tmp_path: Path, key_driver: str
) -> None:
    connection, serde, env = place
    publish_day(connection, serde)
    want = expected()

    with ExitStack() as running:
        for kind in (key_driver, "loop"):
            child = start(kind, env, tmp_path / f"{kind}.log")
            running.callback(child.wait)
            running.callback(child.kill)
        windows = wait_for(connection, WINDOWS, want[WINDOWS.name])
        screen = wait_for(connection, SCREEN, want[SCREEN.name])

    assert windows == want[WINDOWS.name], missing(connection, tmp_path / f"{key_driver}.log")
    assert screen == want[SCREEN.name], (tmp_path / "loop.log").read_text()[-3000:]


@pytest.mark.parametrize("kind", ["faust", "loop-key"])
@pytest.mark.parametrize("failpoint", [f"{PRODUCED}:2", f"{SAVED}:2"])
def test_a_kill_at_a_failpoint_loses_and_doubles_nothing(
    place: tuple[Connection, Serde, dict[str, str]], tmp_path: Path, kind: str, failpoint: str
) -> None:
    connection, serde, env = place
    publish_day(connection, serde, 0.0, 0.3)
    want = expected()[WINDOWS.name]
    log = tmp_path / "child.log"
    armed = {
        **env,
        "AEGIS_FAILPOINT": failpoint,
        "AEGIS_FAILPOINT_DEATHS": str(tmp_path / "hit"),
    }

    first = start(kind, armed, log)
    wait_for(connection, WINDOWS, ("", 1))
    publish_day(connection, serde, 0.3, 0.6)
    assert first.wait(WAIT_S) == -signal.SIGKILL, log.read_text()[-3000:]
    second = start(kind, armed, log)
    publish_day(connection, serde, 0.6, 1.0)
    try:
        found = wait_for(connection, WINDOWS, want)
    finally:
        second.kill()
        second.wait()

    assert found == want, log.read_text()[-3000:]
    if kind == "loop-key":  # its outputs and its state are one transaction
        origins = [each.headers[ORIGIN_HEADER] for each in values(connection, WINDOWS)]
        assert len(origins) == len(set(origins))
    assert any(each["restored_offset"] > 0 for each in restored(log)), log.read_text()[-3000:]


def test_a_universe_killed_between_two_saves_writes_no_decision_twice(
    place: tuple[Connection, Serde, dict[str, str]], tmp_path: Path
) -> None:
    connection, serde, env = place
    want = expected()[SCREEN.name]
    log = tmp_path / "loop.log"
    with ExitStack() as running:
        key = start("loop-key", env, tmp_path / "loop-key.log")
        running.callback(key.wait)
        running.callback(key.kill)
        first = start("loop", env, log)
        running.callback(first.kill)
        for begin, end in ((0.0, 0.3), (0.3, 0.5)):
            publish_day(connection, serde, begin, end)
            decided = int(SECONDS * end) // 10 - 1
            assert wait_for(connection, SCREEN, ("", decided))[1] >= decided
        first.kill()
        first.wait()
        second = start("loop", env, log)
        running.callback(second.wait)
        running.callback(second.kill)
        publish_day(connection, serde, 0.5, 1.0)
        found = wait_for(connection, SCREEN, want)

    assert found == want, log.read_text()[-3000:]
    origins = [each.headers[ORIGIN_HEADER] for each in values(connection, SCREEN)]
    assert len(origins) == len(set(origins)) == want[1]
