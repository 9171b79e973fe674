"""When the names that are not streamed are polled: once a minute, spread evenly over it.

    n names -> ceil(n / 30) calls a minute, one every 60 s / calls, in rotation

Spread calls keep the brokerage's rate free for orders, and in an accelerated day let time go on
between them.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.krx.sessions import kst_date, session
from schemas.units import MINUTE, Micros, Symbol

NAMES_MAX: Final = 30
EVERY: Final = MINUTE


class Rotation(NamedTuple):
    """Whose turn it is.

    Attributes:
        place: The next name's place in the list.
        due: When.
    """

    place: int = 0
    due: Micros = Micros(0)


def turn(
    rotation: Rotation, names: Sequence[Symbol], now: Micros
) -> tuple[Rotation, tuple[Symbol, ...]]:
    """Return the names to poll now, and whose turn is next.

    Args:
        rotation: What the turn before left.
        names: Everybody who is polled; may change between turns.
        now: Market time.

    Returns:
        The next rotation, and at most ``NAMES_MAX`` names; none when nobody is due.  Turns that
        were missed are not made up: the freshest price is the only one that matters.
    """
    if not names or now < rotation.due:
        return rotation, ()
    calls = -(-len(names) // NAMES_MAX)
    size = -(-len(names) // calls)
    place = rotation.place if rotation.place < len(names) else 0
    asked = tuple(names[place : place + size])
    step = EVERY // calls
    due = rotation.due + step
    return Rotation(place + size, Micros(due if due > now else now + step)), asked


def within(now: Micros) -> bool:
    """Tell whether prices can change: from the opening auction to a minute after the close."""
    today = session(kst_date(now))
    return today is not None and today.opening_auction <= now < today.close + MINUTE
