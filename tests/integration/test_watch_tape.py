"""The watchdog asks the real topic: a session without a trade is an alarm, with one it is not."""

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from infra.admin import create_topics, delete_namespace
from infra.connection import Connection
from infra.settings import Settings
from infra.topology import Topology
from scheduler.commands import app
from schemas.krx.sessions import kst_midnight
from schemas.topics import TRADES
from schemas.units import HOUR, MILLISECOND

pytestmark = pytest.mark.stack

EXAM = "2026-11-19"
COMMAND = ["calendar", "--check", "--ticks", "--json", "--at"]


@pytest.fixture
def printed(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[float, bytes | None], None]]:
    """Return what writes a record of market.trades at an hour of the exam day."""
    namespace = f"demo.test.{os.getpid()}-{time.monotonic_ns()}"
    connection = Connection(
        settings=Settings(var_dir=tmp_path), endpoints=stack, namespace=namespace
    )
    create_topics(connection, Topology((), ()))
    monkeypatch.setenv("AEGIS_KAFKA__BOOTSTRAP", stack.kafka_bootstrap)
    monkeypatch.setenv("AEGIS_REGISTRY__URL", stack.registry_url)
    monkeypatch.setenv("AEGIS_POSTGRES__DSN", stack.postgres_dsn)
    monkeypatch.setenv("AEGIS_REDIS__URL", stack.redis_url)
    monkeypatch.setenv("AEGIS_NAMESPACE", namespace)
    producer = Producer(connection.client("test"))

    def write(hours: float, value: bytes | None) -> None:
        at = kst_midnight(date.fromisoformat(EXAM)) + round(hours * HOUR)
        producer.produce(
            connection.topic(TRADES), value, b"005930", partition=0, timestamp=at // MILLISECOND
        )
        assert producer.flush(10) == 0

    yield write
    delete_namespace(connection, namespace)


def test_the_exam_days_open_without_a_trade_is_an_alarm_and_a_watermark_is_none(
    printed: Callable[[float, bytes | None], None],
) -> None:
    printed(10.01, None)

    early = CliRunner().invoke(app, [*COMMAND, f"{EXAM}T10:00"])
    silent = CliRunner().invoke(app, [*COMMAND, f"{EXAM}T10:01"])
    printed(10.01, b"trade")
    alive = CliRunner().invoke(app, [*COMMAND, f"{EXAM}T10:01"])

    assert [each.exit_code for each in (early, silent, alive)] == [0, 1, 0]
    told = json.loads(silent.stdout)["tape"]
    assert told.startswith("2026-11-19: expected trades since the open at 10:00, was none")


def test_a_trade_on_a_closed_day_is_an_alarm(
    printed: Callable[[float, bytes | None], None],
) -> None:
    printed(24 * 2 + 10, b"trade")

    saturday = CliRunner().invoke(app, [*COMMAND, "2026-11-21T10:30"])

    assert saturday.exit_code == 1
    assert "expected no trade on a closed day, was one at 10:00" in saturday.stdout
