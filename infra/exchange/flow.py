"""Everybody else in one name: the tape and the book that follow its path, as arrays.

A tape is a function of (seed, bar): prints at random instants, denser where the volume curve is
steep, each carrying the volume that accrued since the one before; a book that stands around the
path's price; resting sizes that depend on (price, side, time) alone and so stay put when the market
moves away and comes back.

    path price = best bid or best ask, by turns        the other side is the spread away
    a buyer prints at the best ask, a seller at the best bid, both within the bar

The ranges below are what a test holds the tape to.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.exchange.day import Longs
from infra.exchange.noise import code_of, uniform
from infra.exchange.path import RUNG, Ladder, ticks
from schemas.units import SECOND, Micros

LEVELS: Final = 10
SPREAD_TICKS: Final = (1, 3)
"""Best ask minus best bid, in ticks, both ends included."""

SPREAD_ODDS: Final = (0.78, 0.95)
"""Below the first: one tick; below the second: two; else three."""

INTER_PRINT_S: Final = (0.8, 12.0)
"""Median seconds between prints of a liquid name at the default rate."""

DEPTH_PRINTS: Final = (0.5, 40.0)
"""Resting size of a level, in mean prints of the name."""

BURST_ODDS: Final = 0.06
"""A print that is written as two to four records of one instant."""

SIDE_HELD: Final = Micros(40 * SECOND)
SIZE_HELD: Final = Micros(15 * SECOND)
CALL_BOOK_EVERY: Final = Micros(20 * SECOND)
_DEPTH_MEAN_PRINTS: Final = 3.0
_DEPTH_PER_LEVEL: Final = 0.25
_DEPTH_SPREAD: Final = 0.6
_EVEN: Final = 0.5

PRINT, QUOTE, CALL, OPENING, CLOSING = range(5)
"""What happens: a print, a new book, a book of a call auction, the end of either auction."""

_TRADE_AT, _BOOK_AT, _AGGRESSOR, _SPREAD, _SIDE, _SIZE, _BURST, _PHASE = range(20, 28)


Ints = NDArray[np.int32]


class Books(NamedTuple):
    """Ten levels a side at some instants; (event, level), won and shares, 0 where empty."""

    ask_prices: Ints
    bid_prices: Ints
    ask_qtys: Ints
    bid_qtys: Ints


class Tape(NamedTuple):
    """What everybody else does in one name on one day, in time order; arrays (event,).

    Attributes:
        at: Micros UTC.
        kind: PRINT, QUOTE, CALL, OPENING or CLOSING.
        price: Of a print; the expected price of a call.
        qty: Shares of a print; the expected shares of a call; 0 for a quote.
        aggressor: 1 buyer, -1 seller, 0 none.
        books: The book around each event.
        volume: Accumulated after the event.
        turnover: Accumulated after the event.
        mean_print: Shares, >= 1.
    """

    at: Longs
    kind: NDArray[np.int8]
    price: Longs
    qty: Longs
    aggressor: NDArray[np.int8]
    books: Books
    volume: Longs
    turnover: Longs
    mean_print: int


class Rates(NamedTuple):
    """How often a streamed name speaks, on average over continuous trading, per second."""

    trades: float = 0.3
    books: float = 0.4


def tape(ladder: Ladder, row: int, rates: Rates) -> Tape:
    """Build the day of one name; some 15 ms.

    Args:
        ladder: The paths.
        row: The name.
        rates: Prints and books per second.
    """
    if not ladder.market.traded[row]:
        return _silent()
    code = code_of(ladder.market.symbols[row])
    prints, volumes, prices = _prints(ladder, row, code, rates.trades)
    quotes = _instants(ladder, code, _BOOK_AT, rates.books)
    calls, expected, shares = _calls(ladder, row)
    opens, closes = int(ladder.opens_at[row]), int(ladder.closes_at[row])
    day, market = ladder.market.session, ladder.market
    quotes = quotes[(quotes > opens) & (quotes < day.closing_auction)]
    last = int(volumes[-1]) if len(volumes) else int(ladder.opening[row])
    at = np.concatenate([[opens, closes], prints, quotes, calls])
    qty = np.concatenate(
        [
            [ladder.opening[row], market.volume[row] - last],
            np.diff(volumes, prepend=ladder.opening[row]),
            np.zeros(len(quotes), np.int64),
            shares,
        ]
    )
    sizes = (2, len(prints), len(quotes), len(calls))
    kind = np.repeat(np.array([OPENING, PRINT, QUOTE, CALL], np.int8), sizes)
    kind[1] = CLOSING
    path = np.concatenate(
        [
            [market.open[row], market.close[row]],
            prices,
            ladder.prices_at(row, quotes),
            expected,
        ]
    )
    keep = ~((kind == CLOSING) & (qty == 0))
    order = np.argsort(at[keep], kind="stable")
    at, kind, path, qty = (column[keep][order] for column in (at, kind, path, qty))
    return _assemble(ladder, row, at=at, kind=kind, path=path, qty=qty)


def _assemble(
    ladder: Ladder, row: int, *, at: Longs, kind: NDArray[np.int8], path: Longs, qty: Longs
) -> Tape:
    market = ladder.market
    code = code_of(market.symbols[row])
    printed = kind == PRINT
    mean = max(int(qty[printed].mean()) if printed.any() else 1, 1)
    bid, ask = _touch(ladder, row, code, at, path)
    low, high = int(market.low[row]), int(market.high[row])
    rising = np.sign(np.diff(path, append=path[-1:]))
    buyer = uniform(ladder.seed, code, at, _AGGRESSOR) < 0.5 + 0.2 * rising
    can_buy, can_sell = (ask > 0) & (ask <= high), (bid > 0) & (bid >= low)
    # The extremes and an off-grid path price are printed at the path itself.
    at_ask = np.where(path == high, ask == path, buyer)
    at_ask = np.where(path == low, ask == path, at_ask)
    at_ask = np.where(can_buy & can_sell, at_ask, can_buy)
    off = (path % ticks(path, market.grid)) != 0
    price = np.where(at_ask, ask, bid)
    price = np.where(off | ~(can_buy | can_sell), path, price)
    single = ~printed
    price = np.where(single, path, price)
    aggressor = np.where(printed, np.where(at_ask, 1, -1), 0).astype(np.int8)
    traded = printed | (kind == OPENING) | (kind == CLOSING)
    counted = np.where(traded, qty, 0)
    return Tape(
        at=at,
        kind=kind,
        price=price,
        qty=qty,
        aggressor=aggressor,
        books=_books(ladder, row, at=at, bid=bid, ask=ask, mean=mean),
        volume=np.cumsum(counted),
        turnover=np.cumsum(counted * price),
        mean_print=mean,
    )


def _prints(ladder: Ladder, row: int, code: int, rate: float) -> tuple[Longs, Longs, Longs]:
    """Return instants of prints, the volume accumulated by each, and the path's price there."""
    day = ladder.market.session
    at = _instants(ladder, code, _TRADE_AT, rate)
    at = at[(at > ladder.opens_at[row]) & (at < day.closing_auction - SECOND)]
    marks = [ladder.rung_at(int(rung)) for rung in ladder.extremes[row] if rung > 0]
    for mark in marks:
        if ladder.thin[row] or mark == day.closing_auction:
            at = at[(at >= mark) | (at < mark - RUNG)]
    at = np.union1d(at, np.array(marks, np.int64))
    volumes = ladder.volumes_at(row, at)
    grown = np.diff(volumes, prepend=ladder.opening[row]) > 0
    at, volumes = at[grown], volumes[grown]
    prices = ladder.prices_at(row, at)
    at = np.minimum(at, day.closing_auction - SECOND)  # the last rung is where the call begins
    index, volumes = _burst(ladder, row, code, at, volumes)
    return at[index], volumes, prices[index]


