"""When a job is due: its cron line and its session rule, laid over the exchange's calendar.

A **session rule** names instants by the real session of a day:

    open + 30m
    close
    every 5m from open until close          half-open; also "every 5m within session"
    every 1m from open through close        the close itself included
    closing auction - 5m                    the start of an auction is an anchor too
    last session of month close + 30m       also first, 2nd, 5th, of week and quarter

A job with only a cron line is due at its minutes.  A job with both is due at the rule's instants;
minutes of the line that the rule does not name are suppressed with a reason.  On a normal day the
two agree where the session is, on an exam day the rule moves with it.

Every nominal time is either a ``Slot`` or a ``Suppressed``: nothing fails to fire in silence.  On
a closed weekday a rule's nominal times are those of the hours the day would have had; on a weekend
it has none, for no session is lost there.

A line's fires of a closed day can move to the ``previous`` or ``next`` open one at the same time.
An open day takes them once, however many closed days it stands for and whether or not it is due
itself.  ``previous`` can serve a closure only that was known by then.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from scheduler import periods
from scheduler.cron import Cron
from schemas.errors import Misconfigured
from schemas.krx import calendar as krx_calendar
from schemas.krx import sessions
from schemas.krx.sessions import Session, kst_date, kst_midnight
from schemas.units import DAY, HOUR, KST_OFFSET, MINUTE, SECOND, Micros

OFFSET_MAX: Final = Micros(6 * HOUR)
"""Further from the session than this would leave the day."""

_SATURDAY: Final = 5
_UNITS: Final = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY}
CLOSED: Final = ("skip", "previous", "next")
"""What becomes of a line's fires of a closed day."""

TEXT_MAX: Final = 200
_DAYS_CACHED_MAX: Final = 8_192
_ANCHOR: Final = r"(opening auction|closing auction|open|close)(?: ?([+-]) ?(\d+[smh]))?"
_PICK: Final = re.compile(r"(\w+) session of (week|month|quarter) (.+)", re.ASCII)
_SERIES: Final = re.compile(rf"every (\d+[smh]) from {_ANCHOR} (until|through) {_ANCHOR}", re.ASCII)
_WITHIN: Final = re.compile(r"every (\d+[smh]) within session", re.ASCII)
_SINGLE: Final = re.compile(_ANCHOR, re.ASCII)


@lru_cache(maxsize=_DAYS_CACHED_MAX)
def usual(day: date) -> Session:
    """Return a day's session, on a closed day the one it would hold by the ordinary hours then."""
    held = sessions.session(day)
    if held is not None:
        return held
    model = sessions.previous_session(day)
    while model.special:
        model = sessions.previous_session(model.date)
    later = (day.toordinal() - model.date.toordinal()) * DAY
    return model._replace(
        date=day,
        pre_open=Micros(model.pre_open + later),
        opening_auction=Micros(model.opening_auction + later),
        open=Micros(model.open + later),
        closing_auction=Micros(model.closing_auction + later),
        close=Micros(model.close + later),
        end=Micros(model.end + later),
    )


class Calendar(NamedTuple):
    """What a trigger asks of a calendar.

    Attributes:
        session: A day's session, None when there is none.
        why_closed: Why there is none, None when there is one.
        hours: The session that a closed day would have held.
        orders: By which jobs go that may send orders, when it is another one.
    """

    session: Callable[[date], Session | None]
    why_closed: Callable[[date], str | None]
    hours: Callable[[date], Session] = usual
    orders: "Calendar | None" = None

    def held(self, day: date) -> bool:
        """Return whether a day has a session."""
        return self.session(day) is not None


KRX: Final = Calendar(sessions.session, krx_calendar.why_closed)


_EDGES: Final[Mapping[str, Callable[[Session], Micros]]] = {
    "open": lambda session: session.open,
    "close": lambda session: session.close,
    "opening auction": lambda session: session.opening_auction,
    "closing auction": lambda session: session.closing_auction,
}


class Anchor(NamedTuple):
    """An instant of a session: ``open``, ``close`` or the start of an auction, and an offset."""

    edge: str
    offset: Micros

    def at(self, session: Session) -> Micros:
        """Return the instant on a day."""
        return Micros(_EDGES[self.edge](session) + self.offset)


