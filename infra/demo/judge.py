"""A run read back: every topic decoded, judged against itself, the calendar and the exchange."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, Self

from infra import audit
from infra.connection import Connection
from infra.demo.decoding import TopicRead, read_run
from infra.exchange.journal import Record, read_journal
from infra.topology import Topology
from schemas import topics
from schemas.orders import OrderEvent

GOLDEN: Final = Path("krx_reference") / "krx_trading_calendar_2011_20260814.parquet"
AUDITS: Final = "aegis.audits"
"""Entry points of rooms that judge their own topics: ``events by topic -> violations by name``."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run in memory.

    Attributes:
        by_topic: What was read of each topic, by name.
    """

    by_topic: Mapping[str, TopicRead]

    @classmethod
    def read(cls, connection: Connection, topology: Topology, *, every: bool = False) -> Self:
        """Read a run from Kafka."""
        return cls({each.topic: each for each in read_run(connection, topology, every=every)})

    def of(self, topic: topics.Topic) -> list[Any]:
        """Return a topic's events; a hot topic's are not kept."""
        found = self.by_topic.get(topic.name)
        return [] if found is None or found.events is None else [e for _, e in found.events]

    @property
    def events(self) -> dict[str, list[tuple[str, Any]]]:
        """The kept events of every topic, with their keys."""
        return {name: each.events or [] for name, each in self.by_topic.items()}

    @property
    def counts(self) -> dict[str, int]:
        """Events by topic, without watermarks, saved states, control and raw."""
        return {
            name: each.records
            for name, each in sorted(self.by_topic.items())
            if each.records and not name.startswith(("state.", "control.", "raw."))
        }

    @property
    def compared(self) -> int:
        """Values that PyPI ``avro`` read as well."""
        return sum(each.compared for each in self.by_topic.values())


def judge(run: Run, journal: Path | None, calendar: Path | None) -> dict[str, int]:
    """Return each check's number of violations; a right run has only zeros.

    Args:
        run: What is judged.
        journal: The exchange's own book; None when it is not ours to read.
        calendar: The golden calendar's file; None when it is not there.
    """
    orders: list[OrderEvent] = run.of(topics.ORDERS)
    origins = [each.origins for each in run.by_topic.values()]
    found = {
        "undecodable": sum(each.undecodable for each in run.by_topic.values()),
        "no_records": int(not any(each.records for each in run.by_topic.values())),
        "same_id_other_bytes": sum(each.id_with_other_bytes for each in origins)
        + audit.same_event_ids(orders),
        "same_id_twice_after_dedup": sum(map(_twice, run.by_topic.values())),
        "fill_without_order": audit.fills_without_order(orders),
        "order_without_intent": audit.orders_without_intent(orders),
        "order_outside_session": audit.orders_outside_session(orders, golden_sessions(calendar)),
        "order_unresolved": audit.unresolved(orders),
        "run_without_end": audit.runs_without_end(
            run.of(topics.TRIGGERS), run.of(topics.RUNS), run.of(topics.SCHEDULE)
        ),
        "dead_letters": len(run.of(topics.DEAD_LETTERS)),
    }
    for each in entry_points(group=AUDITS):
        found |= each.load()(run.events)
    if journal is not None and journal.exists():
        found |= against_exchange(orders, run.of(topics.POSITIONS), read_journal(journal))
    return found


def _twice(read: TopicRead) -> int:
    """Count what a reader has twice; of a topic in transactions, what is on the log twice."""
    topic = topics.BY_NAME.get(read.topic)
    raw = read.origins.redelivered if topic is not None and topic.transactional else 0
    return read.origins.id_twice_after_dedup + raw


def against_exchange(
    orders: Sequence[OrderEvent], positions: Sequence[Any], truth: Record
) -> dict[str, int]:
    """Compare the ledger with the exchange's own book: shares, cash to the won, each order."""
    opening = {symbol: int(qty) for symbol, (qty, _) in truth.opened["holdings"].items()}
    held, flow = audit.positions_of(orders, opening)
    cash = int(truth.opened["cash"]) + flow
    last = positions[-1] if positions else None
    stated = {} if last is None else dict(zip(last.symbols, last.qtys, strict=True))
    filled: dict[int, int] = {}
    for each in orders:
        if each.kind == "filled":
            number = int(each.order_no)
            filled[number] = max(filled.get(number, 0), each.filled_qty)
    theirs = {number: order.filled for number, order in truth.orders.items() if order.filled}
    return {
        "positions_not_sum_of_fills": _differences(stated, held) if last else int(bool(held)),
        "positions_not_the_exchanges": _differences(held, truth.holdings),
        "cash_not_the_exchanges": abs(cash - truth.cash),
        "cash_not_the_ledgers": abs(cash - last.cash) if last is not None else 0,
        "fills_not_the_exchanges": _differences(filled, theirs),
        "registrations_over_41": audit.registrations_over(truth.registrations),
    }


def _differences(mine: Any, theirs: Any) -> int:
    return sum(mine.get(key, 0) != theirs.get(key, 0) for key in mine.keys() | theirs.keys())


def golden_sessions(calendar: Path | None) -> frozenset[str] | None:
    """Return the ISO dates that really were sessions, None when the file is not there."""
    if calendar is None or not calendar.exists():
        return None
    import pyarrow.parquet as pq  # noqa: PLC0415 -- only where the golden data is

    table = pq.read_table(calendar)
    column = next(name for name in table.column_names if "date" in name.lower())
    return frozenset(str(each)[:10] for each in table.column(column).to_pylist())
