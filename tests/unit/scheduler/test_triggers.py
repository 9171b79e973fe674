"""Triggers: the literal line bounded by the real session, and nothing unfired in silence."""

from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.agenda import at_of
from scheduler.almanac import closing
from scheduler.cron import parse
from scheduler.golden import expected, golden
from scheduler.periods import bounds
from scheduler.triggers import (
    KRX,
    Calendar,
    Slot,
    Suppressed,
    Trigger,
    check_closed,
    clock,
    duration,
    parse_rule,
    slots,
)
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_date, kst_midnight, session
from schemas.units import DAY, HOUR, MINUTE, SECOND, Micros

NORMAL = date(2026, 3, 30)
EXAM = date(2026, 11, 19)
ELECTION = date(2026, 6, 3)


def trigger(
    line: str | None = None,
    rule: str | None = None,
    calendar: str = "sessions",
    logical: str = "today",
    closed: str = "skip",
) -> Trigger:
    """Return a trigger from its texts."""
    return Trigger(
        parse(line) if line is not None else None,
        parse_rule(rule) if rule is not None else None,
        calendar,
        logical,
        closed,
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
        ("opening auction", ["08:30"]),
        ("closing auction + 5m", ["15:25"]),
        ("every 10m from opening auction until open", ["08:30", "08:40", "08:50"]),
        ("first session of week open", ["09:00"]),
        ("last session of week close", []),
        ("20th session of month open", ["09:00"]),
        ("21st session of month open", []),
    ],
)
def test_session_rules_name_instants_of_the_session(rule: str, expected: list[str]) -> None:
    assert times(on(trigger(rule=rule), NORMAL)) == expected


@pytest.mark.parametrize(
    "rule",
    [
        "noon", "every 5m", "open + 7h", "every 0m within session", "open +5", "close\n",
        "0th session of month open", "6th session of week open", "2th session of month open",
        "last session of year open", "last session of month", "fifth session of month open",
        "last session of month last session of week open", "auction", "open auction",
        "open + 1000000000m", "open" + " " * 200,
    ],
)  # fmt: skip
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


def test_a_rule_alone_says_on_a_holiday_what_does_not_fire_and_nothing_on_a_weekend() -> None:
    every = trigger(rule="every 15m within session")

    lost = on(every, ELECTION)

    assert [clock(each.slot.at) for each in lost if isinstance(each, Suppressed)] == times(
        on(every, NORMAL)
    )
    assert {each.reason for each in lost if isinstance(each, Suppressed)} == {
        "closed: Local Election Day"
    }
    assert on(every, date(2026, 6, 6), days=2) == []


def test_an_exam_day_closed_by_word_loses_the_instants_it_would_have_had() -> None:
    every = trigger(rule="every 15m within session")

    lost = on(every, EXAM, calendar=closing(KRX, {EXAM: "temporary holiday"}))

    assert [each.slot.at for each in lost if isinstance(each, Suppressed)] == [
        each.at for each in on(every, EXAM) if isinstance(each, Slot)
    ]


def test_a_day_called_open_whose_hours_nobody_knows_is_closed_with_that_reason() -> None:
    half_known = Calendar(lambda _: None, lambda _: None)

    for which in (trigger("0 9 * * 1-5"), trigger(rule="open"), trigger("0 9 * * 1-5", "open")):
        [found] = on(which, NORMAL, calendar=half_known)
        assert isinstance(found, Suppressed)
        assert found.reason == "closed: hours unknown"


def test_a_rule_never_fires_on_a_closed_day_whatever_the_calendar_of_its_job() -> None:
    found = on(trigger("30 15 * * *", "close", calendar="every-day"), ELECTION)

    assert [each.reason for each in found if isinstance(each, Suppressed)] == [
        "closed: Local Election Day"
    ]
    assert len(found) == 1


