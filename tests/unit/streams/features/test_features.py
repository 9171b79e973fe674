"""Each feature against its formula."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.units import Shares, Won
from streams.features import (
    imbalance,
    microprice,
    ofi,
    realized_vol,
    returns,
    signed_volume,
    spread,
    turnover,
    vwap,
)

PRICES = st.integers(1, 10**7).map(Won)
QTYS = st.integers(0, 10**7).map(Shares)
QUOTES = st.builds(ofi.Quote, PRICES, QTYS, PRICES, QTYS, QTYS, QTYS)


@given(before=QUOTES, after=QUOTES)
def test_order_flow_is_equation_4_of_the_paper(before: ofi.Quote, after: ofi.Quote) -> None:
    bids = np.int64(after.bid >= before.bid) * after.bid_qty
    bids -= np.int64(after.bid <= before.bid) * before.bid_qty
    asks = np.int64(after.ask <= before.ask) * after.ask_qty
    asks -= np.int64(after.ask >= before.ask) * before.ask_qty

    assert ofi.flow(before, after) == bids - asks


def test_a_growing_bid_presses_up_and_a_growing_ask_down() -> None:
    calm = ofi.Quote(Won(99), Shares(5), Won(100), Shares(5), Shares(50), Shares(50))

    assert ofi.flow(calm, calm._replace(bid_qty=Shares(8))) == 3
    assert ofi.flow(calm, calm._replace(ask_qty=Shares(8))) == -3
    assert ofi.flow(calm, calm._replace(bid=Won(98), bid_qty=Shares(7))) == -5


@given(bid=PRICES, bid_qty=st.integers(1, 10**7), tick=st.integers(1, 1000), ask_qty=QTYS)
def test_microprice_is_its_formula_and_lies_between_the_quotes(
    bid: int, bid_qty: int, tick: int, ask_qty: int
) -> None:
    ask, mid = bid + tick, bid + tick / 2
    price = (bid * ask_qty + ask * bid_qty) / (bid_qty + ask_qty)

    bps = microprice.close(bid, bid_qty, ask, ask_qty)

    assert bps == pytest.approx(10_000 * (price - mid) / mid, abs=1e-6)
    assert bps is not None
    assert abs(bps) <= spread.close(bid, ask) / 2 * (1 + 1e-12)


def test_imbalance_is_bounded_and_absent_for_an_empty_book() -> None:
    assert imbalance.close(0, 0) is None
    assert (imbalance.close(10, 0), imbalance.close(0, 10)) == (1.0, -1.0)
    assert imbalance.close(30, 10) == 0.5


def test_spread_is_in_bps_of_the_mid() -> None:
    assert spread.close(9_995, 10_005) == 10.0


def test_vwap_and_return_are_absent_without_their_parts() -> None:
    assert vwap.close(0, 0) is None
    assert vwap.close(500, 3) == 500 / 3
    assert (returns.close(0, 5), returns.close(5, 0)) == (None, None)
    assert returns.close(100, 103) == 300.0


@given(prices=st.lists(st.integers(1_000, 10**6), min_size=2, max_size=50))
def test_realized_volatility_is_the_root_of_squared_log_returns(prices: list[int]) -> None:
    changes = np.diff(np.log(np.array(prices, dtype=np.float64)))

    squares = sum(realized_vol.squared(Won(a), Won(b)) for a, b in pairwise(prices))

    expected = math.sqrt(float(np.square(changes).sum()))
    assert realized_vol.close(squares, len(prices) - 1) == pytest.approx(expected, abs=1e-8)
    assert realized_vol.close(0, 0) is None


def test_signed_volume_and_turnover_are_exact() -> None:
    assert [signed_volume.signed(who, Shares(7)) for who in ("buy", "sell", "none")] == [7, -7, 0]
    assert turnover.won(Won(10**6), Shares(10**9)) == 10**15
