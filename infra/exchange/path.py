"""The price path of a name: a pure function of (seed, bar, time) that keeps to its bar.

A ladder has a rung every 30 s of continuous trading.  Rung 0 is the opening price, two rungs are
the high and the low, and a seeded bridge, folded back into [low, high], fills the rest; between
rungs the price moves in a straight line over the tick grid.  Volume follows a U-shaped curve:

    volume(t) = opening auction + floor(rest * F(t)) + closing auction at the close

Every rung's price is on the grid or one of the bar's own four prices, which may lie off it.  A thin
name changes its price only on rungs where it trades.  Turnover pays the price of the last rung.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.exchange.day import DayMarket, Longs
from infra.exchange.noise import code_of, uniform
from schemas.krx.prices import Grid
from schemas.krx.sessions import RANDOM_END_MAX
from schemas.units import SECOND, Micros

RUNG: Final = Micros(30 * SECOND)
OPENING_SHARE: Final = (0.01, 0.04)
CLOSING_SHARE: Final = (0.03, 0.08)
"""Share of the day's volume that the two auctions take; half-open ranges, seeded per name."""


_AMPLITUDE: Final = 0.7
"""Standard deviation of the bridge over the whole day, in units of the day's range."""

_THIN_SHARES_PER_RUNG: Final = 10
_FIRST_EXTREME_FOLLOWS_TREND: Final = 0.65
_ORDER, _FIRST, _SECOND_AT, _OPENING, _CLOSING, _WALK, _OPEN_END, _CLOSE_END = range(8)


class Snapshot(NamedTuple):
    """Names at an instant; arrays (name,) int64, all 0 for a name that has not traded yet."""

    price: Longs
    open: Longs
    high: Longs
    low: Longs
    volume: Longs
    turnover: Longs


class Ladder(NamedTuple):
    """The paths of all names of a day.

    Attributes:
        market: The bars.
        seed: Of the paths.
        prices: Rung prices, (name, rung).
        highs, lows: Running extremes, (name, rung).
        turnovers: Won up to each rung, opening auction included, (name, rung).
        curve: F at each rung, (rung,), from 0 to 1.
        opening, closing: Shares of the two auctions, (name,).
        opens_at, closes_at: When the auctions end, micros, (name,).
        extremes: The two rungs of high and low, (name, 2); -1 when there is none.
        thin: Names that keep a rung's price until the next, (name,).
    """

    market: DayMarket
    seed: int
    prices: NDArray[np.int32]
    highs: NDArray[np.int32]
    lows: NDArray[np.int32]
    turnovers: Longs
    curve: NDArray[np.float64]
    opening: Longs
    closing: Longs
    opens_at: Longs
    closes_at: Longs
    extremes: Longs
    thin: NDArray[np.bool_]

    def at(self, instant: int, rows: Longs) -> Snapshot:
        """Return names as they stand at ``instant`` (micros UTC)."""
        market = self.market
        rung, part = self._place(np.full(len(rows), instant, np.int64))
        price = self._price(rows, rung, part)
        volume = self._volume(rows, rung, part)
        paid = self.prices[rows, rung] * (volume - self._volume(rows, rung, np.zeros_like(part)))
        high = np.maximum(self.highs[rows, rung], price)
        low = np.minimum(self.lows[rows, rung], price)
        turnover = self.turnovers[rows, rung] + paid
        closed = instant >= self.closes_at[rows]
        last = np.where(closed, market.close[rows], price)
        begun = (instant >= self.opens_at[rows]) & market.traded[rows]
        return Snapshot(
            price=np.where(begun, last, 0),
            open=np.where(begun, market.open[rows], 0),
            high=np.where(begun, np.where(closed, market.high[rows], high), 0),
            low=np.where(begun, np.where(closed, market.low[rows], low), 0),
            volume=np.where(begun, np.where(closed, market.volume[rows], volume), 0),
            turnover=np.where(begun, turnover + closed * self.closing[rows] * last, 0),
        )

    def prices_at(self, row: int, instants: Longs) -> Longs:
        """Return one name's path at instants within continuous trading."""
        rung, part = self._place(instants)
        return self._price(np.full(len(instants), row), rung, part)

    def volumes_at(self, row: int, instants: Longs) -> Longs:
        """Return one name's accumulated volume at instants within continuous trading."""
        rung, part = self._place(instants)
        return self._volume(np.full(len(instants), row), rung, part)

    def share_at(self, instant: int) -> float:
        """Return the share of a usual day's volume that has traded by ``instant``."""
        since = (instant - self.market.session.open) / RUNG
        if since >= len(self.curve) - 1:
            return 1.0 if instant >= self.market.session.close else 1 - sum(CLOSING_SHARE) / 2
        rung = max(int(since), 0)
        f = self.curve[rung] + (self.curve[rung + 1] - self.curve[rung]) * max(since - rung, 0.0)
        opening, closing = sum(OPENING_SHARE) / 2, sum(CLOSING_SHARE) / 2
        return float(opening + (1 - opening - closing) * f)

    def rung_at(self, rung: int) -> Micros:
        """Return the instant of a rung."""
        return Micros(self.market.session.open + rung * RUNG)

    def _place(self, instants: Longs) -> tuple[Longs, NDArray[np.float64]]:
        since = np.clip(instants - self.market.session.open, 0, (len(self.curve) - 1) * RUNG)
        rung = since // RUNG
        return rung, (since - rung * RUNG) / RUNG

    def _price(self, rows: Longs, rung: Longs, part: NDArray[np.float64]) -> Longs:
        here = self.prices[rows, rung].astype(np.int64)
        there = self.prices[rows, np.minimum(rung + 1, len(self.curve) - 1)]
        moved = nearest(here + (there - here) * part, self.market.grid)
        moved = np.clip(moved, np.minimum(here, there), np.maximum(here, there))
        return np.where(self.thin[rows] | (part == 0), here, moved)

    def _volume(self, rows: Longs, rung: Longs, part: NDArray[np.float64]) -> Longs:
        f = self.curve[rung]
        f = f + (self.curve[np.minimum(rung + 1, len(self.curve) - 1)] - f) * part
        rest = self.market.volume[rows] - self.opening[rows] - self.closing[rows]
        return self.opening[rows] + np.floor(rest * f).astype(np.int64)