def test_a_period_without_its_session_says_so_on_its_last_weekday() -> None:
    fifth, chuseok = trigger(rule="5th session of week close"), date(2026, 9, 21)

    friday_closed = on(fifth, chuseok, days=7)
    monday_closed = on(fifth, date(2026, 8, 17), days=7)
    first = on(trigger(rule="first session of week open"), date(2017, 10, 2), days=7)

    assert [(str(each.slot.logical_date), each.reason) for each in friday_closed if isinstance(
        each, Suppressed
    )] == [("2026-09-25", "closed: Chuseok")]  # fmt: skip
    assert [each.reason for each in monday_closed if isinstance(each, Suppressed)] == [
        "no such session: due on the 5th session of the week, which has only 4"
    ]
    assert times(friday_closed) == times(monday_closed) == times(first) == []
    assert len(first) == 5


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (29, "not its session: due on the last session of the month"),
        (30, None),
        (31, "closed: End of Year Holiday"),
    ],
)
def test_the_last_session_of_a_year_is_before_its_closed_last_day(
    day: int, said: str | None
) -> None:
    which = trigger("30 15 * * 1-5", "last session of month close")

    [found] = on(which, date(2026, 12, day))

    assert (found.reason if isinstance(found, Suppressed) else None) == said


def test_a_last_session_closed_by_word_is_said_and_not_only_gone() -> None:
    last, word = trigger(rule="last session of month close"), date(2026, 11, 30)
    sudden = closing(KRX, {word: "temporary holiday"})

    [found] = on(last, word, calendar=sudden)

    assert isinstance(found, Suppressed)
    assert found.reason == "closed: temporary holiday"
    assert times(on(last, date(2026, 11, 27), calendar=sudden)) == ["15:30"]


RULES = st.sampled_from(
    ["open", "close", "open - 60m", "every 7m within session", "every 1m from open through close"]
)
ANCHORS = ["open", "close + 30m", "opening auction", "closing auction - 5m"]
PICKS = st.builds(
    "{} session of {} {}".format,
    st.sampled_from(["first", "second", "third", "fourth", "5th", "11th", "22nd", "last"]),
    st.sampled_from(["month", "quarter"]),
    st.sampled_from(ANCHORS),
) | st.builds(
    "{} session of week {}".format,
    st.sampled_from(["first", "2nd", "third", "fourth", "5th", "last"]),
    st.sampled_from([*ANCHORS, "every 30m from close through close + 1h"]),
)
LINES = st.sampled_from(["30 15 * * 1-5", "0 8 1 * *", "0 4,5 * * *", "0 9 25-31 12 *"])
YEARS = date(2015, 1, 1), date(2028, 1, 1)


def second_reading(start: date, days: int, **job: str) -> dict[int, tuple[str, int]]:
    """Return what the naive reading of a job's text says of some days, by instant."""
    facts = golden()
    held = {day: facts.session(day) for day in (start + timedelta(days=n) for n in range(days))}
    return {at * MINUTE: said for at, said in expected({"job": job}, "job", held, facts)}


def told(found: list[Slot | Suppressed]) -> dict[int, tuple[str, int]]:
    """Return what the product says, by instant, each at most once."""
    said = {}
    for each in found:
        slot = each if isinstance(each, Slot) else each.slot
        end = "" if isinstance(each, Slot) else each.reason.partition(":")[0]
        said[int(slot.at)] = (end, slot.logical_date.toordinal())
    assert len(said) == len(found)
    return said


@given(
    rule=PICKS | RULES | st.sampled_from(ANCHORS),
    line=st.none() | LINES,
    day=st.dates(YEARS[0], date(2027, 9, 1)),
)
def test_a_rule_is_read_as_the_naive_reading_does(rule: str, line: str | None, day: date) -> None:
    job = {"session": rule, "calendar": "sessions"} | ({} if line is None else {"cron": line})

    assert told(on(trigger(line, rule), day, days=100)) == second_reading(day, 100, **job)


@pytest.mark.parametrize("rule", [
    "last session of month close + 30m", "first session of quarter opening auction",
    "5th session of week closing auction",
])  # fmt: skip
def test_thirteen_years_of_a_picked_session_are_the_golden_ones(rule: str) -> None:
    days = (YEARS[1] - YEARS[0]).days

    found = told(on(trigger(rule=rule), YEARS[0], days=days))

    assert found == second_reading(YEARS[0], days, session=rule, calendar="sessions")


