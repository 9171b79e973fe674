"""Turnover: what changed hands, in won.

turnover = sum(price * qty)
"""

from schemas.units import Shares, Won


def won(price: Won, qty: Shares) -> Won:
    """Return what one trade moved."""
    return Won(price * qty)