def build(market: DayMarket, seed: int) -> Ladder:
    """Build the paths of a day: 2,900 names in about a second."""
    day = market.session
    rungs = (day.closing_auction - day.open) // RUNG
    codes = np.array([code_of(symbol) for symbol in market.symbols], np.int64)
    opening, closing = _auction_shares(market, seed, codes)
    rest = market.volume - opening - closing
    curve = _curve(rungs)
    extremes, values = _extremes(market, seed, codes, rest, curve)
    prices = _bridge(market, seed, codes, extremes=extremes, values=values, rungs=rungs)
    thin = rest < _THIN_SHARES_PER_RUNG * rungs
    cumulative = opening[:, None] + np.floor(rest[:, None] * curve).astype(np.int64)
    _hold_while_still(prices, cumulative, thin)
    paid = np.zeros_like(cumulative)
    paid[:, 0] = opening * prices[:, 0]
    paid[:, 1:] = np.diff(cumulative, axis=1) * prices[:, :-1]
    ends = uniform(seed, codes, _OPEN_END), uniform(seed, codes, _CLOSE_END)
    return Ladder(
        market=market,
        seed=seed,
        prices=prices,
        highs=np.maximum.accumulate(prices, axis=1),
        lows=np.minimum.accumulate(prices, axis=1),
        turnovers=np.cumsum(paid, axis=1),
        curve=curve,
        opening=opening,
        closing=closing,
        opens_at=day.open + (ends[0] * (RANDOM_END_MAX - 1)).astype(np.int64),
        closes_at=day.close + (ends[1] * (RANDOM_END_MAX - 1)).astype(np.int64),
        extremes=extremes,
        thin=thin,
    )


def ticks(prices: NDArray[np.float64] | Longs, grid: Grid) -> Longs:
    """Return the tick at each price."""
    steps = np.array(grid.ticks, np.int64)
    return steps[np.searchsorted(np.array(grid.bounds), prices, side="right")]


def nearest(prices: NDArray[np.float64], grid: Grid) -> Longs:
    """Return the nearest price on the grid; a half goes up."""
    tick = ticks(prices, grid)
    return np.floor(prices / tick + 0.5).astype(np.int64) * tick


def _curve(rungs: int) -> NDArray[np.float64]:
    u = np.linspace(0.0, 1.0, rungs + 1)
    area = 0.55 * u + 0.27 * (1 - np.exp(-u / 0.08)) + 0.18 * np.exp(-(1 - u) / 0.1)
    share: NDArray[np.float64] = (area - area[0]) / (area[-1] - area[0])
    return share


def _auction_shares(market: DayMarket, seed: int, codes: Longs) -> tuple[Longs, Longs]:
    def share(bounds: tuple[float, float], salt: int) -> NDArray[np.float64]:
        return bounds[0] + (bounds[1] - bounds[0]) * uniform(seed, codes, salt)

    volume = market.volume
    opening = np.maximum(np.floor(volume * share(OPENING_SHARE, _OPENING)), 1).astype(np.int64)
    closing = np.maximum(np.floor(volume * share(CLOSING_SHARE, _CLOSING)), 1).astype(np.int64)
    opening = np.minimum(opening, volume)
    return opening, np.minimum(closing, volume - opening)


