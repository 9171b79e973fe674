"""When the names that are not streamed are polled: once a minute, all as of one instant.

    n names -> ceil(n / 30) calls, one after another, as each minute begins

One cross-section is worth more than the same prices spread over a minute, and scores are made as of
whole minutes.  The calls wait in the governor's lane behind every order.
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
        due: When; within a round, when it began.
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
    place = rotation.place if rotation.place < len(names) else 0
    asked = tuple(names[place : place + NAMES_MAX])
    if place + NAMES_MAX < len(names):
        return Rotation(place + NAMES_MAX, rotation.due), asked
    return Rotation(due=Micros(now - now % EVERY + EVERY)), asked


def next_round(now: Micros) -> Micros | None:
    """Return when everybody is asked again, None when prices cannot change then."""
    due = Micros(now - now % EVERY + EVERY)
    return due if within(due) else None


def within(now: Micros) -> bool:
    """Tell whether prices can change: from the opening auction to a minute after the close."""
    today = session(kst_date(now))
    return today is not None and today.opening_auction <= now < today.close + MINUTE
