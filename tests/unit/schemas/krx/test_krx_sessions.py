"""Sessions: the golden closures, the 27 special days, and a clock without gaps."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Misconfigured
from schemas.krx import calendar, sessions
from schemas.units import HOUR, MINUTE, SECOND, Micros

GOLDEN = {  # weekday closures; observed to 2026-08-14, predicted after
    2015: "01-01 02-18 02-19 02-20 05-01 05-05 05-25 08-14 09-28 09-29 10-09 12-25 12-31",
    2016: "01-01 02-08 02-09 02-10 03-01 04-13 05-05 05-06 06-06 08-15 09-14 09-15 09-16 10-03 "
    "12-30",
    2017: "01-27 01-30 03-01 05-01 05-03 05-05 05-09 06-06 08-15 10-02 10-03 10-04 10-05 10-06 "
    "10-09 12-25 12-29",
    2018: "01-01 02-15 02-16 03-01 05-01 05-07 05-22 06-06 06-13 08-15 09-24 09-25 09-26 10-03 "
    "10-09 12-25 12-31",
    2019: "01-01 02-04 02-05 02-06 03-01 05-01 05-06 06-06 08-15 09-12 09-13 10-03 10-09 12-25 "
    "12-31",
    2020: "01-01 01-24 01-27 04-15 04-30 05-01 05-05 08-17 09-30 10-01 10-02 10-09 12-25 12-31",
    2021: "01-01 02-11 02-12 03-01 05-05 05-19 08-16 09-20 09-21 09-22 10-04 10-11 12-31",
    2022: "01-31 02-01 02-02 03-01 03-09 05-05 06-01 06-06 08-15 09-09 09-12 10-03 10-10 12-30",
    2023: "01-23 01-24 03-01 05-01 05-05 05-29 06-06 08-15 09-28 09-29 10-02 10-03 10-09 12-25 "
    "12-29",
    2024: "01-01 02-09 02-12 03-01 04-10 05-01 05-06 05-15 06-06 08-15 09-16 09-17 09-18 10-01 "
    "10-03 10-09 12-25 12-31",
    2025: "01-01 01-27 01-28 01-29 01-30 03-03 05-01 05-05 05-06 06-03 06-06 08-15 10-03 10-06 "
    "10-07 10-08 10-09 12-25 12-31",
    2026: "01-01 02-16 02-17 02-18 03-02 05-01 05-05 05-25 06-03 07-17 08-17 09-24 09-25 10-05 "
    "10-09 12-25 12-31",
    2027: "01-01 02-08 02-09 03-01 05-03 05-05 05-13 07-19 08-16 09-14 09-15 09-16 10-04 10-11 "
    "12-27 12-31",
    2028: "01-26 01-27 01-28 03-01 04-12 05-01 05-02 05-05 06-06 07-17 08-15 10-02 10-03 10-04 "
    "10-05 10-09 12-25 12-29",
}
SESSIONS = dict(
    zip(
        range(2015, 2029),
        (248, 246, 243, 244, 246, 248, 248, 246, 245, 244, 242, 244, 245, 242),
        strict=True,
    )
)

FIRST_SESSIONS = [
    "2015-01-02",
    "2016-01-04",
    "2017-01-02",
    "2018-01-02",
    "2019-01-02",
    "2020-01-02",
    "2021-01-04",
    "2022-01-03",
    "2023-01-02",
    "2024-01-02",
    "2025-01-02",
    "2026-01-02",
    "2027-01-04",
]
EXAM_DAYS = [
    "2015-11-12",
    "2016-11-17",
    "2017-11-16",
    "2017-11-23",
    "2018-11-15",
    "2019-11-14",
    "2020-12-03",
    "2021-11-18",
    "2022-11-17",
    "2023-11-16",
    "2024-11-14",
    "2025-11-13",
    "2026-11-19",
    "2027-11-18",
]

DAYS = st.dates(calendar.FIRST, calendar.END - timedelta(days=1))


def clock(instant: Micros) -> str:
    """Write an instant as the time of its day in Korea."""
    minutes = (instant - sessions.kst_midnight(sessions.kst_date(instant))) // MINUTE
    return f"{minutes // 60:02}:{minutes % 60:02}"


def hours(day: str) -> tuple[str, str]:
    """Return open and close of a day that must have a session."""
    found = sessions.session(date.fromisoformat(day))
    assert found is not None
    return clock(found.open), clock(found.close)


@pytest.mark.parametrize("year", GOLDEN)
def test_weekday_closures_are_the_golden_ones(year: int) -> None:
    closed = [
        f"{day:%m-%d}" for day in calendar.closures() if day.year == year and day.weekday() < 5
    ]

    assert closed == GOLDEN[year].split()
    between = sessions.sessions_between(date(year, 1, 1), date(year + 1, 1, 1))
    assert sum(1 for _ in between) == SESSIONS[year]


@pytest.mark.parametrize("day", ["2026-06-03", "2026-07-17", "2026-12-31"])
def test_closures_that_libraries_miss_have_a_name(day: str) -> None:
    assert sessions.session(date.fromisoformat(day)) is None
    assert calendar.why_closed(date.fromisoformat(day))


@pytest.mark.parametrize("day", FIRST_SESSIONS)
def test_first_session_of_a_year_opens_at_ten_and_closes_as_ever(day: str) -> None:
    assert hours(day) == ("10:00", "15:30" if day >= "2016-08-01" else "15:00")


@pytest.mark.parametrize("day", EXAM_DAYS)
def test_exam_day_moves_by_one_hour(day: str) -> None:
    assert hours(day) == ("10:00", "16:30" if day >= "2016-08-01" else "16:00")


def test_no_other_day_of_2015_to_2027_is_special() -> None:
    found = sessions.sessions_between(date(2015, 1, 1), date(2028, 1, 1))
    special = [each.date.isoformat() for each in found if each.special]

    assert special == sorted(FIRST_SESSIONS + EXAM_DAYS)
    assert len(special) == 27


def test_phases_of_a_normal_day_change_on_the_minute() -> None:
    midnight = sessions.kst_midnight(date(2026, 2, 10))
    changes = ["00:00 closed"]
    for minute in range(24 * 60):
        phase = sessions.phase_at(Micros(midnight + minute * MINUTE))
        if not changes[-1].endswith(" " + phase):
            changes.append(f"{minute // 60:02}:{minute % 60:02} {phase}")

    assert changes == [
        "00:00 closed",
        "08:00 pre_open",
        "08:30 opening_auction",
        "09:00 continuous",
        "15:20 closing_auction",
        "15:30 after_hours",
        "18:00 closed",
    ]


@pytest.mark.parametrize(
    ("day", "time", "phase"),
    [
        (date(2026, 11, 19), "09:29", "pre_open"),
        (date(2026, 11, 19), "09:30", "opening_auction"),
        (date(2026, 11, 19), "16:19", "continuous"),
        (date(2026, 11, 19), "16:20", "closing_auction"),
        (date(2026, 1, 2), "09:30", "opening_auction"),
        (date(2026, 1, 2), "15:20", "closing_auction"),
        (date(2016, 7, 29), "14:50", "closing_auction"),
        (date(2016, 7, 29), "15:00", "after_hours"),
        (date(2019, 4, 26), "08:00", "opening_auction"),
        (date(2019, 4, 29), "08:00", "pre_open"),
        (date(2026, 9, 11), "18:00", "closed"),
        (date(2026, 9, 14), "19:59", "after_hours"),
        (date(2026, 6, 3), "10:00", "closed"),
        (date(2026, 2, 14), "10:00", "closed"),
    ],
)
def test_phase_follows_the_hours_of_its_date(day: date, time: str, phase: str) -> None:
    hour, minute = map(int, time.split(":"))
    instant = Micros(sessions.kst_midnight(day) + hour * HOUR + minute * MINUTE)

    assert sessions.phase_at(instant) == phase


def test_open_is_the_instant_in_utc() -> None:
    found = sessions.session(date(2026, 2, 10))

    assert found is not None
    assert found.open == 1_770_681_600 * SECOND  # 2026-02-10T00:00Z


@given(day=DAYS)
def test_a_session_is_in_order_and_inside_its_day(day: date) -> None:
    found = sessions.session(day)

    if found is not None:
        instants = found[1:-1]
        assert list(instants) == sorted(set(instants))
        assert all(sessions.kst_date(Micros(int(instant))) == day for instant in instants)


@given(day=st.dates(date(2011, 2, 1), date(2028, 11, 30)))
def test_next_and_previous_session_are_inverse(day: date) -> None:
    after = sessions.next_session(day)

    assert after.date > day
    assert sessions.previous_session(after.date).date <= day
    assert sessions.next_session(sessions.previous_session(after.date).date) == after


@given(instant=st.integers(-(10**15), 2 * 10**15))
def test_a_day_starts_at_its_midnight_in_korea(instant: int) -> None:
    day = sessions.kst_date(Micros(instant))
    start = sessions.kst_midnight(day)

    assert start <= instant < start + 24 * HOUR


@pytest.mark.parametrize("day", [date(2010, 12, 31), date(2029, 1, 1)])
def test_a_day_the_table_does_not_reach_is_refused_with_the_way_out(day: date) -> None:
    with pytest.raises(Misconfigured, match="calendar_build"):
        sessions.session(day)


@pytest.mark.parametrize(
    "day", ["01-01", "03-01", "05-05", "06-06", "08-15", "10-03", "10-09", "12-25"]
)
def test_every_fixed_holiday_of_2028_is_closed_with_its_name(day: str) -> None:
    assert calendar.why_closed(date.fromisoformat(f"2028-{day}")) not in (None, "weekend")


def test_lunar_holidays_of_2027_are_those_of_korea() -> None:
    closed = ["02-08", "02-09", "09-14", "09-15", "09-16"]

    assert all(sessions.session(date.fromisoformat(f"2027-{day}")) is None for day in closed)
    assert calendar.why_closed(date(2027, 2, 7)) in ("Korean New Year", "Seollal")


def test_the_hash_is_of_the_table() -> None:
    assert len(calendar.calendar_hash()) == 64
    assert len(calendar.exam_days()) == 18
