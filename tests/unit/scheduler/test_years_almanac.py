"""A year of the calendar by name, and what an override would change, before it is made."""

import json
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scheduler import almanac, timetable
from scheduler.commands import app
from scheduler.triggers import KRX
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_midnight, session

DAY = date(2026, 12, 7)
RUNS = CliRunner()


def told(*arguments: str) -> Any:
    """Run ``aegis jobs`` and return its JSON object."""
    result = RUNS.invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_eight_fixed_holidays_of_2028_are_closed_by_name() -> None:
    days = {row["date"]: row for row in told("calendar", "--year", "2028")["days"]}

    names = {
        "2028-01-01": "New Year's Day",
        "2028-03-01": "Independence Movement Day",
        "2028-05-05": "Children's Day",
        "2028-06-06": "Memorial Day",
        "2028-08-15": "Liberation Day",
        "2028-10-03": "Chuseok; National Foundation Day",
        "2028-10-09": "Hangul Day",
        "2028-12-25": "Christmas Day",
    }
    assert {day: days[day]["name"] for day in names} == names
    assert {days[day]["hours"] for day in names} == {"closed"}
    assert days["2028-01-01"]["weekday"] == "Sat"


def test_lunar_holidays_of_2027_are_the_korean_ones() -> None:
    closed = {str(each.date) for each in almanac.year(2027) if each.hours == "closed"}

    assert {"2027-02-08", "2027-02-09", "2027-09-14", "2027-09-15", "2027-09-16"} <= closed


def test_a_year_names_every_closed_weekday_and_its_special_hours_with_a_source() -> None:
    days = almanac.year(2026)

    weekdays = [day for n in range(365) if (day := date(2026, 1, 1) + timedelta(n)).weekday() < 5]
    named = {each.date for each in days if each.hours == "closed"}
    assert {day for day in weekdays if session(day) is None} <= named
    special = [(str(each.date), each.hours) for each in days if each.hours != "closed"]
    assert special == [("2026-01-02", "10:00-15:30"), ("2026-11-19", "10:00-16:30")]
    assert all(each.certainty and each.source for each in days)
    assert list(days) == sorted(days)


def test_a_year_beyond_the_table_is_refused() -> None:
    with pytest.raises(Misconfigured, match="calendar_build"):
        almanac.year(2029)


def test_a_closed_day_loses_each_fire_and_the_next_night_looks_further_back() -> None:
    found = told("next", "--on", "2026-12-07", "--until", "2026-12-08", "--closed", "2026-12-07")

    changes = {row["job"]: row for row in found["changes"]}
    assert {job: row["lost"] for job, row in changes.items() if row["lost"]} == {
        "pre_open_prepare": 1,
        "morning_data_collection": 4,
        "previous_day_cleaning": 1,
        "market_open": 1,
        "day_tidy": 1,
        "ai_analysis": 1,
        "market_monitoring": 391,
        "rescoring": 26,
        "trading_execution": 78,
        "daily_settlement": 1,
        "learning_step": 1,
        "daily_report": 1,
    }
    assert changes["market_monitoring"]["reasons"] == {"closed: override": 391}
    assert changes["nightly_backtest"] == {
        "job": "nightly_backtest", "lost": 0, "gained": 0, "moved": 1, "reasons": {},
    }  # fmt: skip
    assert "system_check" not in changes


def test_days_before_the_override_do_not_change() -> None:
    found = told("next", "--on", "2026-12-01", "--until", "2026-12-04", "--closed", "2026-12-07")

    assert found["changes"] == []


def test_a_period_counts_what_its_days_hold() -> None:
    days = [told("next", "--on", f"2026-12-{day:02}") for day in range(1, 8)]

    period = told("next", "--on", "2026-12-01", "--until", "2026-12-07")

    assert period["due"] == sum(day["due"] for day in days)
    assert period["suppressed"] == sum(day["suppressed"] for day in days)
    assert sum(row["due"] for row in period["jobs"]) == period["due"]


def test_one_day_under_an_override_shows_each_suppression() -> None:
    found = told("next", "--on", "2026-12-07", "--closed", "2026-12-07")

    at_nine = [row for row in found["fires"] if row["job"] == "market_open"]
    assert [row["suppressed"] for row in at_nine] == ["closed: override"]
    assert found["due"] == 2


OVERRIDE = """
[[closed]]
date = 2026-12-07
name = "temporary holiday"
source = "a test"
[[open]]
date = 2026-12-31
source = "a test"
[[exam]]
source = "a test"
dates = [2026-11-19, 2026-12-10]
"""


