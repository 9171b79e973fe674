"""Realised volatility.

    realized_vol = sqrt(sum(log(price / price_before) ** 2))    over prints

A squared return is kept as an integer of 1e-18: a sum of integers does not depend on how the
stream was cut.  One tick at the finest grid (5 won at 100,000) is 2.5e-9, so nine digits hold.
A window's first print is compared with the print before it, in an earlier window, so the
squares of the seconds of a minute add up to the square of the minute.
"""

from math import log, sqrt
from typing import Final

from schemas.units import Won

_UNIT: Final = 10**18
_UNIT_ROOT: Final = 10**9


def squared(before: Won, price: Won) -> int:
    """Return the squared log return between two prints (both > 0), in 1e-18."""
    if before == price:
        return 0
    change = log(price / before)
    return round(change * change * _UNIT)


def close(squares: int, pairs: int) -> float | None:
    """Return the realised volatility of a window, as a ratio.

    Args:
        squares: Sum of ``squared``.
        pairs: How many were added.

    Returns:
        Not annualised; None when no print had one before it.
    """
    return sqrt(squares) / _UNIT_ROOT if pairs else None
