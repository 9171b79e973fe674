"""The audit of a small right run counts nothing; each planted violation is counted, and alone."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consumers.execution.events import order_event
from infra.demo.decoding import decoded
from infra.demo.judge import Run, judge
from infra.exchange.journal import Journal
from infra.log_model import LogModel
from scheduler import agenda, timetable
from scheduler.triggers import KRX, Slot
from schemas.codec import codec_of, frame, schema_text, unframe
from schemas.control import JobTriggered, RunReported
from schemas.features import Move
from schemas.krx.sessions import kst_midnight
from schemas.ops import DeadLettered
from schemas.portfolio import PortfolioStated
from schemas.role import ORIGIN_HEADER
from schemas.topics import (
    CATALOGUE,
    DEAD_LETTERS,
    MOVES,
    ORDERS,
    POSITIONS,
    RUNS,
    TRIGGERS,
    Topic,
)
from schemas.units import DAY, HOUR, MINUTE, Micros, Shares, Symbol, Won

MIDNIGHT = kst_midnight(date(2026, 2, 10))
TEN = Micros(MIDNIGHT + 10 * HOUR)
A, B, C = Symbol("005930"), Symbol("000660"), Symbol("035720")
CASH = 1_000_000
CASH_AFTER = CASH - 1_001 - 501 + 797


class Plain:
    """Wire values whose schema id is the topic's place in the catalogue."""

    def encode(self, topic: Topic, event: Any) -> bytes:
        return frame(CATALOGUE.index(topic), codec_of(topic).encode(event))

    def decode(self, topic: Topic, value: bytes) -> Any:
        return codec_of(topic).decode(unframe(value)[1])


class Written(NamedTuple):
    """An event on the log; ``ordinal`` numbers its origin, ``torn`` takes its last bytes."""

    topic: Topic
    key: str
    event: Any
    ordinal: int
    partition: int = 0
    torn: bool = False


@dataclass
class Day:
    """A run before it is judged: what is on the log, and the lines of the exchange's journal."""

    written: list[Written] = field(default_factory=list)
    lines: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def say(self, topic: Topic, key: str, event: Any) -> None:
        self.written.append(Written(topic, key, event, len(self.written)))

    def order(self, kind: str, intent: str, at: Micros = TEN, **said: Any) -> None:
        number = len(self.written)
        event = order_event(
            kind, at=at, ingest=at, account="acc", event_id=f"e{number}", intent_id=intent,
            **{"symbol": A, "side": "buy", **said},
        )  # fmt: skip
        self.say(ORDERS, "acc", event)

    def find(self, topic: Topic) -> int:
        """Return the place of a topic's last record."""
        return max(at for at, each in enumerate(self.written) if each.topic is topic)

    def change(self, topic: Topic, **said: Any) -> None:
        """Give a topic's last record other fields."""
        at = self.find(topic)
        each = self.written[at]
        self.written[at] = each._replace(event=replace(each.event, **said))

    def line(self, number: int, event: str, **said: Any) -> None:
        """Give an order's line in the journal other facts."""
        at = max(
            at
            for at, (name, facts) in enumerate(self.lines)
            if name == event and facts.get("order_no") == number
        )
        self.lines[at] = (event, {**self.lines[at][1], **said})


def slots() -> list[Slot]:
    """Return the shipped timetable's fires of the day."""
    found = agenda.due(timetable.default(), MIDNIGHT, Micros(MIDNIGHT + DAY - 1), KRX)
    return [each for each in found if isinstance(each, Slot)]


def trigger(fire_id: str = "f1", **said: Any) -> JobTriggered:
    slot = slots()[0]
    known = JobTriggered(
        ts_event=slot.at, ts_ingest=slot.at, fire_id=fire_id, job=slot.job, slot=slot.at,
        kind="auto", target="handler:x", group="g", priority=2, logical_date=20260210,
        schedule_hash=timetable.default().hash, calendar_hash="", cause="",
    )  # fmt: skip
    return replace(known, **said)


def ended(fire_id: str = "f1", state: str = "succeeded") -> RunReported:
    return RunReported(
        ts_event=TEN, ts_ingest=TEN, fire_id=fire_id, job="j", slot=TEN, state=state, attempt=1,
        worker="w", detail="", started=TEN, ended=TEN,
    )  # fmt: skip


def move(price: int = 101) -> Move:
    return Move(
        ts_event=TEN, ts_ingest=TEN, symbol=A, seq=1, reference=Won(100), price=Won(price), bps=1.0
    )


