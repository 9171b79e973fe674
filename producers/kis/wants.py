"""Who should be streamed: a fold of what the rest of the system says.

Open parents first, then holdings by value, then the newest screen by rank; before a first screen
the largest companies of ``market.instruments``.  Names no longer known fall out by themselves.
"""

from typing import Any, Final, NamedTuple

from schemas import topics
from schemas.market import Instrument
from schemas.orders import OrderEvent
from schemas.portfolio import PortfolioStated
from schemas.scores import Screened
from schemas.topics import Topic
from schemas.units import Micros, Symbol

INPUTS: Final[tuple[Topic, ...]] = (
    topics.INSTRUMENTS,
    topics.SCREEN,
    topics.ORDERS,
    topics.POSITIONS,
)

FIRST_NAMES: Final = 20
"""Before a first screen nobody is worth polling, and this many can be streamed."""

COMMON: Final = "COMMON"


class Known(NamedTuple):
    """What has been said.

    Attributes:
        screened_at: When the newest screen was taken; 0 before the first.
        screened: Its names, best first.
        parents: Open parents to their symbols, oldest first.
        held: Names held, largest value first.
        sizes: Market value of tradable common stocks in won.
    """

    screened_at: Micros
    screened: tuple[Symbol, ...]
    parents: dict[str, Symbol]
    held: tuple[Symbol, ...]
    sizes: dict[Symbol, int]


def know(known: Known, event: Any) -> Known:
    """Fold one event of ``INPUTS`` into what is known.

    Args:
        known: Changed in place where it is a dict: one reader, thousands of instruments.
        event: The next event.

    Returns:
        What is known now.
    """
    if isinstance(event, Instrument):
        return _master(known, event)
    if isinstance(event, Screened):
        if event.ts_event < known.screened_at:
            return known
        return known._replace(screened_at=event.ts_event, screened=event.symbols)
    if isinstance(event, PortfolioStated):
        values = zip(event.symbols, event.qtys, event.marks, strict=True)
        worth = {symbol: qty * mark for symbol, qty, mark in values if qty}
        return known._replace(held=tuple(sorted(worth, key=lambda s: (-worth[s], s))))
    if isinstance(event, OrderEvent):
        return _order(known, event)
    return known


def candidates(known: Known) -> tuple[Symbol, ...]:
    """Return who may be streamed or polled, best first."""
    if known.screened_at:
        return known.screened
    sizes = known.sizes
    return tuple(sorted(sizes, key=lambda symbol: (-sizes[symbol], symbol))[:FIRST_NAMES])


def _master(known: Known, event: Instrument) -> Known:
    tradable = not event.halted and not event.delisting and event.security_type == COMMON
    if tradable:
        known.sizes[event.symbol] = event.market_cap
    else:
        known.sizes.pop(event.symbol, None)
    return known


def _order(known: Known, event: OrderEvent) -> Known:
    if event.kind == "parent_opened":
        known.parents[event.parent_id] = event.symbol
    elif event.kind == "parent_finished":
        known.parents.pop(event.parent_id, None)
    return known


def fresh() -> Known:
    """Return what is known at the start: nothing."""
    return Known(Micros(0), (), {}, (), {})
