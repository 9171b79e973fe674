"""The windows role: any cut gives the same windows, and they agree with pandas."""

import math
import random
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.features import Window
from schemas.market import Book, Trade
from schemas.role import Batch, Output, Record
from schemas.testing import MORNING, at, book, trade
from schemas.units import MINUTE, SECOND, Micros
from streams.features.role import ROLE

Event = Trade | Book
SYMBOLS = ("005930", "000660", "0041B0")


def records(events: Sequence[Event]) -> list[Record]:
    """Return events as the driver merges them: by time, trades before books, by symbol."""
    return [
        Record("market.trades" if isinstance(each, Trade) else "market.books", each.symbol, each)
        for each in events
    ]


def run(events: Sequence[Event], cuts: Sequence[int] = (), *, seconds: float = 300) -> list[Output]:
    """Feed events in batches that end at ``cuts``, then let time come to ``seconds``."""
    state, outputs = ROLE.initial, list[Output]()
    log = records(events)
    marks = [*sorted({cut for cut in cuts if cut < len(log)}), len(log)]
    start = 0
    for mark in marks:
        watermark = log[mark].value.ts_event if mark < len(log) else at(seconds)
        answer = ROLE.step(state, Batch(log[start:mark], Micros(watermark)))
        state, start = answer.state, mark
        outputs += answer.outputs
    return outputs


def windows(events: Sequence[Event], size: int = SECOND) -> list[Window]:
    return [each.value for each in run(events) if each.value.size == size]


def day(seed: int, count: int, symbols: Sequence[str] = SYMBOLS) -> list[Event]:
    """Return a seeded stretch of prints and books in the driver's order."""
    chance = random.Random(seed)  # noqa: S311 -- a seeded tape, no secret
    price = dict.fromkeys(symbols, 50_000)
    volume = dict.fromkeys(symbols, 0)
    events: list[Event] = []
    second = 0.0
    for index in range(count):
        second += chance.choice((0, 0, 0, 1, 1, 2, 7))
        symbol = chance.choice(symbols)
        price[symbol] += chance.choice((-100, 0, 100))
        if chance.random() < 0.5:
            qty = chance.randint(1, 500)
            volume[symbol] += qty
            side = chance.choice(("buy", "sell"))
            events.append(
                trade(price[symbol], qty, seconds=second, symbol=symbol, aggressor=side,
                      volume_day=volume[symbol], seq=index)
            )  # fmt: skip
        else:
            events.append(
                book(price[symbol] - 100, price[symbol], seconds=second, symbol=symbol, seq=index,
                     bid_qty=chance.randint(1, 99), ask_qty=chance.randint(1, 99))
            )  # fmt: skip
    return sorted(events, key=lambda e: (e.ts_event, isinstance(e, Book), e.symbol, e.seq))


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 80), cuts=st.lists(st.integers(1, 79)))
def test_any_cut_into_batches_gives_the_same_windows(
    seed: int, count: int, cuts: list[int]
) -> None:
    events = day(seed, count)

    assert run(events, cuts) == run(events)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_a_symbol_does_not_feel_the_others(seed: int) -> None:
    together = day(seed, 80)
    alone = [each for each in together if each.symbol == SYMBOLS[0]]

    assert [each for each in run(together) if each.key == SYMBOLS[0]] == run(alone)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([SECOND, MINUTE]))
def test_sums_conserve(seed: int, size: int) -> None:
    events = day(seed, 80)
    prints = [each for each in events if isinstance(each, Trade)]

    closed = windows(events, size)

    assert sum(each.trades for each in closed) == len(prints)
    assert sum(each.books for each in closed) == len(events) - len(prints)
    assert sum(each.volume for each in closed) == sum(each.qty for each in prints)
    assert sum(each.turnover for each in closed) == sum(e.price * e.qty for e in prints)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_outputs_come_by_end_size_and_symbol(seed: int) -> None:
    order = [(each.value.end, each.value.size, each.key) for each in run(day(seed, 80))]

    assert order == sorted(order)
    assert len(order) == len(set(order))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([SECOND, MINUTE]))
def test_features_of_trades_agree_with_pandas(seed: int, size: int) -> None:
    events = [each for each in day(seed, 120, SYMBOLS[:1]) if isinstance(each, Trade)]
    if not events:
        return
    frame = pd.DataFrame(
        {
            "start": [each.ts_event - each.ts_event % size for each in events],
            "price": [float(each.price) for each in events],
            "qty": [each.qty for each in events],
            "sign": [1 if each.aggressor == "buy" else -1 for each in events],
        }
    )
    frame["value"] = frame.price * frame.qty
    frame["signed"] = frame.sign * frame.qty
    frame["square"] = np.square(np.log(frame.price).diff())
    groups = frame.groupby("start")

    closed = windows(events, size)

    assert [each.start for each in closed] == list(groups.groups)
    assert [each.vwap for each in closed] == pytest.approx(
        list(groups.value.sum() / groups.qty.sum())
    )
    assert [each.signed_volume for each in closed] == list(groups.signed.sum())
    assert [each.last for each in closed] == list(groups.price.last())
    expected = list(10_000 * groups.price.last().pct_change())[1:]
    assert [each.return_bps for each in closed][1:] == pytest.approx(expected)
    assert closed[0].return_bps is None
    volatility = [each.realized_vol or 0.0 for each in closed]
    assert volatility == pytest.approx(list(np.sqrt(groups.square.sum())), abs=1e-8)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.sampled_from([SECOND, MINUTE]))
