"""When a job is due: its cron line and its session rule, laid over the exchange's calendar.

A **session rule** names instants by the real session of a day:

    open + 30m
    close
    every 5m from open until close          half-open; also "every 5m within session"
    every 1m from open through close        the close itself included

A job with only a cron line is due at its minutes.  A job with both is due at the rule's instants;
minutes of the line that the rule does not name are suppressed with a reason.  On a normal day the
two agree where the session is, on an exam day the rule moves with it.  Every nominal time is
either a ``Slot`` or a ``Suppressed``: nothing fails to fire in silence.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Final, NamedTuple

from scheduler.cron import Cron
from schemas.errors import Misconfigured
from schemas.krx import calendar as krx_calendar
from schemas.krx import sessions
from schemas.krx.sessions import Session, kst_date, kst_midnight
from schemas.units import DAY, HOUR, MINUTE, SECOND, Micros

OFFSET_MAX: Final = Micros(6 * HOUR)
"""Further from the session than this would leave the day."""

_SATURDAY: Final = 5
_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
_ANCHOR: Final = r"(open|close)(?: ?([+-]) ?(\d+[smh]))?"
_SERIES: Final = re.compile(rf"every (\d+[smh]) from {_ANCHOR} (until|through) {_ANCHOR}", re.ASCII)
_WITHIN: Final = re.compile(r"every (\d+[smh]) within session", re.ASCII)
_SINGLE: Final = re.compile(_ANCHOR, re.ASCII)


class Calendar(NamedTuple):
    """What a trigger asks of a calendar."""

    session: Callable[[date], Session | None]
    why_closed: Callable[[date], str | None]


KRX: Final = Calendar(sessions.session, krx_calendar.why_closed)


class Anchor(NamedTuple):
    """An instant of a session: its open or close, moved by ``offset``."""

    edge: str
    offset: Micros

    def at(self, session: Session) -> Micros:
        """Return the instant on a day."""
        return Micros((session.open if self.edge == "open" else session.close) + self.offset)


class SessionRule(NamedTuple):
    """Instants of a session: ``first``, then every ``every`` before ``last`` (or at it, if closed).

    Attributes:
        every: Distance of two instants; 0 for a single one.
        closed: Whether ``last`` itself may be one.
    """

    first: Anchor
    last: Anchor
    every: Micros
    closed: bool

    def instants(self, session: Session) -> tuple[Micros, ...]:
        """Return the instants of a day in order."""
        start, stop = self.first.at(session), self.last.at(session)
        if self.every == 0:
            return (start,)
        return tuple(Micros(at) for at in range(start, stop + self.closed, self.every))


class Trigger(NamedTuple):
    """When a job is due.

    Attributes:
        cron: The literal line, or None.
        rule: The session rule, or None.
        calendar: ``sessions``, ``weekdays`` or ``every-day``.
        logical: ``today``, ``previous session`` or ``next session``: what day a fire is about.
    """

    cron: Cron | None
    rule: SessionRule | None
    calendar: str
    logical: str


class Slot(NamedTuple):
    """A job is due: once, at a nominal instant, about a logical date."""

    job: str
    at: Micros
    logical_date: date


class Suppressed(NamedTuple):
    """A nominal instant at which the calendar lets nothing fire."""

    slot: Slot
    reason: str


def parse_rule(text: str) -> SessionRule:
    """Read a session rule.

    Raises:
        Misconfigured: The text is none of the forms above, or leaves the day.
    """
    within = _WITHIN.fullmatch(text)
    if within is not None:
        text = f"every {within[1]} from open until close"
    single, series = _SINGLE.fullmatch(text), _SERIES.fullmatch(text)
    if single is not None:
        anchor = _anchor(text, *single.groups())
        return SessionRule(anchor, anchor, Micros(0), closed=True)
    if series is None:
        raise Misconfigured(
            "expected 'open + 30m', 'close', 'every 5m within session' or "
            f"'every 5m from open until|through close', was {text!r}"
        )
    every, edge, sign, offset, bound, edge_2, sign_2, offset_2 = series.groups()
    first, last = _anchor(text, edge, sign, offset), _anchor(text, edge_2, sign_2, offset_2)
    if duration(every) == 0:
        raise Misconfigured(f"expected a step of at least 1s, was {every!r} in {text!r}")
    return SessionRule(first, last, duration(every), closed=bound == "through")


def duration(text: str) -> Micros:
    """Read a length of time: ``90s``, ``5m``, ``2h``, ``1d``.

    Raises:
        Misconfigured: It is not one.
    """
    if re.fullmatch(r"[0-9]+[smhd]", text) is None:
        raise Misconfigured(f"expected a duration like '90s', '5m', '2h' or '1d', was {text!r}")
    return Micros(int(text[:-1]) * _UNITS[text[-1]])


def slots(
    job: str, trigger: Trigger, start: Micros, end: Micros, calendar: Calendar = KRX
) -> Iterator[Slot | Suppressed]:
    """Yield every nominal instant of a job in ``start <= at < end``, in order.

    Args:
        job: Its name, carried into the slots.
        trigger: When it is due.
        start: First instant, micros UTC.
        end: First instant not meant.
        calendar: The exchange's; another one answers "what would this override change".
    """
    first, after = kst_date(start), date.fromordinal(kst_date(Micros(end - 1)).toordinal() + 1)
    named = frozenset(trigger.cron.days(first, after)) if trigger.cron is not None else frozenset()
    for ordinal in range(first.toordinal(), after.toordinal()):
        day = date.fromordinal(ordinal)
        for each in _day(job, trigger, day, calendar, literal=day in named):
            at = each.at if isinstance(each, Slot) else each.slot.at
            if start <= at < end:
                yield each


def clock(at: Micros) -> str:
    """Return the time of day in Korea as ``hh:mm``, with seconds if there are any."""
    seconds = (at - kst_midnight(kst_date(at))) // SECOND
    hour_minute = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return hour_minute if seconds % 60 == 0 else f"{hour_minute}:{seconds % 60:02}"


def _day(
    job: str, trigger: Trigger, day: date, calendar: Calendar, *, literal: bool
) -> Iterator[Slot | Suppressed]:
    midnight = kst_midnight(day)
    minutes = trigger.cron.minutes if literal and trigger.cron is not None else ()
    named = [Micros(midnight + minute * MINUTE) for minute in minutes]
    closed = _closed(trigger, day, calendar)
    if closed is not None:
        yield from (Suppressed(Slot(job, at, day), closed) for at in named)
        return
    session = calendar.session(day)
    if trigger.rule is None or session is None:
        logical = _logical(trigger, day, calendar) if named else day
        yield from (Slot(job, at, logical) for at in named)
        return
    yield from _bounded(job, named, trigger.rule.instants(session), session)


def _closed(trigger: Trigger, day: date, calendar: Calendar) -> str | None:
    if trigger.calendar == "sessions":
        why = calendar.why_closed(day)
        return None if why is None else f"closed: {why}"
    if trigger.calendar == "weekdays" and day.weekday() >= _SATURDAY:
        return "closed: weekend"
    return None


def _bounded(
    job: str, named: list[Micros], wanted: tuple[Micros, ...], session: Session
) -> Iterator[Slot | Suppressed]:
    held = frozenset(wanted)
    day = session.date
    hours = "-".join(dict.fromkeys(clock(at) for at in (*wanted[:1], *wanted[-1:])))
    special = f", {session.special}" if session.special else ""
    reason = f"outside the session: due {hours}{special}"
    for at in sorted(held.union(named)):
        slot = Slot(job, at, day)
        yield slot if at in held else Suppressed(slot, reason)


def _logical(trigger: Trigger, day: date, calendar: Calendar) -> date:
    if trigger.logical == "today":
        return day
    step = 1 if trigger.logical == "next session" else -1
    ordinal = day.toordinal() + step
    while calendar.session(date.fromordinal(ordinal)) is None:  # ends: the calendar is finite
        ordinal += step
    return date.fromordinal(ordinal)


def _anchor(text: str, edge: str, sign: str | None, offset: str | None) -> Anchor:
    length = duration(offset) if offset is not None else Micros(0)
    if length > OFFSET_MAX:
        raise Misconfigured(f"expected at most 6h from the session, was {offset!r} in {text!r}")
    return Anchor(edge, Micros(-length if sign == "-" else length))
