"""The timetable over real days: no difference, and every planted mistake is one."""

import json
import tomllib
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import typer
from pyarrow import parquet
from typer.testing import CliRunner

from scheduler import bench, golden, timetable, triggers, years
from scheduler.commands import schedule_years
from scheduler.triggers import KRX, Calendar
from schemas.errors import Misconfigured
from schemas.krx import calendar, sessions
from schemas.krx.sessions import Session
from schemas.units import HOUR, Micros

TEXT = (files("scheduler") / "timetable.toml").read_text("utf-8")
FACTS = golden.golden()
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "krx_reference"
OBSERVED = SHARED / bench.OBSERVED.name
SESSIONS = {
    2015: 248, 2016: 246, 2017: 243, 2018: 244, 2019: 246, 2020: 248, 2021: 248,
    2022: 246, 2023: 245, 2024: 244, 2025: 242, 2026: 244, 2027: 245, 2028: 242,
}  # fmt: skip
"""Counted apart from the dates, of the index rows and the library."""
EXAM = date(2026, 11, 19)
HOLIDAY = date(2026, 6, 3)


def judged(
    text: str = TEXT,
    on: Calendar = KRX,
    start: date = date(2026, 1, 1),
    end: date = date(2027, 1, 1),
    facts: golden.Golden = FACTS,
) -> years.Judged:
    """Judge what the product reads of ``text`` against the shipped one."""
    return years.judge(timetable.load(text), TEXT, facts, start=start, end=end, calendar=on)


def hours(change: Callable[[Session], Session], on: date) -> Calendar:
    """Return the exchange's calendar with one session changed."""

    def session(day: date) -> Session | None:
        found = sessions.session(day)
        return change(found) if found is not None and day == on else found

    return KRX._replace(session=session)


def opened(day: date) -> Calendar:
    """Return the exchange's calendar with one closed day open, as a stale library has it."""

    def session(asked: date) -> Session | None:
        found = sessions.session(asked if asked != day else sessions.previous_session(day).date)
        return found._replace(date=asked) if found is not None and asked == day else found

    return Calendar(session, lambda asked: None if asked == day else calendar.why_closed(asked))


def test_two_years_with_exam_days_and_first_sessions_hold_no_difference() -> None:
    found = judged(end=date(2028, 1, 1))

    assert (found.differences, found.examples) == (0, ())
    assert (found.sessions, found.special_sessions) == (244 + 245, 4)
    assert found.weekend_fires == {"saturday": 0, "sunday": 0}
    assert found.session_weekend_fires == 0


@pytest.mark.parametrize("day", sorted(FACTS.firsts | FACTS.exams))
def test_every_special_session_fires_by_its_own_hours(day: date) -> None:
    found = judged(start=day, end=date.fromordinal(day.toordinal() + 1))

    assert (found.differences, found.special_sessions) == (0, 1)


@pytest.mark.parametrize(
    ("plant", "first"),
    [
        (
            hours(lambda it: it._replace(close=Micros(it.close - HOUR)), EXAM),
            "2026-11-19: expected 10:00-16:30 special, was 10:00-15:30 special",
        ),
        (
            hours(lambda it: it._replace(open=Micros(it.open - HOUR)), EXAM),
            "2026-11-19: expected 10:00-16:30 special, was 09:00-16:30 special",
        ),
    ],
)
def test_a_wrong_hour_of_one_day_is_seen_in_the_day_and_in_its_fires(
    plant: Calendar, first: str
) -> None:
    found = judged(on=plant, start=date(2026, 11, 1), end=date(2026, 12, 1))

    assert found.examples[0] == first
    assert found.differences > 60


def test_a_holiday_taken_for_a_session_is_seen() -> None:
    found = judged(on=opened(HOLIDAY), start=HOLIDAY, end=date(2026, 7, 1))

    assert found.examples[0].startswith("2026-06-03: expected closed, was ")
    assert found.differences > 391


def test_a_session_taken_for_a_holiday_is_seen() -> None:
    day = date(2026, 3, 30)
    shut = Calendar(
        lambda asked: None if asked == day else sessions.session(asked),
        lambda asked: "mistake" if asked == day else calendar.why_closed(asked),
    )

    found = judged(on=shut, start=day, end=HOLIDAY)

    assert found.examples[0] == "2026-03-30: expected 09:00-15:30, was closed"


def test_days_of_the_week_counted_from_monday_are_seen() -> None:
    found = judged(TEXT.replace("* * 1-5", "* * 2-6"), start=HOLIDAY, end=date(2026, 7, 1))

    assert found.differences > 0


def test_a_weekend_fire_of_a_weekday_line_is_counted() -> None:
    tidy = TEXT.index("[jobs.day_tidy]")
    text = TEXT[:tidy] + TEXT[tidy:].replace("1-5", "*", 1).replace('"sessions"', '"every-day"', 1)

    found = judged(text)

    assert found.weekend_fires == {"saturday": 52, "sunday": 52}
    assert found.differences > 104


