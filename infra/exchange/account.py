"""The brokerage account: orders as booked, cash, holdings; whole won and shares; no IO.

Fees and tax are taken on an order's accumulated amount, so they do not depend on how many fills it
took:  ``commission(amount)`` and, for a sale, ``sell_tax(amount)`` by ``schemas/krx/costs``.

    cash that can be ordered with = cash - what open buys may still cost
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Final

from infra.exchange.matching import BUY, Side, TimeInForce
from schemas.krx.costs import commission, sell_tax

NO_CASH: Final = ("APBK0919", "주문가능금액(예수금)이 부족합니다")
NO_SHARES: Final = ("APBK0400", "주문 가능한 수량을 초과하였습니다(매도가능수량 부족)")


@dataclass(slots=True, kw_only=True)
class Booked:
    """An order at the brokerage; ``qty = filled + cancelled + rejected + left``, always.

    Attributes:
        no: ODNO as a number.
        original: Of a correction, the order it replaced; else 0.
        price: Won; None is a market order.
        ceiling: Most won per share a buy may cost; reserved until filled.
        kind: ORD_DVSN as received.
        at: When it was booked, micros.
        amount: Won traded.
        state: booked (under way), open (in the book) or done.
    """

    no: int
    original: int
    symbol: str
    segment: str
    side: Side
    price: int | None
    ceiling: int
    qty: int
    kind: str
    tif: TimeInForce
    at: int
    filled: int = 0
    cancelled: int = 0
    rejected: int = 0
    amount: int = 0
    fee: int = 0
    tax: int = 0
    state: str = "booked"

    @property
    def left(self) -> int:
        """Return the shares still wanted."""
        return self.qty - self.filled - self.cancelled - self.rejected


@dataclass(slots=True)
class Holding:
    """Shares held and what they cost, fees not counted."""

    qty: int = 0
    cost: int = 0


@dataclass(slots=True)
class Account:
    """One account and its day.

    Attributes:
        number: CANO and product code, ten digits.
        day: Trade date: its law taxes.
        cash: Settled plus what today's trades will settle (D+2), won.
        orders: By order number, in the order they were booked.
    """

    number: str
    day: date
    cash: int
    holdings: dict[str, Holding] = field(default_factory=dict)
    orders: dict[int, Booked] = field(default_factory=dict)

    def orderable_cash(self) -> int:
        """Return the won that a new buy may use."""
        held = 0
        for order in self.orders.values():
            if order.side == BUY and order.left:
                cost = order.ceiling * order.left
                held += cost + commission(order.amount + cost, self.day) - order.fee
        return self.cash - held

    def orderable_shares(self, symbol: str) -> int:
        """Return the shares that a new sale may sell."""
        held = self.holdings.get(symbol)
        selling = sum(
            order.left
            for order in self.orders.values()
            if order.symbol == symbol and order.side != BUY
        )
        return (held.qty if held else 0) - selling

    def refuse(self, side: Side, symbol: str, ceiling: int, qty: int) -> tuple[str, str] | None:
        """Return why an order cannot be paid for or delivered, or None."""
        if side == BUY:
            cost = ceiling * qty
            short = cost + commission(cost, self.day) > self.orderable_cash()
            return NO_CASH if short else None
        return NO_SHARES if qty > self.orderable_shares(symbol) else None

    def fill(self, order: Booked, price: int, qty: int) -> None:
        """Book a fill: shares, won, fee and tax."""
        amount = price * qty
        order.filled += qty
        order.amount += amount
        held = self.holdings.setdefault(order.symbol, Holding())
        fee = commission(order.amount, self.day)
        if order.side == BUY:
            held.qty += qty
            held.cost += amount
            self.cash -= amount + fee - order.fee
        else:
            tax = sell_tax(order.amount, self.day, order.segment)
            held.cost -= held.cost * qty // held.qty
            held.qty -= qty
            self.cash += amount - (fee - order.fee) - (tax - order.tax)
            order.tax = tax
        order.fee = fee
        if order.left == 0:
            order.state = "done"
