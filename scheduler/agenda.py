"""What lies ahead on the timetable: slots by time, a day at a time, kept for the days in use."""

from bisect import bisect_right
from functools import lru_cache
from typing import Final

from scheduler.timetable import Job, Timetable
from scheduler.triggers import Calendar, Slot, Suppressed, slots
from scheduler.watch import sends_orders
from schemas.errors import Misconfigured
from schemas.krx import calendar as krx_calendar
from schemas.krx.sessions import kst_date, kst_midnight
from schemas.units import DAY, Micros

ABSENCE_MAX: Final = Micros(31 * DAY)
"""The longest time one step catches up."""

_DAYS_CACHED_MAX: Final = 64


def due(
    timetable: Timetable, after: Micros, now: Micros, calendar: Calendar
) -> list[Slot | Suppressed]:
    """Return what lies in ``after < at <= now``, by time, parents first.

    Raises:
        Misconfigured: The time to catch up is longer than ``ABSENCE_MAX``.
    """
    if now - after > ABSENCE_MAX:
        raise Misconfigured(
            f"expected at most {ABSENCE_MAX // DAY} days since the last decision, "
            f"was {(now - after) // DAY}; start the scheduler anew from a later instant"
        )
    found: list[Slot | Suppressed] = []
    midnight = kst_midnight(kst_date(Micros(after + 1)))
    while midnight <= now:
        day = _day(timetable, midnight, calendar)
        found.extend(day[bisect_right(day, after, key=at_of) : bisect_right(day, now, key=at_of)])
        midnight = Micros(midnight + DAY)
    return found


def planned(timetable: Timetable, job: str, at: Micros, calendar: Calendar) -> Slot | None:
    """Return a job's slot at an instant, or None if it has none there or no calendar reaches it."""
    if not kst_midnight(krx_calendar.FIRST) <= at < kst_midnight(krx_calendar.END):
        return None
    try:
        day = _day(timetable, kst_midnight(kst_date(at)), calendar)
    except Misconfigured:  # a logical date of that day lies beyond the table
        return None
    here = day[bisect_right(day, at - 1, key=at_of) : bisect_right(day, at, key=at_of)]
    return next((each for each in here if isinstance(each, Slot) and each.job == job), None)


def at_of(each: Slot | Suppressed) -> Micros:
    """Return the nominal instant of either kind."""
    return each.at if isinstance(each, Slot) else each.slot.at


@lru_cache(maxsize=_DAYS_CACHED_MAX)
def _day(
    timetable: Timetable, midnight: Micros, calendar: Calendar
) -> tuple[Slot | Suppressed, ...]:
    found = [
        each
        for job in timetable.jobs.values()
        for each in slots(
            job.name, job.trigger, midnight, Micros(midnight + DAY), _of(job, calendar)
        )
    ]
    return tuple(sorted(found, key=at_of))


def _of(job: Job, calendar: Calendar) -> Calendar:
    """Return the calendar a job goes by: the one for orders, if it may send them."""
    return calendar.orders if calendar.orders is not None and sends_orders(job) else calendar
