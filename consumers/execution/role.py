"""Execution: a fold of signals, commands, hints and its own effects' results into orders.

    signal > parent_opened + quote > quoted > decision, approved, submitting > submit > ...

An effect's result comes back on ``orders.events`` with the effect's id as its cause; what the
fold wrote itself comes back too and changes nothing, for it was applied when it was written.
``submitting`` is durable before its call runs, and an interrupted call is ``unknown``, never
"not sent".  Nothing but a result of an effect that is still awaited moves an order.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from consumers.execution import control, listings, parents, weigh
from consumers.execution.desk import Desk
from consumers.execution.rules import RULES, Rules
from consumers.execution.state import STATES, BalanceCall, Pending, Quote, State
from schemas import topics
from schemas.errors import Fatal
from schemas.orders import NoticeReceived, OrderEvent
from schemas.role import (
    INTERRUPTED_TOPIC,
    TIMER_TOPIC,
    Batch,
    Interrupted,
    Limits,
    Record,
    Role,
    Step,
    command,
    reference,
)
from schemas.units import Micros, Shares, Won

HALT_LATCH: Final = "halt latch"
"""Reason of a ``withheld`` that halts everything."""

_HINTS: Final = frozenset({"filled", "cancelled", "confirmed", "rejected"})


def step(state: State, batch: Batch, *, rules: Rules = RULES) -> Step:
    """Fold a batch of records; how the records are cut into batches changes nothing."""
    desk = Desk(state, rules)
    for record in batch.records:
        _one(desk, record)
    return desk.close()


def _one(desk: Desk, record: Record) -> None:
    value = record.value
    desk.at(value.ts_event, value.ts_ingest, _id_of(record))
    if record.topic == topics.INSTRUMENTS.name:
        desk.learn(value)
    control.roll_day(desk)
    if not desk.state.reconciled and not any(e.kind == "balance" for e in desk.pending.values()):
        desk.call("balance", "", BalanceCall(desk.state.ordinal))
    handle = _HANDLERS.get(record.topic)
    if handle is not None:
        handle(desk, value)
    listings.keep_polling(desk)


def _notice(desk: Desk, notice: NoticeReceived) -> None:
    """A notice is a hint: it only makes us look."""
    if notice.kind in _HINTS:
        listings.request(desk)


def _interrupted(desk: Desk, gone: Interrupted) -> None:
    """Say of each effect that was cut off what we know of it: nothing."""
    pending = desk.pending.pop(gone.id, None)
    if pending is None:
        return
    order = desk.orders.get(pending.subject)
    if pending.kind == "submit" and order is not None:
        desk.say_of(order, "unknown", reason="execution stopped before the answer came")
        listings.request(desk)
    elif pending.kind == "cancel" and order is not None:
        desk.say_of(order, "cancel_unknown", reason="execution stopped before the answer came")
        listings.request(desk)
    elif pending.kind == "listing":
        desk.set(listing="")
        listings.request(desk)
    elif pending.kind == "balance":
        desk.call("balance", "", BalanceCall(desk.state.ordinal))
    elif pending.kind == "quote":
        _no_quote(desk, pending)


def _result(desk: Desk, event: OrderEvent) -> None:
    """Take the result of an effect that is awaited; anything else is our own echo."""
    pending = desk.pending.get(event.cause)
    if pending is None:
        return
    handle = _RESULTS.get((pending.kind, event.kind))
    if handle is None:
        raise Fatal(f"expected a result of {pending.kind}, was {event.kind!r}; deploy the new fold")
    if (pending.kind, event.kind) not in _PARTS:
        del desk.pending[event.cause]
    handle(desk, pending, event)


def _quoted(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    quote = Quote(
        Won(event.bid), Won(event.ask), Shares(event.bid_depth), Shares(event.ask_depth),
        event.ts_event, tuple(event.reason.split()),
    )  # fmt: skip
    desk.mark(event.symbol, Won(event.price or quote.mid))
    control.watch_loss(desk)
    parent = desk.parents.get(pending.subject)
    if parent is not None and parent.status == "quoting":
        parents.decide(desk, parent, quote)


def _marked(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    """Take a held symbol's price; losses are looked at when all have come."""
    del pending
    desk.mark(event.symbol, Won(event.price))