def test_features_of_books_agree_with_numpy(seed: int, size: int) -> None:
    books = [each for each in day(seed, 120, SYMBOLS[:1]) if isinstance(each, Book)]
    starts = np.array([each.ts_event - each.ts_event % size for each in books])
    closed = windows(books, size)

    assert [each.start for each in closed] == list(np.unique(starts))
    for window in closed:
        inside = np.flatnonzero(starts == window.start)
        last = books[inside[-1]]
        total = last.bid_total + last.ask_total
        assert window.imbalance == pytest.approx((last.bid_total - last.ask_total) / total)
        mid = (last.bid_prices[0] + last.ask_prices[0]) / 2
        assert window.spread_bps == pytest.approx(10_000 * 100 / mid)
        flows = [_flow(books[i - 1], books[i]) for i in inside if i > 0]
        assert window.ofi == (sum(flows) if flows else None)


def _flow(before: Book, after: Book) -> int:
    bid = np.sign(after.bid_prices[0] - before.bid_prices[0])
    ask = np.sign(after.ask_prices[0] - before.ask_prices[0])
    flow = (bid >= 0) * after.bid_qtys[0] - (bid <= 0) * before.bid_qtys[0]
    flow -= (ask <= 0) * after.ask_qtys[0] - (ask >= 0) * before.ask_qtys[0]
    return int(flow)


def test_end_is_exclusive() -> None:
    before, after = windows(
        [trade(seconds=0.999_999, volume_day=1), trade(seconds=1, volume_day=2)]
    )

    assert (before.end, after.start) == (at(1), at(1))
    assert before.ts_event == before.end


def test_squares_of_the_seconds_add_up_to_the_minute() -> None:
    events = [each for each in day(3, 60, SYMBOLS[:1]) if each.ts_event < at(60)]

    [minute] = windows(events, MINUTE)
    seconds = [each.realized_vol or 0.0 for each in windows(events)]

    assert minute.realized_vol is not None
    assert math.fsum(vol**2 for vol in seconds) == pytest.approx(minute.realized_vol**2)


def test_polled_prices_make_minutes_without_books_and_no_seconds() -> None:
    polls = [
        trade(price, qty, seconds=second, kind="polled", aggressor="none")
        for price, qty, second in ((50_000, 0, 10), (50_500, 30, 70))
    ]

    assert windows(polls) == []
    first, second = windows(polls, MINUTE)
    assert (first.polled, second.polled) == (True, True)
    assert (first.vwap, second.vwap, second.volume, second.return_bps) == (None, 50_500, 30, 100.0)
    assert (second.ofi, second.imbalance, second.spread_bps, second.realized_vol) == (None,) * 4


def test_a_minute_with_prints_and_a_poll_counts_the_prints() -> None:
    events = [trade(qty=5, volume_day=5), trade(qty=7, seconds=30, kind="polled", volume_day=12)]

    [window] = windows(events, MINUTE)

    assert (window.polled, window.trades, window.volume) == (False, 1, 5)


def test_a_fat_finger_is_absent_from_features() -> None:
    calm = [trade(50_000, seconds=index / 10, volume_day=index + 1) for index in range(100)]
    finger = trade(500_000, seconds=10, volume_day=101)
    after = trade(50_000, seconds=11, volume_day=102)

    closed = windows([*calm, finger, after], MINUTE)

    assert [(each.trades, each.vwap, each.realized_vol) for each in closed] == [(101, 50_000, 0.0)]


def test_books_of_an_auction_have_no_features_and_break_the_flow() -> None:
    events = [book(seconds=0), book(seconds=1, phase="C", bid_qty=99), book(seconds=2, bid_qty=50)]

    closed = windows(events)

    assert [each.ofi for each in closed] == [None, None, None]
    assert [each.spread_bps is None for each in closed] == [False, True, False]


def test_a_step_leaves_the_state_it_was_given_alone() -> None:
    log = records(day(5, 40))
    first = ROLE.step(ROLE.initial, Batch(log[:20], Micros(0)))
    again = [ROLE.step(first.state, Batch(log[20:], at(300))) for _ in range(2)]

    assert again[0].outputs == again[1].outputs
    assert ROLE.initial.tallies == {}


def test_a_new_day_starts_the_sums_over() -> None:
    events = [trade(50_000, volume_day=1), trade(60_000, seconds=86_400, volume_day=1)]

    minutes = [each.value for each in run(events, seconds=90_000) if each.value.size == MINUTE]

    assert [each.return_bps for each in minutes] == [None, None]


def test_time_alone_closes_a_window() -> None:
    given_one = ROLE.step(ROLE.initial, Batch(records([trade(seconds=0.5)]), MORNING))
    silence = ROLE.step(given_one.state, Batch([], at(1)))

    assert list(given_one.outputs) == []
    assert [each.value.end for each in silence.outputs] == [at(1)]
