"""How far an accelerated day may go on the scheduler's word, and when its time is due to be said.

    reached = now, but at most the T of the oldest run in flight that decides something
    until   = ``SLACK_DECIDING`` past the T of a score that is being made or comes next; without
              one, the exchange's slack decides

A decision is a run that scores or trades, or one that such a run waits for: market time must
not run away from it.  A hold that lasts ``HOLD_S_MAX`` of wall time is let go, because while
time stands no limit in market time would ever end it.
"""

from collections.abc import Container
from typing import Final, NamedTuple

from infra.clock import SLACK_DECIDING, SLACK_IDLE
from scheduler import agenda
from scheduler.timetable import Timetable
from scheduler.triggers import KRX, Slot
from schemas.krx.sessions import kst_date, session
from schemas.units import MINUTE, SECOND, Micros

HELD_GROUP: Final = "trading"
SCORING: Final = "role:scores."
HOLD_S_MAX: Final = 60.0
"""Wall seconds one run may hold market time."""

SAY_SESSION: Final = SECOND
SAY_OUTSIDE: Final = MINUTE
DUE_AFTER: Final = SECOND
"""A decision at T is due once every source has passed T by this: drivers cut whole seconds."""


class Hold(NamedTuple):
    """A run in flight that holds market time.

    Attributes:
        at: Its T.
        began_s: Wall seconds when it began.
        scoring: It makes a score: time stands closer.
    """

    at: Micros
    began_s: float
    scoring: bool = False


def deciding(table: Timetable) -> frozenset[str]:
    """Return the jobs that market time waits for: those that decide, and all they depend on."""
    found: set[str] = set()
    for job in reversed(tuple(table.jobs.values())):  # children first
        if job.target.startswith(SCORING) or job.group == HELD_GROUP or job.name in found:
            found |= {job.name, *(edge.parent for edge in job.depends_on)}
    return frozenset(found)


def next_score(table: Timetable, now: Micros) -> Micros | None:
    """Return the T of the next score, if one is near enough to matter."""
    ahead = agenda.due(table, now, Micros(now + SLACK_IDLE), KRX)
    found = [
        each.at
        for each in ahead
        if isinstance(each, Slot) and table.jobs[each.job].target.startswith(SCORING)
    ]
    return min(found, default=None)


def reached(
    holds: dict[str, Hold],
    running: Container[str],
    now: Micros,
    wall_s: float,
    score: Micros | None = None,
) -> tuple[Micros, Micros | None, list[str]]:
    """Return how far market time may count on us and go, and the runs whose hold is let go.

    Args:
        holds: By fire id, as they began; those that end here are taken out.
        running: Fire ids whose end is not known.
        now: Market time.
        wall_s: The monotonic wall clock.
        score: The T of the next score, None when it is far.
    """
    for name in [each for each in holds if each not in running]:
        del holds[name]
    overdue = [name for name, each in holds.items() if wall_s - each.began_s > HOLD_S_MAX]
    for name in overdue:
        del holds[name]
    scores = [each.at for each in holds.values() if each.scoring]
    scores += [] if score is None else [score]
    until = Micros(min(scores) + SLACK_DECIDING) if scores else None
    return min([now, *(each.at for each in holds.values())]), until, overdue


class Said(NamedTuple):
    """The watermark as last said, and the newest T that is not due by it; 0 before any."""

    micros: Micros = Micros(0)
    newest: Micros = Micros(0)


def to_say(said: Said, now: Micros, *, fired: bool, standing: bool) -> bool:
    """Decide whether the watermark is to be said now.

    Args:
        said: What was said, and the newest trigger's T.
        now: Market time, and what the watermark would be.
        fired: Triggers have just been committed.
        standing: Market time stands, so nobody else will make us say it.
    """
    if now <= said.micros:
        return False
    due = Micros(said.newest + DUE_AFTER)
    if fired or standing or said.micros < due <= now:
        return True
    return now - said.micros >= (SAY_SESSION if in_session(now) else SAY_OUTSIDE)


def in_session(now: Micros) -> bool:
    """Say whether the market is between its opening auction and a minute past its close."""
    today = session(kst_date(now))
    return today is not None and today.opening_auction <= now < today.close + MINUTE