def stated() -> PortfolioStated:
    return PortfolioStated(
        ts_event=TEN, ts_ingest=TEN, account="acc", cause="close", cash=Won(CASH_AFTER),
        symbols=(A, B), qtys=(Shares(15), Shares(6)), costs=(Won(1_500), Won(600)),
        marks=(Won(100), Won(200)), sectors=("", ""), equity=Won(0), equity_previous_close=Won(0),
        pnl_realized=Won(0), pnl_unrealized=Won(0), fees=Won(3), taxes=Won(2), bought=Won(1_500),
        sold=Won(800),
    )  # fmt: skip


def right() -> Day:
    """Return a run without a fault: A bought in two orders, B of the opening holding sold."""
    day = Day()
    day.say(TRIGGERS, "job", trigger())
    day.say(RUNS, "job", ended())
    day.say(MOVES, A, move())
    opening = {"account": "acc", "cash": CASH, "holdings": {B: (10, 1_000)}}
    day.lines.append(("opened", opening))
    day.lines += [("registered", {"session": 1, "held": held}) for held in range(1, 42)]
    trade(day, 101, "buy", A, filled=[4, 10], price=100, fee=1)
    trade(day, 102, "buy", A, filled=[5], price=100, fee=1)
    trade(day, 103, "sell", B, filled=[4], price=200, fee=1, tax=2)
    day.say(POSITIONS, "acc", stated())
    return day


def trade(
    day: Day, number: int, side: str, symbol: str, *, filled: list[int], price: int, **costs: int
) -> None:
    """Add an order's life to the log and to the exchange's journal; ``filled`` is cumulative."""
    intent = f"i{number}"
    wish: dict[str, Any] = {"symbol": symbol, "side": side, "qty": filled[-1]}
    booked = {**wish, "original_no": 0, "price": price, "rejected": 0, "code": ""}
    day.lines.append(("booked", {**booked, "order_no": number}))
    day.order("approved", intent, **wish)
    day.order("submitting", intent, **wish)
    day.order("accepted", intent, order_no=str(number), **wish)
    before = 0
    for total in filled:
        amount = total * price
        known: dict[str, Any] = {
            "order_no": str(number),
            "filled_qty": total,
            "filled_amount": amount,
            **costs,
        }
        day.order("filled", intent, **wish, **known)
        paid = {"fee": 0, "tax": 0, **costs}
        line = {"order_no": number, "price": price, "qty": total - before, **paid}
        day.lines.append(("filled", line))
        before = total


def run_of(day: Day) -> Run:
    """Read a day's log as the audit reads Kafka, each value by PyPI ``avro`` too."""
    log, wire = LogModel(), Plain()
    for topic, key, event, ordinal, partition, torn in day.written:
        value = wire.encode(topic, event)
        log.append(
            topic.name,
            partition,
            key=key,
            value=value[:-2] if torn else value,
            timestamp_ms=event.ts_event // 1_000,
            headers=((ORIGIN_HEADER, f"role@1/all:{ordinal}".encode()),),
        )
    return Run(
        {
            topic.name: decoded(topic, list(log.records(topic.name)), wire, schema_of, 1)
            for topic in CATALOGUE
        }
    )


def schema_of(schema_id: int) -> str:
    return schema_text(CATALOGUE[schema_id].schema_name)


def violations(day: Day, folder: Path, calendar: Path | None = None) -> dict[str, int]:
    """Judge a day, with its journal if it has one, and return what was found."""
    path = folder / "exchange.jsonl"
    if day.lines:
        journal = Journal(path)
        for event, facts in day.lines:
            journal.write(event, TEN, **facts)
        journal.close()
    found = judge(run_of(day), path, calendar)
    assert all(count >= 0 for count in found.values())
    return {name: count for name, count in found.items() if count}


def test_a_right_run_has_only_zeros(tmp_path: Path) -> None:
    found = judge(run_of(right()), None, None)

    assert violations(right(), tmp_path) == {}
    assert len(found) == 12
    assert set(found.values()) == {0}
    assert run_of(right()).compared == len(right().written)


def without_book(day: Day) -> Day:
    """Leave the exchange's journal out: it would contradict the plant as well."""
    day.lines.clear()
    return day


def torn(day: Day) -> None:
    at = day.find(MOVES)
    day.written[at] = day.written[at]._replace(torn=True)


def other_bytes(day: Day) -> None:
    day.written.append(day.written[day.find(MOVES)]._replace(event=move(102)))


def other_content(day: Day) -> None:
    day.order("quoted", "")
    day.change(ORDERS, event_id="e5")


def on_two_partitions(day: Day) -> None:
    day.written.append(day.written[day.find(MOVES)]._replace(partition=1))


def twice_in_transactions(day: Day) -> None:
    day.written.append(day.written[day.find(POSITIONS)])


def strange_fill(day: Day) -> None:
    day.order("filled", "i9", order_no="999", filled_qty=1, filled_amount=100)


def overfilled(day: Day) -> None:
    day.order("filled", "i101", order_no="101", filled_qty=11, filled_amount=1_100)


