"""The tick grid and the price limits: exact at their edges, and never an unorderable price."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Poison
from schemas.krx import prices

NOW = date(2026, 2, 10)
BEFORE = date(2023, 1, 24)
SWITCH = date(2023, 1, 25)

DAYS = st.sampled_from([date(2015, 6, 12), date(2022, 3, 2), BEFORE, SWITCH, NOW])
SEGMENTS = st.sampled_from(prices.SEGMENTS)
KINDS = st.sampled_from(sorted(prices.KINDS))
PRICES = st.integers(1, 3_000_000)


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        (1_999, 1),
        (2_000, 5),
        (4_999, 5),
        (5_000, 10),
        (19_999, 10),
        (20_000, 50),
        (49_999, 50),
        (50_000, 100),
        (199_999, 100),
        (200_000, 500),
        (499_999, 500),
        (500_000, 1_000),
    ],
)
@pytest.mark.parametrize("segment", prices.SEGMENTS)
def test_since_2023_every_segment_has_the_same_bands(price: int, tick: int, segment: str) -> None:
    assert prices.tick_size(price, SWITCH, segment) == tick


@pytest.mark.parametrize(
    ("price", "segment", "tick"),
    [
        (999, "KOSPI", 1),
        (1_000, "KOSPI", 5),
        (10_000, "KOSPI", 50),
        (99_999, "KOSPI", 100),
        (100_000, "KOSPI", 500),
        (500_000, "KOSPI", 1_000),
        (100_000, "KOSDAQ", 100),
        (500_000, "KOSDAQ", 100),
        (500_000, "KONEX", 100),
    ],
)
def test_the_day_before_the_switch_has_the_old_bands(price: int, segment: str, tick: int) -> None:
    assert prices.tick_size(price, BEFORE, segment) == tick


def test_low_priced_funds_step_by_one_won_since_december_2023() -> None:
    ticks = [
        prices.tick_size(price, on, "KOSPI", "ETF")
        for on in (date(2023, 12, 8), date(2023, 12, 11))
        for price in (1_999, 2_000, 100_000)
    ]

    assert ticks == [5, 5, 5, 1, 5, 5]


@pytest.mark.parametrize(
    ("base", "on", "segment", "lower", "upper"),
    [
        (128_500, date(2022, 6, 1), "KOSPI", 90_000, 167_000),  # a REST body on file
        (37_850, date(2022, 6, 1), "KOSPI", 26_500, 49_200),  # a REST body on file
        (1_900, NOW, "KOSPI", 1_330, 2_470),  # 2,470 is a price of the next band
        (1_601, NOW, "KOSDAQ", 1_121, 2_080),  # 2,081 floored to its own band
        (10_000, NOW, "KONEX", 8_500, 11_500),
        (10_000, date(2015, 6, 12), "KOSPI", 8_500, 11_500),
        (10_000, date(2015, 6, 15), "KOSPI", 7_000, 13_000),
        (1, NOW, "KOSDAQ", 1, 2),
    ],
)
def test_limits_are_those_of_the_tape(
    base: int, on: date, segment: str, lower: int, upper: int
) -> None:
    assert prices.price_limits(base, on, segment) == (lower, upper)


def test_off_grid_close_is_raised_before_limits_are_taken() -> None:
    assert prices.base_price(2_022, NOW, "KOSDAQ") == 2_025
    assert prices.price_limits(2_022, NOW, "KOSDAQ") == prices.price_limits(2_025, NOW, "KOSDAQ")


def test_leverage_widens_the_limits_of_a_fund() -> None:
    assert prices.price_limits(10_000, NOW, "KOSPI", "ETF", multiple=2) == (4_000, 16_000)


def test_listing_day_runs_from_sixty_to_four_hundred_percent() -> None:
    assert prices.listing_limits(20_000, NOW, "KOSDAQ") == (12_000, 80_000)
    with pytest.raises(Poison, match="2023-06-26"):
        prices.listing_limits(20_000, date(2023, 6, 23), "KOSDAQ")


@given(price=PRICES, on=DAYS, segment=SEGMENTS, kind=KINDS)
def test_rounding_lands_on_the_grid_next_to_the_price(
    price: int, on: date, segment: str, kind: str
) -> None:
    grid = prices.grid(on, segment, kind)
    down, up = grid.floor(price), grid.ceil(price)

    assert down <= price <= up
    assert grid.holds(up)
    assert down == 0 or grid.holds(down)
    assert (down == up) == grid.holds(price)
    assert not any(grid.holds(between) for between in range(down + 1, up))


@given(price=PRICES, on=DAYS, segment=SEGMENTS, kind=KINDS)
def test_stepping_up_and_down_returns_to_the_price(
    price: int, on: date, segment: str, kind: str
) -> None:
    grid = prices.grid(on, segment, kind)
    here = grid.ceil(price)

    assert grid.below(grid.above(here)) == here
    assert grid.below(here) < here < grid.above(here)


@given(base=PRICES, on=DAYS, segment=SEGMENTS, kind=KINDS)
def test_limits_are_orderable_and_hold_the_base(
    base: int, on: date, segment: str, kind: str
) -> None:
    lower, upper = prices.price_limits(base, on, segment, kind)
    grid = prices.grid(on, segment, kind)
    raised = grid.ceil(base)

    assert grid.holds(lower)
    assert grid.holds(upper)
    assert lower <= raised < upper
    assert 10 * (upper - raised) <= max(3 * raised, 10 * grid.tick(raised))


@pytest.mark.parametrize(("segment", "kind"), [("KOSPI200", "COMMON"), ("KOSPI", "FUTURE")])
def test_unknown_segment_or_kind_is_named(segment: str, kind: str) -> None:
    with pytest.raises(Poison, match=r"KOSPI200|FUTURE"):
        prices.grid(NOW, segment, kind)


def test_a_base_of_nothing_is_refused() -> None:
    with pytest.raises(Poison, match="above 0 won, was 0"):
        prices.price_limits(0, NOW, "KOSPI")
