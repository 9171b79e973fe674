"""What stops trading: operators, losses, the clock, the exchange.

A halt cancels everything and stays until somebody resumes.  A loss of 2 % of the previous
close's equity, unrealised included, sets the breaker: no entries, open buys cancelled, sales
go on; two different people release it.  Entries end when the closing auction begins.
"""

from consumers.execution import listings, parents, weigh
from consumers.execution.desk import Desk
from consumers.execution.state import MarksCall
from schemas.control import CommandGiven
from schemas.market import MarketStatus
from schemas.scores import FinalScored
from schemas.units import Micros

BREAKER = "breaker"
_STATUS_KINDS = frozenset({"vi", "halt", "circuit_breaker"})
_STATUS_OVER = frozenset({"off", "released"})


def command(desk: Desk, given: CommandGiven) -> None:
    """Take an operator's command; those of other services are not ours."""
    why = f"{given.actor}: {given.reason}"
    if given.verb == "halt":
        halt(desk, why)
    elif given.verb == "resume" and desk.state.halted:
        desk.set(halted=False)
        desk.say("resumed", reason=why)
        desk.mode("normal", "manual", why)
    elif given.verb == "release" and given.subject == BREAKER and desk.state.breaker:
        _release(desk, given.actor, why)


def halt(desk: Desk, why: str) -> None:
    """Send nothing but cancels from here on."""
    if desk.state.halted:
        return
    desk.set(halted=True)
    desk.say("halted", reason=why)
    desk.mode("manual", "normal", why)
    for parent in list(desk.parents.values()):
        if parent.parent_id in desk.parents:
            parents.stop(desk, parent, "halted")


def market_status(desk: Desk, status: MarketStatus) -> None:
    """Keep what the exchange says of a symbol: VI, halt, circuit breaker."""
    if status.kind not in _STATUS_KINDS:
        return
    kinds = set(desk.blocks.get(status.symbol, ()))
    kinds = kinds - {status.kind} if status.state in _STATUS_OVER else kinds | {status.kind}
    desk.blocks.pop(status.symbol, None)
    if kinds:
        desk.blocks[status.symbol] = tuple(sorted(kinds))


def marks(desk: Desk, final: FinalScored) -> None:
    """Value what is held at the newest prices the scores saw."""
    for symbol, price in zip(final.symbols, final.prices, strict=True):
        if symbol in desk.positions:
            desk.mark(symbol, price)
    watch_loss(desk)


def watch_loss(desk: Desk) -> None:
    """Set the breaker at the daily loss; a missing or old price is no loss, only no entry."""
    state, rules = desk.state, desk.rules
    if not state.reconciled or state.breaker or not weigh.marks_fresh(desk):
        return
    loss = state.equity_previous - weigh.equity(desk)
    if state.equity_previous <= 0 or 100 * loss < rules.loss_percent * state.equity_previous:
        return
    why = f"expected a loss below {rules.loss_percent} % of {state.equity_previous}, was {loss} won"
    desk.set(breaker=why, releases=())
    desk.say("breaker_set", reason=why)
    desk.mode("reduce_only", "normal", why)
    desk.alert(
        "daily-loss", "urgent", "Entries are stopped by the daily loss.",
        f"{why}; two people release it with: release breaker",
    )  # fmt: skip
    _stop_entries(desk, "daily loss")


def roll_day(desk: Desk) -> None:
    """Begin a day: forget yesterday's orders, keep its equity, set the session's timers."""
    day = desk.today.toordinal()
    if day <= desk.state.day:
        return
    if desk.state.reconciled and desk.state.day:
        desk.set(equity_previous=weigh.equity(desk))
    desk.finished.clear()
    desk.numbers = {no: intent for no, intent in desk.numbers.items() if intent in desk.orders}
    desk.blocks.clear()
    desk.set(day=day, alerted=())
    today = desk.session
    if today is None:
        return
    name = today.date.isoformat()
    for timer, instant in (
        (f"sweep:{name}", today.closing_auction),
        (f"close:{name}", Micros(today.close + desk.rules.close_settle)),
        ("marks", Micros(today.open + desk.rules.mark_every)),
    ):
        if instant > desk.now:
            desk.wake(timer, instant)


def timer(desk: Desk, name: str) -> None:
    """Do what a timer was set for."""
    kind, _, subject = name.partition(":")
    if kind == "poll":
        listings.poll(desk)
    elif kind == "child":
        _child_waited(desk, subject)
    elif kind == "parent":
        parents.decide_again(desk, subject)
    elif kind == "open":
        parents.resume_deferred(desk, subject)
    elif kind == "sweep":
        _stop_entries(desk, "the closing auction began")
    elif kind == "close":
        listings.request(desk)
        _ask_marks(desk, Micros(0))
    elif kind == "marks":
        _refresh_marks(desk)


def _release(desk: Desk, actor: str, why: str) -> None:
    """Release the breaker once enough different people have said so."""
    releases = tuple(dict.fromkeys((*desk.state.releases, actor)))
    if len(releases) < desk.rules.releases_min:
        desk.set(releases=releases)
        return
    desk.set(breaker="", releases=())
    desk.say("breaker_released", reason=f"{why}; released by {', '.join(releases)}")
    desk.mode("normal", "reduce_only", why)


def _stop_entries(desk: Desk, why: str) -> None:
    for parent in list(desk.parents.values()):
        if parent.side == "buy" and parent.parent_id in desk.parents:
            parents.stop(desk, parent, why)


def _child_waited(desk: Desk, intent_id: str) -> None:
    order = desk.orders.get(intent_id)
    if order is None or order.status == "done":
        return
    if desk.phase == "closing_auction" and order.side == "sell":
        return
    parents.cancel(desk, order)


def _refresh_marks(desk: Desk) -> None:
    today = desk.session
    if today is None or desk.now >= today.close:
        return
    _ask_marks(desk, Micros(desk.rules.mark_age_max // 2))
    desk.wake("marks", Micros(desk.now + desk.rules.mark_every))


def _ask_marks(desk: Desk, age: Micros) -> None:
    """Ask for prices of held symbols whose mark is older than ``age``."""
    old = sorted(each for each in desk.positions if weigh.stale(desk, each, age))
    most = desk.rules.marks_max
    for first in range(0, len(old), most):
        names = tuple(old[first : first + most])
        desk.call("marks", "", MarksCall(desk.state.account, names))
