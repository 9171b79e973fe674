"""Paths: every name hits its bar, moves on the grid, and depends on nobody else."""

from dataclasses import replace

import numpy as np
import pytest

from infra.exchange.day import DayMarket
from infra.exchange.path import Ladder, build, ticks
from schemas.units import SECOND


def _holds_to_its_bars(ladder: Ladder) -> None:
    market = ladder.market
    rows = np.flatnonzero(market.traded)
    after = ladder.at(market.session.end, rows)

    for name in ("open", "high", "low", "volume"):
        assert (getattr(after, name) == getattr(market, name)[rows]).all(), name
    assert (after.price == market.close[rows]).all()
    prices = ladder.prices[rows].astype(np.int64)
    low, high = market.low[rows, None], market.high[rows, None]
    assert ((prices >= low) & (prices <= high)).all()
    own = (prices == low) | (prices == high) | (prices == market.open[rows, None])
    own |= prices == market.close[rows, None]
    assert (own | (prices % ticks(prices, market.grid) == 0)).all()
    reached = (
        np.maximum(prices.max(1), market.close[rows]),
        np.minimum(prices.min(1), market.close[rows]),
    )
    assert (reached[0] == market.high[rows]).all()
    assert (reached[1] == market.low[rows]).all()
    assert (prices[:, 0] == market.open[rows]).all()


def test_every_seeded_name_hits_open_high_low_close_and_volume(ladder: Ladder) -> None:
    _holds_to_its_bars(ladder)


@pytest.mark.data
def test_every_real_name_hits_open_high_low_close_and_volume(real_market: DayMarket) -> None:
    assert len(real_market.symbols) == 2_883
    _holds_to_its_bars(build(real_market, seed=5))


def test_volume_turnover_and_extremes_never_go_back(ladder: Ladder) -> None:
    day, rows = ladder.market.session, np.arange(len(ladder.market.symbols))
    before = ladder.at(day.open, rows)
    for instant in range(day.open, day.close + 60 * SECOND, 47 * SECOND):
        now = ladder.at(instant, rows)
        assert (now.volume >= before.volume).all()
        assert (now.turnover >= before.turnover).all()
        assert (now.high >= before.high).all()
        before = now


def test_a_name_that_does_not_trade_shows_nothing(ladder: Ladder) -> None:
    silent = np.flatnonzero(~ladder.market.traded)
    assert len(silent) > 0

    shown = ladder.at(ladder.market.session.close, silent)

    assert not any(column.any() for column in shown)


def test_a_path_depends_on_seed_and_bar_alone(market: DayMarket, ladder: Ladder) -> None:
    picked = np.array([7, 40, 90])
    arrays = {
        name: getattr(market, name)[picked]
        for name in DayMarket.__dataclass_fields__
        if isinstance(getattr(market, name), np.ndarray)
    }
    few = replace(market, symbols=tuple(market.symbols[row] for row in picked), **arrays)

    assert (build(few, seed=11).prices == ladder.prices[picked]).all()
    assert (build(few, seed=12).prices != ladder.prices[picked]).any()
