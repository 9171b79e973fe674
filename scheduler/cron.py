"""Five-field cron, strict: what is ambiguous between crons is refused and the field is marked.

``cronsim`` evaluates; this front end decides what may be written.  A field is ``*``, ``n``, ``a-b``
or a list of them, with ``/step`` after ``*`` or a range; months and days have names; ``6L`` (also
``L6``, ``SATL``) is the last Saturday of the month, and ``last Saturday 04:00`` says it in words;
so does ``second Friday of month 18:00``, which has no other spelling here.

Refused: wrapping ranges, ``5/15``, steps beyond the field, day-of-month together with day-of-week
(cron reads them as OR: ``0 4 25-31 * 6`` fires 128 times in 400 days, not 13), anything but
printable ASCII, more than ``TEXT_MAX`` characters.
"""

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from cronsim import CronSim, CronSimError

from schemas.errors import Misconfigured

TEXT_MAX: Final = 200
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
    r"(first|second|third|fourth|last) (sun|mon|tues|wednes|thurs|fri|satur)day(?: of month)? "
    r"(\d\d):(\d\d)",
    re.ASCII | re.IGNORECASE,
)
_ORDINALS: Final = {"first": "#1", "second": "#2", "third": "#3", "fourth": "#4", "last": "L"}
_LAST: Final = re.compile(r"(?:([0-6])L|L([0-6])|(SUN|MON|TUE|WED|THU|FRI|SAT)L)", re.ASCII)
_ITEM: Final = re.compile(r"(\*|\w+(?:-\w+)?)(?:/([0-9]+))?", re.ASCII)


class _Span(NamedTuple):
    """Where a field stands in its line."""

    text: str
    start: int
    end: int

    @property
    def value(self) -> str:
        return self.text[self.start : self.end].upper()


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
        text: Five fields, or ``first`` .. ``fourth`` or ``last``, a weekday and ``hh:mm``.

    Raises:
        Misconfigured: The line is malformed or ambiguous; the message marks the field.
    """
    if len(text) > TEXT_MAX or not (text.isascii() and text.isprintable()):
        raise Misconfigured(
            f"expected a cron line of at most {TEXT_MAX} printable ASCII characters, was "
            f"{text[:TEXT_MAX]!r} ({len(text)} characters)"
        )
    words = _WORDS.fullmatch(text)
    if words is not None:
        return _of_words(text, words)
    spans = [_Span(text, *match.span()) for match in re.finditer(r"[^ ]+", text)]
    if len(spans) != len(_FIELDS):
        raise Misconfigured(
            f"expected {len(_FIELDS)} cron fields (minute hour day-of-month month day-of-week), "
            f"was {len(spans)} in {text!r}"
        )
    fields = [_check(span, field) for field, span in zip(_FIELDS, spans, strict=True)]
    if fields[2] != "*" and fields[4] != "*":
        raise _refused(spans[4], "day-of-week '*' beside a day-of-month: cron would OR them")
    return _of_fields(fields, spans[2])


def _of_words(text: str, words: re.Match[str]) -> Cron:
    for part, field in ((3, _FIELDS[1]), (4, _FIELDS[0])):
        if int(words[part]) > field.most:
            raise _refused(_Span(text, *words.span(part)), f"{field.name} 00-{field.most}")
    day, which = _DAYS.index(words[2][:3].upper()), _ORDINALS[words[1].lower()]
    fields = [str(int(words[4])), str(int(words[3])), "*", "*", f"{day}{which}"]
    return _of_fields(fields, _Span(text, *words.span(2)))


def _of_fields(fields: list[str], days: _Span) -> Cron:
    normal = " ".join(fields)
    try:
        simulated = CronSim(normal, datetime(2000, 1, 1))  # noqa: DTZ001 -- naive Korean time
    except CronSimError as error:
        raise _refused(days, f"days that exist ({error})") from error
    return Cron(
        normal,
        tuple(
            hour * 60 + minute
            for hour in sorted(simulated.hours)
            for minute in sorted(simulated.minutes)
        ),
    )


def _check(span: _Span, field: _Field) -> str:
    """Return a field in normal form."""
    value = span.value
    last = _LAST.fullmatch(value) if field.name == "day-of-week" else None
    if last is not None:
        return f"{last[1] or last[2] or _DAYS.index(last[3])}L"
    for item in value.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise _refused(span, f"{field.name} as '*', 'n', 'a-b' or 'a-b/step'")
        body, step = match.groups()
        first, most = _ends(span, field, body)
        if step is None:
            continue
        if body != "*" and "-" not in body:
            raise _refused(span, f"a range before the step of {field.name}")
        if not 1 <= int(step) <= most - first:
            raise _refused(span, f"a {field.name} step of 1 to {most - first}")
    return value


def _ends(span: _Span, field: _Field, body: str) -> tuple[int, int]:
    if body == "*":
        return field.least, field.most
    numbers = [_number(span, field, part) for part in body.split("-")]
    if numbers[0] > numbers[-1]:
        raise _refused(span, f"a {field.name} range that does not wrap")
    return numbers[0], numbers[-1]


def _number(span: _Span, field: _Field, part: str) -> int:
    number = field.names.index(part) if part in field.names else -1
    if part.isdigit():
        number = int(part)
    if not field.least <= number <= field.most:
        raise _refused(span, f"{field.name} {field.least}-{field.most}")
    return number


def _refused(span: _Span, expected: str) -> Misconfigured:
    marks = " " * span.start + "^" * (span.end - span.start)
    return Misconfigured(
        f"expected {expected}, was {span.value!r} in\n    {span.text}\n    {marks}"
    )


@lru_cache(maxsize=_PERIODS_CACHED_MAX)
def _days(expression: str, start: date, end: date) -> tuple[date, ...]:
    found = []
    before = datetime(start.year, start.month, start.day) - timedelta(seconds=1)  # noqa: DTZ001 -- naive Korean time; the fixed offset is attached by the caller
    for fire in CronSim(expression, before):
        if fire.date() >= end:
            break
        found.append(fire.date())
    return tuple(found)
