"""The frozen calendar: it is what the builder makes, and an override wins over the library."""

from datetime import date
from importlib.resources import files
from typing import Any

from scheduler import calendar_build
from schemas.krx import calendar

OBSERVED: dict[str, Any] = {"observed_until": date(2026, 8, 14)}
LIBRARY = {date(2026, 5, 5): "Children's Day", date(2035, 1, 1): "beyond the table"}


def test_committed_table_is_what_the_builder_makes_today() -> None:
    built = calendar_build.text(
        calendar_build.build(calendar_build.library(), calendar_build.overrides())
    )

    assert built == (files("schemas.krx") / "calendar.csv").read_text("utf-8")


def test_days_beyond_the_table_are_left_out() -> None:
    [entry] = calendar_build.build(LIBRARY, OBSERVED)

    assert (entry.date, entry.certainty) == (date(2026, 5, 5), "observed")


def test_an_opened_day_leaves_and_a_closed_day_enters() -> None:
    day = {"date": date(2026, 12, 7), "name": "temporary holiday", "source": "cabinet"}
    overrides = OBSERVED | {"open": [{"date": date(2026, 5, 5), "source": "us"}], "closed": [day]}

    assert calendar_build.build(LIBRARY, overrides) == [
        calendar.Entry(date(2026, 12, 7), "closed", "temporary holiday", "predicted", "cabinet")
    ]
