"""The timetable against the exchange's real days, by a second reading that shares nothing.

``judge`` lays what the product says of a period (``triggers.slots`` on its calendar) beside what
``golden.expected`` makes of the timetable's own text.

Differences are counted per day whose session or hours disagree, and per job and instant that one
side names and the other does not, or names with another end (fires, suppressed) or logical date.
"""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import islice
from typing import Final, NamedTuple

from scheduler.golden import (
    DAY_MINUTES,
    EPOCH,
    KST_MINUTES,
    SATURDAY,
    Golden,
    Hours,
    expected,
    line_of,
)
from scheduler.timetable import Timetable
from scheduler.triggers import KRX, Calendar, Slot, Suppressed, slots
from schemas.krx.sessions import kst_midnight
from schemas.units import MINUTE

FIRST: Final = date(2015, 1, 1)
END: Final = date(2028, 1, 1)
"""The period of the promise: ``FIRST <= day < END``."""

EXAMPLES_MAX: Final = 10


class Judged(NamedTuple):
    """What the comparison found.

    Attributes:
        fires: Slots the product names.
        suppressed: Suppressed instants by reason: ``holiday``, ``weekend``,
            ``outside the session``, ``not its session`` or ``no such session``.
        sessions: Sessions the product's calendar holds.
        special_sessions: Sessions of them with hours of their own.
        weekend_fires: Fires on a Saturday and on a Sunday of jobs whose line ends in ``1-5``.
        session_weekend_fires: The same of every job on the calendar ``sessions``.
        differences: How many; promise 0.
        examples: The first of them, one sentence each.
    """

    fires: int
    suppressed: Mapping[str, int]
    sessions: int
    special_sessions: int
    weekend_fires: Mapping[str, int]
    session_weekend_fires: int
    differences: int
    examples: tuple[str, ...]


def judge(
    table: Timetable,
    text: str,
    facts: Golden,
    *,
    start: date = FIRST,
    end: date = END,
    calendar: Calendar = KRX,
) -> Judged:
    """Hold a timetable over ``start <= day < end`` against the facts.

    Args:
        table: The timetable as the product reads it.
        text: The same timetable as text, which the second reading reads by itself.
        facts: The exchange's days.
        start: First day in Korea.
        end: First day not meant, at most the last golden year's end.
        calendar: The product's.

    Raises:
        Misconfigured: The second reading does not know a form of the text.
    """
    raw = tomllib.loads(text)["jobs"]
    days = [start + timedelta(days=n) for n in range((end - start).days)]
    held = {day: facts.session(day) for day in days}
    apart = list(_days_apart(held, facts, calendar))
    days_apart = len(apart)
    suppressed: Counter[str] = Counter()
    weekend: Counter[str] = Counter({"saturday": 0, "sunday": 0})
    fires = on_sessions = differences = 0
    for name, job in table.jobs.items():
        told = [*slots(name, job.trigger, kst_midnight(start), kst_midnight(end), calendar)]
        theirs = _keyed(told)
        ours = {at * MINUTE: what for at, what in expected(raw, name, held, facts)}
        wrong = theirs.items() ^ ours.items()
        differences += len({at for at, _ in wrong}) + len(told) - len(theirs)
        apart += [f"{name}: {_say(*each)}" for each in islice(sorted(wrong), EXAMPLES_MAX)]
        fires += sum(isinstance(each, Slot) for each in told)
        suppressed.update(_classes(theirs))
        late = _weekend_fires(theirs)
        on_sessions += late.total() * (job.trigger.calendar == "sessions")
        if line_of(raw, name).endswith("1-5"):
            weekend.update(late)
    sessions = [each for each in map(calendar.session, days) if each is not None]
    return Judged(
        fires=fires,
        suppressed=dict(suppressed),
        sessions=len(sessions),
        special_sessions=sum(each.special != "" for each in sessions),
        weekend_fires=dict(weekend),
        session_weekend_fires=on_sessions,
        differences=differences + days_apart,
        examples=tuple(apart[:EXAMPLES_MAX]),
    )


def _keyed(told: list[Slot | Suppressed]) -> dict[int, tuple[str, int]]:
    """Return instant to (end, logical date); a fire's end is empty."""
    keyed: dict[int, tuple[str, int]] = {}
    for each in told:
        slot = each if isinstance(each, Slot) else each.slot
        end = "" if isinstance(each, Slot) else each.reason.partition(":")[0]
        keyed[slot.at] = (end, slot.logical_date.toordinal())
    return keyed


def _weekend_fires(told: Mapping[int, tuple[str, int]]) -> Counter[str]:
    fired = (_weekday(at) - SATURDAY for at, (end, _) in told.items() if end == "")
    return Counter(("saturday", "sunday")[which] for which in fired if which >= 0)


def _days_apart(
    held: Mapping[date, Hours | None], facts: Golden, calendar: Calendar
) -> Iterator[str]:
    for day, hours in held.items():
        told = calendar.session(day)
        ours = None
        if told is not None:
            midnight = kst_midnight(day)
            ours = Hours(
                opening_auction=(told.opening_auction - midnight) // MINUTE,
                open=(told.open - midnight) // MINUTE,
                closing_auction=(told.closing_auction - midnight) // MINUTE,
                close=(told.close - midnight) // MINUTE,
                special=told.special != "",
            )
        if ours != hours:
            yield f"{day}: expected {_hours(hours)}, was {_hours(ours)}"
        traded = facts.observed_from <= day <= facts.observed_until and day.weekday() < SATURDAY
        if traded and (day in facts.closed) == (day in facts.observed):
            yield f"{day}: golden.toml and the observed sessions contradict each other"


def _hours(hours: Hours | None) -> str:
    if hours is None:
        return "closed"
    return f"{_clock(hours.open)}-{_clock(hours.close)}{' special' * hours.special}"


def _classes(told: Mapping[int, tuple[str, int]]) -> Iterator[str]:
    for at, (end, _) in told.items():
        if end == "closed":
            yield "weekend" if _weekday(at) >= SATURDAY else "holiday"
        elif end:
            yield end


def _say(at: int, told: tuple[str, int]) -> str:
    end, logical = told
    minute = (at // MINUTE + KST_MINUTES) % DAY_MINUTES
    about = date.fromordinal(logical)
    return f"{_day_of(at)} {_clock(minute)} {end or 'fires'} about {about}, said by one side alone"


def _weekday(at: int) -> int:
    return (EPOCH.weekday() + (at // MINUTE + KST_MINUTES) // DAY_MINUTES) % 7


def _day_of(at: int) -> date:
    return EPOCH + timedelta(days=(at // MINUTE + KST_MINUTES) // DAY_MINUTES)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
