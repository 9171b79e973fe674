"""Triggers: the literal line bounded by the real session, and nothing unfired in silence."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.cron import parse
from scheduler.triggers import (
    KRX,
    Calendar,
    Slot,
    Suppressed,
    Trigger,
    clock,
    duration,
    parse_rule,
    slots,
)
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_midnight, session
from schemas.units import DAY, HOUR, MINUTE, SECOND, Micros

NORMAL = date(2026, 3, 30)
EXAM = date(2026, 11, 19)
ELECTION = date(2026, 6, 3)


def trigger(
    line: str | None = None,
    rule: str | None = None,
    calendar: str = "sessions",
    logical: str = "today",
) -> Trigger:
    """Return a trigger from its texts."""
    return Trigger(
        parse(line) if line is not None else None,
        parse_rule(rule) if rule is not None else None,
        calendar,
        logical,
    )


def on(
    which: Trigger, day: date, days: int = 1, calendar: Calendar = KRX
) -> list[Slot | Suppressed]:
    """Return everything a trigger says of some days."""
    start = kst_midnight(day)
    return list(slots("job", which, start, Micros(start + days * DAY), calendar))


def times(found: list[Slot | Suppressed]) -> list[str]:
    """Return the times of day that fire."""
    return [clock(each.at) for each in found if isinstance(each, Slot)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("open", ["09:00"]),
        ("open - 30m", ["08:30"]),
        ("close + 30m", ["16:00"]),
        ("every 2h within session", ["09:00", "11:00", "13:00", "15:00"]),
        ("every 195m from open until close", ["09:00", "12:15"]),
        ("every 195m from open through close", ["09:00", "12:15", "15:30"]),
        ("every 10m from close - 10m through close + 10m", ["15:20", "15:30", "15:40"]),
        ("every 30s from open until open + 1m", ["09:00", "09:00:30"]),
        ("every 5m from close until open", []),
    ],
)
def test_session_rules_name_instants_of_the_session(rule: str, expected: list[str]) -> None:
    assert times(on(trigger(rule=rule), NORMAL)) == expected


@pytest.mark.parametrize(
    "rule", ["noon", "every 5m", "open + 7h", "every 0m within session", "open +5", "close\n"]
)
def test_other_session_rules_are_refused(rule: str) -> None:
    with pytest.raises(Misconfigured, match="expected"):
        parse_rule(rule)


def test_a_line_moves_with_the_session_and_its_old_minutes_are_suppressed() -> None:
    found = on(trigger("0 9 * * 1-5", "open"), EXAM)

    assert times(found) == ["10:00"]
    assert [each.reason for each in found if isinstance(each, Suppressed)] == [
        "outside the session: due 10:00, exam day"
    ]


def test_a_closed_day_suppresses_each_minute_of_the_line_by_name() -> None:
    assert on(trigger("0 8 * * 1-5"), ELECTION) == [
        Suppressed(
            Slot("job", Micros(kst_midnight(ELECTION) + 8 * HOUR), ELECTION),
            "closed: Local Election Day",
        )
    ]


def test_weekdays_fire_on_exchange_holidays_but_not_on_weekends() -> None:
    weekdays = trigger("0 8 * * *", calendar="weekdays")

    assert times(on(weekdays, ELECTION)) == ["08:00"]
    assert times(on(weekdays, date(2026, 6, 6))) == []


@pytest.mark.parametrize(
    ("logical", "expected"),
    [
        ("today", date(2026, 2, 15)),
        ("previous session", date(2026, 2, 13)),
        ("next session", date(2026, 2, 19)),
    ],
)
def test_logical_date_of_a_closed_day_steps_over_the_holidays(logical: str, expected: date) -> None:
    [slot] = on(trigger("0 0 * * *", calendar="every-day", logical=logical), date(2026, 2, 15))

    assert isinstance(slot, Slot)
    assert slot.logical_date == expected


def test_another_calendar_says_what_an_override_would_change() -> None:
    closed = Calendar(lambda _: None, lambda _: "temporary holiday")

    [found] = on(trigger("0 9 * * 1-5", "open"), NORMAL, calendar=closed)

    assert isinstance(found, Suppressed)
    assert found.reason == "closed: temporary holiday"


RULES = st.sampled_from(
    ["open", "close", "open - 60m", "every 7m within session", "every 1m from open through close"]
)


@given(
    rule=st.none() | RULES,
    day=st.dates(date(2015, 1, 1), date(2027, 12, 31)),
    cut=st.integers(0, 2 * DAY),
)
def test_every_minute_of_the_line_is_said_once_however_time_is_cut(
    rule: str | None, day: date, cut: int
) -> None:
    which = trigger("*/5 9-15 * * 1-5", rule)
    start, end = kst_midnight(day), Micros(kst_midnight(day) + 2 * DAY)
    middle = Micros(start + cut)

    whole = list(slots("job", which, start, end))
    said = [each.at if isinstance(each, Slot) else each.slot.at for each in whole]

    assert [*slots("job", which, start, middle), *slots("job", which, middle, end)] == whole
    assert said == sorted(set(said))
    weekdays = [d for d in (day, day + timedelta(days=1)) if d.weekday() < 5]
    literal = {kst_midnight(d) + m * MINUTE for d in weekdays for m in range(9 * 60, 16 * 60, 5)}
    assert literal <= set(said)
    for each in whole:
        if isinstance(each, Slot):
            held = session(each.logical_date)
            assert held is not None


def test_durations_are_read_in_their_units() -> None:
    assert [duration(text) for text in ("90s", "5m", "2h", "1d")] == [
        90 * SECOND,
        5 * MINUTE,
        2 * HOUR,
        DAY,
    ]
    with pytest.raises(Misconfigured, match="'5 m'"):
        duration("5 m")
