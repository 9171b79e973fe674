"""Return of a window: its last price against the last price of the windows before it.

return = 10,000 * (last / before - 1)    in bps
"""


def close(before: int, last: int) -> float | None:
    """Return the move.

    Args:
        before: Last price before the window opened, won; 0 when there was none.
        last: Last price in the window, won; 0 when there was none.

    Returns:
        Basis points; None when one of them is missing.
    """
    return 10_000 * (last - before) / before if before and last else None
