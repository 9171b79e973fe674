"""Execution and portfolio on real Kafka against the simulated brokerage, answers lost on purpose.

Sixteen minutes around the close: entries, exits, the closing auction, the end of the day.
At the end the exchange's own book, the ledger of ``orders.events`` and the portfolio agree.
"""

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
from typing import Any

import numpy as np
import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined] # exported, their stub forgets it
    AdminClient,
    NewTopic,
)
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from consumers.execution import orders, shell
from consumers.portfolio.role import ROLE as PORTFOLIO
from infra.admin import create_topics, delete_namespace
from infra.clock import ExchangeClock
from infra.connection import Connection
from infra.deploy import register_all
from infra.exchange.day import DayMarket, load_day
from infra.exchange.synthetic import write_market
from infra.host import Context
from infra.kafka_loop import run_role
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.settings import Kis, Settings
from infra.topology import Topology
from schemas import topics
from schemas.market import Instrument
from schemas.signals import Signal
from schemas.units import HOUR, MINUTE, SECOND, Micros, Shares, Symbol, Won

DAY = date(2026, 2, 10)
NAMES = 60
BUYS, SELLS = 14, 4
WAIT_S = 200.0
LOOK_S = 0.02
HEARD_S = 0.1
"""Wall seconds after which execution has a signal that is on the broker."""

