"""How a quantity is cut into children: children plus residual equal the parent, always."""

from typing import NamedTuple

from schemas.units import Shares


class Slice(NamedTuple):
    """A child to be."""

    order_type: str
    qty: Shares


def cut(qty: Shares, market_percent: int, limit_children: int = 1) -> tuple[Slice, ...]:
    """Cut a quantity into limit children and a market child.

    Args:
        qty: Shares, >= 0.
        market_percent: Share of the market child, 0..100; rounded to the nearest share.
        limit_children: Most limit children, >= 1.

    Returns:
        Children with at least one share each, limit children first, all of different
        sizes and as equal as that allows; their sum is ``qty``.
    """
    market = market_part(qty, market_percent)
    steps = _steps(qty - market, limit_children)
    children = (*(Slice("limit", step) for step in steps), Slice("market", market))
    return tuple(child for child in children if child.qty > 0)


def market_part(qty: int, market_percent: int) -> Shares:
    """Return the shares of the market child, to the nearest one."""
    return Shares((qty * market_percent + 50) // 100)


def _steps(limit: int, most: int) -> list[Shares]:
    """Cut into at most ``most`` different sizes, so that a listing tells them apart."""
    count = min(most, limit)
    while count * (count + 1) // 2 > limit:
        count -= 1
    if count == 0:
        return []
    first, more = divmod(limit - count * (count - 1) // 2, count)
    steps = [first + index for index in range(count)]
    steps[-1] += more
    return [Shares(each) for each in steps]
