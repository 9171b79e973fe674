"""One name while somebody watches it or trades in it: its tape being played, its book, its counts.

The tape comes from ``flow``.  Our own prints are added on top: to the volume, the turnover, the
counts of buyers and sellers and, where they fall outside, to the day's high and low.
"""

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from infra.exchange.day import Longs
from infra.exchange.flow import CALL, CLOSING, PRINT, QUOTE, Rates, Tape, tape
from infra.exchange.frames import Day, Picture, Print, book, trade
from infra.exchange.matching import BUY, SELL, Book, Level
from infra.exchange.path import Ladder
from schemas.units import KST_OFFSET, SECOND

_AUCTION: Final = "3"
_CODES: Final = {BUY: "1", SELL: "5", 0: _AUCTION}
_DAY_S: Final = 86_400


class Own:
    """What our own prints added to a name's day; it outlives the tape."""

    __slots__ = ("bought", "buys", "high", "high_at", "low", "low_at", "sells", "sold", "turnover",
                 "volume")  # fmt: skip

    def __init__(self) -> None:
        self.volume = self.turnover = self.bought = self.sold = self.buys = self.sells = 0
        self.high, self.low = 0, 1 << 62
        self.high_at = self.low_at = 0

    def add(self, at: int, price: int, qty: int, aggressor: int) -> None:
        """Count a print of ours."""
        self.volume += qty
        self.turnover += price * qty
        if aggressor == BUY:
            self.bought, self.buys = self.bought + qty, self.buys + 1
        elif aggressor == SELL:
            self.sold, self.sells = self.sold + qty, self.sells + 1
        if price > self.high:
            self.high, self.high_at = price, at
        if price < self.low:
            self.low, self.low_at = price, at


class Sums(NamedTuple):
    """The tape's running counts, (event,)."""

    sells: Longs
    buys: Longs
    sold: Longs
    bought: Longs
    high: Longs
    high_at: Longs
    low: Longs
    low_at: Longs


