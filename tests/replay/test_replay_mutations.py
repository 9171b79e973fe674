"""A small day made again: the same bytes however it is cut, and other bytes for another constant.

The day: 60 seeded names with a year of sessions, six of them streamed and six polled from 09:00 to
09:17 on 2026-02-10, screens at 08:30 and 09:15, AI answers made up from the snapshots.  It is
made once, in process, and every test makes all of its decisions again.
"""

import hashlib
import importlib
import json
import os
import pickle
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.engine import append
from infra.exchange import frames
from infra.exchange.synthetic import write_market
from infra.log_model import LogModel, digest, effective
from infra.runner import Incoming, Outgoing
from infra.topology import Topology, load_roles
from infra.verify import COMPARED, REMADE, Compared, compare, remake
from producers.krx.day import SYMBOL_RESOURCE, collect
from schemas.codec import codec_of, frame, unframe
from schemas.control import JobTriggered
from schemas.features import FeatureSnapshot
from schemas.krx.sessions import kst_midnight
from schemas.raw import RawDaily, RawFrame
from schemas.role import WATERMARK_KEY
from schemas.scores import AiScored
from schemas.topics import (
    AI,
    DEAD_LETTERS,
    MODELS,
    RAW_DART,
    RAW_KIS,
    RAW_KRX,
    SNAPSHOTS,
    TRIGGERS,
    WEIGHTS,
    Topic,
)
from schemas.units import HOUR, MINUTE, SECOND, Micros

DAY = date(2026, 2, 10)
MIDNIGHT = kst_midnight(DAY)
EARLY = Micros(MIDNIGHT + 8 * HOUR + 30 * MINUTE)
OPEN = Micros(MIDNIGHT + 9 * HOUR)
LATER = Micros(OPEN + 15 * MINUTE)
END = Micros(OPEN + 17 * MINUTE)
STREAM, POLLER = "kis.ws.0", "kis.poll"
NAMES, SESSIONS, SEED = 60, 254, 5
STREAMED = 6

Inputs = dict[str, list[Incoming]]


class Plain:
    """Wire values without a registry."""

    def encode(self, topic: Topic, event: Any) -> bytes:
        return frame(0, codec_of(topic).encode(event))

    def decode(self, topic: Topic, value: bytes) -> Any:
        return codec_of(topic).decode(unframe(value)[1])


class Made(NamedTuple):
    """A day: what was given, and what the roles made of it."""

    inputs: Inputs
    run: Inputs


