"""Microprice: the mid, drawn towards the side that will run out first.

    microprice = (bid * ask_qty + ask * bid_qty) / (bid_qty + ask_qty)

given as its distance from the mid in bps of the mid.
"""


def close(bid: int, bid_qty: int, ask: int, ask_qty: int) -> float | None:
    """Return the microprice minus the mid.

    Args:
        bid: Best bid, won, > 0.
        bid_qty: Shares at it.
        ask: Best ask, won, > 0.
        ask_qty: Shares at it.

    Returns:
        Basis points of the mid, above zero when buyers outweigh; None without quantities.
    """
    resting = bid_qty + ask_qty
    if not resting:
        return None
    excess = (ask - bid) * (bid_qty - ask_qty)
    return 10_000 * excess / ((bid + ask) * resting)