def unasked(day: Day) -> None:
    day.order("submitting", "i9")
    day.order("rejected", "i9")


def after_hours(day: Day) -> None:
    late = Micros(MIDNIGHT + 16 * HOUR)
    for kind in ("approved", "submitting", "rejected"):
        day.order(kind, "i9", at=late)


def unresolved(day: Day) -> None:
    for kind in ("approved", "submitting", "unknown"):
        day.order(kind, "i9")


def off_the_calendar(day: Day) -> None:
    day.change(TRIGGERS, slot=Micros(slots()[0].at + 7 * MINUTE))


def foreign_timetable(day: Day) -> None:
    day.change(TRIGGERS, schedule_hash="another")


def endless(day: Day) -> None:
    day.say(TRIGGERS, "job", trigger("f2"))
    day.say(RUNS, "job", ended("f2", "running"))


def ended_twice(day: Day) -> None:
    day.say(RUNS, "job", ended(state="failed"))


def dead_letter(day: Day) -> None:
    letter = DeadLettered(
        ts_event=TEN, ts_ingest=TEN, origin="raw.kis/0/1", role="r", error="Poison", reason="",
        attempt=1, payload=b"",
    )  # fmt: skip
    day.say(DEAD_LETTERS, letter.origin, letter)


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (torn, "undecodable"),
        (other_bytes, "same_id_other_bytes"),
        (other_content, "same_id_other_bytes"),
        (on_two_partitions, "same_id_twice_after_dedup"),
        (twice_in_transactions, "same_id_twice_after_dedup"),
        (strange_fill, "fill_without_order"),
        (overfilled, "fill_without_order"),
        (unasked, "order_without_intent"),
        (after_hours, "order_outside_session"),
        (unresolved, "order_unresolved"),
        (off_the_calendar, "trigger_outside_calendar"),
        (foreign_timetable, "trigger_of_another_timetable"),
        (endless, "run_without_end"),
        (ended_twice, "run_without_end"),
        (dead_letter, "dead_letters"),
    ],
)
def test_a_violation_on_the_topics_is_counted_once_and_alone(
    plant: Callable[[Day], None], name: str, tmp_path: Path
) -> None:
    day = without_book(right())

    plant(day)

    assert violations(day, tmp_path) == {name: 1}


def test_a_record_that_readers_drop_is_no_violation_outside_transactions(tmp_path: Path) -> None:
    day = right()

    day.written.append(day.written[day.find(MOVES)])

    assert violations(day, tmp_path) == {}


def test_a_run_without_records_is_a_violation(tmp_path: Path) -> None:
    assert violations(Day(), tmp_path) == {"no_records": 1}


@pytest.mark.parametrize(
    ("known", "count"),
    [
        (["2026-02-09", "2026-02-10"], 0),
        (["2026-02-09", "2026-02-11"], 3),
        (["2026-02-06", "2026-02-09"], 0),
    ],
)
def test_orders_are_judged_by_the_golden_calendar_as_far_as_it_goes(
    known: list[str], count: int, tmp_path: Path
) -> None:
    calendar = tmp_path / "calendar.parquet"
    dates = [date.fromisoformat(each) for each in known]
    pq.write_table(pa.table({"date": pa.array(dates, pa.date32())}), calendar)

    found = violations(right(), tmp_path, calendar)

    assert found == ({"order_outside_session": count} if count else {})


def misstated_shares(day: Day) -> None:
    day.change(POSITIONS, qtys=(Shares(14), Shares(6)))


def misstated_cash(day: Day) -> None:
    day.change(POSITIONS, cash=Won(CASH_AFTER + 1))


def other_symbol(day: Day) -> None:
    day.line(102, "booked", symbol=C)


def dearer(day: Day) -> None:
    day.line(103, "filled", fee=2)


def fills_swapped(day: Day) -> None:
    day.line(101, "filled", qty=1)
    day.line(102, "filled", qty=10)


def one_too_many(day: Day) -> None:
    day.lines.append(("registered", {"session": 1, "held": 42}))


@pytest.mark.parametrize(
    ("plant", "name", "count"),
    [
        (misstated_shares, "positions_not_sum_of_fills", 1),
        (misstated_cash, "cash_not_the_ledgers", 1),
        (other_symbol, "positions_not_the_exchanges", 2),
        (dearer, "cash_not_the_exchanges", 1),
        (fills_swapped, "fills_not_the_exchanges", 2),
        (one_too_many, "registrations_over_41", 1),
    ],
)
def test_a_contradiction_to_the_exchanges_book_is_counted_alone(
    plant: Callable[[Day], None], name: str, count: int, tmp_path: Path
) -> None:
    day = right()

    plant(day)

    assert violations(day, tmp_path) == {name: count}
