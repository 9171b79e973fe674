"""The life of a child order: a fold of ``orders.events``.

    intended > approved > submitting > accepted > filled ... > done
    submitting > rejected | withheld (nothing was sent) > done
    submitting > unknown > accepted (a listing shows it) | resolved_absent > done

Fills are cumulative: an order moves by the difference to what it had, so a repeated, lost or
reordered hint changes nothing.  Nothing leaves ``done``; quantities never fall.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from consumers.execution.state import Order
from schemas.errors import Fatal
from schemas.orders import OrderEvent
from schemas.units import Shares, Won

ENDS: Final = frozenset({"rejected", "withheld", "cancelled", "expired", "resolved_absent"})
"""Kinds after which nothing of the order is left at the brokerage."""

CANCEL_ANSWERS: Final = frozenset({"cancel_accepted", "cancel_rejected", "cancel_unknown"})

ABOUT_NO_ORDER: Final = frozenset({
    "denied", "parent_opened", "parent_decided", "parent_finished", "quoted", "quote_failed",
    "marks_ended", "marks_failed", "listed", "listing_ended", "listing_failed", "reconciled",
    "balance_failed", "halted", "resumed", "breaker_set", "breaker_released",
})  # fmt: skip


def apply(order: Order | None, event: OrderEvent) -> Order:
    """Return the order after one event about it.

    Args:
        order: As it was; None before ``intended``.
        event: The next event with its intent id.

    Raises:
        Fatal: The kind is not in the table, or the order was never intended.
    """
    if event.kind == "intended":
        return _intended(event) if order is None else order
    if order is None:
        raise Fatal(
            f"expected 'intended' first for {event.intent_id}, was {event.kind!r}; "
            "rebuild the ledger from the start of orders.events"
        )
    if event.kind == "filled":
        return _filled(order, event)
    if order.status == "done":
        return order
    if event.kind in ENDS:
        return order._replace(status="done", end=event.kind, cancelling=False)
    return _under_way(order, event)


def ledger(events: Iterable[OrderEvent]) -> Mapping[str, Order]:
    """Return every order that ``orders.events`` tells of, by intent: the truth after a restart.

    Raises:
        Fatal: A kind is not in the table.
    """
    orders: dict[str, Order] = {}
    for event in events:
        if event.intent_id:
            orders[event.intent_id] = apply(orders.get(event.intent_id), event)
        elif event.kind not in ABOUT_NO_ORDER:
            raise Fatal(f"expected an intent in {event.kind!r}, was none; see schemas/orders.py")
    return orders


def _under_way(order: Order, event: OrderEvent) -> Order:
    if event.kind == "cancel_submitting":
        return order._replace(cancels=order.cancels + 1, cancelling=True)
    if event.kind in CANCEL_ANSWERS:
        return order._replace(cancelling=event.kind == "cancel_accepted")
    if event.kind == "accepted":
        return order._replace(
            status="open",
            order_no=event.order_no,
            org_no=event.org_no,
            accepted=order.accepted or event.ts_event,
        )
    return _going_out(order, event)


def _going_out(order: Order, event: OrderEvent) -> Order:
    if event.kind == "approved":
        return order._replace(status="approved") if order.status == "intended" else order
    if event.kind == "submitting":
        early = order.status in {"intended", "approved"}
        return order._replace(status="submitting", submitted=event.ts_event) if early else order
    if event.kind == "unknown":
        if order.status != "submitting":
            return order
        return order._replace(status="unknown", closed=event.ts_event, misses=0)
    raise Fatal(f"expected a kind of schemas/orders.py, was {event.kind!r}; deploy the new fold")


def _filled(order: Order, event: OrderEvent) -> Order:
    if event.filled_qty <= order.filled_qty:
        return order
    whole = event.filled_qty >= order.qty
    return order._replace(
        status="done" if whole else order.status,
        end="filled" if whole else order.end,
        filled_qty=event.filled_qty,
        filled_amount=event.filled_amount,
        fee=event.fee,
        tax=event.tax,
    )


def _intended(event: OrderEvent) -> Order:
    return Order(
        intent_id=event.intent_id,
        parent_id=event.parent_id,
        signal_id=event.signal_id,
        symbol=event.symbol,
        side=event.side,
        order_type=event.order_type,
        qty=Shares(event.qty),
        price=Won(event.price),
    )