def test_an_override_file_says_which_days_and_fires_it_would_change(tmp_path: Path) -> None:
    path = tmp_path / "override.toml"
    path.write_text(OVERRIDE, encoding="utf-8")

    found = told("calendar", "--override", str(path), "--at", "2026-11-01T00:00")

    assert [(row["date"], row["was"], row["now"]) for row in found["days"]] == [
        ("2026-12-07", "09:00-15:30", "closed: temporary holiday"),
        ("2026-12-10", "09:00-15:30", "10:00-16:30 exam day"),
        ("2026-12-31", "closed: End of Year Holiday", "09:00-15:30"),
    ]
    assert (found["from"], found["until"]) == ("2026-11-01", "2027-12-06")
    changes = {row["job"]: (row["lost"], row["gained"]) for row in found["changes"]}
    assert changes["market_open"] == (2, 2)
    assert changes["day_tidy"] == (1, 1)
    assert changes["trading_execution"] == (78 + 12, 78 + 12)
    assert "system_check" not in changes


def test_the_override_file_that_ships_changes_nothing() -> None:
    shipped = str(files("scheduler") / "calendar_overrides.toml")

    found = told("calendar", "--override", shipped, "--at", "2026-11-01T00:00")

    assert (found["days"], found["changes"]) == ([], [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[shut]]\ndate = 2026-12-07", "was 'shut'"),
        ("closed = 2026-12-07", "[[closed]] tables"),
        ("[[closed]]\nday = 2026-12-07", "was 'None'"),
        ("[[open]]\ndate = '2026-12-07'", "was '2026-12-07'"),
        ("[[exam]]\ndates = 2026-12-07", "dates in each [[exam]]"),
        ("[[exam]]\ndates = [2026-12-31]", "expected a session for [[exam]], was 2026-12-31"),
        ("[[closed]]\ndate = 2027-01-04", "the year's first"),
        ("[[closed]]\ndate = 2031-01-02", "calendar_build"),
        ("[[closed", "expected an override file in TOML"),
        ("#" * 1_000_001, "--override: expected at most"),
    ],
)
def test_an_override_file_of_another_form_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "override.toml"
    path.write_text(text, encoding="utf-8")

    result = RUNS.invoke(app, ["calendar", "--override", str(path)])

    assert isinstance(result.exception, Misconfigured)
    assert said in str(result.exception)


def test_next_goes_by_the_timetable_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = (files("scheduler") / "timetable.toml").read_text("utf-8")
    path = tmp_path / "timetable.toml"
    path.write_text(shipped.replace('cron = "0 18 * * 1-5"', 'cron = "0 19 * * 1-5"'), "utf-8")
    monkeypatch.setenv("AEGIS_SCHEDULER__TIMETABLE", str(path))

    fires = told("next", "--on", "2026-12-07")["fires"]
    monkeypatch.setenv("AEGIS_SCHEDULER__TIMETABLE", str(tmp_path / "none"))
    missing = RUNS.invoke(app, ["next", "--on", "2026-12-07"])

    assert [row["at"] for row in fires if row["job"] == "day_tidy"] == ["19:00"]
    assert isinstance(missing.exception, Misconfigured)
    assert str(missing.exception).startswith("AEGIS_SCHEDULER__TIMETABLE: expected a readable file")


def test_next_shows_on_a_holiday_what_a_rule_without_a_line_loses() -> None:
    fires = told("next", "--on", "2026-06-03")["fires"]

    lost = [row for row in fires if row["job"] == "rescoring"]
    assert (len(lost), lost[0]["at"], lost[-1]["at"]) == (26, "09:00", "15:15")
    assert {row["suppressed"] for row in lost} == {"closed: Local Election Day"}


@pytest.mark.parametrize(
    ("day", "said"),
    [("2026-12-05", "weekend"), ("2026-12-25", "Christmas"), ("2027-01-04", "first")],
)
def test_an_override_that_closes_no_ordinary_session_is_refused(day: str, said: str) -> None:
    result = RUNS.invoke(app, ["next", "--on", "2026-12-01", "--closed", day])

    assert isinstance(result.exception, Misconfigured)
    assert said in str(result.exception)


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    result = RUNS.invoke(app, ["next", "--on", "2026-12-07", "--until", "2026-12-06"])

    assert result.exit_code == 2


def test_an_opened_day_has_the_ordinary_hours_before_it() -> None:
    exam = date(2026, 11, 19)
    opened = almanac.opening(almanac.closing(KRX, {date(2026, 11, 20): "x"}), date(2026, 11, 20))

    held, model = opened.session(date(2026, 11, 20)), session(date(2026, 11, 18))

    assert held is not None
    assert model is not None
    assert held.date == date(2026, 11, 20)
    assert held.open - kst_midnight(held.date) == model.open - kst_midnight(model.date)
    assert held.end - kst_midnight(held.date) == model.end - kst_midnight(model.date)
    assert opened.why_closed(held.date) is None
    assert opened.session(exam) == session(exam)


def test_changes_of_the_same_calendar_are_none() -> None:
    assert almanac.changes(timetable.default(), DAY, DAY + timedelta(3), KRX, KRX) == ()
