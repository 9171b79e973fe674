"""What the account holds when the day opens: given, or the day's most liquid names by rule."""

from typing import Final

import numpy as np

from infra.exchange.account import Holding
from infra.exchange.day import DayMarket
from schemas.errors import Misconfigured

PERCENT: Final = 4
"""Most of the equity in one name at the opening, unless it is said."""

_PARTS: Final = 3


def holdings(market: DayMarket, text: str, cash: int) -> tuple[dict[str, Holding], int]:
    """Return the opening holdings and the cash beside them.

    Args:
        market: The day.
        text: ``8`` or ``20@2``: that many of the most traded names, each for at most that
            percentage of the equity at the base price, paid from the cash; or
            ``SYMBOL:QTY:COST,...`` beside it.
        cash: Won.

    Raises:
        Misconfigured: The text is neither, or a symbol is not listed.
    """
    count, _, percent = text.partition("@")
    if count.isdigit() and (percent or str(PERCENT)).isdigit():
        most = cash * int(percent or PERCENT) // 100
        liquid = np.argsort(-np.where(market.traded, market.turnover, 0), kind="stable")
        found: dict[str, Holding] = {}
        left = cash
        for row in liquid[: int(count)]:
            price = int(market.base[row])
            qty = most // price
            if qty:
                found[market.symbols[row]] = Holding(qty, qty * price)
                left -= qty * price
        return found, left
    found = {}
    for part in filter(None, text.split(",")):
        symbol, *numbers = part.split(":")
        if symbol not in market.row or len(numbers) != _PARTS - 1:
            raise Misconfigured(f"expected SYMBOL:QTY:COST of a listed name, was {part!r}")
        found[symbol] = Holding(int(numbers[0]), int(numbers[1]))
    return found, cash