def _burst(ladder: Ladder, row: int, code: int, at: Longs, volumes: Longs) -> tuple[Longs, Longs]:
    """Write some prints as two to four records: which print each is, and the volume after it."""
    draw = uniform(ladder.seed, code, at, _BURST)
    qty = np.diff(volumes, prepend=ladder.opening[row])
    parts = np.where(draw < BURST_ODDS, 2 + (draw * 3 / BURST_ODDS).astype(np.int64), 1)
    parts = np.where(qty >= 2 * parts, parts, 1)
    last = np.cumsum(parts) - 1
    index = np.repeat(np.arange(len(at)), parts)
    nth = np.arange(len(index)) - np.repeat(last - parts + 1, parts)
    short = (parts[index] - 1 - nth) * (qty[index] // parts[index])
    return index, volumes[index] - short


def _instants(ladder: Ladder, code: int, salt: int, rate: float) -> Longs:
    """Return instants of continuous trading: half of them even, half as the volume goes."""
    day = ladder.market.session
    span = day.closing_auction - day.open
    count = int(rate * span / SECOND)
    draw = uniform(ladder.seed, code, salt, np.arange(count, dtype=np.int64))
    rungs = np.linspace(0.0, 1.0, len(ladder.curve))
    curved = np.interp(draw, ladder.curve, rungs)
    even = np.arange(count) % 2 == 0
    return np.sort(day.open + (np.where(even, draw, curved) * (span - 1)).astype(np.int64))


def _calls(ladder: Ladder, row: int) -> tuple[Longs, Longs, Longs]:
    """Return the call auctions' books: instants, expected price, expected shares."""
    market, day = ladder.market, ladder.market.session
    found = []
    for start, end, begin, goal, shares in (
        (day.opening_auction, day.open, market.base, market.open, ladder.opening),
        (day.closing_auction, day.close, ladder.prices[:, -1], market.close, ladder.closing),
    ):
        at = np.arange(start + CALL_BOOK_EVERY, end, CALL_BOOK_EVERY, dtype=np.int64)
        part = (at - start) / (end - start)
        line = int(begin[row]) + (int(goal[row]) - int(begin[row])) * np.sqrt(part)
        tick = ticks(line, market.grid)
        price = np.clip(np.floor(line / tick).astype(np.int64) * tick, *_limits(ladder, row))
        found.append((at, price, np.maximum((shares[row] * part).astype(np.int64), 1)))
    one, two = found
    at, price, qty = (np.concatenate(pair) for pair in zip(one, two, strict=True))
    return at, price, qty


def _limits(ladder: Ladder, row: int) -> tuple[int, int]:
    return int(ladder.market.lower[row]), int(ladder.market.upper[row])


def _touch(ladder: Ladder, row: int, code: int, at: Longs, path: Longs) -> tuple[Longs, Longs]:
    """Return best bid and best ask around the path; 0 beyond a price limit."""
    grid, seed = ladder.market.grid, ladder.seed
    lower, upper = _limits(ladder, row)
    turn = at // SIDE_HELD
    draw = uniform(seed, code, turn, _SPREAD)
    spread = 1 + (draw >= SPREAD_ODDS[0]).astype(int) + (draw >= SPREAD_ODDS[1])
    on_bid = uniform(seed, code, turn, _SIDE) < _EVEN
    tick = ticks(path, grid)
    floor = path // tick * tick
    off = floor != path
    bid, ask = floor.copy(), np.where(off, floor + tick, path)
    for step in range(SPREAD_TICKS[1]):
        widen = (step < spread) & ~off
        ask = np.where(widen & on_bid, ask + ticks(ask, grid), ask)
        bid = np.where(widen & ~on_bid, bid - ticks(bid - 1, grid), bid)
    return np.where(bid >= lower, bid, 0), np.where(ask <= upper, ask, 0)


def _books(ladder: Ladder, row: int, *, at: Longs, bid: Longs, ask: Longs, mean: int) -> Books:
    grid = ladder.market.grid
    key = ladder.seed, code_of(ladder.market.symbols[row]), _SIZE
    lower, upper = _limits(ladder, row)
    asks, bids = np.zeros((2, len(at), LEVELS), np.int64)
    for level in range(LEVELS):
        asks[:, level], bids[:, level] = ask, bid
        ask = np.where(ask > 0, ask + ticks(ask, grid), 0)
        ask = np.where(ask <= upper, ask, 0)
        bid = np.where(bid > 0, bid - ticks(bid - 1, grid), 0)
        bid = np.where(bid >= max(lower, 1), bid, 0)
    return Books(
        ask_prices=asks.astype(np.int32),
        bid_prices=bids.astype(np.int32),
        ask_qtys=_sizes((*key, 1), at, asks, mean),
        bid_qtys=_sizes((*key, 2), at, bids, mean),
    )


def _sizes(key: tuple[int, int, int, int], at: Longs, prices: Longs, mean: int) -> Ints:
    """Return what rests at each price: it changes every ``SIZE_HELD``, each price in its turn."""
    phase = (prices * 7919) % SIZE_HELD
    block = (at[:, None] + phase) // SIZE_HELD
    draw = uniform(*key, prices, block)
    wave = np.exp((draw - 0.5) * np.sqrt(12.0) * _DEPTH_SPREAD)
    slope = 1 + _DEPTH_PER_LEVEL * np.arange(LEVELS)
    sizes = np.maximum(mean * _DEPTH_MEAN_PRINTS * wave * slope, 1).astype(np.int32)
    return np.where(prices > 0, sizes, np.int32(0))


def _silent() -> Tape:
    none = np.zeros(0, np.int64)
    few = np.zeros(0, np.int8)
    empty = np.zeros((0, LEVELS), np.int32)
    return Tape(none, few, none, none, few, Books(empty, empty, empty, empty), none, none, 1)
