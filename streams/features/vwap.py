"""Volume-weighted average price.

vwap = sum(price * qty) / sum(qty)    won per share
"""


def close(turnover: int, volume: int) -> float | None:
    """Return the average price of a window.

    Args:
        turnover: Won traded in it.
        volume: Shares traded in it.

    Returns:
        Won per share; None when nothing traded.
    """
    return turnover / volume if volume else None
