"""A run read back: every topic decoded, judged against itself, the calendar and the exchange."""

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from infra import audit
from infra.connection import Connection
from infra.demo.decoding import Decoded, decode_topics
from infra.exchange.journal import Record, read_journal
from infra.registry import Registry
from infra.topology import Topology
from schemas import topics
from schemas.orders import OrderEvent

GOLDEN: Final = Path("krx_reference") / "krx_trading_calendar_2011_20260814.parquet"
AUDITS: Final = "aegis.audits"
"""Entry points of rooms that judge their own topics: ``events by topic -> violations by name``."""


class Run:
    """A run's topics in memory.

    Attributes:
        records: Topic name to its records, watermarks included.
        events: Topic name to (key, event) of what a reader keeps.
    """

    def __init__(self, connection: Connection, registry: Registry, topology: Topology) -> None:
        self.connection = connection
        decoded: Decoded = decode_topics(connection, registry, topology)
        self.records = decoded.records
        self.events: dict[str, list[tuple[str, Any]]] = decoded.events
        self.undecodable = decoded.undecodable
        self.compared_with_avro = decoded.compared_with_avro

    def of(self, topic: topics.Topic) -> list[Any]:
        """Return a topic's events."""
        return [event for _, event in self.events.get(topic.name, [])]

    @property
    def counts(self) -> dict[str, int]:
        """Events by topic, without watermarks, saved states, control and raw."""
        return {
            name: len(events)
            for name, events in self.events.items()
            if events and not name.startswith(("state.", "control.", "raw."))
        }


def judge(run: Run, journal: Path | None, calendar: Path | None) -> dict[str, int]:
    """Return each check's number of violations; a right run has only zeros.

    Args:
        run: What is judged.
        journal: The exchange's own book; None when it is not ours to read.
        calendar: The golden calendar's file; None when it is not there.
    """
    orders: list[OrderEvent] = run.of(topics.ORDERS)
    origins = [audit.origins(records) for records in run.records.values()]
    found = {
        "undecodable": run.undecodable,
        "no_records": int(not any(run.events.values())),
        "same_id_other_bytes": sum(each.id_with_other_bytes for each in origins)
        + audit.same_event_ids(orders),
        "same_id_twice_after_dedup": sum(each.id_twice_after_dedup for each in origins),
        "fill_without_order": audit.fills_without_order(orders),
        "order_without_intent": audit.orders_without_intent(orders),
        "order_outside_session": audit.orders_outside_session(orders, golden_sessions(calendar)),
        "order_unresolved": audit.unresolved(orders),
        "run_without_end": audit.runs_without_end(run.of(topics.TRIGGERS), run.of(topics.RUNS)),
        "dead_letters": len(run.of(topics.DEAD_LETTERS)),
    }
    for each in entry_points(group=AUDITS):
        found |= each.load()(run.events)
    if journal is not None and journal.exists():
        found |= against_exchange(orders, run.of(topics.POSITIONS), read_journal(journal))
    return found


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
        "registrations_over_41": int(truth.opened.get("registrations_over", 0)),
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