class SessionRule(NamedTuple):
    """Instants of a session: ``first``, then every ``every`` before ``last`` (or at it, if closed).

    Attributes:
        every: Distance of two instants; 0 for a single one.
        closed: Whether ``last`` itself may be one.
        pick: Of which sessions; None for every one.
    """

    first: Anchor
    last: Anchor
    every: Micros
    closed: bool
    pick: periods.Pick | None = None

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
        closed: ``skip``, ``previous`` or ``next``: where a line's fires of a closed day go.
    """

    cron: Cron | None
    rule: SessionRule | None
    calendar: str
    logical: str
    closed: str = "skip"


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
    if len(text) > TEXT_MAX:
        raise Misconfigured(f"expected a rule of at most {TEXT_MAX} characters, was {len(text)}")
    picked = _PICK.fullmatch(text)
    if picked is None:
        return _parse_instants(text)
    return _parse_instants(picked[3])._replace(pick=periods.parse(picked[1], picked[2]))


def check_closed(trigger: Trigger) -> Trigger:
    """Return a trigger whose way with closed days makes sense.

    Raises:
        Misconfigured: The word is unknown, or there is no line on closed days to move.
    """
    if trigger.closed not in CLOSED:
        raise Misconfigured(f"expected closed of {CLOSED}, was {trigger.closed!r}")
    if trigger.closed != "skip" and (trigger.cron is None or trigger.rule is not None):
        raise Misconfigured(
            f"expected closed 'skip' beside a session rule, was {trigger.closed!r}; "
            "a rule names sessions alone, only a cron line can fall on a closed day"
        )
    if trigger.closed != "skip" and trigger.calendar == "every-day":
        raise Misconfigured(
            f"expected closed 'skip' on the calendar 'every-day', was {trigger.closed!r}; "
            "it has no closed day"
        )
    return trigger


def duration(text: str) -> Micros:
    """Read a length of time: ``90s``, ``5m``, ``2h``, ``1d``.

    Raises:
        Misconfigured: It is not one.
    """
    if re.fullmatch(r"[0-9]{1,9}[smhd]", text) is None:
        told = text[:TEXT_MAX]
        raise Misconfigured(f"expected a duration like '90s', '5m', '2h' or '1d', was {told!r}")
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
    named = _named(trigger, first, after, calendar)
    for ordinal in range(first.toordinal(), after.toordinal()):
        day = date.fromordinal(ordinal)
        for each in _day(job, trigger, day, calendar, named):
            at = each.at if isinstance(each, Slot) else each.slot.at
            if start <= at < end:
                yield each


def clock(at: Micros) -> str:
    """Return the time of day in Korea as ``hh:mm``, with seconds if there are any."""
    seconds = (at + KST_OFFSET) % DAY // SECOND
    hour_minute = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return hour_minute if seconds % 60 == 0 else f"{hour_minute}:{seconds % 60:02}"


def _named(trigger: Trigger, first: date, after: date, calendar: Calendar) -> frozenset[date]:
    """Return the days of the line in a period, and in the closed days whose fires it may take."""
    if trigger.cron is None:
        return frozenset()
    if trigger.closed == "next":
        while _closed(trigger, _beside(first, -1), calendar) is not None:
            first = _beside(first, -1)
    if trigger.closed == "previous":
        while _closed(trigger, after, calendar) is not None:
            after = _beside(after, 1)
    return frozenset(trigger.cron.days(first, after))


def _day(
    job: str, trigger: Trigger, day: date, calendar: Calendar, named: frozenset[date]
) -> Iterator[Slot | Suppressed]:
    why = _closed(trigger, day, calendar)
    if why is not None:
        instants = {*_line(trigger, day, named), *_lost(trigger.rule, day, calendar)}
        reason = f"closed: {why}{_moved(trigger, day, calendar, named)}"
        yield from (Suppressed(Slot(job, at, day), reason) for at in sorted(instants))
        return
    session = calendar.session(day)
    if trigger.rule is None or session is None:
        due = _line(trigger, day, named | _taken(trigger, day, calendar, named))
        logical = _logical(trigger, day, calendar) if due else day
        yield from (Slot(job, at, logical) for at in due)
        return
    line = _line(trigger, day, named)
    wanted, pick = trigger.rule.instants(session), trigger.rule.pick
    if pick is None or pick.holds(day, calendar.held):
        yield from _bounded(job, line, wanted, session)
        return
    reason, has = f"not its session: due on the {pick}", pick.short(day, calendar.held)
    if has is not None:
        reason = f"no such session: due on the {pick}, which has only {has}"
        line = sorted({*line, *wanted})
    yield from (Suppressed(Slot(job, at, day), reason) for at in line)


def _line(trigger: Trigger, day: date, named: frozenset[date]) -> list[Micros]:
    if trigger.cron is None or day not in named:
        return []
    midnight = kst_midnight(day)
    return [Micros(midnight + minute * MINUTE) for minute in trigger.cron.minutes]


def _lost(rule: SessionRule | None, day: date, calendar: Calendar) -> tuple[Micros, ...]:
    """Return the instants that a closed day costs a rule."""
    if rule is None or day.weekday() >= _SATURDAY:
        return ()
    pick, held = rule.pick, calendar.held
    if pick is not None and not pick.holds(day, held) and pick.short(day, held) is None:
        return ()
    return rule.instants(calendar.hours(day))


def _taken(
    trigger: Trigger, day: date, calendar: Calendar, named: frozenset[date]
) -> frozenset[date]:
    """Return the open day itself when it stands for a closed one that the line names."""
    if trigger.closed == "skip":
        return frozenset()
    step = -1 if trigger.closed == "next" else 1
    near = _beside(day, step)
    while _closed(trigger, near, calendar) is not None:
        if near in named:
            return frozenset({day})
        near = _beside(near, step)
    return frozenset()


def _moved(trigger: Trigger, day: date, calendar: Calendar, named: frozenset[date]) -> str:
    """Say where the fires of a closed day of the line go."""
    if trigger.closed == "skip" or day not in named:
        return ""
    step = 1 if trigger.closed == "next" else -1
    target = _beside(day, step)
    while _closed(trigger, target, calendar) is not None:
        target = _beside(target, step)
    return f"; moved to {target}"


def _beside(day: date, step: int) -> date:
    return date.fromordinal(day.toordinal() + step)


def _closed(trigger: Trigger, day: date, calendar: Calendar) -> str | None:
    """Return why a day is closed for a trigger; a rule needs a session, whatever its calendar."""
    if trigger.calendar == "sessions" or trigger.rule is not None:
        why = calendar.why_closed(day)
        return "hours unknown" if why is None and not calendar.held(day) else why
    if trigger.calendar == "weekdays" and day.weekday() >= _SATURDAY:
        return "weekend"
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


def _parse_instants(text: str) -> SessionRule:
    within = _WITHIN.fullmatch(text)
    if within is not None:
        text = f"every {within[1]} from open until close"
    single, series = _SINGLE.fullmatch(text), _SERIES.fullmatch(text)
    if single is not None:
        anchor = _anchor(text, *single.groups())
        return SessionRule(anchor, anchor, Micros(0), closed=True)
    if series is None:
        raise Misconfigured(
            "expected 'open + 30m', 'close', 'every 5m within session', "
            "'every 5m from open until|through close' or one of them after "
            f"'last session of month', was {text!r}"
        )
    every, edge, sign, offset, bound, edge_2, sign_2, offset_2 = series.groups()
    first, last = _anchor(text, edge, sign, offset), _anchor(text, edge_2, sign_2, offset_2)
    if duration(every) == 0:
        raise Misconfigured(f"expected a step of at least 1s, was {every!r} in {text!r}")
    return SessionRule(first, last, duration(every), closed=bound == "through")


def _anchor(text: str, edge: str, sign: str | None, offset: str | None) -> Anchor:
    length = duration(offset) if offset is not None else Micros(0)
    if length > OFFSET_MAX:
        raise Misconfigured(f"expected at most 6h from the session, was {offset!r} in {text!r}")
    return Anchor(edge, Micros(-length if sign == "-" else length))
