"""Matching: shares are conserved, price comes before time, nobody trades outside the limits."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.exchange.matching import BUY, CROWD, SELL, Book, Fill, Side
from schemas.errors import Fatal

LOWER, UPPER = 70, 130
SIDES = st.sampled_from((BUY, SELL))
PRICES = st.one_of(st.none(), st.integers(LOWER, UPPER))
ORDERS = st.lists(st.tuples(SIDES, PRICES, st.integers(1, 50)), min_size=1, max_size=40)


@given(orders=ORDERS)
def test_shares_are_conserved_and_the_book_is_never_crossed(
    orders: list[tuple[Side, int | None, int]],
) -> None:
    book, fills, traded = Book(LOWER, UPPER), list[Fill](), Counter[int]()
    for number, (side, price, qty) in enumerate(orders, 1):
        made = book.submit(number, side, price, qty)
        fills += made
        for fill in made:
            traded[fill.buy] += fill.qty
            traded[fill.sell] += fill.qty
        bid, ask = book.best(BUY), book.best(SELL)
        assert bid is None or ask is None or bid < ask

    assert all(LOWER <= fill.price <= UPPER for fill in fills)
    assert all(fill.buy != fill.sell for fill in fills)
    for number, (side, price, qty) in enumerate(orders, 1):
        left = book.ours[number].qty if number in book.ours else 0
        assert traded[number] + left == qty or price is None  # a market order may be void
        for fill in fills:
            if number == (fill.buy if side == BUY else fill.sell) and price is not None:
                assert (price - fill.price) * side >= 0


@given(orders=ORDERS, cut=st.integers(1, 60))
def test_an_auction_trades_the_most_shares_that_any_price_could(
    orders: list[tuple[Side, int | None, int]], cut: int
) -> None:
    book = Book(LOWER, UPPER)
    for number, (side, price, qty) in enumerate(orders, 1):
        book.collect(number, side, price, qty)
    book.cancel(1, cut)
    live = {n: o.qty for n, o in book.ours.items()}

    def crossing(at: int) -> int:
        sums = {BUY: 0, SELL: 0}
        for number, (side, price, _) in enumerate(orders, 1):
            if price is None or (price - at) * side >= 0:
                sums[side] += live.get(number, 0)
        return min(sums.values())

    price, volume = book.auction(100)
    fills = book.uncross(100)

    assert volume == max(crossing(at) for at in [100, *range(LOWER, UPPER + 1)])
    assert sum(fill.qty for fill in fills) == volume
    assert {fill.price for fill in fills} <= {price}
    bid, ask = book.best(BUY), book.best(SELL)
    assert volume == 0 or bid is None or ask is None or bid <= ask


def test_an_earlier_order_at_the_same_price_trades_first() -> None:
    book = Book(LOWER, UPPER)
    book.submit(1, SELL, 100, 10)
    book.submit(2, SELL, 99, 10)
    book.submit(3, SELL, 99, 10)

    fills = book.submit(4, BUY, 100, 25)

    assert [(f.sell, f.price, f.qty) for f in fills] == [(2, 99, 10), (3, 99, 10), (1, 100, 5)]


def test_a_market_order_sweeps_and_its_rest_waits_at_the_last_price() -> None:
    book = Book(LOWER, UPPER)
    book.follow([(98, 5)], [(100, 5), (101, 5)])

    fills = book.submit(1, BUY, None, 30)

    assert [(f.price, f.qty) for f in fills] == [(100, 5), (101, 5)]
    assert (book.ours[1].price, book.ours[1].qty) == (101, 20)


def test_fill_or_kill_trades_all_or_nothing_and_ioc_leaves_no_rest() -> None:
    book = Book(LOWER, UPPER)
    book.follow([(98, 5)], [(100, 5), (101, 5)])

    assert book.submit(1, BUY, 101, 11, "FOK") == []
    assert sum(f.qty for f in book.submit(2, BUY, 100, 11, "IOC")) == 5
    assert book.ours == {}


def test_our_order_waits_behind_what_was_shown_and_fills_on_top_of_the_print() -> None:
    book = Book(LOWER, UPPER)
    book.follow([(100, 30)], [(101, 30)])
    book.submit(1, BUY, 100, 10)

    assert book.run_print(SELL, 100, 25) == []
    [fill] = book.run_print(SELL, 100, 8)

    assert (fill.buy, fill.sell, fill.qty) == (1, CROWD, 8)


def test_refilled_size_queues_behind_us() -> None:
    book = Book(LOWER, UPPER)
    book.follow([(100, 30)], [(101, 30)])
    book.submit(1, BUY, 100, 10)
    book.run_print(SELL, 100, 30)
    book.follow([(100, 500)], [(101, 30)])

    [fill] = book.run_print(SELL, 100, 10)

    assert fill.qty == 10


def test_a_market_that_moves_through_our_price_fills_us_at_it() -> None:
    book = Book(LOWER, UPPER)
    book.follow([(100, 30)], [(101, 30)])
    book.submit(1, BUY, 100, 10)

    fills = book.follow([(97, 30)], [(98, 4), (99, 30)])

    assert [(f.buy, f.price, f.qty) for f in fills] == [(1, 100, 4), (1, 100, 6)]


def test_a_partial_cancel_keeps_the_place_in_the_queue() -> None:
    book = Book(LOWER, UPPER)
    book.submit(1, SELL, 100, 10)
    book.submit(2, SELL, 100, 10)

    assert book.cancel(1, 4) == 4
    fills = book.submit(3, BUY, 100, 8)

    assert [(f.sell, f.qty) for f in fills] == [(1, 6), (2, 2)]


@pytest.mark.parametrize(
    ("orders", "reference", "price", "volume"),
    [
        ([(BUY, 101, 10), (SELL, 99, 10)], 100, 100, 10),
        ([(BUY, None, 10), (SELL, None, 7)], 100, 100, 7),
        ([(BUY, 101, 10), (BUY, 100, 5), (SELL, 100, 12), (SELL, 99, 2)], 90, 100, 14),
        ([(BUY, 99, 10), (SELL, 101, 10)], 100, 0, 0),
    ],
)
def test_the_single_price_trades_most_then_leaves_least_then_is_nearest(
    orders: list[tuple[Side, int | None, int]], reference: int, price: int, volume: int
) -> None:
    book = Book(LOWER, UPPER)
    for number, (side, limit, qty) in enumerate(orders, 1):
        book.collect(number, side, limit, qty)

    assert book.auction(reference) == (price, volume)


def test_a_price_outside_the_limits_never_reaches_the_book() -> None:
    with pytest.raises(Fatal, match=r"70\.\.130"):
        Book(LOWER, UPPER).submit(1, BUY, UPPER + 1, 1)
