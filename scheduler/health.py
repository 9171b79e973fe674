"""What of the scheduler a person should look at: ``aegis status`` turns degraded by it."""

from typing import Final

from infra.clock import wall_now
from infra.connection import Connection
from infra.registry import Serde
from scheduler import control
from scheduler.triggers import clock
from schemas.control import LeadershipHeld
from schemas.errors import Transient
from schemas.units import SECOND, Micros

SILENT_MAX: Final = Micros(30 * SECOND)
"""A takeover takes seconds; after so long nobody leads."""


def problems(connection: Connection, serde: Serde) -> list[str]:
    """Return a sentence for every job in quarantine, and one when nobody leads any more.

    A namespace in which no scheduler ever ran has no problems.
    """
    try:
        left = control.left(connection, serde)
    except Transient as error:
        return [] if "Unknown topic" in str(error) else [f"scheduler: {error}"]
    held = () if left.state is None else left.state.held.items()
    said = [
        f"job {job}: {each.word} since {clock(each.since)}: {each.reason}; mend it, then "
        f"'aegis jobs release {job} --reason ...'"
        for job, each in sorted(held)
        if each.word == "quarantined"
    ]
    return [*said, *_leaderless(left.held, wall_now())]


def _leaderless(held: LeadershipHeld | None, now: Micros) -> list[str]:
    if held is None or held.state == "left" or now - held.ts_ingest <= SILENT_MAX:
        return []
    seconds = (now - held.ts_ingest) // SECOND
    return [f"scheduler: {held.node} led last, silent for {seconds} s; start one"]
