"""Moves: 3 % within a minute, once per 3 %, and a fat finger moves nothing."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.features import Move
from schemas.market import Trade
from schemas.role import Batch, Record
from schemas.testing import trade
from schemas.units import Micros
from streams.moves import BPS_MIN, ROLE


def moves(trades: list[Trade], batch: int = 1_000) -> list[Move]:
    state, found = ROLE.initial, []
    for start in range(0, len(trades), batch):
        log = [Record("market.trades", each.symbol, each) for each in trades[start : start + batch]]
        answer = ROLE.step(state, Batch(log, Micros(0)))
        state = answer.state
        found += [each.value for each in answer.outputs]
    return found


def tape(prices: list[int], every: float = 1) -> list[Trade]:
    return [
        trade(price, seconds=index * every, volume_day=index + 1)
        for index, price in enumerate(prices)
    ]


def test_three_percent_within_a_minute_is_a_move() -> None:
    [up] = moves(tape([100_000, 101_000, 103_000]))
    [down] = moves(tape([100_000, 97_000]))

    assert (up.reference, up.price, up.bps) == (100_000, 103_000, 300.0)
    assert (down.reference, down.bps) == (100_000, -300.0)


def test_less_than_three_percent_is_none() -> None:
    assert moves(tape([100_000, 102_900, 100_000])) == []


def test_the_same_rise_over_more_than_a_minute_is_none() -> None:
    assert moves(tape([100_000, 103_000], every=61.0)) == []
    assert len(moves(tape([100_000, 103_000], every=60.0))) == 1


def test_the_reference_is_the_extreme_of_the_horizon_not_the_first_price() -> None:
    [up] = moves(tape([100_000, 98_000, 101_000]))

    assert up.reference == 98_000


def test_a_fat_finger_moves_nothing() -> None:
    assert moves(tape([100_000] * 50 + [1_000_000] + [100_000] * 5)) == []


@given(
    steps=st.lists(st.integers(-200, 200), max_size=200),
    every=st.sampled_from([0.3, 1.0, 20.0]),
    batch=st.integers(1, 50),
)
def test_any_cut_gives_the_same_moves_and_each_is_large_enough(
    steps: list[int], every: float, batch: int
) -> None:
    prices = [20_000]
    for change in steps:
        prices.append(max(prices[-1] + change * 10, 10_000))
    trades = tape(prices, every)

    found = moves(trades, batch)

    assert found == moves(trades)
    assert all(abs(each.bps) >= BPS_MIN for each in found)


def test_a_move_is_said_once_and_starts_the_horizon_over() -> None:
    found = moves(tape([100_000, 103_000, 103_000, 103_100, 106_100]))

    assert [(each.reference, each.price) for each in found] == [
        (100_000, 103_000),
        (103_000, 106_100),
    ]
