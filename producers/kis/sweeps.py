"""When the names that are not streamed are polled: once a minute, all as of one instant.

    n names -> ceil(n / 30) calls at once, as each minute begins

One cross-section is worth more than the same prices spread over a minute, and scores are made as of
whole minutes.  The calls wait in the governor's lane behind every order.
"""

from collections.abc import Sequence
from typing import Final

from schemas.krx.sessions import kst_date, session
from schemas.units import MINUTE, Micros, Symbol

NAMES_MAX: Final = 30
EVERY: Final = MINUTE


def calls(names: Sequence[Symbol]) -> list[tuple[Symbol, ...]]:
    """Return the calls of a round: everybody once, at most ``NAMES_MAX`` names a call."""
    return [tuple(names[at : at + NAMES_MAX]) for at in range(0, len(names), NAMES_MAX)]


def next_round(now: Micros) -> Micros:
    """Return when everybody is asked again: as the next minute begins.

    A round that was missed is not made up: the freshest price is the only one that matters.
    """
    return Micros(now - now % EVERY + EVERY)


def within(now: Micros) -> bool:
    """Tell whether prices can change: from the opening auction to a minute after the close."""
    today = session(kst_date(now))
    return today is not None and today.opening_auction <= now < today.close + MINUTE
