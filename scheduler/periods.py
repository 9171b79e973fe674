"""Which session of a week, month or quarter: the nth, or the last.

A day is asked as if it were a session, so that a closed day that would have been the one can be
recorded with its reason.  Weeks begin on Monday.  A period without its nth session says so on its
last weekday: the rule never falls silent for a whole period.
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Final, NamedTuple

from schemas.errors import Misconfigured

LAST: Final = -1
_SATURDAY: Final = 5
_MONTHS: Final = {"month": 1, "quarter": 3}
_MOST: Final = {"week": 5, "month": 23, "quarter": 66}
"""Weekdays that a period can hold."""

_WORDS: Final = ("first", "second", "third", "fourth")
_ORDINAL: Final = re.compile(r"([1-9][0-9]?)(st|nd|rd|th)", re.ASCII)
_ENDINGS: Final = {1: "st", 2: "nd", 3: "rd"}


class Pick(NamedTuple):
    """One session of each period.

    Attributes:
        nth: From 1, or ``LAST``.
        period: ``week``, ``month`` or ``quarter``.
    """

    nth: int
    period: str

    def __str__(self) -> str:
        """Return it as the rule spells it."""
        return f"{_spelled(self.nth)} session of the {self.period}"

    def holds(self, day: date, held: Callable[[date], bool]) -> bool:
        """Return whether a day, taken as a session, is the one; ``held`` says of the others."""
        first, after = bounds(self.period, day)
        if self.nth == LAST:
            return not any(held(each) for each in _days(_next(day), after))
        return sum(held(each) for each in _days(first, day)) + 1 == self.nth

    def short(self, day: date, held: Callable[[date], bool]) -> int | None:
        """Return how many sessions a period has that ends on ``day`` without its nth, else None."""
        first, after = bounds(self.period, day)
        if self.nth == LAST or any(each.weekday() < _SATURDAY for each in _days(_next(day), after)):
            return None
        before = sum(held(each) for each in _days(first, day))
        return before + held(day) if before + 1 < self.nth else None


def bounds(period: str, day: date) -> tuple[date, date]:
    """Return the first day of the period that ``day`` lies in, and the first day after it."""
    if period == "week":
        monday = day.toordinal() - day.weekday()
        return date.fromordinal(monday), date.fromordinal(monday + 7)
    months = _MONTHS[period]
    first = (day.month - 1) // months * months + 1
    after = first + months
    return day.replace(month=first, day=1), date(day.year + after // 13, (after - 1) % 12 + 1, 1)


def parse(ordinal: str, period: str) -> Pick:
    """Read ``first`` to ``fourth``, ``5th`` and so on, or ``last``, of a period.

    Raises:
        Misconfigured: It is none of them, or no period holds so many sessions.
    """
    nth = _nth(ordinal)
    if nth is None:
        raise Misconfigured(f"expected 'first', '2nd', '5th' or 'last', was {ordinal!r}")
    if nth > _MOST[period]:
        raise Misconfigured(
            f"expected at most the {_spelled(_MOST[period])} session of a {period}, was {ordinal!r}"
        )
    return Pick(nth, period)


def _nth(ordinal: str) -> int | None:
    if ordinal == "last":
        return LAST
    if ordinal in _WORDS:
        return _WORDS.index(ordinal) + 1
    match = _ORDINAL.fullmatch(ordinal)
    if match is None or _spelled(int(match[1])) != ordinal:
        return None
    return int(match[1])


def _spelled(nth: int) -> str:
    if nth == LAST:
        return "last"
    teen = nth // 10 % 10 == 1
    return f"{nth}{'th' if teen else _ENDINGS.get(nth % 10, 'th')}"


def _days(first: date, after: date) -> list[date]:
    return [date.fromordinal(each) for each in range(first.toordinal(), after.toordinal())]


def _next(day: date) -> date:
    return date.fromordinal(day.toordinal() + 1)