@pytest.mark.parametrize(
    ("ordinal", "period", "periods"), [("first", "week", 678), ("last", "month", 156),
                                       ("last", "quarter", 52), ("third", "month", 156)]
)  # fmt: skip
def test_a_period_has_one_fire_or_says_why_it_has_none(
    ordinal: str, period: str, periods: int
) -> None:
    which = trigger(rule=f"{ordinal} session of {period} close")

    found = on(which, YEARS[0], days=(YEARS[1] - YEARS[0]).days)

    spoken = {bounds(period, kst_date(at_of(each))) for each in found}
    fires = Counter(bounds(period, kst_date(each.at)) for each in found if isinstance(each, Slot))
    assert len(spoken) == periods
    assert set(fires.values()) == {1}


@given(
    line=st.sampled_from(["0 2 1 * *", "0 8 * * 1-5", "*/15 8 15 * *", "0 8 * * 6", "5 4 * * *"]),
    calendar=st.sampled_from(["sessions", "weekdays"]),
    closed=st.sampled_from(["skip", "previous", "next"]),
    day=st.dates(YEARS[0], date(2027, 9, 1)),
    cut=st.integers(0, 100),
)
def test_a_nominal_instant_of_a_closed_day_is_suppressed_once_and_fires_where_it_says(
    line: str, calendar: str, closed: str, day: date, cut: int
) -> None:
    which = check_closed(trigger(line, calendar=calendar, closed=closed))
    job = {"cron": line, "calendar": calendar, "closed": closed}

    found = on(which, day, days=100)

    assert told(found) == second_reading(day, 100, **job)
    assert [*on(which, day, days=cut), *on(which, day + timedelta(cut), days=100 - cut)] == found
    fires = {each.at for each in on(which, day - timedelta(20), days=140) if isinstance(each, Slot)}
    for each in found:
        if isinstance(each, Slot):
            continue
        moved = each.reason.rpartition("; moved to ")[2] if "; moved" in each.reason else ""
        assert (moved != "") == (closed != "skip")
        if moved:
            target = kst_midnight(date.fromisoformat(moved))
            assert Micros(each.slot.at - kst_midnight(each.slot.logical_date) + target) in fires


@pytest.mark.parametrize("line", ["0 2 1 * *", "*/15 8 15 * *", "30 8 * * 1-5"])
@pytest.mark.parametrize("closed", ["skip", "previous", "next"])
def test_thirteen_years_lose_no_nominal_instant_and_fire_no_day_twice(
    line: str, closed: str
) -> None:
    end = date(2027, 12, 1)  # a session: nothing moves over it

    found = on(trigger(line, closed=closed), YEARS[0], days=(end - YEARS[0]).days)

    named, minutes = parse(line).days(YEARS[0], end), parse(line).minutes
    nominal = {kst_midnight(day) + minute * MINUTE for day in named for minute in minutes}
    fired = {each.at for each in found if isinstance(each, Slot)}
    suppressed = {each.slot.at: each.reason for each in found if isinstance(each, Suppressed)}
    assert nominal <= fired | set(suppressed)
    assert not fired & set(suppressed)
    assert len(found) == len(fired) + len(suppressed)
    moved = {reason.rpartition("; moved to ")[2] for reason in suppressed.values()}
    taken = {str(kst_date(at)) for at in fired - nominal}
    assert taken <= moved if closed != "skip" else not taken
    assert set(Counter(kst_date(at) for at in fired).values()) == {len(minutes)}


def test_a_week_of_holidays_moves_to_one_fire() -> None:
    which = trigger("0 8 * * 1-5", closed="next")

    found = on(which, date(2017, 9, 30), days=11)

    assert [kst_date(each.at) for each in found if isinstance(each, Slot)] == [date(2017, 10, 10)]
    assert {each.reason.rpartition("; ")[2] for each in found if isinstance(each, Suppressed)} == {
        "moved to 2017-10-10"
    }


@pytest.mark.parametrize(
    ("which", "said"),
    [
        (trigger("0 8 1 * *", closed="later"), "closed of"),
        (trigger(rule="open", closed="next"), "beside a session rule"),
        (trigger("0 8 1 * *", "open", closed="next"), "beside a session rule"),
        (trigger("0 8 1 * *", calendar="every-day", closed="next"), "no closed day"),
    ],
)
def test_a_way_with_closed_days_that_means_nothing_is_refused(which: Trigger, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        check_closed(which)


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
