"""Cron: what it accepts fires when a brute-force reading says so, what is ambiguous is refused."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import cron
from schemas.errors import Misconfigured

START = date(2026, 1, 1)
END = date(2027, 2, 5)  # 400 days


def clauses(least: int, most: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """Draw one cron field with the numbers it stands for."""
    every = frozenset(range(least, most + 1))
    number = st.integers(least, most)
    star = st.just(("*", every))
    one = number.map(lambda n: (str(n), frozenset({n})))
    span = st.tuples(number, number).map(
        lambda ends: (f"{min(ends)}-{max(ends)}", frozenset(range(min(ends), max(ends) + 1)))
    )
    step = st.integers(1, most - least).map(
        lambda n: (f"*/{n}", frozenset(range(least, most + 1, n)))
    )
    pair = st.tuples(one, span).map(lambda two: (f"{two[0][0]},{two[1][0]}", two[0][1] | two[1][1]))
    return st.one_of(star, one, span, step, pair)


@given(minute=clauses(0, 59), hour=clauses(0, 23), month=clauses(1, 12), day=clauses(0, 6))
def test_fires_are_those_of_a_brute_force_reading(
    minute: tuple[str, frozenset[int]],
    hour: tuple[str, frozenset[int]],
    month: tuple[str, frozenset[int]],
    day: tuple[str, frozenset[int]],
) -> None:
    line = cron.parse(f"{minute[0]} {hour[0]} * {month[0]} {day[0]}")

    everyday = (START + timedelta(days=n) for n in range((END - START).days))
    days = [each for each in everyday if each.month in month[1] and each.isoweekday() % 7 in day[1]]
    assert list(line.days(START, END)) == days
    assert set(line.minutes) == {h * 60 + m for h in hour[1] for m in minute[1]}
    assert list(line.minutes) == sorted(line.minutes)


def test_one_to_five_means_monday_to_friday() -> None:
    week = cron.parse("30 8 * * 1-5").days(date(2026, 11, 16), date(2026, 11, 23))

    assert [day.isoweekday() for day in week] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "text", ["0 4 * * 6L", "0 4 * * L6", "0 4 * * satl", "last Saturday 04:00"]
)
def test_last_saturday_fires_thirteen_times_in_400_days(text: str) -> None:
    line = cron.parse(text)
    days = line.days(START, END)

    assert (line.text, line.minutes) == ("0 4 * * 6L", (240,))
    assert len(days) == 13
    assert all(day.weekday() == 5 and (day + timedelta(days=7)).month != day.month for day in days)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("61 8 * * 1-5", "minute 0-59"),
        ("* 24 * * *", "hour 0-23"),
        ("0 0 0 * *", "day-of-month 1-31"),
        ("0 0 * 13 *", "month 1-12"),
        ("0 0 * * 8", "day-of-week 0-7"),
        ("0 0 * * FRI-MON", "does not wrap"),
        ("5/15 * * * *", "a range before the step"),
        ("*/60 * * * *", "step of 1 to 59"),
        ("0-10/11 * * * *", "step of 1 to 10"),
        ("1,,2 * * * *", "'n'"),
        ("\uff11 * * * *", "ASCII"),
        ("0 8\n* * 1-5", "printable"),
        ("0 8 * * 1-5" + " " * 200, "at most 200"),
        ("second Saturday 24:00", r"hour 00-23(?s:.*)\^\^"),
        ("fifth Saturday 04:00", "5 cron fields"),
        ("0 0 31 2 *", "days that exist"),
        ("0 4 25-31 * 6", "would OR them"),
        ("0 0 * * 6#1", "'n'"),
        ("@daily", "5 cron fields"),
        ("0 0 8 * * 1-5", "was 6"),
        ("", "was 0"),
    ],
)
def test_malformed_or_ambiguous_lines_are_refused(text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        cron.parse(text)


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("0 8-30 * * 1-5", "  ^^^^"),
        ("10 0 0 * *", "     ^"),
        ("0  0 *  13 *", "        ^^"),
        ("9 9 * * 9", "        ^"),
        ("last Sunday 04:60", " " * 15 + "^^"),
    ],
)
def test_the_message_marks_the_field_and_not_another_that_looks_like_it(
    text: str, marks: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        cron.parse(text)

    assert str(caught.value).splitlines()[1:] == [f"    {text}", f"    {marks}"]


@given(
    which=st.sampled_from(["first", "second", "third", "fourth", "last"]),
    weekday=st.integers(0, 6),
    start=st.dates(date(2015, 1, 1), date(2027, 1, 1)),
)
def test_a_weekday_of_the_month_in_words_is_the_naive_one(
    which: str, weekday: int, start: date
) -> None:
    line = cron.parse(f"{which} {start + timedelta(days=(weekday - start.weekday()) % 7):%A} 04:05")

    end = start + timedelta(days=400)
    weekdays = [day for n in range(400) if (day := start + timedelta(days=n)).weekday() == weekday]
    if which == "last":
        expected = [day for day in weekdays if (day + timedelta(days=7)).month != day.month]
    else:
        least = ["first", "second", "third", "fourth"].index(which) * 7 + 1
        expected = [day for day in weekdays if least <= day.day < least + 7]
    assert list(line.days(start, end)) == expected
    assert line.minutes == (245,)