def _marks_ended(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    del pending, event
    control.watch_loss(desk)


def _marks_failed(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    """Do nothing: the next look at old marks asks again, and old ones let no entry through."""


def _quote_failed(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    del event
    _no_quote(desk, pending)


def _no_quote(desk: Desk, pending: Pending) -> None:
    parent = desk.parents.get(pending.subject)
    if parent is not None and parent.status == "quoting":
        parents.asked_in_vain(desk, parent)


def _submitted(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    """An answer, or none, to a submit."""
    order = desk.hear(event)
    if event.kind == "accepted":
        listings.taken(desk, pending.subject, event.order_no)
        return
    if event.kind == "unknown":
        listings.request(desk)
        return
    if event.kind == "withheld" and event.reason == HALT_LATCH:
        control.halt(desk, "the halt latch is set")
    parents.advance(desk, order.parent_id)


def _cancelled(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    """Whatever was answered to a cancel, the listing says what is left."""
    if pending.subject in desk.orders:
        desk.hear(event)
    listings.request(desk)


def _listed(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    del pending
    listings.take(desk, event)
    control.watch_loss(desk)


def _listing_ended(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    del pending
    listings.end(desk, event.begun)


def _listing_failed(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    del pending, event
    listings.failed(desk)


def _reconciled(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    """Take the balance, holding by holding; the cash comes last and ends it."""
    del pending
    if event.symbol:
        desk.positions[event.symbol] = Shares(event.qty)
        desk.mark(event.symbol, Won(event.price))
        return
    del desk.pending[event.cause]
    desk.set(account=event.account, cash=Won(event.filled_amount), reconciled=True)
    desk.set(equity_previous=weigh.equity(desk))
    listings.request(desk)


def _balance_failed(desk: Desk, pending: Pending, event: OrderEvent) -> None:
    """Try again when the timer's record comes."""
    del pending
    desk.wake("balance", Micros(event.ts_event + desk.rules.poll_every))


_PARTS: Final = frozenset({
    ("listing", "listed"), ("balance", "reconciled"), ("marks", "quoted"),
})  # fmt: skip
"""Results that more of the same follow."""

_RESULTS: Final[dict[tuple[str, str], Callable[[Desk, Pending, OrderEvent], None]]] = {
    ("quote", "quoted"): _quoted,
    ("quote", "quote_failed"): _quote_failed,
    ("marks", "quoted"): _marked,
    ("marks", "marks_ended"): _marks_ended,
    ("marks", "marks_failed"): _marks_failed,
    ("submit", "accepted"): _submitted,
    ("submit", "rejected"): _submitted,
    ("submit", "unknown"): _submitted,
    ("submit", "withheld"): _submitted,
    ("cancel", "cancel_accepted"): _cancelled,
    ("cancel", "cancel_rejected"): _cancelled,
    ("cancel", "cancel_unknown"): _cancelled,
    ("listing", "listed"): _listed,
    ("listing", "listing_ended"): _listing_ended,
    ("listing", "listing_failed"): _listing_failed,
    ("balance", "reconciled"): _reconciled,
    ("balance", "balance_failed"): _balance_failed,
}

_HANDLERS: Final[dict[str, Callable[[Desk, Any], None]]] = {
    topics.SIGNALS.name: parents.open_parent,
    topics.NOTICES.name: _notice,
    topics.ORDERS.name: _result,
    topics.COMMANDS.name: control.command,
    topics.FINAL.name: control.marks,
    topics.STATUS.name: control.market_status,
    TIMER_TOPIC: lambda desk, fired: control.timer(desk, fired.id),
    INTERRUPTED_TOPIC: _interrupted,
}


def _id_of(record: Record) -> str:
    """Return the id of the record that makes us act."""
    value = record.value
    for name in ("signal_id", "event_id", "command_id", "fire_id", "id"):
        found = getattr(value, name, "")
        if found and (name != "signal_id" or record.topic == topics.SIGNALS.name):
            return str(found)
    return record.topic


ROLE: Final = Role(
    name="execution",
    version=1,
    scope="universe",
    inputs=(
        reference(topics.INSTRUMENTS),
        reference(topics.STATUS),
        reference(topics.FINAL),
        command(topics.COMMANDS),
        command(topics.ORDERS),
        command(topics.NOTICES),
        command(topics.SIGNALS),
    ),
    outputs=(topics.ORDERS, topics.REPORTS, topics.ALERTS, topics.MODE),
    initial=State(),
    step=partial(step, rules=RULES),
    states=STATES,
    effects=("balance", "quote", "marks", "submit", "cancel", "listing"),
    on_restart="ask",
    limits=Limits(),
)
