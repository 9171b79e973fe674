"""``aegis audit``: a run, judged from its topics and the exchange's own book.

Every topic is read ``read_committed`` and every value decoded.  Each count in ``audit`` is a
number of violations and has to be zero.  The checks are pure functions of lists of events, so
each can be shown a planted violation.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from infra.runner import Incoming
from schemas.krx.sessions import kst_date, session
from schemas.orders import OrderEvent
from schemas.role import ORIGIN_HEADER

REGISTRATIONS_MAX: Final = 41
SENT: Final = ("submitting", "cancel_submitting")


class Origin(NamedTuple):
    """Counts of one topic's origins.

    Attributes:
        id_with_other_bytes: Origins that were used again, for other bytes.
        id_twice_after_dedup: Origins that a reader would keep twice: a reader compares within a
            partition, so one that came on two partitions passes it.
        redelivered: Records that a reader drops.
    """

    id_with_other_bytes: int
    id_twice_after_dedup: int
    redelivered: int


def origins(records: Iterable[Incoming]) -> Origin:
    """Compare records that carry the same origin."""
    first: dict[str, bytes] = {}
    passed: dict[tuple[int, str], int] = {}
    kept: set[str] = set()
    different = twice = redelivered = 0
    for each in records:
        origin = each.headers.get(ORIGIN_HEADER)
        if each.value is None or origin is None:
            continue
        name = origin.decode()
        different += first.setdefault(name, each.value) != each.value
        source, _, ordinal = name.rpartition(":")
        if int(ordinal) <= passed.get((each.partition, source), -1):
            redelivered += 1
            continue
        passed[each.partition, source] = int(ordinal)
        twice += name in kept
        kept.add(name)
    return Origin(different, twice, redelivered)


def same_event_ids(events: Sequence[OrderEvent]) -> int:
    """Count order events whose id was used before with other content."""
    seen: dict[str, OrderEvent] = {}
    wrong = 0
    for each in events:
        before = seen.setdefault(each.event_id, each)
        wrong += before != each
    return wrong


def fills_without_order(events: Sequence[OrderEvent]) -> int:
    """Count fills of an order number nobody accepted, or for more than its quantity."""
    accepted = {e.order_no: e.qty for e in events if e.kind in {"accepted", "reconciled"}}
    wrong = 0
    for each in events:
        if each.kind != "filled":
            continue
        wrong += each.order_no not in accepted or each.filled_qty > accepted[each.order_no]
    return wrong


def orders_without_intent(events: Sequence[OrderEvent]) -> int:
    """Count orders sent without an approval of the same intent before."""
    approved: set[str] = set()
    wrong = 0
    for each in events:
        if each.kind == "approved":
            approved.add(each.intent_id)
        if each.kind == "submitting":
            wrong += each.intent_id not in approved
    return wrong


def orders_outside_session(
    events: Sequence[OrderEvent], golden: frozenset[str] | None = None
) -> int:
    """Count orders sent outside the dated session.

    Args:
        events: The orders' life.
        golden: ISO dates that really were sessions, where they are known: up to the newest one
            they judge beside our own calendar.
    """
    known = max(golden, default="") if golden is not None else ""
    wrong = 0
    for each in events:
        if each.kind != "submitting":
            continue
        day = kst_date(each.ts_event)
        hours = session(day)
        date = day.isoformat()
        shut = hours is None or (golden is not None and date <= known and date not in golden)
        wrong += shut or (hours is not None and not hours.open <= each.ts_event < hours.close)
    return wrong


def unresolved(events: Sequence[OrderEvent]) -> int:
    """Count orders that were sent and whose end nobody knows."""
    ends = {
        "accepted", "rejected", "resolved_absent", "withheld",
    }  # fmt: skip
    open_: set[str] = set()
    for each in events:
        if each.kind == "submitting":
            open_.add(each.intent_id)
        elif each.kind in ends:
            open_.discard(each.intent_id)
    return len(open_)


def positions_of(
    events: Sequence[OrderEvent], opening: Mapping[str, int]
) -> tuple[dict[str, int], int]:
    """Return holdings and the change of cash that follow from the cumulative fills.

    Cash counts fees and tax as the ledger does: per order, on its cumulative amount.
    """
    last: dict[str, OrderEvent] = {}
    for each in events:
        if each.kind == "filled" and (
            each.order_no not in last or each.filled_qty > last[each.order_no].filled_qty
        ):
            last[each.order_no] = each
    held: Counter[str] = Counter(dict(opening))
    cash = 0
    for each in last.values():
        sign = 1 if each.side == "buy" else -1
        held[each.symbol] += sign * each.filled_qty
        cash -= sign * each.filled_amount + each.fee + each.tax
    return {symbol: qty for symbol, qty in held.items() if qty}, cash


def registrations_over(asked: Iterable[int]) -> int:
    """Count registrations beyond the 41st of a session, whether held or refused.

    Args:
        asked: For each registration asked for, how many the session would hold with it.
    """
    return sum(held > REGISTRATIONS_MAX for held in asked)


def runs_without_end(triggers: Sequence[Any], runs: Sequence[Any], decisions: Sequence[Any]) -> int:
    """Count attempts without exactly one end: their worker's, or the scheduler's in its place."""
    ends = Counter(
        (each.fire_id, each.attempt)
        for each in runs
        if each.state in {"succeeded", "degraded", "failed"}
    )
    given_up = {
        (each.fire_id, each.attempt)
        for each in decisions
        if each.decision in {"expired", "cancelled"}
    }
    attempts = [(each.fire_id, each.attempt) for each in triggers]
    return sum(ends[each] != 1 and not (ends[each] == 0 and each in given_up) for each in attempts)
