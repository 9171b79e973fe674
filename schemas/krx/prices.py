"""Which prices may be ordered on a day: the tick grid, the base price and the price limits.

Tick bands hold "from this price on".  Since 2023-01-25 stocks of all segments share one table;
before, KOSPI had its own and KOSDAQ and KONEX stopped at 100 won (no violation on 184,000
closes on either side of that day; KONEX: common divisors of 7,865 closes of 2021-2023).  ETF and
ETN stood on 5 won until those below 2,000 won went to 1 won in December 2023 (the press of October
2023 plans the 8th or the 18th; the 11th here is from memory).

    width = floor(base x 30 %) to the tick of the base, at least one tick   (KONEX 15 %)
    upper = base + width, floored to the tick of its own band
    lower = base - width, at least one tick

The English rule says "rounded up"; the tape says floored (469 of 469 cross-band limit hits).
15 % held on KOSPI and KOSDAQ until 2015-06-14.

The grid binds **our orders**.  Received prices may lie off it: a mid-price order trades at half
a tick (regulation of 2025-02-27), so a previous close is first raised to the grid (KOSDAQ
regulation 17(1)1) before limits are taken from it.
"""

from bisect import bisect_right
from datetime import date
from functools import cache
from typing import Final, NamedTuple

from schemas.errors import Poison
from schemas.units import Won

SEGMENTS: Final = ("KOSPI", "KOSDAQ", "KONEX")
EXCHANGE_TRADED: Final = frozenset({"ETF", "ETN"})
KINDS: Final = frozenset({"COMMON", "PREFERRED", "SPAC", "REIT", "DR"}) | EXCHANGE_TRADED
"""Security types of the KRX instrument metadata."""

_ONE_TABLE: Final = date(2023, 1, 25)
_ONE_WON_FUNDS: Final = date(2023, 12, 11)
_THIRTY_PERCENT: Final = date(2015, 6, 15)
_FOURFOLD_LISTING: Final = date(2023, 6, 26)


class Grid(NamedTuple):
    """The prices that may be ordered: band ``i`` ends below ``bounds[i]``, steps by ``ticks[i]``.

    Every bound is a multiple of the ticks on both its sides, so a rounded price stays on the grid.
    """

    bounds: tuple[int, ...]
    ticks: tuple[int, ...]

    def tick(self, price: int) -> Won:
        """Return the tick of the band that ``price`` (won, >= 0) lies in."""
        return Won(self.ticks[bisect_right(self.bounds, price)])

    def holds(self, price: int) -> bool:
        """Say whether an order may name ``price``."""
        return price > 0 and price % self.tick(price) == 0

    def floor(self, price: int) -> Won:
        """Return the highest price on the grid at or below ``price``, else 0, no price."""
        return Won(price - price % self.tick(price))

    def ceil(self, price: int) -> Won:
        """Return the lowest price on the grid at or above ``price``."""
        return Won(price + -price % self.tick(price))

    def above(self, price: int) -> Won:
        """Return the next price on the grid above ``price``."""
        return self.ceil(price + 1)

    def below(self, price: int) -> Won:
        """Return the next price on the grid below ``price``, else 0, no price."""
        return self.floor(price - 1)


class PriceLimits(NamedTuple):
    """The lowest and the highest price of a day, both allowed and both on the grid."""

    lower: Won
    upper: Won


_STOCKS: Final = Grid(
    (2_000, 5_000, 20_000, 50_000, 200_000, 500_000), (1, 5, 10, 50, 100, 500, 1_000)
)
_KOSPI_OLD: Final = Grid(
    (1_000, 5_000, 10_000, 50_000, 100_000, 500_000), (1, 5, 10, 50, 100, 500, 1_000)
)
_KOSDAQ_OLD: Final = Grid((1_000, 5_000, 10_000, 50_000), (1, 5, 10, 50, 100))
_FUNDS: Final = Grid((2_000,), (1, 5))
_FUNDS_OLD: Final = Grid((), (5,))


