"""The working copy of a step: what one batch changes, and what it wants said and done.

The fold is pure because the desk copies every container before it changes one.  An order event
is applied to the order book in the same moment it is written, by the one function that also
rebuilds the book from the topic (``orders.apply``).
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from consumers.execution import instruments, orders
from consumers.execution.events import order_event
from consumers.execution.gate import Check
from consumers.execution.report import report
from consumers.execution.rules import Rules
from consumers.execution.state import Listed, Mark, Order, Parent, Pending, State
from schemas import topics
from schemas.ids import content_id
from schemas.krx.costs import commission, sell_tax
from schemas.krx.prices import PriceLimits, price_limits
from schemas.krx.sessions import Session, kst_date, phase_at, session
from schemas.market import Instrument
from schemas.ops import AlertRaised, ModeChanged
from schemas.orders import OrderEvent
from schemas.role import Effect, Output, Step, Timer
from schemas.topics import Topic
from schemas.units import Micros, Shares, Symbol, Won

SERVICE = "execution"
NOBODY = "none"
"""The key of what is said before the account is known."""


class Desk:
    """State being changed, with the outputs, effects and timers that come of it."""

    def __init__(self, state: State, rules: Rules) -> None:
        self.rules = rules
        self.state = state
        self.positions = dict(state.positions)
        self.marks = dict(state.marks)
        self.blocks = dict(state.blocks)
        self.parents = dict(state.parents)
        self.orders = dict(state.orders)
        self.finished = dict(state.finished)
        self.numbers = dict(state.numbers)
        self.unbound = dict(state.unbound)
        self.pending = dict(state.pending)
        self.cause = ""
        self._register = state.instruments
        self._instruments: list[Instrument] = []
        self._outputs: list[Output] = []
        self._effects: list[Effect] = []
        self._timers: list[Timer] = []

    # ---- time and what is known -------------------------------------------------------------

    def at(self, instant: Micros, ingest: Micros, cause: str) -> None:
        """Take the time of the record at hand; time never goes back."""
        self.cause = cause
        self.set(now=max(self.state.now, instant), ingest=ingest)

    def set(self, **fields: Any) -> None:
        """Change plain fields of the state."""
        self.state = self.state._replace(**fields)

    @property
    def now(self) -> Micros:
        """Newest instant seen."""
        return self.state.now

    @property
    def today(self) -> date:
        """The day in Korea."""
        return kst_date(self.now)

    @property
    def session(self) -> Session | None:
        """Today's session, None when the exchange is closed today."""
        return session(self.today)

    @property
    def phase(self) -> str:
        """The exchange's phase; a day without a session is a holiday."""
        return "holiday" if self.session is None else phase_at(self.now)

    def learn(self, instrument: Instrument) -> None:
        """Keep today's facts of a symbol."""
        self._instruments.append(instrument)

    def listed(self, symbol: Symbol) -> Listed | None:
        """Return what is known of a symbol."""
        self._settle_instruments()
        return instruments.find(self._register, symbol)

    def limits(self, listed: Listed | None) -> PriceLimits:
        """Return today's lowest and highest price; zeros when unknown."""
        if listed is None or listed.base_price <= 0:
            return PriceLimits(Won(0), Won(0))
        return price_limits(listed.base_price, self.today, listed.segment, listed.kind)

    def children(self, parent: Parent) -> list[Order]:
        """Return a parent's children, oldest first."""
        return [self.orders[intent] for intent in parent.children]

    def residual(self, parent: Parent) -> Shares:
        """Return what no child holds: children plus residual equal the parent."""
        return Shares(parent.qty - sum(each.committed for each in self.children(parent)))

    @property
    def live(self) -> list[Order]:
        """Orders the brokerage may still fill."""
        return [each for each in self.orders.values() if each.status != "done"]

    # ---- what is said and done --------------------------------------------------------------

    def say(self, kind: str, **said: Any) -> OrderEvent:
        """Write an order event, and apply it when it is about an order."""
        ordinal = self._next()
        event = order_event(
            kind,
            at=self.now,
            ingest=self.state.ingest,
            account=self.state.account,
            event_id=content_id(kind, self.now, ordinal, said.get("intent_id", "")),
            cause=self.cause,
            **said,
        )
        if event.intent_id:
            self.hear(event)
        self._put(topics.ORDERS, event)
        return event

    def hear(self, event: OrderEvent) -> Order:
        """Apply an event to the order it is about, and return the order."""
        order = orders.apply(self.orders.get(event.intent_id), event)
        self.orders[event.intent_id] = order
        return order

    def say_of(self, order: Order, kind: str, **said: Any) -> OrderEvent:
        """Write an event of a child order, its own fields filled in."""
        fields: dict[str, Any] = {
            "parent_id": order.parent_id,
            "intent_id": order.intent_id,
            "signal_id": order.signal_id,
            "symbol": order.symbol,
            "side": order.side,
            "order_type": order.order_type,
            "qty": order.qty,
            "price": order.price,
            "order_no": order.order_no,
            "org_no": order.org_no,
            "filled_qty": order.filled_qty,
            "filled_amount": order.filled_amount,
            "leaves_qty": order.leaves,
            "fee": order.fee,
            "tax": order.tax,
        }
        parent = self.parents.get(order.parent_id)
        if parent is not None:
            fields |= {"arrival_price": parent.arrival_price, "sector": parent.sector}
        return self.say(kind, **{**fields, **said})

    def say_about(self, parent: Parent, kind: str, reason: str, **said: Any) -> OrderEvent:
        """Write an event of a parent."""
        fields: dict[str, Any] = {
            "parent_id": parent.parent_id,
            "signal_id": parent.signal_id,
            "symbol": parent.symbol,
            "side": parent.side,
            "qty": parent.qty,
            "arrival_price": parent.arrival_price,
            "sector": parent.sector,
            "reason": reason,
        }
        return self.say(kind, **{**fields, **said})

    def fill(self, order: Order, qty: Shares, amount: Won) -> None:
        """Move positions and cash by the difference of the cumulative figures."""
        if qty <= order.filled_qty:
            return
        fee, tax = self._costs(order, amount)
        more, paid = qty - order.filled_qty, amount - order.filled_amount
        sign = 1 if order.side == "buy" else -1
        held = self.positions.get(order.symbol, 0) + sign * more
        self.positions[order.symbol] = Shares(held)
        if held == 0:
            del self.positions[order.symbol]
        costs = fee - order.fee + tax - order.tax
        self.set(cash=Won(self.state.cash - sign * paid - costs))
        parent = self.parents.get(order.parent_id)
        if parent is not None and not parent.first_fill:
            self.parents[order.parent_id] = parent._replace(first_fill=self.now)
        self.say_of(
            order, "filled", filled_qty=qty, filled_amount=amount, fee=fee, tax=tax,
            leaves_qty=order.qty - qty,
        )  # fmt: skip

    def call(self, kind: str, subject: str, payload: Any) -> str:
        """Ask for an effect and remember what it is about; return its id."""
        effect_id = content_id(kind, subject, self.now, self._next())
        self.pending[effect_id] = Pending(kind, subject)
        self._effects.append(Effect(effect_id, kind, payload))
        return effect_id

    def wake(self, name: str, at: Micros) -> None:
        """Set a timer on the market clock."""
        self._timers.append(Timer(name, at))

    def alert(self, key: str, severity: str, summary: str, detail: str) -> None:
        """Call somebody."""
        self._put(topics.ALERTS, AlertRaised(
            ts_event=self.now, ts_ingest=self.state.ingest, alert_key=key, service=SERVICE,
            severity=severity, summary=summary, detail=detail,
        ), key=SERVICE)  # fmt: skip

    def mode(self, level: str, previous: str, reason: str) -> None:
        """Say how far trading is allowed."""
        self._put(topics.MODE, ModeChanged(
            ts_event=self.now, ts_ingest=self.state.ingest, service=SERVICE, level=level,
            previous=previous, reason=reason, cause=self.cause,
        ), key=SERVICE)  # fmt: skip

    def finish(self, parent: Parent, reason: str) -> None:
        """End a parent whose children are all done: report it and let it go."""
        ended = parent._replace(status="done", stopping=reason)
        children = self.children(parent)
        got = report(
            ended, children, at=self.now, ingest=self.state.ingest, account=self.state.account
        )
        self.say_about(
            ended, "parent_finished", reason, filled_qty=got.filled_qty, fee=got.fee, tax=got.tax,
            filled_amount=got.filled_amount, leaves_qty=parent.qty - got.filled_qty,
        )  # fmt: skip
        if parent.qty:
            self._put(topics.REPORTS, got)
        for each in children:
            del self.orders[each.intent_id]
            if each.order_no:
                self.numbers[each.order_no] = ""
        del self.parents[parent.parent_id]
        self.finished[parent.parent_id] = 1

    def mark(self, symbol: Symbol, price: Won) -> None:
        """Keep a symbol's newest price."""
        if price > 0:
            self.marks[symbol] = Mark(price, self.now)

    def close(self) -> Step:
        """Return the step: the new state and everything that came of it."""
        self._settle_instruments()
        state = self.state._replace(
            positions=self.positions,
            marks=self.marks,
            instruments=self._register,
            blocks=self.blocks,
            parents=self.parents,
            orders=self.orders,
            finished=self.finished,
            numbers=self.numbers,
            unbound=self.unbound,
            pending=self.pending,
        )
        return Step(state, self._outputs, self._effects, self._timers)

    def _costs(self, order: Order, amount: Won) -> tuple[Won, Won]:
        """Fee and tax of an order so far, each floored to the won on its cumulative amount."""
        fee = commission(amount, self.today)
        listed = self.listed(order.symbol)
        if order.side == "buy" or listed is None:
            return fee, Won(0)
        return fee, sell_tax(amount, self.today, listed.segment, listed.kind)

    def _settle_instruments(self) -> None:
        if self._instruments:
            self._register = instruments.put(self._register, self._instruments)
            self._instruments = []

    def _next(self) -> int:
        self.set(ordinal=self.state.ordinal + 1)
        return self.state.ordinal

    def _put(self, topic: Topic, event: Any, key: str | None = None) -> None:
        self._outputs.append(Output(topic, key or self.state.account or NOBODY, event))


def verdict(checks: Sequence[Check]) -> dict[str, Any]:
    """Return checks as the fields of an order event."""
    return {
        "checks": tuple(each.name for each in checks),
        "passed": tuple(int(each.passed) for each in checks),
        "headrooms": tuple(each.headroom for each in checks),
        "largest": tuple(each.largest for each in checks),
    }
