"""How far an accelerated day may go on the scheduler's word, and when its time is due to be said.

    reached = now, but at most the T of the oldest run in flight that decides something
    until   = the next slot of the timetable, so that it fires at its instant; of a score,
              ``SLACK_DECIDING`` past its T, for every source has to pass it

A decision is a run that scores or trades, or one that such a run waits for: market time must
not run away from it.  A hold that lasts ``HOLD_S_MAX`` of wall time is let go, because while
time stands no limit in market time would ever end it.
"""

from collections.abc import Container, Iterable
from typing import Final, NamedTuple

from infra.clock import SLACK_DECIDING
from scheduler import agenda
from scheduler.state import Waiting
from scheduler.timetable import Timetable
from scheduler.triggers import KRX, Slot
from schemas.krx.sessions import kst_date, session
from schemas.units import MINUTE, SECOND, Micros

HELD_GROUP: Final = "trading"
SCORING: Final = "role:scores."
HOLD_S_MAX: Final = 60.0
"""Wall seconds one run may hold market time."""

SETTLE_S: Final = 0.25
"""Wall seconds a score holds on after its end: its signals are on their way to those who act."""

SAY_SESSION: Final = SECOND
SAY_OUTSIDE: Final = MINUTE
LOOK_AHEAD: Final = Micros(5 * MINUTE)
"""More than time can go in one step."""

DUE_AFTER: Final = SECOND
"""A decision at T is due once every source has passed T by this: drivers cut whole seconds."""


class Hold(NamedTuple):
    """A run in flight that holds market time.

    Attributes:
        at: Its T.
        began_s: Wall seconds when it began.
        scoring: It makes a score: time stands closer.
        ended_s: Wall seconds when its end was seen.
    """

    at: Micros
    began_s: float
    scoring: bool = False
    ended_s: float | None = None


def deciding(table: Timetable) -> frozenset[str]:
    """Return the jobs that market time waits for: those that decide, and all they depend on."""
    found: set[str] = set()
    for job in reversed(tuple(table.jobs.values())):  # children first
        if job.target.startswith(SCORING) or job.group == HELD_GROUP or job.name in found:
            found |= {job.name, *(edge.parent for edge in job.depends_on)}
    return frozenset(found)


def next_stop(table: Timetable, now: Micros, waiting: Iterable[Waiting] = ()) -> Micros | None:
    """Return the instant the next slot or retry lets time go to, if one is near enough to matter.

    Args:
        table: Whose slots.
        now: Market time.
        waiting: What is due and has not started; retries among it have an instant of their own.
    """
    slots = [
        (each.job, each.at)
        for each in agenda.due(table, now, Micros(now + LOOK_AHEAD), KRX)
        if isinstance(each, Slot)
    ]
    retries = [(e.slot.job, e.due) for e in waiting if e.due is not None and e.due > now]
    return min(
        (
            Micros(at + SLACK_DECIDING) if scores(table, job) else at
            for job, at in (*slots, *retries)
        ),
        default=None,
    )


def scores(table: Timetable, job: str) -> bool:
    """Say whether a job makes a score."""
    return table.jobs[job].target.startswith(SCORING)


def reached(
    holds: dict[str, Hold],
    running: Container[str],
    now: Micros,
    wall_s: float,
    stop: Micros | None = None,
) -> tuple[Micros, Micros | None, list[str]]:
    """Return how far market time may count on us and go, and the runs whose hold is let go.

    Args:
        holds: By fire id, as they began; those that end here are taken out.
        running: Fire ids whose end is not known.
        now: Market time.
        wall_s: The monotonic wall clock.
        stop: Where the next slot lets time go to, None when it is far.
    """
    for name in [each for each in holds if each not in running]:
        hold = holds[name]
        ended_s = wall_s if hold.ended_s is None else hold.ended_s
        holds[name] = hold._replace(ended_s=ended_s)
        if not hold.scoring or wall_s - ended_s > SETTLE_S:
            del holds[name]
    overdue = [
        name
        for name, each in holds.items()
        if each.ended_s is None and wall_s - each.began_s > HOLD_S_MAX
    ]
    for name in overdue:
        del holds[name]
    stops = [Micros(each.at + SLACK_DECIDING) for each in holds.values() if each.scoring]
    stops += [] if stop is None else [stop]
    return min([now, *(each.at for each in holds.values())]), min(stops, default=None), overdue


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
