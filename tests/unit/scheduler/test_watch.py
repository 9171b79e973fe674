"""The calendar watchdog: a stale source is caught, orders stop, reading goes on."""

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scheduler import calendar_build, timetable, watch
from scheduler.almanac import closing
from scheduler.calendar_check import Checked, checked
from scheduler.commands import app
from scheduler.triggers import KRX, clock
from scheduler.watch import Settled, Source
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_midnight, session
from schemas.units import HOUR, MINUTE, SECOND, Micros

NOTHING = Settled(frozenset(), frozenset())
DECIDED = watch.settled(calendar_build.overrides())
EXAM = date(2026, 11, 19)
SUDDEN = date(2026, 12, 7)
ORDERS = {"market_monitoring", "trading_execution", "rescoring", "ai_analysis"}
RUNS = CliRunner()


def at(day: date, hours: float) -> Micros:
    """Return an instant of a day in Korea."""
    return Micros(kst_midnight(day) + round(hours * HOUR))


def asked(day: date, *others: Source, decided: Settled = DECIDED) -> Checked:
    """Hold our table against other sources on a day."""
    return checked(day, [watch.ours(day), *others], decided)


@pytest.mark.parametrize("day", [date(2026, 6, 3), date(2026, 7, 17)])
def test_a_stale_source_that_has_a_holiday_open_is_an_alarm_and_no_order_job_fires(
    day: date,
) -> None:
    found = asked(day, Source("stale", {day: watch.OPEN}))

    assert [each.date for each in found.disputes] == [day]
    assert found.alarms[0].startswith(f"{day}: our table says closed, stale says open; settle")
    assert not found.orders.open
    assert found.reads.open
    assert not ORDERS & set(found.due)
    assert found.due["morning_data_collection"] == 4


def test_a_holiday_announced_at_half_past_seven_stops_orders_before_the_open() -> None:
    told = {"output": [{"bass_dt": "20261207", "opnd_yn": "N"}]}

    before = asked(SUDDEN)
    after = asked(SUDDEN, watch.brokerage(json.dumps(told)))

    assert (before.orders.open, before.due["trading_execution"]) == (True, 78)
    assert after.orders.reason.startswith(
        "closed for jobs that may send orders: the sources disagree about 2026-12-07: "
        "our table says 09:00-15:30, brokerage says closed"
    )
    assert not ORDERS & set(after.due)
    assert (after.due["pre_open_prepare"], after.due["daily_settlement"]) == (1, 1)


def test_a_settled_holiday_is_closed_for_everyone_without_an_alarm() -> None:
    calendar = closing(KRX, {SUDDEN: "temporary holiday"})
    decided = Settled(frozenset({SUDDEN}), frozenset())
    sources = [watch.ours(SUDDEN, calendar=calendar), Source("stale", {SUDDEN: watch.OPEN})]

    found = checked(SUDDEN, sources, decided, calendar=calendar)

    assert found.alarms == ()
    assert (
        found.orders == found.reads == watch.Verdict(open=False, reason="closed: temporary holiday")
    )
    assert set(found.due) == {"nightly_backtest", "system_check"}


def test_ordinary_hours_of_a_stale_source_do_not_dispute_a_settled_exam_day() -> None:
    stale = Source("stale", {EXAM: "09:00-15:30"})

    assert asked(EXAM, stale).orders == watch.Verdict(open=True, reason="a session")
    [dispute] = asked(EXAM, stale, decided=NOTHING).disputes
    assert dispute.says == {"our table": "10:00-16:30", "stale": "09:00-15:30"}


def test_jobs_after_the_close_follow_the_exam_day() -> None:
    fires = timetable.preview(timetable.default(), EXAM)
    due = {each.job: clock(each.at) for each in fires if not hasattr(each, "reason")}

    assert asked(EXAM).due["market_open"] == 1
    assert (due["market_open"], due["daily_settlement"]) == ("10:00", "16:30")


def test_a_source_that_closes_a_settled_exam_day_is_still_disputed() -> None:
    found = asked(EXAM, Source("stale", {EXAM: watch.CLOSED}))

    assert not found.orders.open


