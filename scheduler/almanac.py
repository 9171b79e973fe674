"""What the calendar says of a year, and what another calendar would change.

``closing`` and ``opening`` lay an override over a calendar without touching it, so that a question
("what if 2026-12-07 were a temporary holiday?") runs through the very functions that decide.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from scheduler.timetable import Timetable, between
from scheduler.triggers import Calendar, Slot, Suppressed, clock
from schemas.errors import Misconfigured
from schemas.krx import calendar as krx_calendar
from schemas.krx import sessions
from schemas.krx.sessions import Session, kst_midnight
from schemas.units import HOUR, Micros


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


class Apart(NamedTuple):
    """A day of which two calendars say different things: hours, or why it is closed."""

    date: date
    was: str
    now: str


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


def laid(base: Calendar, override: Mapping[str, Any]) -> Calendar:
    """Return the calendar that an override file makes of another; what it does not name stays.

    Args:
        base: The calendar it is laid over.
        override: As ``calendar_overrides.toml``: rows ``closed``, ``open``, ``exam``.

    Raises:
        Misconfigured: The file has another form, or asks for what no day can do.
    """
    unknown = sorted(set(override) - {"observed_until", "closed", "open", "exam"})
    if unknown:
        raise Misconfigured(
            f"expected [[closed]], [[open]] and [[exam]] in an override file, was {unknown[0]!r}"
        )
    closed = {_date(row, "closed"): str(row.get("name", "override"))
              for row in _rows(override, "closed")}  # fmt: skip
    shut = {day: name for day, name in closed.items() if base.held(day)}
    calendar = overridden(base, shut)
    for row in _rows(override, "open"):
        day = _date(row, "open")
        calendar = calendar if calendar.held(day) else opening(calendar, day)
    for row in _rows(override, "exam"):
        dates = row.get("dates")
        if not isinstance(dates, list):
            raise Misconfigured(f"expected dates in each [[exam]], was {sorted(row)}")
        for day in dates:
            calendar = _an_hour_later(calendar, _date({"date": day}, "exam"))
    return calendar


def days_apart(start: date, end: date, before: Calendar, after: Calendar) -> tuple[Apart, ...]:
    """Return the days of ``start <= day < end`` of which two calendars say different things."""
    days = (date.fromordinal(n) for n in range(start.toordinal(), end.toordinal()))
    said = (Apart(day, _said(before, day), _said(after, day)) for day in days)
    return tuple(each for each in said if each.was != each.now)


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


def _rows(override: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    rows = override.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise Misconfigured(f"expected [[{key}]] tables in an override file, was another form")
    return rows


def _date(row: Mapping[str, Any], key: str) -> date:
    day = row.get("date")
    if not isinstance(day, date) or isinstance(day, datetime):
        raise Misconfigured(f"expected a date like 2026-12-07 in [[{key}]], was {str(day)[:60]!r}")
    return day


def _an_hour_later(base: Calendar, day: date) -> Calendar:
    """Return a calendar on which a session is an exam day's."""
    held = base.session(day)
    if held is None:
        raise Misconfigured(f"expected a session for [[exam]], was {day}: {base.why_closed(day)}")
    if held.special == "exam day":
        return base
    opens = 0 if held.special else HOUR  # a first session opens late already
    moved = held._replace(
        pre_open=Micros(held.pre_open + opens),
        opening_auction=Micros(held.opening_auction + opens),
        open=Micros(held.open + opens),
        closing_auction=Micros(held.closing_auction + HOUR),
        close=Micros(held.close + HOUR),
        special="exam day",
    )
    return base._replace(session=lambda asked: moved if asked == day else base.session(asked))


def _said(calendar: Calendar, day: date) -> str:
    held = calendar.session(day)
    if held is None:
        return f"closed: {calendar.why_closed(day)}"
    special = f" {held.special}" if held.special else ""
    return f"{clock(held.open)}-{clock(held.close)}{special}"


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
