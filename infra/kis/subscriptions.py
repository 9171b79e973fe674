"""Which names are streamed: 41 registrations per app key, 20 names deep and one notice.

Pure.  A name is deep when its prints and its book are registered, so it costs two.  Open orders
come first, then holdings, then candidates by rank.  A streamed candidate keeps its place until its
rank falls ``margin`` places below the last one that fits: each change costs two messages and a gap.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from schemas.errors import Fatal
from schemas.kis.tables import BOOKS, TRADES
from schemas.units import Symbol

REGISTRATIONS_MAX: Final = 41
STREAMS_PER_NAME: Final = 2
NAMES_DEEP_MAX: Final = (REGISTRATIONS_MAX - 1) // STREAMS_PER_NAME
MARGIN_RANKS: Final = 10


class Registration(NamedTuple):
    """One of the 41.

    Attributes:
        tr_id: The stream.
        tr_key: A symbol, or an HTS id for notices.
    """

    tr_id: str
    tr_key: str


class Plan(NamedTuple):
    """Who is streamed and who is polled.

    Attributes:
        streamed: Symbols with prints and book, most important first.
        polled: The other symbols asked for, in their order.
        registrations: What to register, at most 41, the notice first.
    """

    streamed: tuple[Symbol, ...]
    polled: tuple[Symbol, ...]
    registrations: tuple[Registration, ...]


def plan(
    *,
    ordered: Sequence[Symbol],
    held: Sequence[Symbol],
    candidates: Sequence[Symbol],
    streamed: Iterable[Symbol] = (),
    notice: Registration | None = None,
    names_max: int = NAMES_DEEP_MAX,
    margin: int = MARGIN_RANKS,
) -> Plan:
    """Choose the names of one app key.

    Args:
        ordered: With an open order, most important first.
        held: In the portfolio, largest first.
        candidates: By rank, best first.
        streamed: Streamed now.
        notice: The account's notices, when this key carries them.
        names_max: Names streamed at most, 0..20.
        margin: Ranks a streamed candidate may fall below the last that fits.

    Returns:
        The plan; the same arguments give the same plan.

    Raises:
        Fatal: ``names_max`` does not fit 41 registrations.
    """
    if not 0 <= names_max <= NAMES_DEEP_MAX:
        raise Fatal(f"expected 0..{NAMES_DEEP_MAX} names per app key, was {names_max}")
    bound = list(dict.fromkeys([*ordered, *held]))
    free = [each for each in dict.fromkeys(candidates) if each not in set(bound)]
    room = max(names_max - len(bound), 0)
    now = set(streamed)
    staying = [each for each in free[: room + margin] if each in now][:room]
    joining = [each for each in free if each not in set(staying)][: room - len(staying)]
    chosen = set(staying) | set(joining)
    deep = (*bound[:names_max], *(each for each in free if each in chosen))
    polled = tuple(each for each in [*bound, *free] if each not in set(deep))
    return Plan(deep, polled, _registrations(deep, notice))


def _registrations(deep: Sequence[Symbol], notice: Registration | None) -> tuple[Registration, ...]:
    streams = [Registration(tr_id, symbol) for symbol in deep for tr_id in (TRADES, BOOKS)]
    return (*([notice] if notice is not None else []), *streams)
