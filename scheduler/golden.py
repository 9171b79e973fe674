"""The exchange's days as facts, and a second reading of the timetable's text on them.

This module shares nothing with what it judges: it knows neither ``cron``, ``triggers`` nor the
frozen table.  It is naive on purpose: every minute of a day is tried against every field of a
line, and every minute against a session rule.
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from schemas.errors import Misconfigured

ARTEFACTS: Final = frozenset({date(2026, 6, 13)})
"""Rows of observed sessions that are a collector's mistake: a Saturday without a trade."""

EPOCH: Final = date(1970, 1, 1)
SATURDAY: Final = 5
DAY_MINUTES: Final = 1_440
KST_MINUTES: Final = 540
_NUMBERS: Final = (range(60), range(24), range(1, 32), range(1, 13), range(8))
_MINUTES_OF: Final = {"m": 1, "h": 60}


_NTH: Final = {"first": 1, "second": 2, "third": 3, "fourth": 4}
_PERIOD_DAYS_MAX: Final = 92


class Hours(NamedTuple):
    """A session's auctions, open and close, in minutes after midnight in Korea."""

    opening_auction: int
    open: int
    closing_auction: int
    close: int
    special: bool


class Golden(NamedTuple):
    """The exchange's days as facts.

    Attributes:
        closed: Weekdays without a session, from the first year with facts to the last.
        firsts: First sessions of a year: open an hour later.
        exams: Exam days: open and close an hour later.
        hours: Ordinary hours from a day on, oldest first.
        observed: Days that really traded, or empty when that collection is not at hand.
        observed_until: The last of them; up to it they decide, not ``closed``.
    """

    closed: frozenset[date]
    firsts: frozenset[date]
    exams: frozenset[date]
    hours: tuple[tuple[date, Hours], ...]
    observed: frozenset[date] = frozenset()
    observed_from: date = date.max
    observed_until: date = date.min

    def session(self, day: date) -> Hours | None:
        """Return the hours of a day, None when there is no session."""
        if self.observed_from <= day <= self.observed_until:
            held = day in self.observed
        else:
            held = day.weekday() < SATURDAY and day not in self.closed
        if not held:
            return None
        usual = self.ordinary(day)
        exam, late = day in self.exams, day in self.exams or day in self.firsts
        return Hours(
            usual.opening_auction + 60 * late,
            usual.open + 60 * late,
            usual.closing_auction + 60 * exam,
            usual.close + 60 * exam,
            late,
        )

    def ordinary(self, day: date) -> Hours:
        """Return the hours that an ordinary session of a day has."""
        return [hours for since, hours in self.hours if since <= day][-1]


@cache
def golden() -> Golden:
    """Return the facts that ship with this room, without observed sessions."""
    raw = tomllib.loads((files("scheduler") / "golden.toml").read_text("utf-8"))
    closed = {
        date.fromisoformat(f"{year}-{day}") for year, days in raw["closed"].items()
        for day in days.split()
    }  # fmt: skip
    return Golden(
        closed=frozenset(closed),
        firsts=frozenset(raw["first_session"]["dates"]),
        exams=frozenset(raw["exam_day"]["dates"]),
        hours=tuple((row.pop("since"), Hours(**row, special=False)) for row in raw["hours"]),
    )  # fmt: skip


def with_observed(facts: Golden, days: frozenset[date]) -> Golden:
    """Return the facts with days that really traded, the known artefacts left out."""
    real = days - ARTEFACTS
    return facts._replace(observed=real, observed_from=min(real), observed_until=max(real))


def expected(
    raw: Mapping[str, Any], name: str, held: Mapping[date, Hours | None], facts: Golden
) -> Iterator[tuple[int, tuple[str, int]]]:
    """Yield each minute of the epoch that a job's text names, with its end and logical date.

    Args:
        raw: The timetable's job tables.
        name: One of them.
        held: The days meant, each with its hours.
        facts: Where logical dates look.

    Yields:
        ``(minute, (end, ordinal))``; the end of a fire is empty, else ``closed``,
        ``outside the session``, ``not its session`` or ``no such session``.

    Raises:
        Misconfigured: The text has a form this reading does not know.
    """
    job, line = raw[name], line_of(raw, name)
    own = raw[job["after"]] if "after" in job else job
    which, rule = _which(own.get("session", ""))
    minutes = _minutes_of_line(line) if line else ()
    for day, hours in held.items():
        midnight = (day - EPOCH).days * DAY_MINUTES - KST_MINUTES
        on_day = line and (_on_day(line, day) or _stands_for(job, own, line, day, facts))
        named = set(minutes if on_day else ())
        weekend, end = day.weekday() >= SATURDAY, ""
        role = _role(which, day, facts) if rule else ""
        if hours is None and (rule or job["calendar"] == "sessions"):
            end = "closed"
            if rule and role and not weekend:
                named |= _rule_minutes(rule, facts.ordinary(day))
        elif job["calendar"] == "weekdays" and weekend:
            end = "closed"
        elif rule and role != "it":
            end = "no such session" if role else "not its session"
            if role:
                named |= _rule_minutes(rule, _known(hours))
        if end:
            yield from ((midnight + at, (end, day.toordinal())) for at in named)
            continue
        if not rule:
            about = _logical(job.get("logical", "today"), day, facts).toordinal() if named else 0
            yield from ((midnight + at, ("", about)) for at in named)
            continue
        wanted = _rule_minutes(rule, _known(hours))
        for at in wanted.union(named):
            yield midnight + at, ("" if at in wanted else "outside the session", day.toordinal())


