"""The service ``kis`` on the real broker against the simulated exchange: no frame is lost."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from infra.admin import create_topics, delete_namespace
from infra.clock import ExchangeClock
from infra.connection import Connection
from infra.deploy import register_all
from infra.exchange.day import load_day
from infra.host import Context
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.settings import Kis, Settings
from infra.topology import Topology
from producers.kis.feed import POLL, WS
from producers.kis.service import run
from schemas.raw import RawFrame
from schemas.role import WATERMARK_KEY, Batch, Record
from schemas.scores import Screened
from schemas.topics import RAW_KIS, SCREEN
from schemas.units import Micros, Symbol, Won
from streams import decode

DATA = Path(__file__).parents[3] / "shared/data"
DAY = date(2026, 2, 10)
NAMES = 90
WAIT_S = 120.0

pytestmark = [pytest.mark.stack, pytest.mark.data]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Play six minutes around the opening; time waits for ``kis``."""
    if not DATA.exists():
        pytest.skip("expected ../shared/data, was absent: no day to play")
    line = [
        sys.executable, "-m", "infra.exchange", "--data", str(DATA), "--date", str(DAY),
        "--journal", str(tmp_path / "journal.jsonl"), "--pacing", "kis",
        "--begin", "08:58", "--end", "09:04",
    ]  # fmt: skip
    with (tmp_path / "exchange.log").open("wb") as log, ExitStack() as ending:
        child = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log)
        ending.callback(child.wait, 10)
        ending.callback(child.terminate)
        assert child.stdout is not None
        ending.callback(child.stdout.close)
        ready = json.loads(child.stdout.readline())
        yield {**ready, "journal": tmp_path / "journal.jsonl"}


@pytest.fixture
def context(stack: Any, exchange: dict[str, Any], tmp_path: Path) -> Iterator[Context]:
    settings = Settings(
        namespace=f"demo.test.{os.getpid()}-{time.monotonic_ns()}",
        clock="exchange",
        clock_url=exchange["clock"],
        var_dir=tmp_path,
        kis=Kis(
            rest_url=exchange["rest"],
            ws_url=exchange["ws"],
            app_key=SecretStr("simulated-key"),
            app_secret=SecretStr("simulated-secret"),
            account=SecretStr("50199202-01"),
        ),
    )
    connection = Connection(settings=settings, endpoints=stack, namespace=settings.namespace)
    topology = Topology(roles=(), raw_sources=settings.raw_sources)
    registry = Registry(stack.registry_url)
    register_all(registry)
    create_topics(connection, topology)
    clock = ExchangeClock(exchange["clock"])
    yield Context(
        connection=connection,
        topology=topology,
        serde=Serde(registry),
        clock=clock,
        settings=settings,
        metrics=CollectorRegistry(),
    )
    clock.close()
    delete_namespace(connection, settings.namespace)
    registry.close()


def screen(context: Context) -> tuple[Symbol, ...]:
    """Publish a screen of the busiest names."""
    market = load_day(DATA, DAY)
    order = sorted(range(len(market.symbols)), key=lambda row: -int(market.turnover[row]))
    names = tuple(Symbol(market.symbols[row]) for row in order[:NAMES])
    event = Screened(
        ts_event=context.clock.now(), ts_ingest=Micros(0), fire_id="f", job="j", considered=NAMES,
        symbols=names, prices=(Won(1),) * NAMES, polled=(0,) * NAMES, mean_values=(Won(1),) * NAMES,
        market_caps=(Won(1),) * NAMES, sectors=("",) * NAMES, excluded={}, binding="", lineage={},
    )  # fmt: skip
    publisher = Publisher(context.connection, context.serde, client="test")
    publisher.send(SCREEN, "universe", event)
    publisher.flush()
    return names


def play(context: Context) -> None:
    """Run the service until the exchange's day is over."""
    clock = context.clock
    assert isinstance(clock, ExchangeClock)
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            run(context)
        except BaseException as error:  # noqa: BLE001 -- told to the test's own thread
            failed.append(error)

    thread = threading.Thread(target=guarded, name="kis", daemon=True)
    thread.start()
    give_up = time.monotonic() + WAIT_S
    while thread.is_alive() and not clock.ended and time.monotonic() < give_up:
        time.sleep(0.1)
    time.sleep(1.0)
    context.stopping.set()
    thread.join(30)
    assert not failed, failed
    assert not thread.is_alive()
    assert clock.ended, f"expected the day to end, was {clock.now()}"


class Raw(NamedTuple):
    """What is on ``raw.kis``, by source; ``reached`` is each source's time."""

    frames: dict[str, list[RawFrame]]
    marks: dict[str, list[int]]
    reached: dict[str, int]


def read_raw(context: Context) -> Raw:
    """Read the topic; a source's time must never go back."""
    raw = Raw({WS: [], POLL: []}, {WS: [], POLL: []}, {WS: 0, POLL: 0})
    for record in read_all(context.connection, RAW_KIS):
        if record.key == WATERMARK_KEY:
            source, micros = record.headers["source"].decode(), int(record.headers["micros"])
            raw.marks[source].append(micros)
        else:
            assert record.value is not None
            frame = context.serde.decode(RAW_KIS, record.value)
            source, micros = frame.source, frame.ts_event
            raw.frames[source].append(frame)
        assert micros >= raw.reached[source]
        raw.reached[source] = micros
    return raw


def test_every_frame_the_exchange_sent_is_one_raw_record_in_order(
    context: Context, exchange: dict[str, Any]
) -> None:
    names = screen(context)

    play(context)

    journal = [json.loads(line) for line in exchange["journal"].read_text().splitlines()]
    sent = next(
        each["records"] for each in journal if each.get("kind", each.get("event")) == "closed"
    )
    frames, marks, reached = read_raw(context)
    carried = sum(int(frame.payload.split("|", 3)[2]) for frame in frames[WS])
    assert (carried, carried > 1_000) == (sent, True)
    for each in frames.values():
        assert [frame.seq for frame in each] == sorted({frame.seq for frame in each})
    streamed = {frame.payload.split("|", 3)[3].split("^", 1)[0] for frame in frames[WS]}
    assert streamed == set(names[:20])
    polled = Counter(
        row["inter_shrn_iscd"]
        for each in frames[POLL]
        for row in json.loads(each.payload)["output"]
    )
    assert set(polled) == set(names[20:])
    assert min(polled.values()) >= 4
    assert marks[POLL]
    assert min(reached.values()) >= exchange["end"] - 12_000_000
    value = context.metrics.get_sample_value
    assert value("aegis_kis_connections_total") == 1
    assert value("aegis_kis_frames_received_total") == len(frames[WS])

    log = [Record("raw.kis", each.source, each) for each in (*frames[WS], *frames[POLL])]
    decoded = Counter(
        output.topic.name
        for output in decode.ROLE.step(decode.ROLE.initial, Batch(log, Micros(0))).outputs
    )
    assert set(decoded) == {"market.trades", "market.books"}
    assert sum(decoded.values()) == sent + polled.total()
