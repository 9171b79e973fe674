"""A KRX trading day by the clock: its phases, its special hours, the sessions of a period.

Hours (KST) hold from a day on:

    from        orders  auction  open   closing  close  ends   source
    2011-01-01  07:30   08:00    09:00  14:50    15:00  18:00  rule before 2016
    2016-08-01  07:30   08:00    09:00  15:20    15:30  18:00  KRX, trading hours extended
    2019-04-29  08:00   08:30    09:00  15:20    15:30  18:00  KRX, opening auction shortened
    2026-09-14  08:00   08:30    09:00  15:20    15:30  20:00  KRX after-market to 20:00

* First session of a year: everything before the close of trading an hour later, close unchanged.
* Exam day: the whole day an hour later, so 10:00-16:30, and 10:00-16:00 before 2016-08-01.
* The end of the after-hours session never moves (for 2026-11-19 not found in any notice).

Auctions end at random up to ``RANDOM_END_MAX`` after the instant given here.  Asia/Seoul has no
daylight saving, so a fixed offset is exact.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from schemas.krx import calendar
from schemas.units import DAY, HOUR, KST_OFFSET, MINUTE, SECOND, Micros

PHASES: Final = (
    "closed",
    "pre_open",
    "opening_auction",
    "continuous",
    "closing_auction",
    "after_hours",
)
RANDOM_END_MAX: Final = Micros(30 * SECOND)
"""An auction ends at random within this, each name by itself."""

_EPOCH: Final = date(1970, 1, 1).toordinal()
_SESSIONS_CACHED_MAX: Final = 8_192


class Session(NamedTuple):
    """One trading day; instants in micros UTC, phases half-open.

    Attributes:
        date: The day in Korea.
        pre_open: First orders, before the auction's book is open.
        opening_auction: Orders for the opening price.
        open: The opening price is made, continuous trading starts.
        closing_auction: Orders for the closing price.
        close: The closing price is made.
        end: Last after-hours trade.
        special: ``first session``, ``exam day`` or empty.
    """

    date: date
    pre_open: Micros
    opening_auction: Micros
    open: Micros
    closing_auction: Micros
    close: Micros
    end: Micros
    special: str

    def phase(self, instant: Micros) -> str:
        """Return the phase of this day's clock at ``instant``, one of ``PHASES``."""
        starts = (
            self.pre_open,
            self.opening_auction,
            self.open,
            self.closing_auction,
            self.close,
            self.end,
        )
        return PHASES[bisect_right(starts, instant) % len(PHASES)]


class _Hours(NamedTuple):
    since: date
    pre_open: int
    opening_auction: int
    open: int
    closing_auction: int
    close: int
    end: int


_HOURS: Final = (
    _Hours(date(2011, 1, 1), 450, 480, 540, 890, 900, 1080),
    _Hours(date(2016, 8, 1), 450, 480, 540, 920, 930, 1080),
    _Hours(date(2019, 4, 29), 480, 510, 540, 920, 930, 1080),
    _Hours(date(2026, 9, 14), 480, 510, 540, 920, 930, 1200),
)
"""Minutes after midnight in Korea."""


@lru_cache(maxsize=_SESSIONS_CACHED_MAX)
def session(day: date) -> Session | None:
    """Return the session of a day, or None when the exchange is closed.

    Raises:
        Misconfigured: The calendar does not reach that day.
    """
    if calendar.why_closed(day) is not None:
        return None
    hours = _HOURS[bisect_right(_HOURS, day, key=lambda row: row.since) - 1]
    exam, first = day in calendar.exam_days(), day == _first_session(day.year)
    opens, closes = HOUR * (exam or first), HOUR * exam
    midnight = kst_midnight(day)
    return Session(
        date=day,
        pre_open=Micros(midnight + hours.pre_open * MINUTE + opens),
        opening_auction=Micros(midnight + hours.opening_auction * MINUTE + opens),
        open=Micros(midnight + hours.open * MINUTE + opens),
        closing_auction=Micros(midnight + hours.closing_auction * MINUTE + closes),
        close=Micros(midnight + hours.close * MINUTE + closes),
        end=Micros(midnight + hours.end * MINUTE),
        special="exam day" if exam else "first session" if first else "",
    )


def phase_at(instant: Micros) -> str:
    """Return the exchange's phase at an instant; ``closed`` on days without a session."""
    today = session(kst_date(instant))
    return "closed" if today is None else today.phase(instant)


def next_session(after: date) -> Session:
    """Return the first session later than the day ``after``."""
    return _nearest(after, timedelta(days=1))


def previous_session(before: date) -> Session:
    """Return the last session earlier than the day ``before``."""
    return _nearest(before, timedelta(days=-1))


def sessions_between(start: date, end: date) -> Iterator[Session]:
    """Yield the sessions of ``start <= day < end`` in order."""
    for ordinal in range(start.toordinal(), end.toordinal()):
        found = session(date.fromordinal(ordinal))
        if found is not None:
            yield found


def kst_date(instant: Micros) -> date:
    """Return the day in Korea that ``instant`` lies in."""
    return date.fromordinal(_EPOCH + (instant + KST_OFFSET) // DAY)


def kst_midnight(day: date) -> Micros:
    """Return the instant a day begins in Korea."""
    return Micros((day.toordinal() - _EPOCH) * DAY - KST_OFFSET)


def _nearest(day: date, step: timedelta) -> Session:
    while True:  # ends: the calendar refuses days outside its reach
        day += step
        found = session(day)
        if found is not None:
            return found


def _first_session(year: int) -> date:
    day = date(year, 1, 1)
    while calendar.why_closed(day) is not None:
        day += timedelta(days=1)
    return day
