"""The watch of a running scheduler: whole days through its core, with sources that disagree."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache

import pytest

from scheduler import calendar_build, core, timetable, watch
from scheduler.almanac import closing
from scheduler.state import initial
from scheduler.triggers import KRX, clock
from scheduler.vigil import Tape, Vigil, Watched
from scheduler.watch import Source
from schemas.control import JobTriggered, RunReported, ScheduleDecided
from schemas.krx.sessions import kst_midnight
from schemas.ops import AlertRaised
from schemas.units import DAY, HOUR, MINUTE, Micros

EXAM = date(2026, 11, 19)
SUDDEN = date(2026, 12, 7)
ORDERS = {"market_monitoring", "trading_execution", "rescoring", "ai_analysis"}
ANNOUNCED = json.dumps({"output": [{"bass_dt": "20261207", "opnd_yn": "N"}]})


@cache
def library() -> Mapping[date, str]:
    """Return the closures of the library as installed."""
    return calendar_build.library()


def stale(day: date) -> Vigil:
    """Return a watch whose library does not know that a day is closed."""
    known = {each: name for each, name in library().items() if each != day}
    return Vigil(known, watch.settled(calendar_build.overrides()))


def at(day: date, hours: float) -> Micros:
    """Return an instant of a day in Korea."""
    return Micros(kst_midnight(day) + round(hours * HOUR))


@dataclass
class Told:
    """What a day of the scheduler gave."""

    fired: dict[str, list[str]] = field(default_factory=dict)
    suppressed: Counter[tuple[str, str]] = field(default_factory=Counter)
    alerts: list[AlertRaised] = field(default_factory=list)


def through(day: date, vigil: Vigil, said: Callable[[Micros], Source | None],
            tape: Callable[[Micros], Tape] | None = None) -> Told:  # fmt: skip
    """Drive the core through a day by the minute; every attempt succeeds at once."""
    table, told = timetable.default(), Told()
    state = initial(Micros(kst_midnight(day) - MINUTE))
    inputs: list[core.Input] = []
    for now in range(kst_midnight(day), kst_midnight(day) + DAY, MINUTE):
        asked = tape is not None and vigil.wants_tape(Micros(now))
        seen = tape(Micros(now)) if tape is not None and asked else None
        watched = vigil.look(Micros(now), said(Micros(now)), seen)
        told.alerts.extend(watched.alerts)
        state, records = core.step(table, state, Micros(now), inputs, watched.calendar)
        inputs = [succeeded(each) for each in records if isinstance(each, JobTriggered)]
        for each in records:
            if isinstance(each, JobTriggered):
                told.fired.setdefault(each.job, []).append(clock(each.slot))
            if isinstance(each, ScheduleDecided) and each.decision == "suppressed":
                told.suppressed[each.job, each.reason] += 1
    return told


def succeeded(fire: JobTriggered) -> RunReported:
    """Return the report of an end."""
    return RunReported(
        ts_event=fire.ts_event, ts_ingest=fire.ts_event, fire_id=fire.fire_id, job=fire.job,
        slot=fire.slot, state="succeeded", attempt=fire.attempt, worker="test", detail="",
        started=fire.ts_event, ended=fire.ts_event,
    )  # fmt: skip


def nothing(_: Micros) -> Source | None:
    """Say nothing as the brokerage."""
    return None


@pytest.mark.parametrize("day", [date(2026, 6, 3), date(2026, 7, 17)])
def test_a_stale_library_is_alarmed_before_the_open_and_no_trading_job_fires(day: date) -> None:
    found = through(day, stale(day), nothing)

    urgent = [each for each in found.alerts if each.severity == "urgent"]
    assert [each.summary.partition(":")[0] for each in urgent] == [str(day)]
    assert all(each.ts_event < at(day, 9) for each in urgent)
    assert not ORDERS & set(found.fired)
    assert found.fired["daily_settlement"] == ["15:30"]
    lost = {job: count for (job, why), count in found.suppressed.items() if "disagree" in why}
    assert (lost["market_monitoring"], lost["trading_execution"], lost["rescoring"]) == (
        420,
        84,
        26,
    )


def test_a_holiday_announced_at_half_past_seven_stops_trading_before_the_open() -> None:
    answer = watch.brokerage(ANNOUNCED)
    vigil = Vigil(library(), watch.settled(calendar_build.overrides()))

    found = through(SUDDEN, vigil, lambda now: answer if now >= at(SUDDEN, 7.5) else None)

    [alert] = found.alerts
    assert (alert.ts_event, alert.severity) == (at(SUDDEN, 7.5), "urgent")
    assert "our table says 09:00-15:30, holidays library says open, brokerage says closed" in (
        alert.summary
    )
    assert not ORDERS & set(found.fired)
    assert found.fired["daily_settlement"] == ["15:30"]
    assert found.fired["daily_report"] == ["16:00"]


def test_an_exam_day_under_a_stale_library_opens_and_settles_an_hour_later() -> None:
    found = through(EXAM, stale(EXAM), nothing, Tape)

    assert found.alerts == []
    assert found.fired["market_open"] == ["10:00"]
    assert found.fired["trading_execution"][0] == "10:00"
    assert found.fired["daily_settlement"] == ["16:30"]
    assert found.fired["daily_report"] == ["17:00"]


def test_a_session_without_a_trade_stops_orders_until_one_comes() -> None:
    vigil = Vigil(library(), watch.settled(calendar_build.overrides()))

    def tape(now: Micros) -> Tape:
        return Tape(now if now >= at(SUDDEN, 10.5) else at(SUDDEN - timedelta(days=3), 15))

    found = through(SUDDEN, vigil, nothing, tape)

    [alert] = found.alerts
    assert (alert.ts_event, alert.severity) == (at(SUDDEN, 9) + MINUTE, "urgent")
    assert "expected trades since the open at 09:00" in alert.summary
    assert found.fired["trading_execution"][:2] == ["09:00", "10:30"]
    assert found.fired["trading_execution"][-1] == "15:25"
    assert found.fired["daily_settlement"] == ["15:30"]
    silent = [count for (job, why), count in found.suppressed.items()
              if job == "trading_execution" and "no trade has come" in why]  # fmt: skip
    assert silent == [17]


def test_trades_on_a_closed_day_are_an_alarm_once_and_orders_stay_closed() -> None:
    day = date(2026, 7, 17)
    vigil = Vigil(library(), watch.settled(calendar_build.overrides()))

    found = through(day, vigil, nothing, Tape)

    assert [clock(each.ts_event) for each in found.alerts] == ["09:01"]
    assert "expected no trade on a closed day" in found.alerts[0].summary
    assert not ORDERS & set(found.fired)


def test_the_same_verdict_is_the_same_calendar_and_says_nothing_twice() -> None:
    answer, vigil = watch.brokerage(ANNOUNCED), stale(date(2026, 12, 25))

    first = vigil.look(at(SUDDEN, 8), answer)
    again = vigil.look(at(SUDDEN, 8.1), answer)
    tomorrow = vigil.look(at(SUDDEN, 33), answer)

    assert again == Watched(first.calendar)
    assert again.calendar is first.calendar
    assert [each.severity for each in first.alerts] == ["urgent", "warning"]
    assert tomorrow.alerts == ()
    assert tomorrow.calendar.orders is not None
    assert not tomorrow.calendar.orders.held(SUDDEN)


def test_a_watch_started_anew_says_the_same_keys() -> None:
    keys = [
        [each.alert_key for each in stale(date(2026, 12, 25)).look(at(SUDDEN, hours)).alerts]
        for hours in (8, 15)
    ]

    assert keys[0] == keys[1]
    assert len(keys[0]) == 1


def test_a_settled_holiday_is_closed_for_everyone_without_an_alert() -> None:
    calendar = closing(KRX, {SUDDEN: "temporary holiday"})
    settled = watch.Settled(frozenset({SUDDEN}), frozenset())

    found = through(SUDDEN, Vigil(library(), settled, calendar), nothing)

    assert found.alerts == []
    assert set(found.fired) == {"nightly_backtest", "system_check"}


def test_undisputed_days_are_decided_by_our_calendar_itself() -> None:
    vigil = Vigil(library(), watch.settled(calendar_build.overrides()))

    assert vigil.look(at(SUDDEN, 8)).calendar == KRX


def test_a_table_that_ends_soon_is_a_warning_and_no_refusal() -> None:
    day = date(2028, 6, 1)

    alerts = Vigil(library(), watch.Settled(frozenset(), frozenset())).look(at(day, 8)).alerts

    assert [each.summary for each in alerts if "ends" in each.alert_key] == [
        "expected a calendar of the next 400 days, was one that ends before 2029-01-01"
    ]


@pytest.mark.parametrize(
    ("hours", "wanted"), [(9, False), (9.02, True), (15.4, True), (15.5, False)]
)
def test_the_tape_is_asked_for_within_the_session_and_once_a_minute(
    hours: float, *, wanted: bool
) -> None:
    vigil, now = Vigil(library(), watch.settled(calendar_build.overrides())), at(SUDDEN, hours)

    assert vigil.wants_tape(now) == wanted
    vigil.look(now, tape=Tape(None))
    assert not vigil.wants_tape(Micros(now + MINUTE - 1))
    vigil.look(now, tape=Tape(now))
    assert not vigil.wants_tape(Micros(now + 2 * MINUTE))
