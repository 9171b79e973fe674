"""What an effect gave, as events of ``orders.events``: cause is the effect, ids are its content.

submit   accepted | rejected | unknown | withheld
cancel   cancel_accepted | cancel_rejected | cancel_unknown
quote    quoted | quote_failed
marks    quoted ... marks_ended | marks_failed
listing  listed ... listing_ended | listing_failed
balance  reconciled ... (holdings), reconciled (cash, ends it) | balance_failed
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from consumers.execution.events import order_event
from infra.kis.models import AskingPrice, Balance, DailyOrder, MultiPrice, Price
from infra.kis.outcomes import Accepted, NotSent, Outcome, RejectedByBrokerage
from infra.kis.rest import LIMIT, MARKET
from schemas import topics
from schemas.ids import content_id
from schemas.krx.sessions import kst_midnight
from schemas.role import Effect, Output
from schemas.units import HOUR, MINUTE, SECOND, Micros

_TYPES = {LIMIT: "limit", MARKET: "market"}
_CANCEL_WORDS = {"rejected": "cancel_rejected", "unknown": "cancel_unknown"}


class Stamp(NamedTuple):
    """When a result came, and whose account it is about (keyed hash)."""

    at: Micros
    ingest: Micros
    account: str


def submitted(effect: Effect, outcome: Outcome, stamp: Stamp) -> list[Output]:
    """Return what is known of a submit."""
    kind, said = _known(outcome)
    return [_about_order(effect, kind, stamp, said)]


def cancelled(effect: Effect, outcome: Outcome, stamp: Stamp) -> list[Output]:
    """Return what is known of a cancel; one that was not sent may be asked for again."""
    if isinstance(outcome, Accepted):
        said = {"reason": "the brokerage took the cancel"}
        return [_about_order(effect, "cancel_accepted", stamp, said)]
    kind, said = _known(outcome)
    return [_about_order(effect, _CANCEL_WORDS.get(kind, "cancel_rejected"), stamp, said)]


def quoted(effect: Effect, book: AskingPrice, price: Price, stamp: Stamp) -> list[Output]:
    """Return best prices, depth and what forbids an entry."""
    call = effect.payload
    flags = {
        "vi": price.vi,
        "halt": price.suspended,
        "delisting": price.delisting,
        "overheated": price.overheated,
    }
    said: dict[str, Any] = {
        "parent_id": call.parent_id,
        "symbol": call.symbol,
        "price": price.price,
        "reason": " ".join(name for name, on in flags.items() if on),
        "bid": book.bid_prices[0],
        "ask": book.ask_prices[0],
        "bid_depth": book.bid_total,
        "ask_depth": book.ask_total,
    }
    return [_event(effect, "quoted", stamp, 0, said)]


def marked(effect: Effect, rows: Sequence[MultiPrice], stamp: Stamp) -> list[Output]:
    """Return the last price of every name that was answered for, then their end."""
    outputs = [
        _event(effect, "quoted", stamp, index, {"symbol": row.symbol, "price": row.price})
        for index, row in enumerate(rows)
    ]
    end = {"qty": len(rows), "reason": "last prices"}
    return [*outputs, _event(effect, "marks_ended", stamp, len(outputs), end)]


def listed(effect: Effect, rows: Sequence[DailyOrder], begun: Micros, stamp: Stamp) -> list[Output]:
    """Return the listed orders the fold does not know yet, then the end of a complete listing."""
    known = {order_no: (filled, leaves) for order_no, filled, leaves in effect.payload.known}
    outputs: list[Output] = []
    for row in sorted(rows, key=lambda each: each.order_no):
        knows = known.get(str(row.order_no))
        if row.original_order_no or (knows is not None and min(knows) < 0):
            continue  # a cancel or correction has a number of its own; the original tells its end
        if knows != (row.filled_qty, row.open_qty):
            outputs.append(_event(effect, "listed", stamp, len(outputs), _row(row)))
    end = {"qty": len(rows), "begun": begun, "reason": "all pages"}
    return [*outputs, _event(effect, "listing_ended", stamp, len(outputs), end)]


def reconciled(effect: Effect, balance: Balance, stamp: Stamp) -> list[Output]:
    """Return every holding, then the cash that may be spent."""
    outputs: list[Output] = []
    for each in sorted(balance.holdings, key=lambda holding: holding.symbol):
        if each.qty > 0:
            said = {
                "symbol": each.symbol,
                "qty": each.qty,
                "price": each.price,
                "filled_amount": each.price * each.qty - each.profit,
            }
            outputs.append(_event(effect, "reconciled", stamp, len(outputs), said))
    cash = {"filled_amount": balance.cash.settled, "reason": "cash of D+2"}
    return [*outputs, _event(effect, "reconciled", stamp, len(outputs), cash)]


def failed(effect: Effect, reason: str, stamp: Stamp) -> list[Output]:
    """Return that a read did not come."""
    said: dict[str, Any] = {"reason": reason}
    if effect.kind == "quote":
        said |= {"parent_id": effect.payload.parent_id, "symbol": effect.payload.symbol}
    return [_event(effect, f"{effect.kind}_failed", stamp, 0, said)]


def order_instant(day: str, time: str) -> Micros:
    """Return the instant of YYYYMMDD and HHMMSS, KST."""
    midnight = kst_midnight(date(int(day[:4]), int(day[4:6]), int(day[6:])))
    hours, minutes, seconds = int(time[:2]), int(time[2:4]), int(time[4:6])
    return Micros(midnight + hours * HOUR + minutes * MINUTE + seconds * SECOND)


def _known(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    if isinstance(outcome, Accepted):
        said = {"order_no": str(outcome.order_no), "org_no": outcome.org_no}
        return "accepted", {**said, "reason": "the brokerage took it"}
    if isinstance(outcome, RejectedByBrokerage):
        return "rejected", {"reason": f"{outcome.code}: {outcome.message}"}
    return "withheld" if isinstance(outcome, NotSent) else "unknown", {"reason": outcome.reason}


def _about_order(effect: Effect, kind: str, stamp: Stamp, said: dict[str, Any]) -> Output:
    call = effect.payload
    fields = {
        name: getattr(call, name)
        for name in (
            "intent_id", "parent_id", "signal_id", "symbol", "side", "order_type", "qty", "price",
        )
    }  # fmt: skip
    if effect.kind == "cancel":
        fields |= {"order_no": call.order_no, "org_no": call.org_no}
    return _event(effect, kind, stamp, 0, {**fields, "leaves_qty": call.qty, **said})


def _row(row: DailyOrder) -> dict[str, Any]:
    refused = row.rejected_qty > 0
    return {
        "symbol": row.symbol,
        "side": row.side,
        "order_type": _TYPES.get(row.order_kind, f"kind-{row.order_kind}"),
        "qty": row.qty,
        "price": row.price,
        "order_no": str(row.order_no),
        "org_no": row.org_no,
        "filled_qty": row.filled_qty,
        "filled_amount": row.filled_amount,
        "leaves_qty": row.open_qty,
        "cancelled_qty": row.cancelled_qty + row.rejected_qty,
        "reason": "rejected" if refused else "",
        "begun": order_instant(row.date, row.time),
    }


def _event(effect: Effect, kind: str, stamp: Stamp, index: int, said: dict[str, Any]) -> Output:
    event = order_event(
        kind,
        at=stamp.at,
        ingest=stamp.ingest,
        account=stamp.account,
        event_id=content_id(kind, effect.id, index),
        cause=effect.id,
        **said,
    )
    return Output(topics.ORDERS, stamp.account, event)
