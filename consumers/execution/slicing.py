"""How a quantity is cut into children: children plus residual equal the parent, always."""

from typing import NamedTuple

from schemas.units import Shares


class Slice(NamedTuple):
    """A child to be."""

    order_type: str
    qty: Shares


def cut(qty: Shares, market_percent: int) -> tuple[Slice, ...]:
    """Cut a quantity into a limit and a market child.

    Args:
        qty: Shares, >= 0.
        market_percent: Share of the market child, 0..100; rounded to the nearest share.

    Returns:
        Children with at least one share each, the limit child first; their sum is ``qty``.
    """
    market = Shares((qty * market_percent + 50) // 100)
    children = (Slice("limit", Shares(qty - market)), Slice("market", market))
    return tuple(each for each in children if each.qty > 0)
