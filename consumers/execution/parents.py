"""What a signal becomes: one parent, its decisions, its children.

    signal > parent_opened > quote > decision > children > residual > decision ... > report

A child is cancelled after 30 s (X30) and its residual returns to the parent.  The parent decides
about it at once the first time, at the price that trades, and then every ten minutes: order it
again, or end.  Every decision is written down.
"""

from consumers.execution import gate, sizing, weigh
from consumers.execution.desk import Desk, verdict
from consumers.execution.gate import Check, Facts
from consumers.execution.slicing import cut
from consumers.execution.state import CancelCall, Order, Parent, Quote, QuoteCall, SubmitCall
from schemas.ids import content_id
from schemas.signals import Signal
from schemas.units import Micros, Shares, Won

SIDES = frozenset({"buy", "sell"})
_ENDING = frozenset({"market", "trading", "signal", "instrument", "ledger"})
"""A residual denied by one of these will not be asked for again."""


def open_parent(desk: Desk, signal: Signal) -> None:
    """Take a signal: the same one a second time changes nothing."""
    parent_id = content_id("parent", signal.signal_id)
    if signal.side not in SIDES or parent_id in desk.parents or parent_id in desk.finished:
        return
    parent = Parent(
        parent_id=parent_id,
        signal_id=signal.signal_id,
        symbol=signal.symbol,
        side=signal.side,
        sector=signal.sector,
        signal_price=signal.price,
        opened=desk.now,
        expires=signal.expires,
        arrival_price=signal.price,
    )
    desk.parents[parent_id] = parent
    desk.say_about(parent, "parent_opened", signal.reason, price=signal.price)
    _begin(desk, parent)


def ask(desk: Desk, parent: Parent) -> None:
    """Get a quote for a parent's next decision."""
    desk.parents[parent.parent_id] = parent._replace(status="quoting", quotes=parent.quotes + 1)
    desk.call(
        "quote", parent.parent_id, QuoteCall(desk.state.account, parent.parent_id, parent.symbol)
    )


def asked_in_vain(desk: Desk, parent: Parent) -> None:
    """Ask again for a quote that failed, or decide without: the gate then lets nothing in."""
    if parent.quotes < desk.rules.quotes_max:
        ask(desk, parent)
    else:
        decide(desk, parent, None)


def decide(desk: Desk, parent: Parent, quote: Quote | None) -> None:
    """Run every check and either send children or deny."""
    parent = parent._replace(quotes=0, decisions=parent.decisions + 1, status="working")
    if not parent.qty and quote is not None:
        parent = parent._replace(arrival_price=quote.mid or parent.arrival_price)
    desk.parents[parent.parent_id] = parent
    facts = weigh.facts(desk, parent, quote)
    first = parent.qty == 0
    want = sizing.wanted(facts, desk.rules) if first else desk.residual(parent)
    checks = gate.check(facts, Shares(max(want, 1)), desk.rules)
    qty = Shares(min(want, gate.largest(checks)))
    if parent.stopping or qty <= 0:
        _deny(desk, parent, facts, want, checks)
        return
    _send(desk, parent, facts, qty)


def decide_again(desk: Desk, parent_id: str) -> None:
    """Take the ten-minute decision about a residual and write it down."""
    parent = desk.parents.get(parent_id)
    if parent is None or parent.status in {"queued", "deferred"}:
        return
    _wake_again(desk, parent)
    residual = desk.residual(parent)
    if parent.status != "waiting":
        _decided(desk, parent, f"keep: {parent.qty - residual} shares are filled or on order")
    elif desk.now >= parent.expires:
        _decided(desk, parent, f"end: the signal expired, {residual} shares stay unfilled")
        _end(desk, parent, "signal expired")
    else:
        _decided(desk, parent, f"re-price: {residual} shares are asked for again")
        ask(desk, parent)


def stop(desk: Desk, parent: Parent, reason: str) -> None:
    """Send nothing new for a parent; cancel what is open, end when nothing is."""
    if not parent.stopping:
        parent = parent._replace(stopping=reason)
        desk.parents[parent.parent_id] = parent
    for child in desk.children(parent):
        cancel(desk, child)
    advance(desk, parent.parent_id)


def cancel(desk: Desk, order: Order) -> None:
    """Cancel the rest of an open child; one whose submit has no answer yet has to wait."""
    if order.status != "open" or order.cancelling:
        return
    if order.cancels >= desk.rules.cancels_max:
        _call_for_help(desk, order)
        return
    desk.say_of(order, "cancel_submitting", reason="the rest is cancelled")
    desk.call("cancel", order.intent_id, CancelCall(
        account=desk.state.account, intent_id=order.intent_id, parent_id=order.parent_id,
        signal_id=order.signal_id, symbol=order.symbol, side=order.side,
        order_type=order.order_type, qty=order.leaves, price=order.price,
        order_no=order.order_no, org_no=order.org_no,
    ))  # fmt: skip