def line_of(raw: Mapping[str, Any], name: str) -> str:
    """Return a job's cron line, its parent's if it comes after one, empty if it has none."""
    job = raw[name]
    return str((raw[job["after"]] if "after" in job else job).get("cron", ""))


def _stands_for(
    job: Mapping[str, Any], own: Mapping[str, Any], line: str, day: date, facts: Golden
) -> bool:
    """Return whether an open day takes the fires of a closed one of the line."""

    def shut(each: date) -> bool:
        if job["calendar"] == "weekdays":
            return each.weekday() >= SATURDAY
        return facts.session(each) is None

    move = own.get("closed", "skip")
    if move == "skip" or shut(day):
        return False
    step = timedelta(days=-1 if move == "next" else 1)
    near, found = day + step, False
    while shut(near):
        found = found or _on_day(line, near)
        near += step
    return found


def _known(hours: Hours | None) -> Hours:
    assert hours is not None, "a closed day has been told before"
    return hours


def _which(rule: str) -> tuple[tuple[str, str], str]:
    """Return the ordinal and the period of a rule, empty for every session, and its instants."""
    words = rule.split(" ", 5)
    if words[1:3] == ["session", "of"]:
        return (words[0], words[3]), rule.split(" ", 4)[4]
    return ("", ""), rule


def _role(which: tuple[str, str], day: date, facts: Golden) -> str:
    """Return ``it``, ``short`` when a period ends there without its nth session, or nothing."""
    ordinal, period = which
    if not period:
        return "it"
    around = [day + timedelta(days=n) for n in range(-_PERIOD_DAYS_MAX, _PERIOD_DAYS_MAX)]
    same = [each for each in around if _period(period, each) == _period(period, day)]
    ranked = sorted({day, *(each for each in same if facts.session(each) is not None)})
    if ordinal == "last":
        return "it" if ranked[-1] == day else ""
    nth, rank = _NTH.get(ordinal) or int(ordinal[:-2]), ranked.index(day) + 1
    if rank == nth:
        return "it"
    later = [each for each in same if each > day and each.weekday() < SATURDAY]
    return "short" if rank < nth and not later else ""


def _period(period: str, day: date) -> tuple[int, int]:
    if period == "week":
        year, week, _ = day.isocalendar()
        return year, week
    return day.year, day.month if period == "month" else -(-day.month // 3)


@cache
def _minutes_of_line(line: str) -> tuple[int, ...]:
    if line.startswith("last Saturday "):
        hour, minute = line.removeprefix("last Saturday ").split(":")
        return (int(hour) * 60 + int(minute),)
    fields = line.split()
    return tuple(
        at for at in range(DAY_MINUTES)
        if _matches(fields[0], at % 60, 0) and _matches(fields[1], at // 60, 1)
    )  # fmt: skip


def _on_day(line: str, day: date) -> bool:
    if line.startswith("last Saturday "):
        return day.weekday() == SATURDAY and (day + timedelta(days=7)).month != day.month
    *_, of_month, month, of_week = line.split()
    sunday = [0, 7] if day.isoweekday() == 7 else [day.isoweekday()]  # noqa: PLR2004 -- ISO
    return (
        _matches(of_month, day.day, 2)
        and _matches(month, day.month, 3)
        and any(_matches(of_week, number, 4) for number in sunday)
    )


def _matches(field: str, value: int, which: int) -> bool:
    for item in field.split(","):
        body, _, step = item.partition("/")
        first, _, last = body.partition("-")
        if body == "*":
            first, last = str(_NUMBERS[which][0]), str(_NUMBERS[which][-1])
        if not first.isdigit() or not (last or first).isdigit():
            raise Misconfigured(f"expected digits and '*' in a line to judge, was {field!r}")
        if value in range(int(first), int(last or first) + 1, int(step or 1)):
            return True
    return False


@cache
def _rule_minutes(rule: str, hours: Hours) -> frozenset[int]:
    words = rule.replace("within session", "from open until close").split()
    if words[0] != "every":
        return frozenset({_anchored(words, hours)})
    between = words.index("until" if "until" in words else "through")
    step, last = _length(words[1]), _anchored(words[between + 1 :], hours)
    first = _anchored(words[3:between], hours)
    closed = words[between] == "through"
    return frozenset(
        at for at in range(DAY_MINUTES)
        if first <= at and (at < last or (closed and at == last)) and (at - first) % step == 0
    )  # fmt: skip


def _anchored(words: list[str], hours: Hours) -> int:
    edge = words[0] if len(words) == 1 or words[1] != "auction" else f"{words[0]}_auction"
    base: int = getattr(hours, edge)
    sign, length = words[-2:] if words[-2:-1] in (["+"], ["-"]) else ("+", "0m")
    return base + int(sign + "1") * _length(length)


def _length(text: str) -> int:
    if text[-1] not in _MINUTES_OF:
        raise Misconfigured(f"expected whole minutes in a rule to judge, was {text!r}")
    return int(text[:-1]) * _MINUTES_OF[text[-1]]


def _logical(word: str, day: date, facts: Golden) -> date:
    if word == "today":
        return day
    step = timedelta(days=1 if word == "next session" else -1)
    day += step
    while facts.session(day) is None:  # ends: no year is without a session
        day += step
    return day
