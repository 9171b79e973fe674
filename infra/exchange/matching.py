"""Matching by the rules of the KRX: price first, then time; one book per symbol; no IO.

Continuous trading: an incoming order trades at the resting order's price.  A market order takes
what stands in the book; its rest waits at the price it last traded at.  A call auction collects
orders and trades all of them at one price (KOSPI regulation 23(4) and (5)):

    most shares traded  ->  better prices trade whole  ->  nearest the reference price

So an excess of buyers ends at the highest bid that trades and one of sellers at the lowest offer,
wherever the reference is.  The book has no grid: where market orders alone are in excess the rule
goes one tick further than we do.

Orders of the crowd stand for everybody else and share the queues with ours; ``follow`` moves the
crowd to a new picture of the market and ``run_print`` is a trade between others.  Such a trade
never shrinks because of us: what our orders take comes on top, so tape minus our fills is the bar.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from schemas.errors import Fatal

BUY: Final = 1
SELL: Final[Literal[-1]] = -1
CROWD: Final = 0
"""The order id of everybody else."""

Side = Literal[1, -1]
TimeInForce = Literal["DAY", "IOC", "FOK"]
Level = tuple[int, int]
"""Price in won, shares."""


class Fill(NamedTuple):
    """Shares that changed hands.

    Attributes:
        buy, sell: Order ids; ``CROWD`` for everybody else.
        price: Won.
        qty: Shares, > 0.
        aggressor: The side that came second; 0 in an auction.
    """

    buy: int
    sell: int
    price: int
    qty: int
    aggressor: int


@dataclass(slots=True)
class Order:
    """An order in the book; ``qty`` is what is left of it.

    Attributes:
        price: Won; a market order waiting for an auction has None.
    """

    id: int
    side: Side
    price: int | None
    qty: int


class Book:
    """The orders of one symbol.

    Args:
        lower, upper: Price limits, won; no trade happens outside.
    """

    def __init__(self, lower: int, upper: int) -> None:
        self.lower, self.upper = lower, upper
        self._queues: dict[Side, dict[int, deque[Order]]] = {BUY: {}, SELL: {}}
        self._market: dict[Side, deque[Order]] = {BUY: deque(), SELL: deque()}
        self._ours: dict[int, Order] = {}

    @property
    def ours(self) -> dict[int, Order]:
        """Return our live orders by id; not to be changed."""
        return self._ours

    def best(self, side: Side) -> int | None:
        """Return the best resting price of a side."""
        queues = self._queues[side]
        if not queues:
            return None
        return max(queues) if side == BUY else min(queues)

    def levels(self, side: Side, count: int) -> list[Level]:
        """Return the best levels of a side, best first."""
        queues = self._queues[side]
        prices = sorted(queues, reverse=side == BUY)[:count]
        return [(price, sum(order.qty for order in queues[price])) for price in prices]

    def submit(
        self, order_id: int, side: Side, price: int | None, qty: int, tif: TimeInForce = "DAY"
    ) -> list[Fill]:
        """Let an order meet the book in continuous trading.

        Args:
            order_id: > 0 for ours.
            side: BUY or SELL.
            price: Won; None is a market order.
            qty: Shares, > 0.
            tif: IOC drops the rest, FOK trades all or nothing, DAY lets the rest wait.

        Returns:
            Trades in the order they happened; an order that is not in ``ours`` afterwards is done.
        """
        self._check(price, qty)
        limit = price if price is not None else self.upper if side == BUY else self.lower
        if tif == "FOK" and self._available(side, limit) < qty:
            return []
        order = Order(order_id, side, price, qty)
        fills = self._take(order, limit)
        if order.qty and tif == "DAY":
            self._rest(order, fills)
        return fills

    def collect(self, order_id: int, side: Side, price: int | None, qty: int) -> None:
        """Add an order to the call auction; nothing trades before ``uncross``."""
        self._check(price, qty)
        order = Order(order_id, side, price, qty)
        if price is None:
            self._market[side].append(order)
            if order_id != CROWD:
                self._ours[order_id] = order
        else:
            self._queue(order, price)

    def cancel(self, order_id: int, qty: int | None = None) -> int:
        """Take shares of our order off the book; it keeps its place with the rest.

        Args:
            order_id: A live order of ours.
            qty: Shares; None is all.

        Returns:
            Shares cancelled; 0 when the order is not live.
        """
        order = self._ours.get(order_id)
        if order is None:
            return 0
        cancelled = order.qty if qty is None else min(qty, order.qty)
        order.qty -= cancelled
        if order.qty == 0:
            self._drop(order)
        return cancelled

    def uncross(self, reference: int) -> list[Fill]:
        """End the call: trade at the single price, then market orders left over rest at it.

        Args:
            reference: Won; breaks ties between prices that trade as much.
        """
        price, volume = self.auction(reference)
        fills: list[Fill] = []
        if volume:
            buys, sells = self._ranked(BUY, price), self._ranked(SELL, price)
            while volume:
                buy, sell = buys[0], sells[0]
                qty = min(buy.qty, sell.qty, volume)
                volume -= qty
                fills.append(Fill(buy.id, sell.id, price, qty, 0))
                for order, queue in ((buy, buys), (sell, sells)):
                    order.qty -= qty
                    if order.qty == 0:
                        queue.popleft()
                        self._drop(order)
        for side in (BUY, SELL):
            waiting, self._market[side] = self._market[side], deque()
            for order in waiting:
                self._queue(order, price or reference)
        return fills

    def auction(self, reference: int) -> Level:
        """Return the single price and the shares it would trade now; (0, 0) when nothing meets."""
        prices = {reference} | {p for queues in self._queues.values() for p in queues}
        found = [(self._crossing(p), p) for p in prices]
        most = max((traded for (traded, _), _ in found), default=0)
        if most == 0:
            return 0, 0
        _, _, price = min(
            (passed, abs(p - reference), p) for (traded, passed), p in found if traded == most
        )
        return price, most

    def follow(self, bids: Sequence[Level], asks: Sequence[Level]) -> list[Fill]:
        """Move the crowd to a new picture of the market; what then crosses our orders trades.

        Args:
            bids: Levels of everybody else, best first.
            asks: The same; they do not cross the bids.

        Returns:
            Fills of our orders that the crowd's new orders met.
        """
        sides: tuple[tuple[Side, Sequence[Level]], ...] = ((BUY, bids), (SELL, asks))
        for side, levels in sides:
            wanted = dict(levels)
            for price in list(self._queues[side]):
                self._shrink(side, price, wanted.get(price, 0))
        fills: list[Fill] = []
        for side, levels in sides:
            for price, qty in levels:
                more = qty - self._crowd_at(side, price)
                if more > 0:
                    fills += self.submit(CROWD, side, price, more)
        return fills

    def run_print(self, aggressor: Side, price: int, qty: int) -> list[Fill]:
        """Trade ``qty`` shares between others; ours that stand in front take theirs on top.

        Args:
            aggressor: The side that came second.
            price: Where the others trade, won.
            qty: Shares that the others trade.

        Returns:
            Our fills only, each at our order's price.
        """
        passive: Side = SELL if aggressor == BUY else BUY
        fills: list[Fill] = []
        budget = qty
        for level in sorted(self._queues[passive], reverse=passive == BUY):
            if (level - price) * passive < 0:
                break
            left = qty
            for order in list(self._queues[passive][level]):
                if order.id == CROWD:
                    took = min(order.qty, left) if level == price else 0
                    order.qty -= took
                    left -= took
                elif budget:
                    took = min(order.qty, budget)
                    order.qty -= took
                    budget -= took
                    pair = (CROWD, order.id) if aggressor == BUY else (order.id, CROWD)
                    fills.append(Fill(*pair, level, took, aggressor))
                if order.qty == 0:
                    self._drop(order)
                if left == 0:
                    break
        return fills

    def _check(self, price: int | None, qty: int) -> None:
        if qty <= 0 or (price is not None and not self.lower <= price <= self.upper):
            raise Fatal(
                f"expected a price in {self.lower}..{self.upper} and shares above 0, "
                f"was {price} x {qty}; check before the book"
            )

    def _available(self, side: Side, limit: int) -> int:
        passive = self._queues[SELL if side == BUY else BUY]
        reachable = (queue for price, queue in passive.items() if (limit - price) * side >= 0)
        return sum(order.qty for queue in reachable for order in queue)

    def _take(self, order: Order, limit: int) -> list[Fill]:
        passive: Side = SELL if order.side == BUY else BUY
        fills: list[Fill] = []
        while order.qty:
            best = self.best(passive)
            if best is None or (limit - best) * order.side < 0:
                break
            resting = self._queues[passive][best][0]
            qty = min(order.qty, resting.qty)
            pair = (order.id, resting.id) if order.side == BUY else (resting.id, order.id)
            fills.append(Fill(*pair, best, qty, order.side))
            order.qty -= qty
            resting.qty -= qty
            if resting.qty == 0:
                self._drop(resting)
        return fills

    def _rest(self, order: Order, fills: Sequence[Fill]) -> None:
        price = order.price
        if price is None:
            other = self.best(SELL if order.side == BUY else BUY)
            price = fills[-1].price if fills else self.best(order.side) or other
            if price is None:
                return  # nobody is there to name a price: the market order is void
        self._queue(order, price)

    def _queue(self, order: Order, price: int) -> None:
        order.price = price
        self._queues[order.side].setdefault(price, deque()).append(order)
        if order.id != CROWD:
            self._ours[order.id] = order

    def _drop(self, order: Order) -> None:
        self._ours.pop(order.id, None)
        if order.price is None:
            self._market[order.side].remove(order)
            return
        queues = self._queues[order.side]
        queue = queues[order.price]
        for place, each in enumerate(queue):
            if each is order:
                del queue[place]
                break
        if not queue:
            del queues[order.price]

    def _crowd_at(self, side: Side, price: int) -> int:
        return sum(o.qty for o in self._queues[side].get(price, ()) if o.id == CROWD)

    def _shrink(self, side: Side, price: int, wanted: int) -> None:
        """Cancel the crowd's youngest shares at a price down to ``wanted``."""
        excess = self._crowd_at(side, price) - wanted
        for order in list(reversed(self._queues[side][price])):
            if excess <= 0:
                return
            if order.id == CROWD:
                cut = min(order.qty, excess)
                order.qty -= cut
                excess -= cut
                if order.qty == 0:
                    self._drop(order)

    def _ranked(self, side: Side, price: int) -> deque[Order]:
        """Return the orders that trade at ``price``: market orders, then best price, then time."""
        queues = self._queues[side]
        prices = [p for p in sorted(queues, reverse=side == BUY) if (p - price) * side >= 0]
        limits: Iterable[Order] = (order for p in prices for order in queues[p])
        return deque([*self._market[side], *limits])

    def _crossing(self, price: int) -> Level:
        """Return the shares that trade at ``price`` and those at better prices passed over."""
        buys, better_buys = self._willing(BUY, price)
        sells, better_sells = self._willing(SELL, price)
        passed = max(0, better_buys - sells) + max(0, better_sells - buys)
        return min(buys, sells), passed

    def _willing(self, side: Side, price: int) -> Level:
        """Return a side's shares that would trade at ``price``, and those of them that beat it."""
        ranked = self._ranked(side, price)
        return sum(o.qty for o in ranked), sum(o.qty for o in ranked if o.price != price)
