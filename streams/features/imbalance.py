"""Book imbalance over ten levels.

imbalance = (bid - ask) / (bid + ask)    of the resting quantities, -1..1
"""


def close(bid_total: int, ask_total: int) -> float | None:
    """Return the imbalance.

    Args:
        bid_total: Shares resting on ten bid levels.
        ask_total: Shares resting on ten ask levels.

    Returns:
        From -1 (only sellers) to 1 (only buyers); None for an empty book.
    """
    resting = bid_total + ask_total
    return (bid_total - ask_total) / resting if resting else None
