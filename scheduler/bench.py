"""How wrong the timetable is over thirteen years of real sessions, and how long that takes."""

import time
from collections.abc import Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from scheduler import golden, timetable, years
from schemas.errors import Misconfigured
from schemas.krx.calendar import calendar_hash

OBSERVED: Final = Path("../shared/data/krx_reference/krx_trading_calendar_2011_20260814.parquet")
"""Days on which any common share traded, one a row, beside the checkout."""

SECONDS_MAX: Final = 60
"""The promise, on one core."""


def schedule_years(
    observed: Path = OBSERVED, start: date = years.FIRST, end: date = years.END
) -> Mapping[str, Any]:
    """Judge the shipped timetable over ``start <= day < end``.

    Args:
        observed: The collection of days that traded; when absent the facts table judges alone.
        start: First day in Korea.
        end: First day not meant.

    Returns:
        The figures of ``years.Judged``, what they were held against, ``seconds`` by the
        wall and by the processor, and the promise.

    Raises:
        Misconfigured: The collection is there and is not one.
    """
    began, cpu = time.perf_counter(), time.process_time()
    facts, against = golden.golden(), f"golden.toml alone: {observed} is absent"
    if observed.exists():
        facts = golden.with_observed(facts, sessions_of(observed))
        against = f"observed until {facts.observed_until}, then golden.toml"
    table = timetable.default()
    text = (files("scheduler") / "timetable.toml").read_text("utf-8")
    found = years.judge(table, text, facts, start=start, end=end)
    return {
        "from": start.isoformat(),
        "until": end.isoformat(),
        "against": against,
        **found._asdict(),
        "jobs": len(table.jobs),
        "schedule_hash": table.hash,
        "calendar_hash": calendar_hash(),
        "seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "seconds_max": SECONDS_MAX,
    }


def sessions_of(path: Path) -> frozenset[date]:
    """Read a collection of days that traded.

    Raises:
        Misconfigured: It has no column ``trading_date`` of instants, or no row.
    """
    from pyarrow import parquet  # noqa: PLC0415 -- 0.3 s, wanted here alone

    table = parquet.read_table(path)
    if "trading_date" not in table.column_names or table.num_rows == 0:
        raise Misconfigured(
            f"{path}: expected a column trading_date with rows, was {table.column_names} "
            f"of {table.num_rows}; name another collection with --observed"
        )
    return frozenset(each.date() for each in table["trading_date"].to_pylist())