def advance(desk: Desk, parent_id: str) -> None:
    """Move a parent on after something happened to its children."""
    parent = desk.parents.get(parent_id)
    if parent is None or any(each.status != "done" for each in desk.children(parent)):
        return
    if parent.qty and desk.residual(parent) == 0:
        _end(desk, parent, "filled")
    elif parent.stopping:
        _end(desk, parent, parent.stopping)
    elif parent.status != "working":
        return
    elif parent.decisions == 1 and desk.now < parent.expires:
        ask(desk, parent)
    else:
        desk.parents[parent_id] = parent._replace(status="waiting")


def resume_deferred(desk: Desk, parent_id: str) -> None:
    """Begin a parent that waited for the open."""
    parent = desk.parents.get(parent_id)
    if parent is not None and parent.status == "deferred":
        ask(desk, parent)


def _begin(desk: Desk, parent: Parent) -> None:
    rivals = [
        each
        for each in desk.parents.values()
        if each.symbol == parent.symbol and each.parent_id != parent.parent_id
    ]
    if parent.side == "sell" and rivals and all(each.side == "buy" for each in rivals):
        desk.parents[parent.parent_id] = parent._replace(status="queued")
        for each in rivals:
            stop(desk, each, "a sell signal came")
        return
    today = desk.session
    opened = None if today is None else Micros(today.open + desk.rules.open_wait)
    if opened is not None and desk.now < opened < parent.expires:
        desk.parents[parent.parent_id] = parent._replace(status="deferred")
        desk.wake(f"open:{parent.parent_id}", opened)
        return
    ask(desk, parent)


def _end(desk: Desk, parent: Parent, reason: str) -> None:
    desk.finish(parent, reason)
    if parent.symbol not in desk.positions:
        desk.marks.pop(parent.symbol, None)
    for each in list(desk.parents.values()):
        if each.status == "queued" and each.symbol == parent.symbol and not weigh.busy(desk, each):
            ask(desk, each)


def _deny(
    desk: Desk, parent: Parent, facts: Facts, want: Shares, checks: tuple[Check, ...]
) -> None:
    nothing = "already at the target weight" if facts.buys else "nothing is held"
    reason = parent.stopping or (nothing if want <= 0 else gate.reason(checks, facts))
    desk.say_about(parent, "denied", reason, qty=want, price=facts.limit_price, **verdict(checks))
    failed = {each.name for each in checks if not each.passed}
    if parent.qty and not parent.stopping and not failed & _ENDING:
        desk.parents[parent.parent_id] = parent._replace(status="waiting")
        return
    desk.parents[parent.parent_id] = parent._replace(stopping=reason)
    advance(desk, parent.parent_id)


def _send(desk: Desk, parent: Parent, facts: Facts, qty: Shares) -> None:
    """Write decision, approval and submission of every child; the calls run after that."""
    checks = gate.check(facts, qty, desk.rules)
    first = parent.qty == 0
    if first:
        parent = parent._replace(qty=qty)
    word = "enter" if first else "re-price"
    desk.parents[parent.parent_id] = parent
    _decided(desk, parent, f"{word}: {qty} shares at {facts.limit_price} won")
    if first:
        _wake_again(desk, parent)
    for index, part in enumerate(cut(qty, facts.market_percent, desk.rules.limit_children)):
        price = facts.limit_price if part.order_type == "limit" else Won(0)
        order = Order(
            intent_id=content_id(
                "intent", parent.signal_id, part.order_type, index, parent.decisions
            ),
            parent_id=parent.parent_id,
            signal_id=parent.signal_id,
            symbol=parent.symbol,
            side=parent.side,
            order_type=part.order_type,
            qty=part.qty,
            price=price,
        )
        parent = parent._replace(children=(*parent.children, order.intent_id))
        desk.say_of(order, "intended", reason=f"{part.qty} of {qty} shares")
        desk.say_of(order, "approved", reason=gate.reason(checks, facts), **verdict(checks))
        desk.say_of(order, "submitting", reason="written down before it is sent")
        desk.parents[parent.parent_id] = parent
        desk.call("submit", order.intent_id, SubmitCall(
            account=desk.state.account, intent_id=order.intent_id, parent_id=order.parent_id,
            signal_id=order.signal_id, symbol=order.symbol, side=order.side,
            order_type=order.order_type, qty=order.qty, price=price,
            send_by=Micros(desk.now + desk.rules.send_within),
        ))  # fmt: skip


def _decided(desk: Desk, parent: Parent, reason: str) -> None:
    desk.say_about(parent, "parent_decided", reason, leaves_qty=desk.residual(parent))


def _wake_again(desk: Desk, parent: Parent) -> None:
    every = desk.rules.decide_every
    rounds = (desk.now - parent.opened) // every + 1
    desk.wake(f"parent:{parent.parent_id}", Micros(parent.opened + rounds * every))


def _call_for_help(desk: Desk, order: Order) -> None:
    if order.intent_id in desk.state.alerted:
        return
    desk.set(alerted=(*desk.state.alerted, order.intent_id))
    desk.alert(
        f"cancel-{order.order_no}",
        "urgent",
        f"Order {order.order_no} of {order.symbol} could not be cancelled.",
        f"Cancel it at the brokerage; {order.cancels} cancels were not taken.",
    )
