"""One suite for every driver: the same test roles, the same bytes, crash and restore included."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.engine import Engine, append
from infra.log_model import LogModel, digest, effective
from infra.runner import Incoming, Instance, Outgoing
from infra.topology import Topology
from schemas.codec import codec_of, frame, unframe
from schemas.conformance import LEAGUE, QUIET, TALLY
from schemas.control import JobTriggered
from schemas.errors import Misconfigured
from schemas.market import Book, Trade
from schemas.role import LABEL_HEADER, WATERMARK_KEY, Role
from schemas.topics import BOOKS, SCREEN, TRADES, TRIGGERS, WINDOWS, Topic
from schemas.units import SECOND, Micros, Shares, Symbol, Won

START = 1_770_000_000 * SECOND
SYMBOLS = [f"{number:05d}0" for number in range(9)]


class Plain:
    """Wire values without a registry."""

    def encode(self, topic: Topic, event: Any) -> bytes:
        return frame(0, codec_of(topic).encode(event))

    def decode(self, topic: Topic, value: bytes) -> Any:
        return codec_of(topic).decode(unframe(value)[1])


def feeder(topic: Topic) -> Role:
    """Stand for the role that writes a paced topic, so that the topology knows its source."""
    return Role(
        name="feed",
        version=1,
        scope="universe",
        inputs=(),
        outputs=(topic,),
        initial=None,
        step=TALLY.step,
    )


def topology(partitions: int) -> Topology:
    feed = feeder(TRADES)
    both = Role(**{**{n: getattr(feed, n) for n in feed.__slots__}, "outputs": (TRADES, BOOKS)})
    return Topology((both, TALLY, LEAGUE), (), partitions)


def day(seconds: int, seed: int = 1) -> list[Outgoing]:
    """Make a little day of trades, books, triggers and watermarks, as producers would."""
    draw = random.Random(seed)  # noqa: S311 -- a seeded day, no secret
    said: list[Outgoing] = []
    for second in range(seconds):
        at = Micros(START + second * SECOND)
        for number in range(draw.randrange(12)):
            symbol = Symbol(draw.choice(SYMBOLS))
            if draw.random() < 0.5:
                said.append(out(TRADES, symbol, trade(symbol, at, number, draw)))
            else:
                said.append(out(BOOKS, symbol, book(symbol, at, number)))
        if second % 10 == 9:
            said.append(out(TRIGGERS, "job", trigger(at)))
        if draw.random() < 0.7 or second == seconds - 1:
            said += marks(Micros(at + SECOND))
    return [*said, *marks(Micros(START + (seconds + 10) * SECOND))]


def out(topic: Topic, key: str, value: Any) -> Outgoing:
    return Outgoing(topic, key, value, value.ts_event, ())


def marks(at: Micros) -> list[Outgoing]:
    def mark(topic: Topic, source: bytes) -> Outgoing:
        headers = (("source", source), ("micros", str(at).encode()))
        return Outgoing(topic, WATERMARK_KEY, None, at, headers, -1)

    return [mark(TRADES, b"feed@1/all"), mark(BOOKS, b"feed@1/all"), mark(TRIGGERS, b"scheduler")]


def trade(symbol: Symbol, at: Micros, seq: int, draw: random.Random) -> Trade:
    price = Won(draw.randrange(1_000, 9_000))
    return Trade(
        ts_event=at,
        ts_ingest=Micros(at + seq),
        symbol=symbol,
        venue="KRX",
        seq=seq,
        kind="print",
        price=price,
        qty=Shares(draw.randrange(1, 99)),
        aggressor="buy",
        volume_day=Shares(0),
        turnover_day=Won(0),
        bid=price,
        ask=price,
        bid_qty=Shares(1),
        ask_qty=Shares(1),
        phase="0",
        halted=False,
        vi_base=Won(0),
    )


def book(symbol: Symbol, at: Micros, seq: int) -> Book:
    level = (Won(1_000),) * 10
    sizes = (Shares(1),) * 10
    return Book(
        ts_event=at,
        ts_ingest=Micros(at + seq),
        symbol=symbol,
        venue="KRX",
        seq=seq,
        ask_prices=level,
        ask_qtys=sizes,
        bid_prices=level,
        bid_qtys=sizes,
        ask_total=Shares(10),
        bid_total=Shares(10),
        phase="0",
        expected_price=Won(0),
        expected_qty=Shares(0),
        volume_day=Shares(0),
    )


def trigger(at: Micros) -> JobTriggered:
    return JobTriggered(
        ts_event=at,
        ts_ingest=at,
        fire_id=str(at),
        job="job",
        slot=at,
        kind="auto",
        target="role",
        group="g",
        priority=1,
        logical_date=20260210,
        schedule_hash="",
        calendar_hash="",
        cause="",
    )


def log_of(said: Sequence[Outgoing], where: Topology) -> LogModel:
    log = LogModel()
    for each in said:
        places = range(where.partitions(each.topic)) if each.partition == -1 else (None,)
        for place in places:
            append(log, each._replace(partition=place), where, Plain())
    return log


def result(log: LogModel) -> dict[str, tuple[str, int]]:
    return {topic.name: digest(log.records(topic.name)) for topic in (WINDOWS, SCREEN)}


def played(partitions: int, chunk: int, said: Sequence[Outgoing]) -> dict[str, tuple[str, int]]:
    where = topology(partitions)
    log = log_of(said, where)
    Engine((TALLY, LEAGUE), where, log, Plain(), chunk=chunk).run()
    return result(log)


def test_engine_gives_the_same_bytes_for_any_partitions_and_chunks() -> None:
    said = day(120)

    first = played(4, 1_000, said)

    assert first[WINDOWS.name][1] > 300
    assert first[SCREEN.name][1] == 12
    for partitions, chunk in ((1, 7), (3, 1), (16, 64), (4, 5)):
        assert played(partitions, chunk, said) == first


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 40), min_size=1), kill=st.integers(0, 400))
def test_an_instance_restored_anywhere_goes_on_with_the_same_bytes(
    cuts: list[int], kill: int
) -> None:
    where = topology(1)
    log = log_of(day(60), where)
    names = ("market.trades", "market.books")
    whole = [each for name in names for each in log.read(name, 0, 0, 10_000)]
    straight = Instance(TALLY, "0", where, Plain())
    expected = bodies(straight.feed(whole).outputs)

    instance, got, saved, at, turn = Instance(TALLY, "0", where, Plain()), [], b"", 0, 0
    kept: list[Outgoing] = []
    while at < len(whole):
        step = cuts[turn % len(cuts)]
        turn += 1
        got += instance.feed(whole[at : at + step]).outputs
        at += step
        if turn % 3 == 0:
            saved, kept = instance.save(), list(got)
        if saved and kill and at > kill:
            instance, kill = Instance(TALLY, "0", where, Plain()), 0
            instance.restore(saved)
            got, at = kept, 0

    assert bodies(got) == expected


def bodies(outputs: Sequence[Outgoing]) -> list[tuple[Any, ...]]:
    return [(each.key, each.value, dict(each.headers)["origin"]) for each in outputs]


def test_a_record_delivered_twice_is_given_once() -> None:
    where = topology(1)
    first = Instance(TALLY, "0", where, Plain())
    log = log_of(day(30), where)
    names = ("market.trades", "market.books")
    windows = first.feed([each for name in names for each in log.read(name, 0, 0, 9_999)])
    twice = LogModel()
    for each in (*windows.outputs, *windows.outputs[5:]):
        append(twice, each, where, Plain())

    kept = effective(twice.records(WINDOWS.name))

    assert len(kept) == len(windows.outputs)


def test_a_universe_waits_for_its_slowest_partition() -> None:
    where = topology(3)
    log = log_of(day(30), where)
    Engine((TALLY,), where, log, Plain()).run()
    league = Instance(LEAGUE, "all", where, Plain())
    for partition in (0, 1):
        assert not league.feed(log.read(WINDOWS.name, partition, 0, 9_999)).outputs
    assert not league.feed(log.read(TRIGGERS.name, 0, 0, 9_999)).outputs

    fed = league.feed(log.read(WINDOWS.name, 2, 0, 9_999))

    assert [each.value.ts_event for each in fed.outputs] == [
        START + second * SECOND for second in (9, 19, 29)
    ]


def test_a_reader_of_a_label_neither_decodes_nor_sees_what_bears_another() -> None:
    where = topology(3)
    log = log_of(day(30), where)
    Engine((TALLY,), where, log, Plain()).run()
    windows = [each for part in range(3) for each in log.read(WINDOWS.name, part, 0, 9_999)]
    quiet = [e for e in windows if e.headers.get(LABEL_HEADER) == QUIET.encode()]
    torn = [e._replace(value=b"torn") if e in quiet else e for e in windows]
    league = Instance(LEAGUE, "all", where, Plain())

    fed = league.feed([*torn, *log.read(TRIGGERS.name, 0, 0, 9_999)])

    ranked = {symbol for out in fed.outputs for symbol in out.value.symbols}
    traded = {each.key for each in windows if each.value is not None and each not in quiet}
    assert quiet
    assert {out.topic for out in fed.outputs} == {SCREEN}
    assert ranked <= traded
    assert len(fed.outputs) == 3


def test_the_engine_refuses_a_role_with_effects() -> None:
    role = Role(**{**{n: getattr(TALLY, n) for n in TALLY.__slots__}, "effects": ("send",)})

    with pytest.raises(Misconfigured, match="Kafka loop"):
        Engine((role,), topology(1), LogModel(), Plain())


def test_a_torn_record_becomes_a_dead_letter_and_the_rest_goes_on() -> None:
    where = topology(1)
    log = log_of(day(30), where)
    records = [*log.read("market.trades", 0, 0, 9_999), *log.read("market.books", 0, 0, 9_999)]
    torn = [i for i, each in enumerate(records) if each.value is not None][3]
    records[torn] = records[torn]._replace(value=(records[torn].value or b"")[:-2])

    fed = Instance(TALLY, "0", where, Plain()).feed(records)

    letters = [each for each in fed.outputs if each.topic.name == "dead-letters"]
    assert [each.key for each in letters] == [f"market.trades/0/{records[torn].offset}"]
    assert len(fed.outputs) > 20


def test_a_record_behind_its_sources_own_watermark_becomes_a_dead_letter_whole() -> None:
    where = topology(1)
    log = log_of(day(30), where)
    records = [*log.read("market.trades", 0, 0, 9_999), *log.read("market.books", 0, 0, 9_999)]
    first = next(each for each in records if each.value is not None)
    instance = Instance(TALLY, "0", where, Plain())
    instance.feed(records)

    fed = instance.feed([first._replace(offset=9_999)])

    (letter,) = fed.outputs
    assert letter.topic.name == "dead-letters"
    assert letter.key == "market.trades/0/9999"
    assert letter.value.payload == first.value
    assert "is decided" in letter.value.reason


def test_a_dead_letter_alone_asks_for_its_state_to_be_saved_with_it() -> None:
    where = topology(1)
    log = log_of(day(30), where)
    first = next(each for each in log.read("market.trades", 0, 0, 9_999) if each.value is not None)
    instance = Instance(TALLY, "0", where, Plain())

    fed = instance.feed([first._replace(value=b"torn")])

    assert [each.topic.name for each in fed.outputs] == ["dead-letters"]
    assert instance.gave
    instance.save()
    assert not instance.gave


def test_incoming_is_what_the_log_holds() -> None:
    log = LogModel()

    log.append("t", 0, key="k", value=b"v", timestamp_ms=5)

    assert log.read("t", 0, 0, 1) == [Incoming("t", 0, 0, 5, "k", b"v", {})]
