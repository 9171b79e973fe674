"""The listing is the truth: what happened to our orders, and whether an unknown one exists.

A notice only asks for a listing.  An unanswered submit is

    present   one listing shows an order of its symbol, side, type, quantity and price that is
              nobody else's and was taken after it was written down
    absent    two complete listings begun after its socket closed lack it, the second at least
              a settle time later; or the listing after the close lacks it
    open      else: its symbol stays blocked, and two candidates call somebody, never a choice

Nothing is resent on a guess: what was absent goes back to the parent as residual.
"""

from consumers.execution import parents
from consumers.execution.desk import Desk
from consumers.execution.state import ListingCall, Order, Row
from schemas.orders import OrderEvent
from schemas.units import SECOND, Micros, Shares, Won

TELL_NOTHING = Shares(-1)
"""In ``ListingCall.known``: an order that is over."""


def request(desk: Desk) -> None:
    """Ask for a listing; one is on its way at a time, and what happens meanwhile asks again."""
    if desk.state.listing:
        desk.set(listing_again=True)
        return
    if not desk.state.reconciled:
        return
    known = tuple(_known(desk))
    twice = any(each.status == "unknown" for each in desk.orders.values())
    call = ListingCall(desk.state.account, known, twice)
    desk.set(listing=desk.call("listing", "", call), listing_again=False)


def keep_polling(desk: Desk) -> None:
    """Set the next poll while an order is alive."""
    if not desk.state.polling and desk.live:
        desk.set(polling=True)
        desk.wake("poll", Micros(desk.now + desk.rules.poll_every))


def poll(desk: Desk) -> None:
    """Ask for a listing because time has passed."""
    desk.set(polling=False)
    if desk.live:
        request(desk)


def take(desk: Desk, event: OrderEvent) -> None:
    """Take one listed order."""
    row = _row(event)
    intent = desk.numbers.get(event.order_no)
    if intent is None:
        desk.unbound[event.order_no] = row
    elif intent in desk.orders:
        settle(desk, desk.orders[intent], row)


def bind(desk: Desk, order: Order, order_no: str) -> None:
    """Bind a brokerage's number to an order, and take what a listing already said of it."""
    desk.numbers[order_no] = order.intent_id
    row = desk.unbound.pop(order_no, None)
    if row is not None:
        settle(desk, desk.orders[order.intent_id], row)


def settle(desk: Desk, order: Order, row: Row) -> None:
    """Move an order to what its listed row says."""
    desk.fill(order, Shares(min(row.filled_qty, order.qty)), row.filled_amount)
    order = desk.orders[order.intent_id]
    if row.leaves_qty == 0 and order.status != "done":
        refused = row.reason == "rejected" and not order.cancels and not row.filled_qty
        desk.say_of(order, "rejected" if refused else "cancelled", reason="listed without a rest")
    parents.advance(desk, order.parent_id)


def end(desk: Desk, begun: Micros) -> None:
    """Take the end of a complete listing that began at ``begun``."""
    again = desk.state.listing_again
    desk.set(listing="", listing_again=False)
    for each in list(desk.orders.values()):
        if each.status == "unknown":
            _judge(desk, each, begun)
    today = desk.session
    if today is not None and begun >= today.close + desk.rules.close_settle:
        _close_book(desk)
    for each in list(desk.orders.values()):
        if each.cancels and each.status == "open":
            parents.cancel(desk, each)
    _strangers(desk)
    if again:
        request(desk)


def failed(desk: Desk) -> None:
    """Forget a listing that did not come; the next poll asks again."""
    desk.set(listing="", listing_again=False)