@cache
def grid(on: date, segment: str, kind: str = "COMMON") -> Grid:
    """Return the grid of a day; a hot caller fetches it once.

    Args:
        on: The trading day in Korea.
        segment: KOSPI, KOSDAQ or KONEX.
        kind: One of ``KINDS``.

    Raises:
        Poison: ``segment`` or ``kind`` is not in the rulebook.
    """
    _known(segment, kind)
    if kind in EXCHANGE_TRADED:
        return _FUNDS if on >= _ONE_WON_FUNDS else _FUNDS_OLD
    if on >= _ONE_TABLE:
        return _STOCKS
    return _KOSPI_OLD if segment == "KOSPI" else _KOSDAQ_OLD


def tick_size(price: int, on: date, segment: str, kind: str = "COMMON") -> Won:
    """Return the price step at ``price`` (won) on a day."""
    return grid(on, segment, kind).tick(price)


def on_grid(price: int, on: date, segment: str, kind: str = "COMMON") -> bool:
    """Say whether an order may name ``price`` on a day; a received price may lie off the grid."""
    return grid(on, segment, kind).holds(price)


def round_down(price: int, on: date, segment: str, kind: str = "COMMON") -> Won:
    """Return the highest orderable price at or below ``price``."""
    return grid(on, segment, kind).floor(price)


def round_up(price: int, on: date, segment: str, kind: str = "COMMON") -> Won:
    """Return the lowest orderable price at or above ``price``."""
    return grid(on, segment, kind).ceil(price)


def base_price(previous_close: int, on: date, segment: str, kind: str = "COMMON") -> Won:
    """Return the price a day's limits are taken from: the previous close, raised to the grid.

    Ex-rights, splits and listings have formulas of their own and are not covered here.
    """
    return grid(on, segment, kind).ceil(previous_close)


def price_limits(
    base: int, on: date, segment: str, kind: str = "COMMON", *, multiple: int = 1
) -> PriceLimits:
    """Return the price limits of a normal day.

    Args:
        base: Base price in won, > 0; an off-grid close is raised to the grid first.
        on: The trading day in Korea.
        segment: KOSPI, KOSDAQ or KONEX.
        kind: One of ``KINDS``.
        multiple: Leverage of an ETF or ETN, in absolute value; widens the limits.

    Returns:
        Limits on the grid.  They do not hold on a listing day (``listing_limits``) nor in the
        trades before a delisting, which have none.

    Raises:
        Poison: ``base`` is not a price.
    """
    if base <= 0:
        raise Poison(f"expected a base price above 0 won, was {base}; take the reference price")
    steps = grid(on, segment, kind)
    base = steps.ceil(base)
    tick = steps.tick(base)
    width = max(base * _percent(on, segment) * multiple // 100 // tick * tick, tick)
    return PriceLimits(lower=Won(max(base - width, steps.tick(1))), upper=steps.floor(base + width))


def listing_limits(offer: int, on: date, segment: str, kind: str = "COMMON") -> PriceLimits:
    """Return the limits of a listing day: 60 % to 400 % of the offer price since 2023-06-26.

    Raises:
        Poison: ``on`` is earlier; the opening price was then found by auction at 90 % to 200 %.
    """
    if on < _FOURFOLD_LISTING:
        raise Poison(f"expected a listing from {_FOURFOLD_LISTING} on, was {on}; no rule is held")
    steps = grid(on, segment, kind)
    return PriceLimits(lower=steps.ceil(-(-offer * 60 // 100)), upper=steps.floor(offer * 4))


def _percent(on: date, segment: str) -> int:
    return 30 if segment != "KONEX" and on >= _THIRTY_PERCENT else 15


def _known(segment: str, kind: str) -> None:
    if segment not in SEGMENTS:
        raise Poison(f"expected a segment of {', '.join(SEGMENTS)}, was {segment!r}")
    if kind not in KINDS:
        raise Poison(f"expected a kind of {', '.join(sorted(KINDS))}, was {kind!r}")
