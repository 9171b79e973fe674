"""Polls: everybody once a minute, as of one instant, at most 30 a call."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from producers.kis.sweeps import NAMES_MAX, calls, next_round, within
from schemas.krx.sessions import kst_midnight
from schemas.units import HOUR, MINUTE, SECOND, Micros, Symbol

DAY = kst_midnight(date(2026, 2, 10))
NINE = Micros(DAY + 9 * HOUR)


def names(count: int) -> list[Symbol]:
    return [Symbol(f"{number:06d}") for number in range(count)]


@given(count=st.integers(0, 400))
def test_a_round_asks_everybody_once_in_as_few_calls_as_may_be(count: int) -> None:
    asked = calls(names(count))

    assert [each for call in asked for each in call] == names(count)
    assert len(asked) == -(-count // NAMES_MAX)
    assert all(0 < len(call) <= NAMES_MAX for call in asked)


@given(since=st.integers(0, 23 * HOUR))
def test_the_next_round_is_the_next_whole_minute_and_a_missed_one_is_not_made_up(
    since: int,
) -> None:
    now = Micros(DAY + since)

    assert now < next_round(now) <= now + MINUTE
    assert next_round(now) % MINUTE == 0


def test_nobody_is_polled_when_prices_cannot_change() -> None:
    assert within(NINE)
    assert within(Micros(DAY + 15 * HOUR + 30 * MINUTE + 59 * SECOND))
    assert not within(Micros(DAY + 15 * HOUR + 31 * MINUTE))
    assert not within(Micros(DAY + 8 * HOUR))
    assert not within(Micros(DAY + 16 * HOUR))
    assert not within(Micros(NINE + 5 * 24 * HOUR))
