"""The ledger: holdings, cash and results, moved by the difference of cumulative fills.

    cash + cost of what is held = opening cash + opening costs + realised     (always, to the won)
    equity = cash + marks = that + unrealised

A buy adds what was paid to the cost of the position; its fee is realised at once.  A sale takes
``cost * sold // held`` off (all of it with the last share) and realises the rest, fee and tax out.
A fill that is told twice, late or out of order moves nothing the second time.
"""

from typing import NamedTuple

from schemas.orders import OrderEvent
from schemas.units import Shares, Symbol, Won


class Holding(NamedTuple):
    """Shares held, what they cost, and their newest price."""

    qty: Shares = Shares(0)
    cost: Won = Won(0)
    mark: Won = Won(0)
    sector: str = ""


class Seen(NamedTuple):
    """The cumulative figures of an order that are already in the ledger."""

    qty: Shares = Shares(0)
    amount: Won = Won(0)
    fee: Won = Won(0)
    tax: Won = Won(0)


class Ledger(NamedTuple):
    """The account.

    Attributes:
        cash: Trade-date cash, fees and taxes taken.
        holdings: What is held.
        seen: By intent id.
        equity_previous: At the close of the session before.
        realized: Today, fees and tax in.
        fees: Today.
        taxes: Today.
        bought: Today.
        sold: Today.
        slippage: Today, against arrival; positive is a cost.
        sales: Realised today by parent, for the win rate.
        opened: The opening balance has come.
    """

    cash: Won = Won(0)
    holdings: dict[Symbol, Holding] = {}  # noqa: RUF012 -- a fold copies before it changes
    seen: dict[str, Seen] = {}  # noqa: RUF012 -- as above
    equity_previous: Won = Won(0)
    realized: Won = Won(0)
    fees: Won = Won(0)
    taxes: Won = Won(0)
    bought: Won = Won(0)
    sold: Won = Won(0)
    slippage: Won = Won(0)
    sales: dict[str, Won] = {}  # noqa: RUF012 -- as above
    opened: bool = False

    @property
    def equity(self) -> Won:
        """Cash and what is held at its marks."""
        return Won(self.cash + sum(each.qty * each.mark for each in self.holdings.values()))

    @property
    def unrealized(self) -> Won:
        """What is held at its marks, less its cost."""
        return Won(sum(each.qty * each.mark - each.cost for each in self.holdings.values()))


def hold(ledger: Ledger, event: OrderEvent) -> Ledger:
    """Take a holding of the opening balance."""
    holding = Holding(Shares(event.qty), Won(event.filled_amount), Won(event.price), event.sector)
    return ledger._replace(holdings={**ledger.holdings, event.symbol: holding})


def open_cash(ledger: Ledger, event: OrderEvent) -> Ledger:
    """Take the cash that ends the opening balance; equity then is the previous close's."""
    ledger = ledger._replace(cash=Won(event.filled_amount), opened=True)
    return ledger._replace(equity_previous=ledger.equity)


def fill(ledger: Ledger, event: OrderEvent) -> Ledger:
    """Move the ledger by what a cumulative fill adds to what it has seen of the order."""
    seen = ledger.seen.get(event.intent_id, Seen())
    qty = event.filled_qty - seen.qty
    if qty <= 0:
        return ledger
    amount, fee, tax = (
        event.filled_amount - seen.amount, event.fee - seen.fee, event.tax - seen.tax,
    )  # fmt: skip
    now_seen = Seen(event.filled_qty, event.filled_amount, event.fee, event.tax)
    ledger = ledger._replace(
        seen={**ledger.seen, event.intent_id: now_seen},
        fees=Won(ledger.fees + fee),
        taxes=Won(ledger.taxes + tax),
        slippage=Won(ledger.slippage + _slippage(event, qty, amount)),
    )
    if event.side == "buy":
        return _buy(ledger, event, qty, amount, fee)
    return _sell(ledger, event, qty, amount, fee + tax)


def mark(ledger: Ledger, symbol: Symbol, price: int) -> Ledger:
    """Give a held symbol its newest price; 0 is no price."""
    holding = ledger.holdings.get(symbol)
    if holding is None or price <= 0:
        return ledger
    marked = holding._replace(mark=Won(price))
    return ledger._replace(holdings={**ledger.holdings, symbol: marked})


def next_day(ledger: Ledger) -> Ledger:
    """Begin a day: its figures are zero, its previous close is the equity as it stands."""
    return ledger._replace(
        equity_previous=ledger.equity, realized=Won(0), fees=Won(0), taxes=Won(0),
        bought=Won(0), sold=Won(0), slippage=Won(0), sales={}, seen={},
    )  # fmt: skip


def _buy(ledger: Ledger, event: OrderEvent, qty: int, amount: int, costs: int) -> Ledger:
    old = ledger.holdings.get(event.symbol, Holding(mark=Won(amount // qty)))
    held = old._replace(
        qty=Shares(old.qty + qty), cost=Won(old.cost + amount), sector=event.sector or old.sector
    )
    return ledger._replace(
        cash=Won(ledger.cash - amount - costs),
        holdings={**ledger.holdings, event.symbol: held},
        realized=Won(ledger.realized - costs),
        bought=Won(ledger.bought + amount),
    )


def _sell(ledger: Ledger, event: OrderEvent, qty: int, amount: int, costs: int) -> Ledger:
    old = ledger.holdings.get(event.symbol, Holding())
    basis = old.cost * qty // old.qty if old.qty > 0 else 0
    held = old._replace(qty=Shares(old.qty - qty), cost=Won(old.cost - basis))
    holdings = {**ledger.holdings, event.symbol: held}
    if held.qty == 0:
        del holdings[event.symbol]
    gain = amount - basis - costs
    before = ledger.sales.get(event.parent_id, 0)
    return ledger._replace(
        cash=Won(ledger.cash + amount - costs),
        holdings=holdings,
        realized=Won(ledger.realized + gain),
        sold=Won(ledger.sold + amount),
        sales={**ledger.sales, event.parent_id: Won(before + gain)},
    )


def _slippage(event: OrderEvent, qty: int, amount: int) -> int:
    more = amount - event.arrival_price * qty
    return more if event.side == "buy" else -more
