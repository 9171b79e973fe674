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


class Hours(NamedTuple):
    """A session's open and close, in minutes after midnight in Korea."""

    open: int
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
        ordinary = [hours for since, hours in self.hours if since <= day][-1]
        exam, late = day in self.exams, day in self.exams or day in self.firsts
        return Hours(ordinary.open + 60 * late, ordinary.close + 60 * exam, late)


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
        hours=tuple((row["since"], Hours(row["open"], row["close"], special=False))
                    for row in raw["hours"]),
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
        ``(minute, (end, ordinal))``; the end of a fire is empty, else ``closed`` or
        ``outside the session``.

    Raises:
        Misconfigured: The text has a form this reading does not know.
    """
    job, line = raw[name], line_of(raw, name)
    own = raw[job["after"]] if "after" in job else job
    rule = own.get("session")
    minutes = _minutes_of_line(line) if line else ()
    for day, hours in held.items():
        midnight = (day - EPOCH).days * DAY_MINUTES - KST_MINUTES
        named = minutes if line and _on_day(line, day) else ()
        if job["calendar"] == "sessions" and hours is None:
            yield from ((midnight + at, ("closed", day.toordinal())) for at in named)
            continue
        if job["calendar"] == "weekdays" and day.weekday() >= SATURDAY:
            yield from ((midnight + at, ("closed", day.toordinal())) for at in named)
            continue
        if rule is None:
            about = _logical(job.get("logical", "today"), day, facts).toordinal() if named else 0
            yield from ((midnight + at, ("", about)) for at in named)
            continue
        assert hours is not None, "a rule stands beside the calendar 'sessions' alone"
        wanted = _rule_minutes(rule, hours)
        for at in wanted.union(named):
            end = "" if at in wanted else "outside the session"
            yield midnight + at, (end, day.toordinal())


def line_of(raw: Mapping[str, Any], name: str) -> str:
    """Return a job's cron line, its parent's if it comes after one, empty if it has none."""
    job = raw[name]
    return str((raw[job["after"]] if "after" in job else job).get("cron", ""))


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
    base = {"open": hours.open, "close": hours.close}[words[0]]
    return base if len(words) == 1 else base + int(words[1] + "1") * _length(words[2])


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
