"""Quoted spread.

spread = (ask - bid) / mid    in bps
"""


def close(bid: int, ask: int) -> float:
    """Return the spread of a two-sided book (won, both > 0) in bps of its mid."""
    return 20_000 * (ask - bid) / (bid + ask)
