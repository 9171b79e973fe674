"""Which days the KRX is closed and which are exam days: a frozen, reviewed table.

``calendar.csv`` is written by ``python -m scheduler.calendar_build`` from the ``holidays``
library and our overrides, and only read here, so that a decision names the calendar it was
made with by ``calendar_hash``.  Closures up to 2026-08-14 were observed (0 differences to 3,840
real sessions since 2011); later ones are predicted and must be confirmed every year.
"""

import csv
from collections.abc import Mapping
from datetime import date
from functools import cache
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Final, NamedTuple

from schemas.errors import Misconfigured

FIRST: Final = date(2011, 1, 1)
END: Final = date(2029, 1, 1)
"""The table knows ``FIRST <= day < END``."""

COLUMNS: Final = ("date", "kind", "name", "certainty", "source")
_SATURDAY: Final = 5


class Entry(NamedTuple):
    """One line of the table.

    Attributes:
        kind: ``closed`` (no session; may fall on a weekend) or ``exam`` (a session one hour later).
        name: What the day is.
        certainty: ``observed``, ``predicted`` (by rule) or ``announced``.
        source: Who says so.
    """

    date: date
    kind: str
    name: str
    certainty: str
    source: str


@cache
def closures() -> Mapping[date, Entry]:
    """Return the holidays and other closures, weekends among them only if they have a name."""
    return _entries("closed")


@cache
def exam_days() -> Mapping[date, Entry]:
    """Return the days whose session is moved by one hour, in order."""
    return _entries("exam")


def why_closed(day: date) -> str | None:
    """Return why there is no session on a day, or None if there is one.

    Raises:
        Misconfigured: The table does not reach that day.
    """
    if not FIRST <= day < END:
        raise Misconfigured(
            f"expected a day in {FIRST} .. {END} (exclusive), was {day}; "
            "move the ends and run python -m scheduler.calendar_build"
        )
    entry = closures().get(day)
    if entry is not None:
        return entry.name
    return "weekend" if day.weekday() >= _SATURDAY else None


@cache
def calendar_hash() -> str:
    """Return the table's SHA-256 in hex: what a decision names as its calendar."""
    return sha256(_text().encode()).hexdigest()


def _entries(kind: str) -> Mapping[date, Entry]:
    header, *rows = csv.reader(_text().splitlines())
    if tuple(header) != COLUMNS:
        raise Misconfigured(f"expected columns {COLUMNS} in calendar.csv, was {header}; rebuild it")
    entries = (Entry(date.fromisoformat(day), *rest) for day, *rest in rows)
    return MappingProxyType({entry.date: entry for entry in entries if entry.kind == kind})


@cache
def _text() -> str:
    return (files(__package__) / "calendar.csv").read_text(encoding="utf-8")
