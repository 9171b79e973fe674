"""Write ``schemas/krx/calendar.csv``: the exchange's closures and exam days, frozen for review.

    python -m scheduler.calendar_build            writes the table
    python -m scheduler.calendar_build --check    exits 1 if it would change

The base is ``holidays.financial_holidays("XKRX")``, the only library without an error over the
real sessions since 2001; ``calendar_overrides.toml`` beside this module always wins.
"""

import argparse
import csv
import io
import sys
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from holidays import country_holidays, financial_holidays

from schemas.krx import calendar

_LIBRARY: Final = "holidays"
_SATURDAY: Final = 5
_TARGET: Final = Path(calendar.__file__).with_name("calendar.csv")


def build(closed_days: Mapping[date, str], ours: Mapping[str, Any]) -> list[calendar.Entry]:
    """Merge the library's closures with our overrides.

    Args:
        closed_days: Closed day to its name; named weekends may be among them.
        ours: The parsed override file: ``observed_until``, ``closed``, ``open``, ``exam``.

    Returns:
        The table, sorted by date and kind.
    """
    observed = ours["observed_until"]
    closed = {
        day: calendar.Entry(day, "closed", name, _certainty(day, observed), _LIBRARY)
        for day, name in closed_days.items()
        if calendar.FIRST <= day < calendar.END
    }
    for row in ours.get("open", []):
        closed.pop(row["date"], None)
    for row in ours.get("closed", []):
        day = row["date"]
        closed[day] = calendar.Entry(
            day, "closed", row["name"], _certainty(day, observed), row["source"]
        )
    return sorted([*closed.values(), *_exams(ours, observed)])


def library() -> dict[date, str]:
    """Return the library's closures of the exchange, and the names of holidays on weekends."""
    years = range(calendar.FIRST.year, calendar.END.year)
    public = country_holidays("KR", years=years, language="en_US")
    weekends = {day: name for day, name in public.items() if day.weekday() >= _SATURDAY}
    return weekends | dict(financial_holidays("XKRX", years=years))


def overrides() -> dict[str, Any]:
    """Return our override file."""
    return tomllib.loads((files("scheduler") / "calendar_overrides.toml").read_text("utf-8"))


def text(entries: list[calendar.Entry]) -> str:
    """Return the table as CSV with a header and unix line ends."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(calendar.COLUMNS)
    writer.writerows(entries)
    return out.getvalue()


def main() -> int:
    """Build the table; write it, or only compare with ``--check``."""
    parser = argparse.ArgumentParser(description="Freeze the KRX calendar.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 on a change")
    arguments = parser.parse_args()
    built = text(build(library(), overrides()))
    if arguments.check:
        return int(not _TARGET.exists() or _TARGET.read_text("utf-8") != built)
    _TARGET.write_text(built, encoding="utf-8")
    sys.stdout.write(f"{_TARGET.name}: {built.count(chr(10)) - 1} rows\n")
    return 0


def _exams(ours: Mapping[str, Any], observed: date) -> Iterator[calendar.Entry]:
    for block in ours.get("exam", []):
        for day in block["dates"]:
            certainty = "observed" if day <= observed else "announced"
            yield calendar.Entry(
                day, "exam", "University entrance exam", certainty, block["source"]
            )


def _certainty(day: date, observed_until: date) -> str:
    return "observed" if day <= observed_until else "predicted"


if __name__ == "__main__":
    sys.exit(main())
