"""The exchange without its doors: market time comes in, frames' records and facts go out; no IO.

``advance(to)`` plays everything with ``instant < to`` in time order: the tapes of live names, our
orders' arrivals, the auctions' ends, the end of the day.  Orders reach the book ``ORDER_TRAVEL``
after they were booked; cancels act at once.
"""

import heapq
from collections.abc import Callable
from itertools import islice
from typing import Any, Final, NamedTuple

from infra.exchange.account import Account, Booked
from infra.exchange.flow import CALL, OPENING, PRINT, QUOTE, Rates
from infra.exchange.frames import BOOKS, TRADES
from infra.exchange.journal import Journal
from infra.exchange.live import Live, Own, hhmmss
from infra.exchange.matching import BUY, CROWD, SELL, Book, Fill, Side
from infra.exchange.path import Ladder
from schemas.kis.encode import body
from schemas.kis.records import ExecutionNotice
from schemas.kis.tables import NOTICES
from schemas.krx.sessions import RANDOM_END_MAX
from schemas.units import MILLISECOND, SECOND, Micros

ORDER_TRAVEL: Final = Micros(50 * MILLISECOND)
BRANCH: Final = "06590"
STIR: Final = Micros(8 * SECOND)
"""For so long after a notice of ours an accelerated day goes second by second: it is being heard.

Eight steps, each answered by the roles of the order path, are some 0.2 s of wall time.
"""
AUCTION_ANSWER_PRINTS: Final = 10
"""Mean prints that others add to an auction against our interest."""

_ORDERS_FROM: Final = 1


class Said(NamedTuple):
    """Something the exchange says.

    Attributes:
        at: Micros.
        tr_id: The stream.
        key: Symbol, or the account of a notice.
        text: A record of the stream; a notice is not yet encrypted.
    """

    at: int
    tr_id: str
    key: str
    text: str