class Live:
    """A name being played.

    Args:
        ladder: The paths.
        row: The name.
        rates: How often it speaks.
        own: What our prints have added so far.
        now: Micros; events before it are past.
    """

    def __init__(self, ladder: Ladder, row: int, rates: Rates, own: Own, now: int) -> None:
        market = ladder.market
        self.row, self.own = row, own
        self.tape: Tape = tape(ladder, row, rates)
        self.sums = _sums(self.tape)
        self.at: list[int] = self.tape.at.tolist()
        self.kind: list[int] = self.tape.kind.tolist()
        self.next = int(np.searchsorted(self.tape.at, now))
        self.opens_at, self.closes_at = int(ladder.opens_at[row]), int(ladder.closes_at[row])
        self.previous = int(market.previous_volume[row]), ladder
        self.open = int(market.open[row])
        self.book: Book | None = None
        self.waiting: list[int] = []
        self.watched: set[str] = set()
        self.totals = (0, 0)
        self.last_price = 0
        self.day = Day(
            symbol=market.symbols[row],
            base=int(market.base[row]),
            lower=int(market.lower[row]),
            upper=int(market.upper[row]),
            shares=int(market.shares[row]),
            date=f"{market.session.date:%Y%m%d}",
        )

    def crowd(self, event: int) -> tuple[list[Level], list[Level]]:
        """Return everybody else's bids and asks around an event."""
        books = self.tape.books
        return (
            _pairs(books.bid_prices[event].tolist(), books.bid_qtys[event].tolist()),
            _pairs(books.ask_prices[event].tolist(), books.ask_qtys[event].tolist()),
        )

    def ensure_book(self) -> Book:
        """Return the matching book, built from the crowd as it stands."""
        if self.book is None:
            self.book = Book(self.day.lower, self.day.upper)
            if self.next:
                self.book.follow(*self.crowd(self.next - 1))
        return self.book

    def print_text(self, event: int, at: int, price: int, qty: int, aggressor: int) -> str:
        """Write a print, the tape's own or one of ours; ``event`` is the newest of the tape."""
        self.last_price = price
        sums, own = self.sums, self.own
        high, high_at = int(sums.high[event]), int(sums.high_at[event])
        low, low_at = int(sums.low[event]), int(sums.low_at[event])
        if own.high > high:
            high, high_at = own.high, own.high_at
        if own.low < low:
            low, low_at = own.low, own.low_at
        asks, ask_qtys, bids, bid_qtys = self._display(event)
        previous, ladder = self.previous
        return trade(
            self.day,
            Print(
                time=hhmmss(at),
                price=price,
                qty=qty,
                code=_CODES[aggressor],
                continuous=self.kind[event] != CLOSING,
                volume=int(self.tape.volume[event]) + own.volume,
                turnover=int(self.tape.turnover[event]) + own.turnover,
                open=self.open,
                high=high,
                low=low,
                open_time=hhmmss(self.opens_at),
                high_time=hhmmss(high_at),
                low_time=hhmmss(low_at),
                ask=asks[0],
                bid=bids[0],
                ask_qty=ask_qtys[0],
                bid_qty=bid_qtys[0],
                ask_total=sum(ask_qtys),
                bid_total=sum(bid_qtys),
                sells=int(sums.sells[event]) + own.sells,
                buys=int(sums.buys[event]) + own.buys,
                sold=int(sums.sold[event]) + own.sold,
                bought=int(sums.bought[event]) + own.bought,
                previous=int(previous * ladder.share_at(at)),
            ),
        )

    def book_text(self, event: int, at: int) -> str:
        """Write the book at an event of the tape."""
        asks, ask_qtys, bids, bid_qtys = self._display(event)
        totals = sum(ask_qtys), sum(bid_qtys)
        before, self.totals = self.totals, totals
        call = self.kind[event] == CALL
        volume = int(self.tape.volume[event]) + self.own.volume
        phase = "0" if not call else "A" if at > self.opens_at else "B"
        return book(
            self.day,
            Picture(
                time=hhmmss(at),
                phase=phase,
                asks=asks,
                bids=bids,
                ask_qtys=ask_qtys,
                bid_qtys=bid_qtys,
                expected_price=int(self.tape.price[event]) if call else 0,
                expected_qty=int(self.tape.qty[event]) if call else 0,
                expected_volume=int(self.tape.qty[event]) if call else 0,
                volume=volume,
                ask_change=totals[0] - before[0],
                bid_change=totals[1] - before[1],
            ),
        )

    def touch(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """Return ask prices, ask sizes, bid prices, bid sizes as shown now."""
        return self._display(max(self.next - 1, 0))

    def _display(self, event: int) -> tuple[list[int], list[int], list[int], list[int]]:
        if self.book is not None and self.kind[event] in {PRINT, QUOTE}:
            asks, bids = self.book.levels(SELL, 10), self.book.levels(BUY, 10)
            return *_columns(asks), *_columns(bids)
        books = self.tape.books
        return (
            books.ask_prices[event].tolist(),
            books.ask_qtys[event].tolist(),
            books.bid_prices[event].tolist(),
            books.bid_qtys[event].tolist(),
        )


def hhmmss(at: int) -> str:
    """Return a KRX clock time."""
    return _clock((at + KST_OFFSET) // SECOND % _DAY_S)


@lru_cache(maxsize=_DAY_S)
def _clock(second: int) -> str:
    return f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"


def _pairs(prices: list[int], qtys: list[int]) -> list[Level]:
    return [pair for pair in zip(prices, qtys, strict=True) if pair[0]]


def _columns(levels: list[Level]) -> tuple[list[int], list[int]]:
    pad = [0] * (10 - len(levels))
    return [price for price, _ in levels] + pad, [qty for _, qty in levels] + pad


def _sums(t: Tape) -> Sums:
    traded = (t.kind != QUOTE) & (t.kind != CALL)
    prices = np.where(traded, t.price, 0)
    high = np.maximum.accumulate(prices)
    low = np.minimum.accumulate(np.where(traded, t.price, 1 << 62))
    new_high = np.diff(high, prepend=0) > 0
    new_low = np.diff(low, prepend=1 << 62) < 0
    return Sums(
        sells=np.cumsum(t.aggressor == SELL),
        buys=np.cumsum(t.aggressor == BUY),
        sold=np.cumsum(np.where(t.aggressor == SELL, t.qty, 0)),
        bought=np.cumsum(np.where(t.aggressor == BUY, t.qty, 0)),
        high=high,
        high_at=np.maximum.accumulate(np.where(new_high, t.at, 0)),
        low=low,
        low_at=np.maximum.accumulate(np.where(new_low, t.at, 0)),
    )
