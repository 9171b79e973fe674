"""Tax and fees: by trade date and segment, floored part by part."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Poison
from schemas.krx import costs

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("on", "kospi", "kosdaq"),
    [
        (date(2022, 12, 29), 2_300, 2_300),
        (date(2023, 1, 2), 2_000, 2_000),
        (date(2023, 12, 28), 2_000, 2_000),
        (date(2024, 1, 2), 1_800, 1_800),
        (date(2025, 1, 2), 1_500, 1_500),
        (date(2025, 12, 30), 1_500, 1_500),
        (date(2026, 1, 2), 2_000, 2_000),
    ],
)
def test_rates_move_on_the_first_day_of_their_year(on: date, kospi: int, kosdaq: int) -> None:
    taxes = [costs.sell_tax(MILLION, on, segment) for segment in ("KOSPI", "KOSDAQ", "KONEX")]

    assert taxes == [kospi, kosdaq, 1_000]


def test_kospi_floors_its_two_parts_apart() -> None:
    on = date(2026, 2, 10)

    assert costs.sell_tax(1_999, on, "KOSPI") == 0 + 2
    assert costs.sell_tax(1_999, on, "KOSDAQ") == 3


def test_funds_pay_no_sell_tax() -> None:
    assert costs.sell_tax(MILLION, date(2026, 2, 10), "KOSPI", "ETF") == 0


def test_commission_holds_the_exchange_fees() -> None:
    on = date(2026, 2, 10)

    assert costs.commission(100 * MILLION, on) == 14_052
    assert costs.exchange_fees(100 * MILLION, on) == 3_600


@given(amount=st.integers(0, 10**13), on=st.dates(date(2021, 1, 1), date(2030, 1, 1)))
def test_kospi_never_pays_more_than_a_won_less_than_kosdaq(amount: int, on: date) -> None:
    difference = costs.sell_tax(amount, on, "KOSDAQ") - costs.sell_tax(amount, on, "KOSPI")

    assert difference in (0, 1)


@pytest.mark.parametrize(
    ("on", "segment"), [(date(2020, 12, 30), "KOSPI"), (date(2026, 1, 2), "NYSE")]
)
def test_a_rate_that_is_not_held_is_refused(on: date, segment: str) -> None:
    with pytest.raises(Poison, match="expected"):
        costs.sell_tax(MILLION, on, segment)
