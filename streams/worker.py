"""The Faust worker groups: fixed, named, one process and one consumer group each."""

from collections.abc import Mapping
from typing import Final

from infra import faust_driver
from infra.host import Context
from schemas.errors import Misconfigured
from schemas.role import Role
from streams import daily, decode, filings, moves, quality, signals
from streams.features import role as windows

GROUPS: Final[Mapping[str, tuple[Role, ...]]] = {
    "market": (
        daily.ROLE,
        filings.ROLE,
        decode.ROLE,
        quality.ROLE,
        windows.ROLE,
        moves.ROLE,
        signals.ROLE,
    ),
}

PACING: Final[Mapping[str, str]] = {windows.ROLE.name: "features"}
"""Roles an accelerated day waits for, and under which name."""


def run(context: Context, group: str) -> int:
    """Run a worker group until told to stop.

    Raises:
        Misconfigured: There is no such group.
    """
    if group not in GROUPS:
        raise Misconfigured(f"expected a worker group of {', '.join(GROUPS)}, was {group!r}")
    return faust_driver.run(faust_driver.make_app(context, group, GROUPS[group], PACING))
