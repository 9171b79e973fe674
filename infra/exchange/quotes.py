"""Quotes over REST: any name at market time, thirty in a call, from its path or its live book."""

from typing import Final, NamedTuple

import numpy as np

from infra.exchange.noise import code_of, uniform
from infra.exchange.venue import Venue
from schemas.units import SECOND

_SIZE_SALT: Final = 31
_SIZE_HELD: Final = 15 * SECOND
_SIZE_OF_DAY: Final = 2_000
"""Resting size of a name nobody streams: about this part of the day's volume."""


class Quote(NamedTuple):
    """A name as it stands; won and shares, 0 before its first trade; levels best first."""

    price: int
    open: int
    high: int
    low: int
    volume: int
    turnover: int
    asks: list[int]
    ask_qtys: list[int]
    bids: list[int]
    bid_qtys: list[int]


def quotes(venue: Venue, rows: list[int]) -> list[Quote]:
    """Return quotes of names in the order asked; about 10 us a name."""
    if not rows:
        return []
    shot = venue.ladder.at(venue.now, np.array(rows, np.int64))
    columns = [column.tolist() for column in shot]
    return [
        _quote(venue, row, values, sizes)
        for row, values, sizes in zip(
            rows, zip(*columns, strict=True), _sizes(venue, rows), strict=True
        )
    ]


def _quote(venue: Venue, row: int, values: tuple[int, ...], sizes: tuple[float, float]) -> Quote:
    price, first, high, low, volume, turnover = values
    symbol = venue.market.symbols[row]
    live, own = venue.live(symbol), venue.own(symbol)
    if not price:
        return Quote(0, 0, 0, 0, 0, 0, [], [], [], [])
    if live is not None and live.next:
        price = live.last_price or price
        levels = live.touch()
    else:
        levels = _around(venue, row, price, sizes)
    return Quote(
        price,
        first,
        max(high, own.high, price),
        min(low, own.low, price),
        volume + own.volume,
        turnover + own.turnover,
        *levels,
    )


def _sizes(venue: Venue, rows: list[int]) -> list[tuple[float, float]]:
    """Return for each name what rests at its ask and bid: shares of five times its mean."""
    codes = np.array([code_of(venue.market.symbols[row]) for row in rows], np.int64)
    block = venue.now // _SIZE_HELD
    draws = uniform(venue.ladder.seed, codes[:, None], _SIZE_SALT, block, np.arange(2))
    return [(ask, bid) for ask, bid in draws.tolist()]


def _around(
    venue: Venue, row: int, price: int, sizes: tuple[float, float]
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return one level a side around the path."""
    market = venue.market
    bid, ask = market.grid.floor(price), market.grid.above(price)
    mean = int(market.volume[row]) // _SIZE_OF_DAY + 1
    ask_qty, bid_qty = (1 + int(mean * (1 + 4 * share)) for share in sizes)
    asks = [int(ask)] if ask <= int(market.upper[row]) else []
    return asks, [ask_qty] if asks else [], [int(bid)], [bid_qty]
