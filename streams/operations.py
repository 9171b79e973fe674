"""Market operations of KIS (H0STMKO0) as changes of a symbol's status.

Codes are MKOP_CLS_CODE of ``reference/korea.md`` 1.4.  The exchange uses codes nobody has
published (``AB1``, 2026-09-21): an unknown one is kept as a phase ``unknown`` with its code.
"""

from typing import Final, NamedTuple

from schemas.kis.views import OperationView

UNKNOWN: Final = ("phase", "unknown")

MEANINGS: Final[dict[str, tuple[str, str]]] = {
    "110": ("phase", "opening_auction"),
    "112": ("phase", "continuous"),
    "121": ("phase", "closing_auction"),
    "129": ("phase", "closed"),
    "130": ("phase", "pre_hours"),
    "139": ("phase", "pre_hours_ended"),
    "140": ("phase", "after_hours"),
    "146": ("phase", "after_hours"),
    "149": ("phase", "after_hours_ended"),
    "150": ("phase", "off_hours_auction"),
    "156": ("phase", "off_hours_auction"),
    "159": ("phase", "off_hours_auction_ended"),
    "164": ("halt", "market_suspended"),
    "174": ("circuit_breaker", "triggered"),
    "175": ("circuit_breaker", "released"),
    "182": ("circuit_breaker", "closing"),
    "184": ("circuit_breaker", "started"),
    "185": ("circuit_breaker", "released"),
    "387": ("sidecar", "sell_on"),
    "388": ("sidecar", "sell_off"),
    "397": ("sidecar", "buy_on"),
    "398": ("sidecar", "buy_off"),
    "F01": ("phase", "opens_in_10s"),
    "F06": ("phase", "opens_in_60s"),
    "F07": ("phase", "opens_in_300s"),
    "F08": ("phase", "opens_in_600s"),
    "F09": ("phase", "opens_in_180s"),
    "F11": ("phase", "closes_in_10s"),
    "F16": ("phase", "closes_in_60s"),
    "F17": ("phase", "closes_in_300s"),
    "F18": ("phase", "closes_in_180s"),
}


class Said(NamedTuple):
    """What a symbol's last operation said."""

    code: str
    vi: bool
    halted: bool


class Change(NamedTuple):
    """A change of status; the fields are those of a ``MarketStatus``."""

    kind: str
    state: str
    code: str


NOTHING: Final = Said("", vi=False, halted=False)


def changes(before: Said | None, view: OperationView) -> tuple[Said, list[Change]]:
    """Return what an operation changes.

    Args:
        before: What the symbol's last operation said; None before the first.
        view: The next one; it repeats what has not changed.

    Returns:
        What is said now, and the changes: none for a repetition.
    """
    known = before or NOTHING
    found: list[Change] = []
    if view.code and view.code != known.code:
        kind, state = MEANINGS.get(view.code, UNKNOWN)
        found.append(Change(kind, state, view.code))
    if view.vi != known.vi:
        found.append(Change("vi", "on" if view.vi else "off", "Y" if view.vi else "N"))
    if view.halted != known.halted:
        found.append(Change("halt", "on" if view.halted else "off", view.reason))
    return Said(view.code or known.code, view.vi, view.halted), found