def _judge(desk: Desk, order: Order, begun: Micros) -> None:
    found = [no for no, row in desk.unbound.items() if _alike(order, row)]
    if len(found) > 1:
        _call(desk, order, found)
    elif found:
        org_no = desk.unbound[found[0]].org_no
        desk.say_of(
            order, "accepted", order_no=found[0], org_no=org_no, reason="a listing shows it"
        )
        taken(desk, order.intent_id, found[0])
    elif _absent(desk, order, begun):
        desk.say_of(order, "resolved_absent", reason="complete listings lack it")
        parents.advance(desk, order.parent_id)
    elif begun >= order.closed:
        desk.orders[order.intent_id] = order._replace(misses=order.misses + 1)


def taken(desk: Desk, intent_id: str, order_no: str) -> None:
    """Start the 30 s of an order the brokerage has taken; cancel it if it is not wanted."""
    order = desk.orders[intent_id]
    desk.wake(f"child:{intent_id}", Micros(desk.now + desk.rules.child_wait))
    bind(desk, order, order_no)
    parent = desk.parents.get(order.parent_id)
    if parent is not None and parent.stopping and intent_id in desk.orders:
        parents.cancel(desk, desk.orders[intent_id])


def _alike(order: Order, row: Row) -> bool:
    same = (order.symbol, order.side, order.order_type, order.qty, order.price)
    theirs = (row.symbol, row.side, row.order_type, row.qty, row.price)
    written = order.submitted - order.submitted % SECOND - SECOND
    return same == theirs and row.taken >= written


def _absent(desk: Desk, order: Order, begun: Micros) -> bool:
    today = desk.session
    if today is not None and begun >= today.close + desk.rules.close_settle:
        return True
    return order.misses >= 1 and begun >= order.closed + desk.rules.settle


def _close_book(desk: Desk) -> None:
    """End what is open after the close: a day order does not outlive its day."""
    for each in list(desk.orders.values()):
        if each.status == "open":
            desk.say_of(each, "expired", reason="the session is over")
            parents.advance(desk, each.parent_id)
    for parent in list(desk.parents.values()):
        if parent.parent_id in desk.parents:
            parents.stop(desk, parent, "the session is over")


def _strangers(desk: Desk) -> None:
    """Call somebody for orders nobody here asked for, once nothing of ours is unanswered."""
    if any(each.status in {"submitting", "unknown"} for each in desk.orders.values()):
        return
    for order_no, row in list(desk.unbound.items()):
        del desk.unbound[order_no]
        desk.numbers[order_no] = ""
        desk.alert(
            f"stranger-{order_no}",
            "urgent",
            f"Order {order_no} ({row.side} {row.qty} {row.symbol}) is not ours.",
            "Positions no longer follow our orders alone; halt, compare, resume.",
        )


def _call(desk: Desk, order: Order, found: list[str]) -> None:
    if order.intent_id in desk.state.alerted:
        return
    desk.set(alerted=(*desk.state.alerted, order.intent_id))
    desk.alert(
        f"candidates-{order.intent_id}",
        "urgent",
        f"{len(found)} listed orders could be {order.side} {order.qty} {order.symbol}.",
        f"Say which of {', '.join(found)} is ours; the symbol stays blocked.",
    )


def _known(desk: Desk) -> list[tuple[str, Shares, Shares]]:
    known = []
    for order_no, intent in desk.numbers.items():
        order = desk.orders.get(intent)
        if order is None:
            known.append((order_no, TELL_NOTHING, TELL_NOTHING))
        else:
            known.append((order_no, order.filled_qty, order.leaves))
    known += [(no, row.filled_qty, row.leaves_qty) for no, row in desk.unbound.items()]
    return known


def _row(event: OrderEvent) -> Row:
    return Row(
        symbol=event.symbol,
        side=event.side,
        order_type=event.order_type,
        qty=Shares(event.qty),
        price=Won(event.price),
        filled_qty=Shares(event.filled_qty),
        filled_amount=Won(event.filled_amount),
        leaves_qty=Shares(event.leaves_qty),
        cancelled_qty=Shares(event.cancelled_qty),
        org_no=event.org_no,
        taken=event.begun,
        reason=event.reason,
    )
