"""Polls: everybody once a minute, as of one instant, at most 30 a call."""

from collections import Counter
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from producers.kis.sweeps import EVERY, NAMES_MAX, Rotation, next_round, turn, within
from schemas.krx.sessions import kst_midnight
from schemas.units import HOUR, MINUTE, SECOND, Micros, Symbol

DAY = kst_midnight(date(2026, 2, 10))
NINE = Micros(DAY + 9 * HOUR)


def names(count: int) -> list[Symbol]:
    return [Symbol(f"{number:06d}") for number in range(count)]


@given(count=st.integers(1, 400))
def test_everybody_is_polled_once_a_minute(count: int) -> None:
    rotation, asked, most = Rotation(due=NINE), Counter[Symbol](), 0
    for second in range(180):
        rotation, now = turn(rotation, names(count), Micros(NINE + second * SECOND))
        asked.update(now)
        most = max(most, len(now))

    assert most <= NAMES_MAX
    assert set(asked) == set(names(count))
    assert max(asked.values()) - min(asked.values()) <= 1
    assert 2 <= min(asked.values()) <= max(asked.values()) <= 3


def test_a_round_asks_everybody_as_of_one_instant() -> None:
    rotation, asked = Rotation(), []
    while True:
        rotation, now = turn(rotation, names(155), Micros(NINE + SECOND))
        if not now:
            break
        asked.append(len(now))

    assert asked == [30, 30, 30, 30, 30, 5]
    assert rotation == Rotation(due=Micros(NINE + EVERY))


def test_a_missed_round_is_not_made_up() -> None:
    rotation, _ = turn(Rotation(due=NINE), names(10), Micros(NINE + 10 * MINUTE + SECOND))

    assert rotation.due == NINE + 11 * MINUTE


def test_the_next_round_is_the_next_whole_minute_of_the_session() -> None:
    assert next_round(Micros(NINE + SECOND)) == NINE + MINUTE
    assert next_round(NINE) == NINE + MINUTE
    assert next_round(Micros(DAY + 16 * HOUR)) is None


def test_a_list_that_shrank_starts_over() -> None:
    _, now = turn(Rotation(place=150), names(10), NINE)

    assert now == tuple(names(10))


def test_nobody_is_polled_when_prices_cannot_change() -> None:
    assert within(NINE)
    assert not within(Micros(DAY + 8 * HOUR))
    assert not within(Micros(DAY + 16 * HOUR))
    assert not within(Micros(NINE + 5 * 24 * HOUR))
