"""Facts that others published, held against our exchange.

G10 and G11 are the book of exchange-core (Apache 2.0): its ``basic.feature`` and the vectors
of ``OrderBookBaseTest``, less the cases of what a KRX book does not have (budgets, negative ids);
its move is our cancel and a new order.  The single price is KOSPI regulation 23(4) and (5) of
2026-04-15.  The limits are every stock-day of ``../shared/data/krx_daily`` that has a high, a low
and its base price; the two files of closes alone cannot tell a new base from a breach.
"""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest

from infra.exchange.matching import BUY, SELL, Book, Level, Side, TimeInForce
from schemas.krx import prices

DATA = Path(__file__).parents[3] / "shared" / "data"
ASKS: Final = [(81_599, 75), (81_600, 100), (200_954, 10), (201_000, 60)]
BIDS: Final = [(81_593, 40), (81_590, 21), (81_200, 20), (10_000, 13), (9_136, 2)]
Trades = list[tuple[int, int, int]]
"""Resting order, won, shares."""


def published() -> Book:
    """Return the book that ``OrderBookBaseTest.before`` builds."""
    book = Book(1, 400_000)
    orders: list[tuple[int, Side, int, int]] = [
        (1, SELL, 81_600, 100), (2, SELL, 81_599, 50), (3, SELL, 81_599, 25),
        (4, BUY, 81_593, 40), (5, BUY, 81_590, 20), (6, BUY, 81_590, 1), (7, BUY, 81_200, 20),
        (8, SELL, 201_000, 28), (9, SELL, 201_000, 32), (10, SELL, 200_954, 10),
        (11, BUY, 10_000, 12), (12, BUY, 10_000, 1), (13, BUY, 9_136, 2),
    ]  # fmt: skip
    for order_id, side, price, qty in orders:
        book.submit(order_id, side, price, qty)
    return book


def send(  # noqa: PLR0917 -- an order's own words
    book: Book, order_id: int, side: Side, price: int | None, qty: int, tif: TimeInForce = "DAY"
) -> Trades:
    fills = book.submit(order_id, side, price, qty, tif)
    return [(f.sell if side == BUY else f.buy, f.price, f.qty) for f in fills]


def shown(book: Book) -> tuple[list[Level], list[Level]]:
    return book.levels(SELL, 10), book.levels(BUY, 10)


def test_the_published_book_is_shown_as_published() -> None:
    assert shown(published()) == (ASKS, BIDS)


ALL_ASKS: Final = [
    (2, 81_599, 50), (3, 81_599, 25), (1, 81_600, 100), (10, 200_954, 10), (8, 201_000, 28),
    (9, 201_000, 32),
]  # fmt: skip


@pytest.mark.parametrize(
    ("side", "price", "qty", "tif", "trades", "asks", "bids"),
    [
        (SELL, 1, 10, "IOC", [(4, 81_593, 10)], ASKS, [(81_593, 30), *BIDS[1:]]),
        (SELL, 1, 40, "IOC", [(4, 81_593, 40)], ASKS, BIDS[1:]),
        (SELL, 1, 41, "IOC", [(4, 81_593, 40), (5, 81_590, 1)], ASKS, [(81_590, 20), *BIDS[2:]]),
        (BUY, 400_000, 175, "IOC", ALL_ASKS[:3], ASKS[2:], BIDS),
        (BUY, 400_000, 270, "IOC", ALL_ASKS, [], BIDS),
        (BUY, 81_599, 1, "DAY", [(2, 81_599, 1)], [(81_599, 74), *ASKS[1:]], BIDS),
        (BUY, 81_599, 77, "DAY", ALL_ASKS[:2], ASKS[1:], [(81_599, 2), *BIDS]),
        (BUY, 81_600, 77, "DAY", [*ALL_ASKS[:2], (1, 81_600, 2)], [(81_600, 98), *ASKS[2:]], BIDS),
        (BUY, 220_000, 1_000, "DAY", ALL_ASKS, [], [(220_000, 755), *BIDS]),
        (BUY, 81_594, 9 * 10**9, "DAY", [], ASKS, [(81_594, 9 * 10**9), *BIDS]),
        (SELL, 130_000, 13 * 10**9, "DAY", [],
         [*ASKS[:2], (130_000, 13 * 10**9), *ASKS[2:]], BIDS),
        (BUY, 1_000, 4, "DAY", [], ASKS, [*BIDS, (1_000, 4)]),
    ],
)  # fmt: skip
def test_an_order_trades_and_leaves_what_was_published(  # noqa: PLR0917 -- one column each
    side: Side, price: int, qty: int, tif: TimeInForce, trades: Trades, asks: list[Level],
    bids: list[Level],
) -> None:  # fmt: skip
    book = published()

    assert send(book, 123, side, price, qty, tif) == trades
    assert shown(book) == (asks, bids)