def test_a_dispute_about_another_day_is_named_and_stops_nothing_today() -> None:
    found = asked(SUDDEN, Source("stale", {date(2026, 12, 31): watch.OPEN}))

    assert [each.date for each in found.disputes] == [date(2026, 12, 31)]
    assert found.orders.open


def test_a_day_that_a_source_does_not_know_is_no_dispute() -> None:
    assert asked(SUDDEN, Source("short", {})).disputes == ()


def test_the_library_as_installed_agrees_with_the_table_for_four_hundred_days() -> None:
    today = date(2026, 11, 23)
    library = watch.listed("library", calendar_build.library(), today)

    assert len(library.answers) == watch.AHEAD_DAYS
    assert watch.disputes([watch.ours(today), library], NOTHING) == ()
    stale = {day: "" for day in calendar_build.library() if day != date(2027, 5, 3)}
    [dispute] = watch.disputes([watch.ours(today), watch.listed("old", stale, today)], NOTHING)
    assert dispute.date == date(2027, 5, 3)


def test_a_table_that_ends_within_the_days_ahead_is_refused() -> None:
    with pytest.raises(Misconfigured, match="calendar_build"):
        watch.ours(date(2028, 6, 1))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"output": 1}', '{"output": [{"bass_dt": "2026", "opnd_yn": "Y"}]}',
        '{"output": [{"bass_dt": "20261207", "opnd_yn": "maybe"}]}',
    ],
)  # fmt: skip
def test_an_unreadable_answer_of_the_brokerage_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="chk-holiday"):
        watch.brokerage(text)


def test_every_job_that_an_order_may_follow_from_counts_as_sending_orders() -> None:
    jobs = timetable.default().jobs.values()

    assert {job.name for job in jobs if watch.sends_orders(job)} == ORDERS


@pytest.mark.parametrize(
    ("day", "newest", "now", "alarm"),
    [
        (SUDDEN, None, at(SUDDEN, 9) + MINUTE - SECOND, False),
        (SUDDEN, None, at(SUDDEN, 9) + MINUTE, True),
        (SUDDEN, at(SUDDEN, 8.5), at(SUDDEN, 9) + MINUTE, True),
        (SUDDEN, at(SUDDEN, 9), at(SUDDEN, 9) + MINUTE, False),
        (EXAM, None, at(EXAM, 9) + MINUTE, False),
        (EXAM, at(EXAM, 9), at(EXAM, 10) + MINUTE, True),
        (date(2026, 7, 17), at(date(2026, 7, 16), 19), at(date(2026, 7, 17), 9.1), False),
        (date(2026, 7, 17), at(date(2026, 7, 17), 9), at(date(2026, 7, 17), 9.1), True),
        (date(2026, 7, 17), None, at(date(2026, 7, 17), 9.1), False),
    ],
)
def test_the_tape_alarms_a_minute_after_the_open_or_at_a_trade_on_a_closed_day(
    day: date, newest: Micros | None, now: int, *, alarm: bool
) -> None:
    said = watch.tick_alarm(newest, Micros(now), session(day))

    assert (said is not None) == alarm
    assert said is None or said.startswith(f"{day}: expected ")


def test_check_names_the_disputed_day_and_exits_one(tmp_path: Path) -> None:
    answers = tmp_path / "kis.json"
    answers.write_text(
        json.dumps({"output": [{"bass_dt": "20260717", "opnd_yn": "Y"}]}), encoding="utf-8"
    )
    command = ["calendar", "--check", "--at", "2026-07-17T07:30"]

    quiet = RUNS.invoke(app, command)
    loud = RUNS.invoke(app, [*command, "--answers", str(answers), "--json"])

    assert (quiet.exit_code, loud.exit_code) == (0, 1)
    told = json.loads(loud.stdout)
    assert [each["date"] for each in told["disputes"]] == ["2026-07-17"]
    assert not told["orders"]["open"]


def test_check_refuses_a_file_that_is_not_there_and_an_instant_that_is_none() -> None:
    missing = RUNS.invoke(app, ["calendar", "--check", "--answers", "no such file"])
    unread = RUNS.invoke(app, ["calendar", "--check", "--at", "noon"])

    assert isinstance(missing.exception, Misconfigured)
    assert unread.exit_code == 2