def test_a_logical_date_a_day_off_is_seen() -> None:
    found = judged(TEXT.replace('logical = "previous session"', 'logical = "today"'))

    assert found.differences == 365


def test_a_slot_named_twice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def twice(*asked: Any) -> Iterator[Any]:
        for each in triggers.slots(*asked):
            yield from (each, each)

    monkeypatch.setattr(years, "slots", twice)

    found = judged(start=HOLIDAY, end=date(2026, 6, 4))

    assert (found.fires, found.differences) == (2 * 2, sum(found.suppressed.values()) + 2)


@pytest.mark.parametrize(
    ("job", "fires"),
    [
        ("pre_open_prepare", 1),
        ("morning_data_collection", 4),
        ("ai_analysis", 1),
        ("market_open", 1),
        ("market_monitoring", 391),
        ("trading_execution", 78),
        ("daily_settlement", 1),
        ("daily_report", 1),
    ],
)
def test_the_second_reading_knows_the_counts_of_the_brief(job: str, fires: int) -> None:
    day = date(2026, 3, 30)

    found = golden.expected(tomllib.loads(TEXT)["jobs"], job, {day: FACTS.session(day)}, FACTS)

    assert sum(end == "" for _, (end, _) in found) == fires


@pytest.mark.parametrize(("year", "count"), SESSIONS.items())
def test_the_facts_add_up_to_the_sessions_of_each_year(year: int, count: int) -> None:
    days = range(date(year, 1, 1).toordinal(), date(year + 1, 1, 1).toordinal())

    assert sum(FACTS.session(date.fromordinal(day)) is not None for day in days) == count


def test_an_unreadable_line_is_refused_and_not_passed_over() -> None:
    named = TEXT.replace("0 18 * * 1-5", "0 18 * * MON-FRI")

    with pytest.raises(Misconfigured, match="'MON-FRI'"):
        years.judge(timetable.load(named), named, FACTS, start=HOLIDAY, end=EXAM)


def test_without_the_collection_the_bench_says_so_and_judges_by_the_facts(tmp_path: Path) -> None:
    told = bench.schedule_years(tmp_path / "none", date(2026, 6, 1), date(2026, 7, 1))

    assert told["against"] == f"golden.toml alone: {tmp_path / 'none'} is absent"
    assert (told["differences"], told["sessions"]) == (0, 21)


@pytest.mark.data
@pytest.mark.skipif(not OBSERVED.exists(), reason="../shared/data is absent")
def test_the_days_that_traded_agree_with_the_facts_and_the_timetable() -> None:
    told = bench.schedule_years(OBSERVED, date(2026, 1, 1), date(2026, 8, 15))

    assert told["against"] == "observed until 2026-08-14, then golden.toml"
    assert (told["differences"], told["examples"]) == (0, ())


@pytest.mark.data
@pytest.mark.skipif(not OBSERVED.exists(), reason="../shared/data is absent")
def test_the_collectors_saturday_is_left_out_and_any_other_day_is_a_difference() -> None:
    real = bench.sessions_of(OBSERVED)
    saturday, other = date(2026, 6, 13), date(2026, 6, 20)

    def of(days: frozenset[date]) -> years.Judged:
        return judged(facts=golden.with_observed(FACTS, days), start=HOLIDAY, end=date(2026, 7, 1))

    assert of(real | {saturday}).differences == 0
    assert of(real | {other}).examples[0] == "2026-06-20: expected 09:00-15:30, was closed"
    assert of(real | {HOLIDAY}).examples[0].startswith("2026-06-03: expected 09:00-15:30")


@pytest.mark.parametrize(("planted", "status"), [(None, 0), (date(2026, 6, 20), 1)])
def test_the_bench_exits_one_on_a_difference_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted: date | None, status: int
) -> None:
    days = [date.fromordinal(n) for n in range(HOLIDAY.toordinal(), HOLIDAY.toordinal() + 28)]
    real = [day for day in days if sessions.session(day) is not None or day == planted]
    path = tmp_path / "days.parquet"
    parquet.write_table(pa.table({"trading_date": pa.array(real).cast("timestamp[ns]")}), path)
    short = partial(bench.schedule_years, start=HOLIDAY, end=date(2026, 7, 1))
    monkeypatch.setattr(bench, "schedule_years", short)
    app = typer.Typer()
    app.command()(schedule_years)

    result = CliRunner().invoke(app, ["--observed", str(path), "--json"])

    assert result.exit_code == status
    assert (json.loads(result.stdout)["differences"] > 0) == bool(status)


def test_a_file_that_is_not_the_collection_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    parquet.write_table(pa.table({"day": [1]}), path)

    with pytest.raises(Misconfigured, match="trading_date"):
        bench.sessions_of(path)