@pytest.mark.parametrize(
    ("first", "qty", "moved", "trades", "asks", "bids"),
    [
        (81_200, 20, 81_602, [(2, 81_599, 20)], [(81_599, 55), *ASKS[1:]], BIDS),
        (81_594, 100, 81_600, [*ALL_ASKS[:2], (1, 81_600, 25)], [(81_600, 75), *ASKS[2:]], BIDS),
        (81_594, 246, 201_000, ALL_ASKS, [], [(201_000, 1), *BIDS]),
        (81_200, 20, 81_590, [], ASKS, [BIDS[0], (81_590, 41), *BIDS[2:]]),
        (81_200, 20, 81_594, [], ASKS, [(81_594, 20), *BIDS]),
    ],
)
def test_an_order_moved_to_a_price_meets_the_book_there_as_published(  # noqa: PLR0917 -- as above
    first: int, qty: int, moved: int, trades: Trades, asks: list[Level], bids: list[Level]
) -> None:
    book = published()
    assert send(book, 83, BUY, first, qty) == []

    assert book.cancel(83) == qty
    assert send(book, 84, BUY, moved, qty) == trades
    assert shown(book) == (asks, bids)


def test_a_cancel_takes_the_order_then_its_level_and_nothing_for_an_unknown_id() -> None:
    book = published()

    assert [book.cancel(5), book.cancel(2), book.cancel(5_291)] == [20, 50, 0]
    assert shown(book) == ([(81_599, 25), *ASKS[1:]], [BIDS[0], (81_590, 1), *BIDS[2:]])
    assert book.cancel(3) == 25
    assert book.levels(SELL, 10) == ASKS[1:]


def test_basic_full_cycle() -> None:
    book = Book(1, 400_000)
    assert send(book, 101, SELL, 1_600, 7) == send(book, 102, BUY, 1_550, 4) == []

    assert send(book, 201, BUY, 1_700, 2, "IOC") == [(101, 1_600, 2)]
    assert send(book, 202, BUY, 1_583, 4) == []
    assert shown(book) == ([(1_600, 5)], [(1_583, 4), (1_550, 4)])
    assert book.cancel(101) == 5
    assert send(book, 103, SELL, 1_580, 5) == [(202, 1_583, 4)]
    assert shown(book) == ([(1_580, 1)], [(1_550, 4)])


def test_a_resting_order_is_not_filled_by_a_trade_that_only_touches_the_queue_before_it() -> None:
    """The pessimistic maker of G12: those who stood there before us trade first."""
    book = Book(1, 400_000)
    book.follow([(1_000, 30)], [(1_001, 30)])
    book.submit(1, BUY, 1_000, 10)

    assert book.run_print(SELL, 1_000, 30) == []
    assert [(f.price, f.qty) for f in book.run_print(SELL, 1_000, 4)] == [(1_000, 4)]
    assert [(f.price, f.qty) for f in book.run_print(SELL, 999, 50)] == [(1_000, 6)]


@pytest.mark.parametrize(
    ("orders", "reference", "price", "volume"),
    [
        # 23(4)1: every buy above the price trades whole, so an excess of buyers lifts it.
        ([(BUY, 101, 20), (SELL, 99, 10)], 90, 101, 10),
        ([(BUY, 101, 20), (SELL, 99, 10)], 110, 101, 10),
        ([(BUY, 101, 10), (SELL, 99, 20)], 110, 99, 10),
        ([(BUY, 101, 15), (BUY, 100, 5), (SELL, 99, 15)], 90, 100, 15),
        # 23(5)1: the most recent price when it is one of the matched prices.
        ([(BUY, 103, 10), (SELL, 97, 10)], 100, 100, 10),
        # 23(5)2(a): beyond them, the matched price closest to it.
        ([(BUY, 103, 10), (SELL, 97, 10)], 90, 97, 10),
        ([(BUY, 103, 10), (SELL, 97, 10)], 110, 103, 10),
        # 23(3)3: a market bid stands at the highest of best bid, highest offer and last price.
        ([(BUY, None, 10), (SELL, 99, 10)], 90, 99, 10),
        ([(BUY, None, 10), (SELL, 99, 10)], 110, 110, 10),
        ([(SELL, None, 10), (BUY, 101, 10)], 110, 101, 10),
        ([(SELL, None, 10), (BUY, 101, 10)], 90, 90, 10),
        ([(BUY, 101, 10), (SELL, 102, 10)], 100, 0, 0),
    ],
)
def test_the_single_price_is_the_one_of_the_regulation(
    orders: list[tuple[Side, int | None, int]], reference: int, price: int, volume: int
) -> None:
    book = Book(70, 130)
    for number, (side, limit, qty) in enumerate(orders, 1):
        book.collect(number, side, limit, qty)

    assert book.auction(reference) == (price, volume)
    assert {fill.price for fill in book.uncross(reference)} <= {price}


