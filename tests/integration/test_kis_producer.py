"""The service ``kis`` on the real broker against the simulated exchange: no frame is lost."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from infra.admin import create_topics, delete_namespace
from infra.clock import SLACK_IDLE, ExchangeClock
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
from schemas.krx.sessions import kst_midnight
from schemas.raw import RawFrame
from schemas.role import WATERMARK_KEY, Batch, Record
from schemas.scores import Screened
from schemas.topics import RAW_KIS, SCREEN
from schemas.units import MINUTE, SECOND, Micros, Symbol, Won
from streams import decode

DATA = Path(__file__).parents[3] / "shared/data"
DAY = date(2026, 2, 10)
NAMES = 90
WAIT_S = 120.0
SILENCE = 12 * SECOND
"""The exchange's keep-alives come at least this often."""

pytestmark = [pytest.mark.stack, pytest.mark.data]


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Play a quarter of an hour around the opening; time waits for ``kis``."""
    if not DATA.exists():
        pytest.skip("expected ../shared/data, was absent: no day to play")
    line = [
        sys.executable, "-m", "infra.exchange", "--data", str(DATA), "--date", str(DAY),
        "--journal", str(tmp_path / "journal.jsonl"), "--pacing", "kis",
        "--begin", "08:58", "--end", "09:12",
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


def play(context: Context, *, until: Callable[[Context], bool] = lambda _: False) -> None:
    """Run the service until the exchange's day is over, or ``until`` says so."""
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
    while thread.is_alive() and not clock.ended and not until(context):
        assert time.monotonic() < give_up, f"expected the day to end, was {clock.now()}"
        time.sleep(0.02)
    time.sleep(0.5)
    context.stopping.set()
    thread.join(30)
    assert not failed, failed
    assert not thread.is_alive()


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
    assert min(reached.values()) >= exchange["end"] - SILENCE
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


def epochs(frames: list[RawFrame]) -> list[int]:
    """Return the epochs in the order of the log, each once."""
    return list(dict.fromkeys(frame.seq >> 40 for frame in frames))


def at_0901(context: Context) -> bool:
    return context.clock.now() >= kst_midnight(DAY) + (9 * 60 + 1) * MINUTE


def test_a_restart_goes_on_in_a_higher_epoch_and_time_never_goes_back(
    context: Context, exchange: dict[str, Any]
) -> None:
    names = screen(context)
    play(context, until=at_0901)
    context.clock.close()
    again = replace(
        context,
        clock=ExchangeClock(exchange["clock"]),
        stopping=threading.Event(),
        metrics=CollectorRegistry(),
    )

    play(again)

    raw = read_raw(again)
    before, after = epochs(raw.frames[WS])
    assert before < after
    assert epochs(raw.frames[POLL]) == [before, after]
    last = [each for each in raw.frames[WS] if each.seq >> 40 == after]
    streamed = {frame.payload.split("|", 3)[3].split("^", 1)[0] for frame in last}
    assert streamed == set(names[:20])
    assert min(raw.reached.values()) >= exchange["end"] - SILENCE
    again.clock.close()


class Cable:
    """Carries bytes to the exchange's websocket until it is cut; then carries them anew."""

    def __init__(self, url: str) -> None:
        self._to = (urlsplit(url).hostname, urlsplit(url).port)
        self._ends: list[socket.socket] = []
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._door.getsockname()[1]}/tryitout"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """Break what is connected."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()

    def close(self) -> None:
        self._door.close()
        self.cut()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                far = socket.create_connection(self._to)
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65_536):
            sink.sendall(piece)


def test_a_cut_line_is_taken_up_again_while_time_waits(
    context: Context, exchange: dict[str, Any]
) -> None:
    names = screen(context)
    cable = Cable(exchange["ws"])
    kis = context.settings.kis.model_copy(update={"ws_url": cable.url})
    context.settings = context.settings.model_copy(update={"kis": kis})
    cuts: list[int] = []

    def cut_once(now: Context) -> bool:
        if not cuts and at_0901(now):
            cuts.append(now.clock.now())
            cable.cut()
        return False

    with closing(cable):
        play(context, until=cut_once)

    raw = read_raw(context)
    before, after = epochs(raw.frames[WS])
    assert after == before + 1
    last = [each for each in raw.frames[WS] if each.seq >> 40 == after]
    assert last[0].ts_event - cuts[0] <= SLACK_IDLE, "no more than was under way is lost"
    assert {each.payload.split("|", 3)[3].split("^", 1)[0] for each in last} == set(names[:20])
    assert context.metrics.get_sample_value("aegis_kis_connections_total") == 2
    assert min(raw.reached.values()) >= exchange["end"] - SILENCE
