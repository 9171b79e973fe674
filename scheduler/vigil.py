"""The calendar watch of a running scheduler: what the sources and the tape say, as a calendar.

    look(now, said, tape)    ->  the calendar to decide by, and what an operator must hear

The sources (``scheduler.watch``) are held together once a day, and again when the brokerage says
something new.  A day in dispute is closed for jobs from which an order may follow and keeps its
nominal hours for those that only read.  A session without a trade a minute after its open is
closed for orders until one comes.

The same verdict gives the same calendar object, so that what is computed from it stays cached: a
look that brings nothing new costs two comparisons.  Alert keys are functions of what is said: who
takes over says them again, and they are the same.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from scheduler import watch
from scheduler.agenda import ABSENCE_MAX
from scheduler.almanac import closing, opening
from scheduler.triggers import KRX, Calendar
from scheduler.watch import Dispute, Settled, Source
from schemas.krx import calendar as krx_calendar
from schemas.krx.sessions import kst_date
from schemas.ops import AlertRaised
from schemas.units import DAY, Micros

SERVICE: Final = "scheduler"
BACK_DAYS: Final = ABSENCE_MAX // DAY
"""As far as one step catches up."""

_SATURDAY: Final = 5
_UNKNOWN, _TRADED, _SILENT, _ODD = "unknown", "traded", "silent", "trades-on-a-closed-day"
_TODO: Final = "see 'aegis jobs calendar --check', settle the day, restart the scheduler"


class Tape(NamedTuple):
    """The newest trade of ``market.trades``, micros UTC, or None when there is none."""

    newest: Micros | None


class Watched(NamedTuple):
    """What a look gave.

    Attributes:
        calendar: By which to decide now.
        alerts: What nobody has said yet in this watch, in order.
    """

    calendar: Calendar
    alerts: tuple[AlertRaised, ...] = ()


class _Held(NamedTuple):
    """The sources of a day, held together."""

    day: date
    said: Source | None
    disputes: tuple[Dispute, ...]
    plain: Calendar
    silent: Calendar


class Vigil:
    """Watch over the calendar.

    Args:
        library: The closures of the library as installed, by day.
        settled: What the override file has decided.
        calendar: Ours.
    """

    def __init__(
        self, library: Mapping[date, str], settled: Settled, calendar: Calendar = KRX
    ) -> None:
        self._library, self._settled, self._base = library, settled, calendar
        self._held: _Held | None = None
        self._tape: tuple[date, str] = (date.min, _UNKNOWN)
        self._asked = Micros(-watch.TICK_WAIT)
        self._raised: set[str] = set()

    def look(self, now: Micros, said: Source | None = None, tape: Tape | None = None) -> Watched:
        """Return the calendar of an instant and the alerts that are new.

        Args:
            now: Market time.
            said: The newest answer of the brokerage, the same object while it is the same answer;
                None before there is one.
            tape: The newest trade when somebody looked it up, else None: see ``wants_tape``.
        """
        held, alerts = self._held, []
        if held is None or held.said is not said or held.day != kst_date(now):
            held = self._held = self._hold(kst_date(now), said)
            alerts += [*self._of_table(now), *self._of_disputes(now, held)]
        if tape is not None:
            alerts += self._of_tape(now, tape)
        silent = self._tape == (held.day, _SILENT)
        return Watched(held.silent if silent else held.plain, tuple(self._new(alerts)))

    def wants_tape(self, now: Micros) -> bool:
        """Return whether the newest trade would tell something; at most once a minute."""
        day = kst_date(now)
        if day.weekday() >= _SATURDAY or self._tape in {(day, _TRADED), (day, _ODD)}:
            return False
        hours = self._base.hours(day)
        due = hours.open + watch.TICK_WAIT <= now < hours.close
        return due and now - self._asked >= watch.TICK_WAIT

    def _hold(self, day: date, said: Source | None) -> _Held:
        start = max(krx_calendar.FIRST, day - timedelta(days=BACK_DAYS))
        days = (min(krx_calendar.END, day + timedelta(days=watch.AHEAD_DAYS)) - start).days
        sources = [
            watch.ours(start, days, self._base),
            watch.listed("holidays library", self._library, start, days),
            *([] if said is None else [said]),
        ]
        found = watch.disputes(sources, self._settled)
        shut = {each.date: f"the sources disagree about {each}" for each in found}
        reads = self._base
        for each in found:
            if not reads.held(each.date):
                reads = opening(reads, each.date)
        today = f"no trade has come since the open of {day}"
        orders = closing(self._base, shut) if shut else None
        no_trade = closing(self._base, {day: today} | shut)
        return _Held(
            day,
            said,
            found,
            plain=reads._replace(orders=orders),
            silent=reads._replace(orders=no_trade),
        )

    def _of_table(self, now: Micros) -> Iterator[AlertRaised]:
        if kst_date(now) + timedelta(days=watch.AHEAD_DAYS) > krx_calendar.END:
            yield _alert(
                now,
                f"ends/{krx_calendar.END}",
                "warning",
                f"expected a calendar of the next {watch.AHEAD_DAYS} days, was one that ends "
                f"before {krx_calendar.END}",
                "move its ends and run python -m scheduler.calendar_build",
            )

    def _of_disputes(self, now: Micros, held: _Held) -> Iterator[AlertRaised]:
        for each in held.disputes:
            key = f"{each.date}/{sha256(str(each).encode()).hexdigest()[:12]}"
            if each.date == held.day:
                what = f"{each}; today jobs that may send orders stand still"
                yield _alert(now, f"{key}/today", "urgent", what, _TODO)
            elif each.date > held.day:
                yield _alert(now, key, "warning", str(each), _TODO)

    def _of_tape(self, now: Micros, tape: Tape) -> Iterator[AlertRaised]:
        self._asked, day = now, kst_date(now)
        session = self._base.session(day)
        wrong = watch.tick_alarm(tape.newest, now, session)
        if wrong is not None:
            self._tape = day, _SILENT if session is not None else _ODD
            yield _alert(now, f"{day}/{self._tape[1]}", "urgent", wrong, _TODO)
        elif session is not None and tape.newest is not None and tape.newest >= session.open:
            self._tape = day, _TRADED
        else:
            self._tape = day, _UNKNOWN

    def _new(self, alerts: list[AlertRaised]) -> Iterator[AlertRaised]:
        for each in alerts:
            if each.alert_key not in self._raised:
                self._raised.add(each.alert_key)
                yield each


def _alert(now: Micros, key: str, severity: str, summary: str, detail: str) -> AlertRaised:
    return AlertRaised(
        ts_event=now,
        ts_ingest=now,
        alert_key=f"{SERVICE}/calendar/{key}",
        service=SERVICE,
        severity=severity,
        summary=summary,
        detail=detail,
    )