def _extremes(
    market: DayMarket, seed: int, codes: Longs, rest: Longs, curve: NDArray[np.float64]
) -> tuple[Longs, Longs]:
    """Return rungs and prices of the two extremes in time order, each (name, 2)."""
    rises = market.close >= market.open
    trend = uniform(seed, codes, _ORDER) < _FIRST_EXTREME_FOLLOWS_TREND
    low_first = rises == trend
    low, high = market.low, market.high
    values = np.stack([np.where(low_first, low, high), np.where(low_first, high, low)], axis=1)
    only = np.where((low == market.open) | (low == market.close), high, low)
    values[rest == 1, 1] = only[rest == 1]
    spare = np.maximum(rest - 1, 0)
    first = 1 + np.floor(0.45 * uniform(seed, codes, _FIRST) * spare).astype(np.int64)
    second = rest - np.floor(0.45 * uniform(seed, codes, _SECOND_AT) * spare).astype(np.int64)
    rungs = np.stack([_rung_of(first, rest, curve), _rung_of(second, rest, curve)], axis=1)
    rungs[rest <= 0] = -1
    return rungs, values


def _rung_of(share: Longs, rest: Longs, curve: NDArray[np.float64]) -> Longs:
    """Return the first rung by which ``share`` of the ``rest`` shares have traded."""
    total = np.maximum(rest, 1)
    rung: Longs = np.minimum(np.searchsorted(curve, share / total), len(curve) - 1)
    rung = np.maximum(rung - 1, 0)
    for _ in range(2):  # rounding may be off by one rung either way
        rung = np.where(np.floor(total * curve[rung]) < share, rung + 1, rung)
        rung = np.minimum(rung, len(curve) - 1)
    return rung


def _bridge(
    market: DayMarket, seed: int, codes: Longs, *, extremes: Longs, values: Longs, rungs: int
) -> NDArray[np.int32]:
    count = len(codes)
    walk = np.zeros((count, rungs + 1))
    steps = uniform(seed, codes[:, None], _WALK, np.arange(rungs, dtype=np.int64)[None, :])
    np.cumsum((steps - 0.5) * np.sqrt(12.0 / rungs), axis=1, out=walk[:, 1:])
    spots = np.clip(np.stack([np.zeros(count, np.int64), *extremes.T], axis=1), 0, rungs)
    spots = np.concatenate([spots, np.full((count, 1), rungs)], axis=1)
    marks = np.concatenate([market.open[:, None], values, market.close[:, None]], axis=1)
    path = np.empty((count, rungs + 1))
    rung = np.arange(rungs + 1)[None, :]
    scale = (_AMPLITUDE * (market.high - market.low))[:, None]
    for leg in range(3):
        begin, end = spots[:, leg, None], spots[:, leg + 1, None]
        part = (rung - begin) / np.maximum(end - begin, 1)
        ends = np.take_along_axis(walk, begin, 1), np.take_along_axis(walk, end, 1)
        bridge = walk - ends[0] - part * (ends[1] - ends[0])
        line = marks[:, leg, None] + part * (marks[:, leg + 1] - marks[:, leg])[:, None]
        inside = (rung >= begin) & (rung <= end)
        path = np.where(inside, line + scale * bridge, path)
    low, high = market.low[:, None], market.high[:, None]
    prices = np.clip(nearest(_fold(path, low, high), market.grid), low, high)
    at = np.arange(count)
    for leg in (3, 0, 1, 2):
        held = np.full(count, True) if leg in {0, 3} else extremes[:, leg - 1] >= 0
        prices[at[held], spots[held, leg]] = marks[held, leg]
    return prices.astype(np.int32)


def _fold(path: NDArray[np.float64], low: Longs, high: Longs) -> NDArray[np.float64]:
    """Reflect a path at the bounds until it lies within."""
    width = np.maximum(high - low, 1)
    over = np.mod(path - low, 2 * width)
    folded: NDArray[np.float64] = np.minimum(low + width - np.abs(over - width), high)
    return folded


def _hold_while_still(
    prices: NDArray[np.int32], cumulative: Longs, thin: NDArray[np.bool_]
) -> None:
    """Keep the price of thin names, in place, over rungs without a share traded."""
    few = np.flatnonzero(thin)
    moved = np.diff(cumulative[few], axis=1, prepend=-1) > 0
    last = np.maximum.accumulate(np.where(moved, np.arange(prices.shape[1]), 0), axis=1)
    prices[few] = np.take_along_axis(prices[few], last, 1)
