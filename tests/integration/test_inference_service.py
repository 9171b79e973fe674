"""The inference service on the real broker: one answer per snapshot, whatever happens to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from consumers.inference import registry, scoring
from consumers.inference.engine import CPU, Engine
from infra.admin import create_topics, delete_namespace
from infra.connection import Connection
from infra.deploy import register_all
from infra.failpoint import PRODUCED
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.topology import Topology
from schemas import topics
from schemas.features import FeatureSnapshot
from schemas.model_features import FEATURES, MODEL, STEPS
from schemas.role import ORIGIN_HEADER
from schemas.scores import AiScored
from schemas.units import HOUR, Micros, Symbol

pytestmark = pytest.mark.stack

WAIT_S = 30.0
NAMES = 40


class Place:
    """A namespace of its own, and the service in a process of its own."""

    def __init__(self, stack: Any, log: Path) -> None:
        self.namespace = f"demo.test.{os.getpid()}-{time.monotonic_ns()}"
        self.connection = Connection(settings=Settings(), endpoints=stack, namespace=self.namespace)
        self.registry = Registry(stack.registry_url)
        self.serde = Serde(self.registry)
        self.log = log
        self.env = {
            **os.environ,
            "AEGIS_NAMESPACE": self.namespace,
            "AEGIS_KAFKA__BOOTSTRAP": stack.kafka_bootstrap,
            "AEGIS_REGISTRY__URL": stack.registry_url,
            "AEGIS_POSTGRES__DSN": stack.postgres_dsn,
            "AEGIS_REDIS__URL": stack.redis_url,
        }
        register_all(self.registry)
        create_topics(self.connection, Topology((), ()))

    def start(self, **env: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as sink:
            script = str(Path(__file__).with_name("inference_child.py"))
            return subprocess.Popen(
                [sys.executable, script], env={**self.env, **env}, stdout=sink, stderr=sink
            )

    def publish(self, *snapshots: FeatureSnapshot) -> None:
        publisher = Publisher(self.connection, self.serde, client="test")
        for each in snapshots:
            publisher.send(topics.SNAPSHOTS, MODEL, each)
        publisher.flush()

    def answers(self) -> list[tuple[str, AiScored]]:
        return [
            (each.headers[ORIGIN_HEADER].decode(), self.serde.decode(topics.AI, each.value or b""))
            for each in read_all(self.connection, topics.AI)
        ]

    def wait(self, count: int) -> list[tuple[str, AiScored]]:
        give_up = time.monotonic() + WAIT_S
        while len(found := self.answers()) < count and time.monotonic() < give_up:
            time.sleep(0.2)
        return found

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(e) for e in self.log.read_text().splitlines() if e.startswith("{")]
        return [each for each in lines if each.get("event") == event]

    def close(self) -> None:
        delete_namespace(self.connection, self.namespace)
        self.registry.close()


@pytest.fixture
def place(stack: Any, tmp_path: Path) -> Iterator[Place]:
    found = Place(stack, tmp_path / "service.log")
    yield found
    found.close()


@pytest.fixture
def started(place: Place) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    running: list[subprocess.Popen[bytes]] = []

    def start(**env: str) -> subprocess.Popen[bytes]:
        running.append(place.start(**env))
        return running[-1]

    yield start
    for each in running:
        each.kill()
        each.wait()


def snapshot(number: int, *, age: int = 0) -> FeatureSnapshot:
    when = Micros(time.time_ns() // 1_000 - age)
    values = np.random.default_rng(number).normal(0, 1, (NAMES, STEPS, len(FEATURES)))
    return FeatureSnapshot(
        ts_event=when,
        ts_ingest=when,
        snapshot_id=f"snapshot-{number}",
        fire_id=f"fire-{number}",
        model=MODEL,
        symbols=tuple(Symbol(f"{each:06d}") for each in range(NAMES)),
        features=FEATURES,
        steps=STEPS,
        tensor=values.astype("<f4").tobytes(),
        mask=bytes([1] * NAMES),
        deadline=Micros(when + HOUR),
        coverage=1.0,
        lineage={},
    )


def test_every_snapshot_has_one_answer_that_recomputes_to_the_same_bits(
    place: Place, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    asked = [
        snapshot(0),
        snapshot(1, age=2 * HOUR),
        replace(snapshot(2), mask=bytes(NAMES)),
        replace(snapshot(3), model="gnn"),
        snapshot(4),
    ]
    place.publish(*asked)

    started()
    found = place.wait(len(asked))

    assert [origin for origin, _ in found] == [f"inference@1/0:{each}" for each in range(5)]
    answers = [answer for _, answer in found]
    assert [(each.snapshot_id, each.ts_event) for each in answers] == [
        (each.snapshot_id, each.ts_event) for each in asked
    ]
    assert [each.reason.partition(":")[0] for each in answers] == [
        "", "deadline", "guard", "model", "",
    ]  # fmt: skip
    model = registry.bundled()
    engine = Engine(model.content, provider=CPU, steps=STEPS, features=len(FEATURES))
    for each, answer in ((asked[0], answers[0]), (asked[4], answers[4])):
        assert scoring.differences(answer, scoring.recompute(each, model, engine)) == ()
    [said] = read_all(place.connection, topics.MODELS)
    assert place.serde.decode(topics.MODELS, said.value or b"").sha256 == model.card.sha256


def test_a_kill_between_answer_and_commit_leaves_one_answer_after_the_restart(
    place: Place, started: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    place.publish(*[snapshot(each) for each in range(6)])
    first = started(
        AEGIS_FAILPOINT=f"{PRODUCED}:3", AEGIS_FAILPOINT_DEATHS=str(tmp_path / "deaths")
    )
    assert first.wait(WAIT_S) == -signal.SIGKILL

    started()
    found = place.wait(6)

    assert [origin for origin, _ in found] == [f"inference@1/0:{each}" for each in range(6)]
    assert {answer.level for _, answer in found} == {"on"}
    assert len(list(read_all(place.connection, topics.MODELS))) == 1


def test_a_killed_model_is_replaced_and_the_service_goes_on(
    place: Place, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    started()
    place.publish(snapshot(0))
    place.wait(1)
    [serving] = place.logged("model_serving")

    psutil.Process(serving["child"]).kill()
    place.publish(snapshot(1), snapshot(2))
    found = place.wait(3)

    assert [answer.level for _, answer in found][-1] == "on"
    assert len(found) == 3
    assert len(place.logged("model_serving")) == 2
