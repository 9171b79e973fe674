"""What the calendar says of a year, and what another calendar would change.

``closing`` and ``opening`` lay an override over a calendar without touching it, so that a question
("what if 2026-12-07 were a temporary holiday?") runs through the very functions that decide.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from scheduler.timetable import Timetable, between
from scheduler.triggers import Calendar, Slot, Suppressed, clock
from schemas.errors import Misconfigured
from schemas.krx import calendar as krx_calendar
from schemas.krx import sessions
from schemas.krx.sessions import Session, kst_midnight
from schemas.units import Micros


class Day(NamedTuple):
    """A day out of the ordinary.

    Attributes:
        weekday: ``Mon`` to ``Sun``.
        hours: ``10:00-16:30``, or ``closed``.
        certainty: ``observed``, ``predicted``, ``announced``, or ``rule`` for a first session.
    """

    date: date
    weekday: str
    hours: str
    name: str
    certainty: str
    source: str


class Count(NamedTuple):
    """What a job does over a period: fires, and suppressed instants by reason."""

    job: str
    due: int
    suppressed: Mapping[str, int]


class Change(NamedTuple):
    """What a job does otherwise over a period.

    Attributes:
        lost: Fires that are none any more.
        gained: Fires that were none.
        moved: Fires that stay, about another logical date.
        reasons: Of the lost ones that are suppressed by name, how many per reason; the others
            were named by the session alone and have no nominal instant left.
    """

    job: str
    lost: int
    gained: int
    moved: int
    reasons: Mapping[str, int]


def year(which: int) -> tuple[Day, ...]:
    """Return a year's named closures, weekends with a name among them, and its special hours.

    Raises:
        Misconfigured: The table does not reach that year.
    """
    last = date(which, 12, 31)
    for day in (date(which, 1, 1), last):
        krx_calendar.why_closed(day)  # refuses a day it does not know
    closed = [
        Day(each.date, f"{each.date:%a}", "closed", each.name, each.certainty, each.source)
        for each in krx_calendar.closures().values()
        if each.date.year == which
    ]
    held = sessions.sessions_between(date(which, 1, 1), date.fromordinal(last.toordinal() + 1))
    return tuple(sorted([*closed, *(_special(each) for each in held if each.special)]))


def overridden(base: Calendar, days: Mapping[date, str]) -> Calendar:
    """Return the calendar that an override closing ``days`` would make.

    Raises:
        Misconfigured: A day holds no session, or is a first session, whose late hours would pass
            to the next one: that takes an override file and a new table.
    """
    for day in days:
        held = base.session(day)
        if held is None:
            raise Misconfigured(
                f"expected a session to close, was {day}: {base.why_closed(day)}; name another day"
            )
        if held.special == "first session":
            raise Misconfigured(
                f"expected a session whose hours are its own, was {day}, the year's first; add it "
                "to calendar_overrides.toml and run python -m scheduler.calendar_build"
            )
    return closing(base, days)


def closing(base: Calendar, days: Mapping[date, str]) -> Calendar:
    """Return a calendar without a session on ``days``, each closed by its reason."""
    return base._replace(
        session=lambda day: None if day in days else base.session(day),
        why_closed=lambda day: days[day] if day in days else base.why_closed(day),
    )


def opening(base: Calendar, day: date) -> Calendar:
    """Return a calendar with a session on a closed day, by the ordinary hours of that time."""
    opened = base.hours(day)
    return base._replace(
        session=lambda asked: opened if asked == day else base.session(asked),
        why_closed=lambda asked: None if asked == day else base.why_closed(asked),
    )


def counts(table: Timetable, start: date, end: date, calendar: Calendar) -> tuple[Count, ...]:
    """Return how often each job is due and suppressed over ``start <= day < end``."""
    due: Counter[str] = Counter()
    reasons: dict[str, Counter[str]] = {job: Counter() for job in table.jobs}
    for each in between(table, kst_midnight(start), kst_midnight(end), calendar):
        if isinstance(each, Slot):
            due[each.job] += 1
        else:
            reasons[each.slot.job][each.reason] += 1
    return tuple(Count(job, due[job], dict(reasons[job])) for job in table.jobs)


def changes(
    table: Timetable, start: date, end: date, before: Calendar, after: Calendar
) -> tuple[Change, ...]:
    """Return what each job does otherwise over ``start <= day < end`` on another calendar."""
    period = kst_midnight(start), kst_midnight(end)
    was = {_key(each): each for each in between(table, *period, before)}
    now = {_key(each): each for each in between(table, *period, after)}
    return tuple(
        change
        for job in table.jobs
        if (change := _change(job, was, now)) != Change(job, 0, 0, 0, {})
    )


def _change(
    job: str,
    was: Mapping[tuple[str, Micros], Slot | Suppressed],
    now: Mapping[tuple[str, Micros], Slot | Suppressed],
) -> Change:
    old = {key for key, each in was.items() if key[0] == job and isinstance(each, Slot)}
    new = {key for key, each in now.items() if key[0] == job and isinstance(each, Slot)}
    reasons = Counter(
        each.reason for key in old - new if isinstance(each := now.get(key), Suppressed)
    )
    moved = sum(was[key] != now[key] for key in old & new)
    return Change(job, len(old - new), len(new - old), moved, dict(reasons))


def _key(each: Slot | Suppressed) -> tuple[str, Micros]:
    slot = each if isinstance(each, Slot) else each.slot
    return slot.job, slot.at


def _special(held: Session) -> Day:
    exam = krx_calendar.exam_days().get(held.date)
    return Day(
        held.date,
        f"{held.date:%a}",
        f"{clock(held.open)}-{clock(held.close)}",
        exam.name if exam is not None else "First session of the year",
        exam.certainty if exam is not None else "rule",
        exam.source if exam is not None else "KRX rule: everything before the close an hour later",
    )
