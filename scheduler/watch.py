"""The calendar watchdog: several sources about the next days, and the tape about this one.

No library knows a temporary holiday in time, so the sources are asked beside each other: our
frozen table, the ``holidays`` library as installed, and a list given as data, such as the
brokerage's (KIS chk-holiday).  A day on which they disagree and which nobody has settled in
``calendar_overrides.toml`` is an alarm, and until it is settled the day is **closed for jobs from
which an order may follow and open for those that only read** (scheduler.md 3.6).

The tape has the last word: a supposed session without a tick a minute after its open, or ticks on
a supposed closed day, are alarms too.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

from scheduler.almanac import closing, opening
from scheduler.timetable import Job
from scheduler.triggers import KRX, Calendar, clock
from schemas.errors import Misconfigured
from schemas.krx.sessions import Session, kst_date
from schemas.units import MINUTE, Micros

AHEAD_DAYS: Final = 400
"""How far the sources are held against each other."""

TICK_WAIT: Final = Micros(MINUTE)
"""The opening auction ends at random within 30 s; after a minute a session has printed."""

ANSWER_MAX: Final = 1_000_000

CLOSED: Final = "closed"
OPEN: Final = "open"
"""Open, by hours the source does not know."""

_ORDER_TARGETS: Final = frozenset({"role:scores.screen"})
"""Scores become signals, and execution acts on signals by itself."""

_SATURDAY: Final = 5


class Source(NamedTuple):
    """Who answers, and what: ``closed``, ``open`` or hours as ``09:00-15:30``.

    A day that is not in ``answers`` is one the source knows nothing of.
    """

    name: str
    answers: Mapping[date, str]


class Settled(NamedTuple):
    """Days on which the override file has decided: ``sessions`` whether, ``hours`` when."""

    sessions: frozenset[date]
    hours: frozenset[date]


class Dispute(NamedTuple):
    """A day on which sources disagree."""

    date: date
    says: Mapping[str, str]

    def __str__(self) -> str:
        """Return one sentence: who says what."""
        said = ", ".join(f"{name} says {answer}" for name, answer in self.says.items())
        return f"{self.date}: {said}; settle it in calendar_overrides.toml"


class Verdict(NamedTuple):
    """Whether jobs of a kind may run by the session of a day, and why."""

    open: bool
    reason: str


def ours(today: date, days: int = AHEAD_DAYS, calendar: Calendar = KRX) -> Source:
    """Return what our frozen table answers from ``today`` on.

    Raises:
        Misconfigured: The table ends before; it is time for the next year's.
    """
    answers = {}
    for day in (today + timedelta(days=n) for n in range(days)):
        held = calendar.session(day)
        answers[day] = CLOSED if held is None else f"{clock(held.open)}-{clock(held.close)}"
    return Source("our table", answers)


def listed(name: str, closures: Mapping[date, str], today: date, days: int = AHEAD_DAYS) -> Source:
    """Return what a list of closures answers: open on every other weekday, hours unknown."""
    ahead = [today + timedelta(days=n) for n in range(days)]
    return Source(
        name,
        {day: CLOSED if day in closures or day.weekday() >= _SATURDAY else OPEN for day in ahead},
    )


def brokerage(text: str) -> Source:
    """Read the answer of KIS chk-holiday (TR CTCA0903R): ``opnd_yn`` decides.

    Raises:
        Misconfigured: It is not JSON with ``output`` rows of ``bass_dt`` and ``opnd_yn``, or
            longer than any answer.
    """
    if len(text) > ANSWER_MAX:
        raise Misconfigured(
            f"expected an answer of chk-holiday of at most {ANSWER_MAX} characters, "
            f"was {len(text)}; ask the brokerage again"
        )
    try:
        rows = json.loads(text)["output"]
        answers = {_compact(row["bass_dt"]): _flag(row["opnd_yn"]) for row in rows}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Misconfigured(
            "expected the JSON answer of chk-holiday: output rows of bass_dt as yyyymmdd and "
            f"opnd_yn as Y or N, was unreadable: {repr(error)[:200]}; ask the brokerage again"
        ) from error
    return Source("brokerage", answers)


def settled(overrides: Mapping[str, Any]) -> Settled:
    """Return the days that the parsed override file decides."""
    return Settled(
        frozenset(row["date"] for key in ("closed", "open") for row in overrides.get(key, ())),
        frozenset(day for row in overrides.get("exam", ()) for day in row["dates"]),
    )


def disputes(sources: Sequence[Source], decided: Settled) -> tuple[Dispute, ...]:
    """Return the days on which two sources disagree and nothing is decided, in order.

    Whether there is a session and, where two sources know hours, when it is.
    """
    days = sorted({day for source in sources for day in source.answers})
    said = [
        Dispute(day, {each.name: each.answers[day] for each in sources if day in each.answers})
        for day in days
    ]
    return tuple(each for each in said if _disagree(each, decided))


def sends_orders(job: Job) -> bool:
    """Return whether an order may follow from a job: if in doubt, it may."""
    return job.group == "trading" or job.target in _ORDER_TARGETS


def verdict(day: date, found: Sequence[Dispute], *, orders: bool, calendar: Calendar) -> Verdict:
    """Decide whether a day's session holds, for jobs that may send ``orders`` or for the others."""
    for each in found:
        if each.date == day:
            who = "closed for jobs that may send orders" if orders else "open for jobs that read"
            return Verdict(not orders, f"{who}: the sources disagree about {each}")
    why = calendar.why_closed(day)
    return Verdict(why is None, "a session" if why is None else f"closed: {why}")


def under(day: date, decided: Verdict, calendar: Calendar) -> Calendar:
    """Return the calendar by which jobs run on a day, given their verdict."""
    held = calendar.session(day) is not None
    if held and not decided.open:
        return closing(calendar, {day: decided.reason})
    return opening(calendar, day) if decided.open and not held else calendar


def tick_alarm(newest: Micros | None, now: Micros, session: Session | None) -> str | None:
    """Return what is wrong between the tape and the calendar, or None.

    Args:
        newest: When the newest trade happened, micros UTC; None when there is none.
        now: The instant of the question.
        session: The session of ``now``'s day in Korea; None when it is supposed to be closed.
    """
    today = kst_date(now)
    if session is None:
        if newest is None or kst_date(newest) != today:
            return None
        return f"{today}: expected no trade on a closed day, was one at {clock(newest)}; " + _ASK
    if now < session.open + TICK_WAIT or (newest is not None and newest >= session.open):
        return None
    last = "none" if newest is None else f"the last one of {kst_date(newest)} {clock(newest)}"
    return f"{today}: expected trades since the open at {clock(session.open)}, was {last}; " + _ASK


_ASK: Final = "ask the exchange whether today is a session, and stop trading until it is known"


def _disagree(said: Dispute, decided: Settled) -> bool:
    answers = set(said.says.values())
    if CLOSED in answers and len(answers) > 1:
        return said.date not in decided.sessions
    return len(answers - {CLOSED, OPEN}) > 1 and said.date not in decided.hours


def _compact(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _flag(text: str) -> str:
    return {"Y": OPEN, "N": CLOSED}[text]
