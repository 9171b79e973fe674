"""The tape of a name: it adds up to the bar and stays inside the ranges the module states."""

import numpy as np
import pytest

from infra.exchange import flow
from infra.exchange.day import DayMarket
from infra.exchange.flow import CALL, PRINT, QUOTE, Rates, Tape
from infra.exchange.path import Ladder, build, ticks


def _adds_up(ladder: Ladder, row: int) -> Tape:
    made = flow.tape(ladder, row, Rates())
    market = ladder.market
    traded = (made.kind != QUOTE) & (made.kind != CALL)
    prices = made.price[traded]
    assert prices[0] == market.open[row]
    assert prices.max() == market.high[row]
    assert prices.min() == market.low[row]
    assert made.qty[traded].min() > 0
    assert made.qty[traded].sum() == made.volume[-1] == market.volume[row]
    assert market.volume[row] == 1 or prices[-1] == market.close[row]
    assert (np.diff(made.at) >= 0).all()
    return made


def test_a_seeded_tape_adds_up_to_its_bar(ladder: Ladder) -> None:
    for row in np.flatnonzero(ladder.market.traded)[::3]:
        _adds_up(ladder, int(row))


@pytest.mark.data
def test_real_tapes_add_up_to_their_bars_down_to_one_share(real_market: DayMarket) -> None:
    ladder = build(real_market, seed=5)
    rows = np.flatnonzero(real_market.traded)
    thin = rows[real_market.volume[rows] < 200]
    for row in [*rows[::150], *thin[::3]]:
        _adds_up(ladder, int(row))


def test_spreads_gaps_and_depths_of_liquid_names_stay_in_the_stated_ranges(ladder: Ladder) -> None:
    market = ladder.market
    liquid = np.argsort(-market.turnover)[:12]
    for row in liquid:
        made = _adds_up(ladder, int(row))
        printed, quoted = made.kind == PRINT, made.kind == QUOTE
        gap = np.median(np.diff(made.at[printed])) / 1e6
        assert flow.INTER_PRINT_S[0] <= gap <= flow.INTER_PRINT_S[1]
        ask, bid = made.books.ask_prices[quoted, 0], made.books.bid_prices[quoted, 0]
        both = (ask > 0) & (bid > 0)
        spread = (ask[both] - bid[both]) / ticks(bid[both].astype(np.int64), market.grid)
        assert spread.min() >= flow.SPREAD_TICKS[0]
        assert spread.max() <= flow.SPREAD_TICKS[1] * 5  # a band's edge widens the tick
        assert np.mean(spread <= flow.SPREAD_TICKS[1]) > 0.99
        depth = made.books.bid_qtys[quoted] / made.mean_print
        depth = depth[made.books.bid_prices[quoted] > 0]
        assert flow.DEPTH_PRINTS[0] <= depth.min()
        assert depth.max() <= flow.DEPTH_PRINTS[1]


def test_a_buyer_prints_at_the_ask_and_a_seller_at_the_bid(ladder: Ladder) -> None:
    row = int(np.argmax(ladder.market.turnover))
    made = flow.tape(ladder, row, Rates())
    printed = np.flatnonzero(made.kind == PRINT)
    touch = np.where(
        made.aggressor[printed] > 0,
        made.books.ask_prices[printed, 0],
        made.books.bid_prices[printed, 0],
    )

    assert np.mean(made.price[printed] == touch) > 0.99


def test_the_default_rates_give_a_streamed_day_of_its_stated_size(ladder: Ladder) -> None:
    row = int(np.argmax(ladder.market.turnover))
    made = flow.tape(ladder, row, Rates())

    spoken = int(((made.kind == PRINT) | (made.kind == QUOTE)).sum())

    assert 15_000 <= spoken <= 20_000


def test_a_silent_name_has_an_empty_tape(ladder: Ladder) -> None:
    row = int(np.flatnonzero(~ladder.market.traded)[0])

    assert len(flow.tape(ladder, row, Rates()).at) == 0