class Venue:
    """The market, the book of our orders and one account.

    Args:
        ladder: The paths of the day.
        account: Whose orders come.
        journal: Where every fact of the account is written.
        rates: How often a streamed name speaks.
        hts_id: Whom the notices name.
        now: Where market time starts, micros.
    """

    def __init__(
        self,
        *,
        ladder: Ladder,
        account: Account,
        journal: Journal,
        rates: Rates,
        hts_id: str,
        now: Micros,
    ) -> None:
        self.ladder, self.market = ladder, ladder.market
        self.account, self.journal = account, journal
        self.now: int = now
        self.said: list[Said] = []
        self._rates, self._hts_id = rates, hts_id
        self._noticed: int | None = None
        self._live: dict[str, Live] = {}
        self._unfinished: list[Booked] = []
        self._orders_seen = 0
        self._own: dict[str, Own] = {}
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._ticket = 0
        self._next_no = _ORDERS_FROM
        expiry = self.market.session.close + RANDOM_END_MAX
        self._push(max(expiry, now), self._expire)

    # -- market time ---------------------------------------------------------------------------

    def advance(self, to: int, *, heed: bool = False) -> int:
        """Play everything before ``to``, stand there and return where that is.

        Args:
            to: Micros.
            heed: Stand at the first full second after a notice of ours instead.
        """
        heap, before = self._heap, self._noticed
        while heap and heap[0][0] < to:
            at, _, play = heapq.heappop(heap)
            self.now = at
            play(at)
            if heed and self._noticed != before:
                before = self._noticed
                to = min(to, -(-(at + 1) // SECOND) * SECOND)
        self.now = to
        return to

    def stirring(self) -> bool:
        """Return whether an order of ours is open and something has just been said of one."""
        open_now = self.orders_open()
        return open_now and self._noticed is not None and self.now < self._noticed + STIR

    def orders_open(self) -> bool:
        """Return whether one of our orders may still trade."""
        orders = self.account.orders
        if len(orders) > self._orders_seen:
            self._unfinished += islice(orders.values(), self._orders_seen, None)
            self._orders_seen = len(orders)
        self._unfinished = [order for order in self._unfinished if order.left]
        return bool(self._unfinished)

    # -- streams -------------------------------------------------------------------------------

    def watch(self, tr_id: str, symbol: str) -> None:
        """Stream a name's prints or books from now on."""
        self._enliven(symbol).watched.add(tr_id)

    def unwatch(self, tr_id: str, symbol: str) -> None:
        """Stop streaming."""
        live = self._live.get(symbol)
        if live is not None:
            live.watched.discard(tr_id)

    def live(self, symbol: str) -> Live | None:
        """Return a name being played, if it is."""
        return self._live.get(symbol)

    def own(self, symbol: str) -> Own:
        """Return what our prints added to a name's day."""
        return self._own.setdefault(symbol, Own())

    # -- orders --------------------------------------------------------------------------------

    def book(self, **terms: Any) -> Booked:
        """Accept an order that was checked: it gets a number and is on its way to the book.

        Args:
            terms: Fields of ``Booked`` but number and time.
        """
        order = Booked(no=self._take_number(), at=self.now, **terms)
        self.account.orders[order.no] = order
        self._write_booked(order, "")
        self._enliven(order.symbol)
        self._notice(order, self.now, revision="1" if order.original else "0", accepted="1")
        self._push(self.now + ORDER_TRAVEL, lambda at: self._arrive(order, at))
        return order

    def refuse(self, code: str, **terms: Any) -> Booked:
        """Book an order that the brokerage takes and then rejects (RFUS_YN 1)."""
        order = Booked(no=self._take_number(), at=self.now, state="done", **terms)
        order.rejected = order.qty
        self.account.orders[order.no] = order
        self._write_booked(order, code)
        self._notice(order, self.now, revision="0", accepted="1", rejected="1")
        return order

    def cancel(self, order: Booked, qty: int, reason: str = "cancel") -> int:
        """Take shares of an order back.

        Args:
            order: Ours.
            qty: Shares, <= what is left.
            reason: cancel, correct, ioc or expired.

        Returns:
            The number of the cancelling order; 0 when the exchange did it itself.
        """
        number = self._take_number() if reason == "cancel" else 0
        live = self._live.get(order.symbol)
        if live is not None and live.book is not None:
            live.book.cancel(order.no, qty)
        order.cancelled += qty
        if order.left == 0:
            order.state = "done"
            if live is not None and order.no in live.waiting:
                live.waiting.remove(order.no)
        self.journal.write(
            "cancelled", self.now, order_no=order.no, qty=qty, reason=reason, cancel_no=number
        )
        if reason != "correct":
            self._notice(
                order,
                self.now,
                revision="2" if number else "0",
                accepted="2" if number else "3",
                number=number,
                qty=qty,
            )
        self._settle(order.symbol)
        return number

    # -- playing -------------------------------------------------------------------------------

    def _enliven(self, symbol: str) -> Live:
        live = self._live.get(symbol)
        if live is None:
            row = self.market.row[symbol]
            live = Live(self.ladder, row, self._rates, self.own(symbol), self.now)
            self._live[symbol] = live
            self._follow_tape(live)
        return live

    def _follow_tape(self, live: Live) -> None:
        if live.next < len(live.at):
            self._push(live.at[live.next], lambda at: self._play(live, at))

    def _play(self, live: Live, at: int) -> None:
        event = live.next
        live.next = event + 1
        kind = live.kind[event]
        symbol = live.day.symbol
        if live.book is not None and kind in {PRINT, QUOTE}:
            self._match(live, event, kind, at)
        if kind in {PRINT, QUOTE, CALL}:
            tr_id = TRADES if kind == PRINT else BOOKS
            if tr_id in live.watched:
                self.said.append(Said(at, tr_id, symbol, self._text(live, event, kind, at)))
        else:
            self._auction(live, event, at, opening=kind == OPENING)
        if live.watched or live.waiting or live.book is not None or self._coming(symbol):
            self._follow_tape(live)
        else:
            del self._live[symbol]

    def _text(self, live: Live, event: int, kind: int, at: int) -> str:
        if kind == PRINT:
            price, qty = int(live.tape.price[event]), int(live.tape.qty[event])
            return live.print_text(event, at, price, qty, int(live.tape.aggressor[event]))
        return live.book_text(event, at)

    def _match(self, live: Live, event: int, kind: int, at: int) -> None:
        """Let the market move over our resting orders."""
        book = live.book
        if book is None:
            return
        fills = book.follow(*live.crowd(event))
        if kind == PRINT:
            t = live.tape
            side: Side = BUY if t.aggressor[event] > 0 else SELL
            fills += book.run_print(side, int(t.price[event]), int(t.qty[event]))
        for fill in fills:
            self._fill(live, fill, max(event - 1, 0), at)
        if not book.ours:
            live.book = None

    def _arrive(self, order: Booked, at: int) -> None:
        """Our order reaches the exchange: an auction collects it, the book meets it."""
        if order.left == 0:
            return
        live = self._enliven(order.symbol)
        order.state = "open"
        if at < live.opens_at or at >= self.market.session.closing_auction:
            live.waiting.append(order.no)
            return
        self._meet(live, order, order.price, at)

    def _meet(self, live: Live, order: Booked, price: int | None, at: int) -> None:
        book = live.ensure_book()
        for fill in book.submit(order.no, order.side, price, order.left, order.tif):
            self._fill(live, fill, max(live.next - 1, 0), at)
        if order.left and order.no not in book.ours:
            self.cancel(order, order.left, "ioc")
        self._settle(order.symbol)

    def _auction(self, live: Live, event: int, at: int, *, opening: bool) -> None:
        """End a call auction: everybody else makes the bar's price, ours join in."""
        t = live.tape
        price, qty = int(t.price[event]), int(t.qty[event])
        ours = self._collected(live)
        fills: list[Fill] = []
        if ours:
            book = Book(live.day.lower, live.day.upper)
            _gather(book, live, price, qty, ours)
            fills = [f for f in book.uncross(price) if f.buy != CROWD or f.sell != CROWD]
            price = fills[0].price if fills else price
        for fill in fills:
            self._fill(live, fill, event, at, auction=True)
        if TRADES in live.watched:
            extra = sum(fill.qty for fill in fills)
            text = live.print_text(event, at, price, qty + extra, 0)
            self.said.append(Said(at, TRADES, live.day.symbol, text))
        if opening:
            live.waiting, live.book = [], None
            for order in ours:
                if order.left:
                    rest = order.price if order.price is not None else price
                    self._meet(live, order, rest, at)

    def _collected(self, live: Live) -> list[Booked]:
        standing = list(live.book.ours) if live.book is not None else []
        numbers = standing + [no for no in live.waiting if no not in standing]
        return [self.account.orders[no] for no in numbers if self.account.orders[no].left]

    def _fill(self, live: Live, fill: Fill, event: int, at: int, *, auction: bool = False) -> None:
        live.own.add(at, fill.price, fill.qty, fill.aggressor)
        for number in (fill.buy, fill.sell):
            if number != CROWD:
                order = self.account.orders[number]
                self.account.fill(order, fill.price, fill.qty)
                self._write_fill(order, fill, at)
                self._notice(order, at, filled=True, price=fill.price, qty=fill.qty)
        if TRADES in live.watched and not auction:
            text = live.print_text(event, at, fill.price, fill.qty, fill.aggressor)
            self.said.append(Said(at, TRADES, live.day.symbol, text))

    def _expire(self, at: int) -> None:
        for order in list(self.account.orders.values()):
            if order.left:
                self.cancel(order, order.left, "expired")
        self.now = at

    def _settle(self, symbol: str) -> None:
        live = self._live.get(symbol)
        if live is not None and live.book is not None and not live.book.ours:
            live.book = None

    def _coming(self, symbol: str) -> bool:
        orders = self.account.orders.values()
        return any(o.symbol == symbol and o.left for o in orders)

    def _push(self, at: int, play: Callable[[int], None]) -> None:
        self._ticket += 1
        heapq.heappush(self._heap, (at, self._ticket, play))

    def _take_number(self) -> int:
        number, self._next_no = self._next_no, self._next_no + 1
        return number

    # -- facts ---------------------------------------------------------------------------------

    def _write_booked(self, order: Booked, code: str) -> None:
        self.journal.write(
            "booked",
            self.now,
            order_no=order.no,
            original_no=order.original,
            symbol=order.symbol,
            side=_word(order.side),
            price=order.price or 0,
            qty=order.qty,
            kind=order.kind,
            rejected=order.rejected,
            code=code,
        )

    def _write_fill(self, order: Booked, fill: Fill, at: int) -> None:
        self.journal.write(
            "filled",
            at,
            order_no=order.no,
            symbol=order.symbol,
            side=_word(order.side),
            price=fill.price,
            qty=fill.qty,
            filled=order.filled,
            amount=order.amount,
            fee=order.fee,
            tax=order.tax,
            cash=self.account.cash,
        )

    def _notice(
        self,
        order: Booked,
        at: int,
        *,
        revision: str = "0",
        accepted: str = "2",
        rejected: str = "0",
        filled: bool = False,
        price: int = 0,
        qty: int = 0,
        number: int = 0,
    ) -> None:
        original = order.no if number else order.original
        notice = ExecutionNotice(
            width=26,
            customer_id=self._hts_id,
            account=self.account.number,
            order_no=f"{number or order.no:010d}",
            original_order_no=f"{original:010d}",
            side_code="02" if order.side == BUY else "01",
            revision_code=revision,
            order_kind=order.kind,
            condition_code={"DAY": "0", "IOC": "1", "FOK": "2"}[order.tif],
            symbol=order.symbol,
            fill_qty=str(qty),
            fill_price=str(price),
            time=hhmmss(at),
            rejected_code=rejected,
            fill_code="2" if filled else "1",
            accepted_code=accepted,
            branch_no=BRANCH,
            order_qty=str(order.qty),
            account_name="SIMULATED",
            stop_price="0",
            exchange_code="1",
            popup="N",
            filler="",
            credit_code="",
            credit_loan_date="",
            issue_name=self.market.names[self.market.row[order.symbol]],
            order_price=str(order.price or 0),
        )
        self._noticed = at
        self.said.append(Said(at, NOTICES, self._hts_id, body(NOTICES, [notice])))


def _gather(book: Book, live: Live, price: int, qty: int, ours: list[Booked]) -> None:
    """Fill a call's book: others trade ``qty`` at ``price`` and answer ours with some depth."""
    at_price = qty // 3
    sides: tuple[tuple[Side, int], ...] = ((BUY, live.day.upper), (SELL, live.day.lower))
    for side, far in sides:
        book.collect(CROWD, side, far, qty - at_price)
        if at_price:
            book.collect(CROWD, side, price, at_price)
    wants = 0
    for order in ours:
        book.collect(order.no, order.side, order.price, order.left)
        if order.price is None or (order.price - price) * order.side >= 0:
            wants += order.side * order.left
    answer = min(abs(wants), AUCTION_ANSWER_PRINTS * live.tape.mean_print)
    if answer:
        book.collect(CROWD, SELL if wants > 0 else BUY, price, answer)


def _word(side: int) -> str:
    return "buy" if side == BUY else "sell"