def test_at_the_single_price_market_then_price_then_time_decides() -> None:
    book = Book(70, 130)
    orders: list[tuple[Side, int | None, int]] = [
        (BUY, 100, 5), (BUY, 100, 5), (BUY, 101, 5), (BUY, None, 5), (SELL, 100, 17),
    ]  # fmt: skip
    for number, (side, limit, qty) in enumerate(orders, 1):
        book.collect(number, side, limit, qty)

    fills = book.uncross(100)

    assert [(f.buy, f.price, f.qty) for f in fills] == [
        (4, 100, 5), (3, 100, 5), (1, 100, 5), (2, 100, 2),
    ]  # fmt: skip


WITH_BASE: Final = {
    "krx_daily_full_20250827_20260331.parquet": (394_851, {"listing": 46, "delisting": 105}),
    "marcap_windows_2021_2026.parquet": (473_429, {"listing": 16, "delisting": 81}),
}
DELISTING_DAYS_MAX: Final = 14
"""The last seven sessions a name trades in have no limit; with a holiday they span 14 days."""
FOURFOLD: Final = date(2023, 6, 26)
"""Since then a first day has 60 % to 400 % of the offer price."""


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows outside the limits of their day's rule; ``base`` is what they stand on."""
    new = rows["date"] >= "2023-01-25"
    keys = rows[["base", "segment"]].assign(new=new)
    unique = keys.drop_duplicates()
    limits = [
        prices.price_limits(int(base), date(2023, 1, 25 if each else 24), segment)
        for base, segment, each in unique.itertuples(index=False)
    ]
    unique = unique.assign(lower=[e.lower for e in limits], upper=[e.upper for e in limits])
    found = rows.assign(new=new).merge(unique, on=["base", "segment", "new"])
    return found[(found["high"] > found["upper"]) | (found["low"] < found["lower"])]


def read(name: str) -> pd.DataFrame:
    path = DATA / "krx_daily" / name
    if not path.exists():
        pytest.skip(f"../shared/data/krx_daily/{name} is absent")
    frame = pd.read_parquet(path)
    frame.columns = frame.columns.str.lower()
    return frame.rename(columns={"changes": "change"})


def segment_of(market: "pd.Series[str]") -> "pd.Series[str]":
    return market.astype(str).str.replace("KOSDAQ GLOBAL", "KOSDAQ")


def exception(row: "pd.Series[Any]", first: pd.Timestamp, last: pd.Timestamp | None) -> str:
    """Name the rule that lifts a row's limits, or nothing."""
    day = row["date"].date()
    if row["date"] == first and day >= FOURFOLD:
        limits = prices.listing_limits(row["base"], day, row["segment"])
        if limits.lower <= row["low"] and row["high"] <= limits.upper:
            return "listing"
    gone = last is not None and (last - row["date"]).days <= DELISTING_DAYS_MAX
    return "delisting" if gone else ""


@pytest.mark.data
@pytest.mark.parametrize("name", WITH_BASE)
def test_every_high_and_low_is_inside_its_limits_but_for_listings_and_delistings(
    name: str,
) -> None:
    days = pd.concat([read(each)[["code", "date", "volume"]] for each in WITH_BASE])
    first = days.groupby("code")["date"].min()
    last = days[days["volume"] > 0].groupby("code")["date"].max()
    whole = read(name)
    rows = whole[(whole["volume"] > 0) & (whole["high"] > 0)].copy()
    rows = rows.astype(dict.fromkeys(["high", "low", "close", "change"], "int64"))
    rows["base"] = rows["close"] - rows["change"]
    rows["segment"] = segment_of(rows["market"])
    left = last[last < days["date"].max()]

    outside = judged(rows)
    outside["why"] = [
        exception(row, first[row["code"]], left.get(row["code"])) for _, row in outside.iterrows()
    ]

    unexplained = outside[outside["why"] == ""]
    assert unexplained.empty, unexplained.to_string()
    assert (len(rows), dict(Counter(outside["why"]))) == WITH_BASE[name]
