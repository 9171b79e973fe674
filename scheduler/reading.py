"""A timetable's text before anybody believes it: its size, its form, the type of every value.

A file is refused by its size before it is parsed, and a text by its lines before the parser sees
them, for nesting and dotted names cost the parser more than they are long.  Names are lower-case
letters, digits and ``_``: they become keys of records, words of messages and parts of ids.

Everything here says the place: the file, the line, the table, the key.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from scheduler.triggers import duration
from schemas.errors import Misconfigured
from schemas.units import DAY, SECOND, Micros

BYTES_MAX: Final = 1_000_000
LINE_MAX: Final = 2_000
"""Python reads no number of more than 4,300 digits."""

DOTS_MAX: Final = 64
TEXT_MAX: Final = 1_000
LIST_MAX: Final = 1_000
COUNT_MAX: Final = 1_000_000
DURATION_MAX: Final = Micros(31 * DAY)
"""The longest time one step catches up: nothing waits or runs longer."""

TIME_ZONE: Final = "Asia/Seoul"
"""The exchange's; it has no daylight saving, and every line of a timetable is meant in it."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_TOP: Final = ("version", "time_zone", "limits", "jobs")
_LIMITS: Final = ("running_max", "emergency_max", "groups")
_DURATIONS: Final = ("late_max", "run_max", "retry_until")
_LISTS: Final = ("depends_on", "triggers")
_COUNTS: Final = {
    "priority": COUNT_MAX, "version": COUNT_MAX, "retries": 100, "isolate_after": COUNT_MAX,
}  # fmt: skip
_SWITCHES: Final = ("critical",)
_TEXTS: Final = (
    "source", "cron", "session", "after", "target", "group", "calendar", "logical", "closed",
    "rule", "missed", "isolation", *_DURATIONS,
)  # fmt: skip


def text_of(path: Path, place: str) -> str:
    """Return the text of a file.

    Args:
        path: The file.
        place: Who named it, for the message.

    Raises:
        Misconfigured: It is no readable file of at most ``BYTES_MAX`` bytes of UTF-8.
    """
    if path.exists() and not path.is_file():
        raise Misconfigured(f"{place}: expected a file, was {path}; name another one")
    try:
        with path.open("rb") as file:
            body = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise Misconfigured(
            f"{place}: expected a readable file, was {path}: {error.strerror}"
        ) from error
    if len(body) > BYTES_MAX:
        raise Misconfigured(
            f"{place}: expected at most {BYTES_MAX} bytes, was {path} of {path.stat().st_size}"
        )
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Misconfigured(
            f"{place}: expected UTF-8, was {path} with another byte at {error.start}"
        ) from error


def toml(text: str, place: str) -> dict[str, Any]:
    """Parse a text that somebody else wrote.

    Raises:
        Misconfigured: It is too long, nested too deeply or no TOML.
    """
    if len(text) > BYTES_MAX:
        raise Misconfigured(f"expected {place} of at most {BYTES_MAX} bytes, was {len(text)}")
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LINE_MAX or line.count(".") > DOTS_MAX:
            raise Misconfigured(
                f"expected {place} with lines of at most {LINE_MAX} characters and {DOTS_MAX} "
                f"dots, was one of {len(line)} and {line.count('.')} at line {number}"
            )
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise Misconfigured(
            f"expected {place} in TOML of few levels, was nested too deeply"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"expected {place} in TOML, was unreadable: {error}") from error


def tables(text: str) -> dict[str, Any]:
    """Return a timetable's tables: known at the top, well named, every value of its type.

    What the values mean, and how they fit together, ``timetable.load`` checks.

    Raises:
        Misconfigured: Naming the place and what was expected.
    """
    raw = toml(text, "a timetable")
    _known("a timetable", raw, _TOP)
    if raw.get("time_zone", TIME_ZONE) != TIME_ZONE:
        raise Misconfigured(
            f"expected time_zone {TIME_ZONE!r}, the exchange's, was {_told(raw['time_zone'])}"
        )
    _limits(_table("limits", raw.get("limits", {})))
    for name, job in _table("jobs", raw.get("jobs", {})).items():
        check_name("[jobs.<name>]", name)
        _job(f"job {name}", _table(f"job {name}", job))
    return raw


def check_name(place: str, name: str) -> None:
    """Refuse a name of a job or group that is not plain.

    Raises:
        Misconfigured: It is not a lower-case letter and up to 63 more, digits or ``_``.
    """
    if _NAME.fullmatch(name) is None:
        raise Misconfigured(
            f"{place}: expected a name of lower-case letters, digits and '_', at most 64, "
            f"was {_told(name)}"
        )


def _limits(limits: Mapping[str, Any]) -> None:
    _known("limits", limits, _LIMITS)
    for key, least in (("running_max", 1), ("emergency_max", 0)):
        _count("limits", key, limits.get(key), least)
    for name, most in _table("limits.groups", limits.get("groups", {})).items():
        check_name("[limits.groups]", name)
        _count("limits.groups", name, most, 1)


def _job(place: str, job: Mapping[str, Any]) -> None:
    for key, value in job.items():
        if key in _TEXTS:
            _text(place, key, value)
        if key in _LISTS:
            if not isinstance(value, list) or len(value) > LIST_MAX:
                raise _wrong(place, key, f"a list of at most {LIST_MAX} texts", value)
            for each in value:
                _text(place, key, each)
        if key in _COUNTS:
            _count(place, key, value, 0, _COUNTS[key])
        if key in _SWITCHES and not isinstance(value, bool):
            raise _wrong(place, key, "true or false", value)
        if key in _DURATIONS:
            _duration(place, key, value)


def _duration(place: str, key: str, value: str) -> None:
    try:
        length = duration(value)
    except Misconfigured as error:
        raise Misconfigured(f"{place}: {key}: {error}") from error
    if not SECOND <= length <= DURATION_MAX:
        raise _wrong(place, key, f"1s to {DURATION_MAX // DAY}d", value)


def _known(place: str, table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    unknown = [key for key in table if key not in keys]
    if unknown:
        raise Misconfigured(f"{place}: expected keys of {', '.join(keys)}, was {_told(unknown[0])}")


def _table(place: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Misconfigured(f"{place}: expected a table, was {_told(value)}")
    return value


def _text(place: str, key: str, value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX or not value.isprintable():
        raise _wrong(place, key, f"a printable text of 1 to {TEXT_MAX} characters", value)


def _count(place: str, key: str, value: object, least: int, most: int = COUNT_MAX) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise _wrong(place, key, f"a count of {least} to {most}", value)


def _wrong(place: str, key: str, expected: str, value: object) -> Misconfigured:
    return Misconfigured(f"{place}: expected {key} as {expected}, was {_told(value)}")


def _told(value: object) -> str:
    """Return a value as a message may carry it: on one line, never long."""
    if isinstance(value, str):
        return f"{value[:60]!r}{'...' * (len(value) > 60)}"  # noqa: PLR2004 -- a glance
    return repr(value)[:60] if isinstance(value, int | float) else f"a {type(value).__name__}"