SENT_WITHIN = 10 * SECOND
"""Market time from a signal to its first order: two quotes at the brokerage's rate."""

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small seeded market."""
    folder = tmp_path_factory.mktemp("market")
    write_market(folder, seed=3, names=NAMES, sessions=30, day=DAY)
    return folder


@pytest.fixture
def exchange(data: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Play the end of a day that waits for execution and for us, a fault in every fifth order."""
    line = [
        sys.executable, "-m", "infra.exchange", "--data", str(data), "--date", str(DAY),
        "--journal", str(tmp_path / "journal.jsonl"), "--pacing", "execution,test",
        "--begin", "15:17", "--end", "15:33", "--holdings", "6", "--cash", "100000000",
        "--faults", "reject=0.07,lost=0.13",
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
    for role in ("execution", "portfolio"):
        create_state_topic(connection, role)
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


def create_state_topic(connection: Connection, role: str) -> None:
    name = connection.topic(topics.state_topic(role))
    admin = AdminClient(connection.client("test"))
    config = {"cleanup.policy": "compact"}
    for future in admin.create_topics([NewTopic(name, 1, 1, config=config)]).values():
        future.result()


def instruments(market: DayMarket, at: Micros) -> Iterator[Instrument]:
    for row, symbol in enumerate(market.symbols):
        yield Instrument(
            ts_event=at, ts_ingest=at, symbol=Symbol(symbol), isin="", name=symbol,
            segment=market.segments[row], sector=f"sector {row % 9}", security_type="COMMON",
            listed_shares=Shares(int(market.shares[row])), base_price=Won(int(market.base[row])),
            market_cap=Won(int(market.market_cap[row])), halted=False, administrative=False,
            delisting=False,
        )  # fmt: skip


def wish(market: DayMarket, row: int, side: str, at: Micros) -> Signal:
    return Signal(
        ts_event=at, ts_ingest=at, signal_id=f"{side}-{market.symbols[row]}", fire_id="f",
        symbol=Symbol(market.symbols[row]), side=side, score=80.0,
        price=Won(int(market.close[row])), sector="", reason="70 to 80", level="full",
        expires=Micros(at + 15 * MINUTE), lineage={},
    )  # fmt: skip


def play(context: Context, market: DayMarket) -> None:
    """Run both services and give each signal at its instant, until the exchange's day is over."""
    clock = context.clock
    assert isinstance(clock, ExchangeClock)
    publisher = Publisher(context.connection, context.serde, client="test")
    for each in instruments(market, clock.now()):
        publisher.send(topics.INSTRUMENTS, each.symbol, each)
    publisher.flush()
    failed: list[BaseException] = []

    def guarded(work: Any, *args: Any, **said: Any) -> None:
        try:
            work(context, *args, **said)
        except BaseException as error:  # noqa: BLE001 -- told to the test's own thread
            failed.append(error)

    threads = [
        threading.Thread(target=guarded, args=(shell.run,), name="execution", daemon=True),
        threading.Thread(target=guarded, args=(run_role, PORTFOLIO), name="portfolio", daemon=True),
    ]
    for thread in threads:
        thread.start()
    begin = clock.now()
    liquid = [int(row) for row in np.argsort(-market.turnover, kind="stable")]
    held = liquid[:6]
    plan = [(2 * index, "buy", row) for index, row in enumerate(liquid[6 : 6 + BUYS])]
    plan += [(60 + 30 * index, "sell", row) for index, row in enumerate(held[:SELLS])]
    plan += [(240, "sell", held[4])]
    give_up = time.monotonic() + WAIT_S
    while plan and time.monotonic() < give_up and not failed:
        after_s, side, row = plan.pop(0)
        instant = Micros(begin + after_s * SECOND)
        clock.report("test", instant, instant)
        clock.wait(instant, WAIT_S)
        signal = wish(market, row, side, clock.now())
        publisher.send(topics.SIGNALS, signal.symbol, signal)
        publisher.flush()
        time.sleep(HEARD_S)
    clock.report("test", Micros(begin + HOUR))
    while time.monotonic() < give_up and not clock.ended and not failed:
        time.sleep(LOOK_S)
    time.sleep(2.0)
    context.stopping.set()
    for thread in threads:
        thread.join(30)
    assert not failed, failed
    assert clock.ended, f"expected the day to end, was {clock.now()}"
    assert not plan


def values(context: Context, topic: Any) -> list[Any]:
    return [
        context.serde.decode(topic, each.value)
        for each in read_all(context.connection, topic)
        if each.value is not None
    ]


def test_the_exchanges_book_the_ledger_and_the_portfolio_agree_at_the_close(
    context: Context, exchange: dict[str, Any], data: Path
) -> None:
    play(context, load_day(data, DAY))

    lines = [json.loads(line) for line in exchange["journal"].read_text().splitlines()]
    closed = next(each for each in lines if each["event"] == "closed")
    events = values(context, topics.ORDERS)
    kinds = Counter(each.kind for each in events)
    book = orders.ledger(events)
    reports = values(context, topics.REPORTS)
    stated = values(context, topics.POSITIONS)[-1]

    assert stated.cash == closed["cash"], kinds
    assert dict(zip(stated.symbols, stated.qtys, strict=True)) == closed["holdings"]
    theirs = {str(e["order_no"]) for e in lines if e["event"] == "booked"}
    ours = {each.order_no for each in book.values() if each.order_no}
    assert ours <= theirs
    assert all(each.status == "done" for each in book.values())
    assert kinds["unknown"] > 0
    assert kinds["filled"] > 0
    assert kinds["resolved_absent"] == 0
    assert kinds["cancelled"] > 0
    assert len({each.parent_id for each in reports}) == len(reports) > BUYS // 2
    for report in reports:
        children = [each for each in book.values() if each.parent_id == report.parent_id]
        assert sum(each.filled_qty for each in children) == report.filled_qty <= report.qty
    assert len({each.event_id for each in events}) == len(events)
    assert max(waits(events)) < SENT_WITHIN


def waits(events: list[Any]) -> list[int]:
    """Return for each parent that sent orders the market time until the first."""
    opened = {each.parent_id: each.ts_event for each in events if each.kind == "parent_opened"}
    sent = dict[str, int]()
    for each in events:
        if each.kind == "submitting":
            sent.setdefault(each.parent_id, each.ts_event)
    return [at - opened[parent_id] for parent_id, at in sent.items()]