class Tape:
    """One name's prints and books, walking a tick at a time around its base price."""

    def __init__(self, instrument: Mapping[str, Any], draw: random.Random) -> None:
        base = int(instrument["base_price"])
        self.day = frames.Day(
            symbol=str(instrument["symbol"]),
            base=base,
            lower=base * 7 // 10,
            upper=base * 13 // 10,
            shares=int(instrument["listed_shares"]),
            date=f"{DAY:%Y%m%d}",
        )
        self.tick = max(base // 500, 1)
        self.price, self.volume, self.turnover = base, 0, 0
        self.bought = self.sold = self.prints = 0
        self._draw = draw

    def print(self, time: str, *, far: int = 0) -> str:
        """Return the next print; ``far`` puts it so many percent away, for once."""
        self.price += self._draw.choice((-1, 0, 0, 1)) * self.tick
        price = self.price * (100 + far) // 100
        qty, buys = self._draw.randrange(1, 200), self._draw.random() < 0.55
        self.volume += qty
        self.turnover += price * qty
        self.bought += qty if buys else 0
        self.sold += 0 if buys else qty
        self.prints += 1
        first = self.day.base
        said = frames.Print(
            time=time, price=price, qty=qty, code="1" if buys else "5", continuous=True,
            volume=self.volume, turnover=self.turnover, open=first, high=max(price, first),
            low=min(price, first), open_time="090000", high_time=time, low_time="090000",
            ask=self.price + self.tick, bid=self.price, ask_qty=50, bid_qty=60, ask_total=500,
            bid_total=600, sells=self.prints // 2, buys=self.prints - self.prints // 2,
            sold=self.sold, bought=self.bought, previous=100_000,
        )  # fmt: skip
        return frames.trade(self.day, said)

    def book(self, time: str) -> str:
        """Return ten levels around the last price."""
        asks = [self.price + self.tick * level for level in range(1, 11)]
        bids = [max(self.price - self.tick * level, 1) for level in range(10)]
        said = frames.Picture(
            time=time, phase="0", asks=asks, bids=bids,
            ask_qtys=[self._draw.randrange(1, 900) for _ in asks],
            bid_qtys=[self._draw.randrange(1, 900) for _ in bids],
            expected_price=0, expected_qty=0, expected_volume=0, volume=self.volume,
            ask_change=0, bid_change=0,
        )  # fmt: skip
        return frames.book(self.day, said)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make the day: first without AI, then with answers to the snapshots it gave."""
    inputs: Inputs = {topic.name: [] for topic in (RAW_DART, WEIGHTS, MODELS)} | given(
        tmp_path_factory.mktemp("market")
    )
    first = replayed(inputs)
    answers = [
        answer(Plain().decode(SNAPSHOTS, each.value or b""))
        for each in effective(first.records(SNAPSHOTS.name))
    ]
    inputs[AI.name] = records_of(AI, [("universe", each) for each in answers], ())
    again = replayed(inputs)
    assert not list(again.records(DEAD_LETTERS.name))
    return Made(inputs, {topic.name: list(again.records(topic.name)) for topic in COMPARED})


def given(folder: Path) -> Inputs:
    """Return what the world said that day."""
    write_market(folder, SEED, names=NAMES, sessions=SESSIONS, day=DAY)
    with warnings.catch_warnings():  # pandas foretells a change of fillna that touches no value
        warnings.simplefilter("ignore", FutureWarning)
        daily = list(collect(folder, DAY, ts_ingest=EARLY))
    names = streamed(daily)
    raws = sorted([*stream(names[:STREAMED]), *polls(names[STREAMED:])], key=lambda e: e.ts_event)
    marks = [(STREAM, END), (POLLER, END)]
    triggers = [("scores", trigger(at)) for at in (EARLY, LATER)]
    return {
        RAW_KRX.name: records_of(RAW_KRX, [(each.source, each) for each in daily], ()),
        RAW_KIS.name: records_of(RAW_KIS, [(each.source, each) for each in raws], marks),
        TRIGGERS.name: records_of(TRIGGERS, triggers, [("scheduler", END)]),
    }


def streamed(daily: list[RawDaily]) -> list[dict[str, Any]]:
    """Return the day's most traded names that are free to trade, twice as many as streamed."""
    found = [json.loads(each.payload) for each in daily if each.resource == SYMBOL_RESOURCE]
    free = [
        each
        for each in found
        if not each["instrument"]["halted"] and not each["instrument"]["administrative"]
    ]
    free.sort(
        key=lambda each: (-sum(each["bars"]["turnovers"][-20:]), each["instrument"]["symbol"])
    )
    return [each["instrument"] for each in free[: 2 * STREAMED]]


def stream(names: list[dict[str, Any]]) -> Iterator[RawFrame]:
    """Yield a print and mostly a book every other second, of one name only until 09:12.

    Some prints are wild, some a little ahead of their frame.
    """
    draw = random.Random(SEED)  # noqa: S311 -- a seeded day, not a secret
    tapes = [Tape(each, draw) for each in names]
    for turn in range(8 * 60):
        second = 2 * turn
        at = Micros(OPEN + second * SECOND)
        tape, time = tapes[draw.randrange(STREAMED)], clock(second)
        if tape is tapes[0] and second >= 12 * 60:
            continue
        ahead = clock(second + 3) if turn % 61 == 60 else time
        far = 7 if turn % 37 == 36 and tape.prints > 20 else 0
        texts = [(frames.TRADES, tape.print(ahead, far=far))]
        if turn % 4:
            texts.append((frames.BOOKS, tape.book(time)))
        for place, (tr_id, text) in enumerate(texts):
            yield raw_frame(STREAM, at, 2 * turn + place, tr_id, frames.frame(tr_id, [text]))


def clock(second: int) -> str:
    """Return HHMMSS of a second after nine."""
    return f"09{second // 60:02d}{second % 60:02d}"


def polls(names: list[dict[str, Any]]) -> Iterator[RawFrame]:
    """Yield a sweep a minute."""
    for minute in range(16):
        rows = [
            {
                "inter_shrn_iscd": each["symbol"],
                "inter2_prpr": str(each["base_price"] * (1_000 + minute) // 1_000),
                "acml_vol": str(1_000 * (minute + 1)),
                "acml_tr_pbmn": str(1_000 * (minute + 1) * each["base_price"]),
            }
            for each in names
        ]
        at = Micros(OPEN + minute * MINUTE + 30 * SECOND)
        body = json.dumps({"rt_cd": "0", "msg_cd": "MCA00000", "output": rows})
        yield raw_frame(POLLER, at, minute, "FHKST11300006", body, "rest")


def raw_frame(  # noqa: PLR0917 -- the fields of one record, in its order
    source: str, at: Micros, number: int, tr_id: str, payload: str, channel: str = "ws"
) -> RawFrame:
    return RawFrame(
        ts_event=at,
        ts_ingest=Micros(at + 5),
        source=source,
        seq=1 << 40 | number << 10,
        channel=channel,
        tr_id=tr_id,
        payload=payload,
    )


def trigger(at: Micros) -> JobTriggered:
    return JobTriggered(
        ts_event=at, ts_ingest=at, fire_id=f"fire-{at}", job="rescoring", slot=at, kind="auto",
        target="role:scores.screen", group="ai_analysis", priority=1, logical_date=20260210,
        schedule_hash="", calendar_hash="", cause="",
    )  # fmt: skip


def answer(snapshot: FeatureSnapshot) -> AiScored:
    """Score each name by a hash of its code and the instant."""
    at = snapshot.ts_event

    def score(symbol: str) -> float:
        drawn = hashlib.sha256(f"{symbol}/{at}".encode()).digest()
        return int.from_bytes(drawn[:4], "big") / 2**32

    return AiScored(
        ts_event=at, ts_ingest=Micros(at + 7), fire_id=snapshot.fire_id,
        snapshot_id=snapshot.snapshot_id, model=snapshot.model, model_hash="made-up",
        provider="none", level="on", reason="", symbols=snapshot.symbols,
        scores=tuple(score(each) for each in snapshot.symbols), elapsed=Micros(1_000), lineage={},
    )  # fmt: skip


def records_of(topic: Topic, events: list[tuple[str, Any]], marks: Any) -> list[Incoming]:
    """Return events and watermarks as a log of one partition holds them."""
    log, where = LogModel(), topology(1)
    for key, event in events:
        append(log, Outgoing(topic, key, event, event.ts_event, ()), where, Plain())
    for source, at in marks:
        headers = (("source", source.encode()), ("micros", str(at).encode()))
        append(log, Outgoing(topic, WATERMARK_KEY, None, at, headers, 0), where, Plain())
    return list(log.records(topic.name))


def topology(partitions: int) -> Topology:
    return Topology(load_roles(), (STREAM, POLLER), partitions)


def replayed(inputs: Inputs, partitions: int = 1, chunk: int = 1_000) -> LogModel:
    where = topology(partitions)
    roles = [role for role in where.roles if role.name in REMADE]
    return remake(inputs, roles, where, Plain(), chunk=chunk)


def digests(inputs: Inputs, partitions: int = 1, chunk: int = 1_000) -> dict[str, str]:
    log = replayed(inputs, partitions, chunk)
    return {topic.name: digest(log.records(topic.name))[0] for topic in COMPARED}


def compared(made: Made) -> list[Compared]:
    return compare(made.run, replayed(made.inputs), Plain())


def test_the_small_day_says_something_on_every_compared_topic(made: Made) -> None:
    counts = {name: digest(records)[1] for name, records in made.run.items()}

    assert counts.keys() == {topic.name for topic in COMPARED}
    assert counts["features.windows"] > 500
    assert counts["scores.screen"] == counts["scores.quant"] == counts["scores.final"] == 2
    assert counts["signals"] > 10
    assert all(each.same for each in compared(made))


@pytest.mark.parametrize(("partitions", "chunk"), [(1, 7), (3, 100), (16, 5_000)])
def test_a_day_has_the_same_bytes_for_other_partitions_and_chunks(
    made: Made, partitions: int, chunk: int
) -> None:
    expected = {name: digest(records)[0] for name, records in made.run.items()}

    assert digests(made.inputs, partitions, chunk) == expected


def test_a_day_has_the_same_bytes_in_a_fresh_process_with_other_hashes(
    made: Made, tmp_path: Path
) -> None:
    saved = tmp_path / "inputs.pickle"
    saved.write_bytes(pickle.dumps(made.inputs))
    code = (
        "import json, pickle, runpy, sys\n"
        "test = runpy.run_path(sys.argv[1])\n"
        "inputs = pickle.load(open(sys.argv[2], 'rb'))\n"
        "print(json.dumps(test['digests'](inputs, 3, 500)))\n"
    )

    said = subprocess.run(
        [sys.executable, "-c", code, __file__, str(saved)],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )

    assert json.loads(said.stdout) == {name: digest(kept)[0] for name, kept in made.run.items()}


def heavier_value() -> dict[str, dict[str, float]]:
    weights = {"value": 0.21, "quality": 0.19, "momentum": 0.2, "risk": 0.2, "growth": 0.2}
    return dict.fromkeys(("calm", "normal", "stressed"), weights)


MUTATIONS = [
    ("streams.decode", "AHEAD_MAX", SECOND, "features.windows", "end"),
    ("streams.prints", "STEP_PERCENT", 8, "features.windows", "trades"),
    ("streams.prints", "FENCE_PRINTS_MIN", 65, "features.windows", "trades"),
    ("streams.features.role", "CONTINUOUS", "1", "features.windows", "imbalance"),
    ("streams.features.role", "POLLED_SIZE", SECOND, "features.windows", "size"),
    ("streams.screener", "VALUE_WON_ABOVE", 2_000_000_000, "scores.screen", "symbols"),
    ("streams.screener", "CAP_WON_ABOVE", 100_000_000_000, "scores.screen", "symbols"),
    ("streams.screener", "VALUE_SESSIONS", 19, "scores.screen", "mean_values"),
    ("streams.screener", "RANK_ENTER_MAX", 30, "scores.screen", "symbols"),
    ("streams.factors.scaling", "WINSOR", 2.9, "scores.quant", "exposures"),
    ("streams.factors.measures", "QUARTER_SESSIONS", 62, "scores.quant", "exposures"),
    ("streams.factors.table", "CATEGORY_WEIGHTS", heavier_value(), "scores.quant", "weights"),
    ("streams.snapshots", "FRESH", MINUTE, "features.snapshots", "tensor"),
    ("streams.snapshots", "ANSWER_TIME", 61 * SECOND, "features.snapshots", "deadline"),
    ("schemas.model_features", "RETURN_SCALE", 0.031, "features.snapshots", "tensor"),
    ("streams.final", "AI_SHARE", 0.61, "scores.final", "scores"),
    ("streams.final", "BUY_FROM", 65.0, "scores.final", "words"),
    ("streams.signals", "LIFETIME", 16 * MINUTE, "signals", "expires"),
    ("streams.signals", "SILENT", "buy", "signals", None),
]
"""Module, constant, its other value, and where it shows first: a topic and one of its fields,
None where it makes events come or go."""


@pytest.mark.parametrize(
    ("module", "name", "value", "topic", "field"),
    MUTATIONS,
    ids=[f"{module}.{name}" for module, name, *_ in MUTATIONS],
)
def test_another_constant_is_red_and_names_the_first_event_that_differs(  # noqa: PLR0917 -- a row
    made: Made,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    name: str,
    value: Any,
    topic: str,
    field: str | None,
) -> None:
    monkeypatch.setattr(importlib.import_module(module), name, value)

    red = {each.topic: each for each in compared(made) if not each.same}

    assert topic in red
    first = red[topic].first
    assert first is not None
    assert (first["topic"], bool(first["key"])) == (topic, True)
    ranks = [each.name for each in COMPARED]
    assert ranks.index(topic) == min(ranks.index(each) for each in red)
    if field is None:
        assert first["differs"] in ("only in the run", "only when made again")
    else:
        assert field in first["differs"]


def test_the_mutations_touch_at_least_ten_constants_in_five_folds() -> None:
    folds = {module for module, *_ in MUTATIONS if module.startswith("streams.")}

    assert len(MUTATIONS) >= 10
    assert len(folds) >= 5
