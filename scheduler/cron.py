"""Five-field cron, strict: what is ambiguous between crons is refused and the field is marked.

``cronsim`` evaluates; this front end decides what may be written.  A field is ``*``, ``n``, ``a-b``
or a list of them, with ``/step`` after ``*`` or a range; months and days have names; ``6L`` (also
``L6``, ``SATL``) is the last Saturday of the month, and ``last Saturday 04:00`` says it in words.

Refused: wrapping ranges, ``5/15``, steps beyond the field, day-of-month together with day-of-week
(cron reads them as OR: ``0 4 25-31 * 6`` fires 128 times in 400 days, not 13), anything but ASCII.
"""

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from cronsim import CronSim, CronSimError

from schemas.errors import Misconfigured

_DAYS: Final = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS: Final = [
    "JAN",
    "FEB",
    "MAR",
    "APR",
    "MAY",
    "JUN",
    "JUL",
    "AUG",
    "SEP",
    "OCT",
    "NOV",
    "DEC",
]
_PERIODS_CACHED_MAX: Final = 256
_WORDS: Final = re.compile(
    r"last (sun|mon|tues|wednes|thurs|fri|satur)day (\d\d):(\d\d)", re.ASCII | re.IGNORECASE
)
_LAST: Final = re.compile(r"(?:([0-6])L|L([0-6])|(SUN|MON|TUE|WED|THU|FRI|SAT)L)", re.ASCII)
_ITEM: Final = re.compile(r"(\*|\w+(?:-\w+)?)(?:/([0-9]+))?", re.ASCII)


class _Field(NamedTuple):
    name: str
    least: int
    most: int
    names: tuple[str, ...] = ()


_FIELDS: Final = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day-of-month", 1, 31),
    _Field("month", 1, 12, ("", *_MONTHS)),
    _Field("day-of-week", 0, 7, _DAYS),
)


class Cron(NamedTuple):
    """A cron line in normal form.

    Attributes:
        text: Five fields in upper case, ``6L`` for the last Saturday.
        minutes: Minutes after midnight at which it fires on a day it fires, in order.
    """

    text: str
    minutes: tuple[int, ...]

    def days(self, start: date, end: date) -> tuple[date, ...]:
        """Return the days of ``start <= day < end`` on which it fires, in order."""
        return _days(" ".join(["0", "0", *self.text.split()[2:]]), start, end)


def parse(text: str) -> Cron:
    """Read a cron line.

    Args:
        text: Five fields, or ``last <weekday> hh:mm``.

    Raises:
        Misconfigured: The line is malformed or ambiguous; the message marks the field.
    """
    fields = _in_fields(text)
    for field, value in zip(_FIELDS, fields, strict=True):
        _check(text, field, value)
    if fields[2] != "*" and fields[4] != "*":
        raise _refused(text, fields[4], "day-of-week '*' beside a day-of-month: cron would OR them")
    normal = " ".join(fields)
    try:
        simulated = CronSim(normal, datetime(2000, 1, 1))  # noqa: DTZ001 -- naive Korean time
    except CronSimError as error:
        raise _refused(text, fields[2], f"days that exist ({error})") from error
    return Cron(
        normal,
        tuple(
            hour * 60 + minute
            for hour in sorted(simulated.hours)
            for minute in sorted(simulated.minutes)
        ),
    )


def _in_fields(text: str) -> list[str]:
    words = _WORDS.fullmatch(text.strip())
    if words is not None:
        day, hour, minute = words.groups()
        return [str(int(minute)), str(int(hour)), "*", "*", f"{_DAYS.index(day[:3].upper())}L"]
    fields = text.upper().split()
    if len(fields) != len(_FIELDS):
        raise Misconfigured(
            f"expected {len(_FIELDS)} cron fields (minute hour day-of-month month day-of-week), "
            f"was {len(fields)} in {text!r}"
        )
    last = _LAST.fullmatch(fields[4])
    if last is not None:
        digit = last[1] or last[2] or str(_DAYS.index(last[3]))
        fields[4] = f"{digit}L"
    return fields


def _check(text: str, field: _Field, value: str) -> None:
    if field.name == "day-of-week" and re.fullmatch("[0-6]L", value):
        return
    for item in value.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise _refused(text, value, f"{field.name} as '*', 'n', 'a-b' or 'a-b/step'")
        body, step = match.groups()
        first, last = _ends(text, field, value, body)
        if step is None:
            continue
        if body != "*" and "-" not in body:
            raise _refused(text, value, f"a range before the step of {field.name}")
        if not 1 <= int(step) <= last - first:
            raise _refused(text, value, f"a {field.name} step of 1 to {last - first}")


def _ends(text: str, field: _Field, value: str, body: str) -> tuple[int, int]:
    if body == "*":
        return field.least, field.most
    numbers = [_number(text, field, value, part) for part in body.split("-")]
    if numbers[0] > numbers[-1]:
        raise _refused(text, value, f"a {field.name} range that does not wrap")
    return numbers[0], numbers[-1]


def _number(text: str, field: _Field, value: str, part: str) -> int:
    number = field.names.index(part) if part in field.names else -1
    if part.isdigit():
        number = int(part)
    if not field.least <= number <= field.most:
        raise _refused(text, value, f"{field.name} {field.least}-{field.most}")
    return number


def _refused(text: str, value: str, expected: str) -> Misconfigured:
    at = max(text.upper().find(value), 0)
    marks = " " * at + "^" * max(len(value), 1)
    return Misconfigured(f"expected {expected}, was {value!r} in\n    {text}\n    {marks}")


@lru_cache(maxsize=_PERIODS_CACHED_MAX)
def _days(expression: str, start: date, end: date) -> tuple[date, ...]:
    found = []
    before = datetime(start.year, start.month, start.day) - timedelta(seconds=1)  # noqa: DTZ001 -- naive Korean time; the fixed offset is attached by the caller
    for fire in CronSim(expression, before):
        if fire.date() >= end:
            break
        found.append(fire.date())
    return tuple(found)
