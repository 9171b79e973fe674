"""Signed volume: what buyers took minus what sellers hit, in shares.

A call auction's print has no aggressor and counts for neither.
"""

from schemas.units import Shares


def signed(aggressor: str, qty: Shares) -> int:
    """Return ``qty`` with the aggressor's sign: buy +, sell -, none 0."""
    if aggressor == "buy":
        return qty
    return -qty if aggressor == "sell" else 0
