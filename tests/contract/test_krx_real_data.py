"""The rulebook against the tape: every session since 2011, every price of two real collections."""

from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from schemas.krx import codes, prices, sessions

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent"),
]

DAILY = "krx_daily/krx_daily_full_20250827_20260331.parquet"
WINDOWS = "krx_daily/marcap_windows_2021_2026.parquet"
DELISTING_DAYS_MAX = 14
"""Seven sessions before a delisting have no limit; with Seollal they span 14 days."""


@cache
def traded(name: str) -> pd.DataFrame:
    """Return the rows with trades: date, code, segment, base and prices as int64."""
    frame = pd.read_parquet(DATA / name)
    frame.columns = frame.columns.str.lower()
    frame = frame.rename(columns={"changes": "change"})
    frame["segment"] = frame["market"].astype(str).str.replace("KOSDAQ GLOBAL", "KOSDAQ")
    frame = frame[(frame["volume"] > 0) & (frame["high"] > 0)].copy()
    for column in ("open", "high", "low", "close", "change"):
        frame[column] = frame[column].astype("int64")
    frame["base"] = frame["close"] - frame["change"]
    return frame[frame["base"] > 0]


def ticks(frame: pd.DataFrame, column: str, grid: prices.Grid) -> np.ndarray:
    """Return the tick of every price of a column."""
    bands = np.searchsorted(np.array(grid.bounds), frame[column].to_numpy(), side="right")
    return np.array(grid.ticks)[bands]


def test_the_calendar_has_every_real_session_since_2011_and_no_other() -> None:
    table = pd.read_parquet(DATA / "krx_reference/krx_trading_calendar_2011_20260814.parquet")
    real = [each.date() for each in table["trading_date"]]

    ours = [each.date for each in sessions.sessions_between(date(2011, 1, 1), date(2026, 8, 15))]

    assert len(real) == 3_840
    assert ours == real


def test_every_close_before_mid_price_orders_is_on_the_grid_of_its_day() -> None:
    frame = traded(WINDOWS)
    frame = frame[frame["date"] < "2025-02-27"]
    checked = 0

    for segment in prices.SEGMENTS:
        for old in (True, False):
            part = frame[(frame["segment"] == segment) & ((frame["date"] < "2023-01-25") == old)]
            grid = prices.grid(date(2023, 1, 24 if old else 25), segment)
            off = part[part["close"] % ticks(part, "close", grid) != 0]
            assert off.empty, off[["date", "code", "close"]].head().to_string()
            checked += len(part)

    assert checked > 350_000


def test_the_old_grid_ends_on_the_very_day() -> None:
    frame = traded(WINDOWS)
    old = prices.grid(date(2023, 1, 24), "KOSPI")
    kospi = frame[(frame["segment"] == "KOSPI") & (frame["date"] < "2025-02-27")]
    off = kospi[kospi["close"] % ticks(kospi, "close", old) != 0]

    assert off["date"].min() == pd.Timestamp("2023-01-25")


def test_off_grid_prices_since_then_sit_at_half_a_tick() -> None:
    frame = traded(DAILY)
    grid = prices.grid(date(2026, 2, 10), "KOSPI")
    tick = ticks(frame, "close", grid)
    rest = frame["close"].to_numpy() % tick

    assert set(np.unique((rest - tick // 2)[rest != 0])) == {0}
    assert 0 < np.count_nonzero(rest) < 300


def test_prices_leave_the_limits_only_on_listing_days_and_before_delistings() -> None:
    frame = traded(DAILY)
    first = frame.groupby("code")["date"].transform("min")
    last = frame.groupby("code")["date"].transform("max")
    stays = last == frame["date"].max()
    delisting = ~stays & ((last - frame["date"]).dt.days <= DELISTING_DAYS_MAX)
    normal = frame[(first != frame["date"]) & ~delisting]
    on = date(2026, 2, 10)
    pairs = normal[["base", "segment"]].drop_duplicates()
    limits = [
        prices.price_limits(int(base), on, segment)
        for base, segment in pairs.itertuples(index=False)
    ]
    pairs = pairs.assign(lower=[each.lower for each in limits], upper=[u.upper for u in limits])
    rows = normal.merge(pairs, on=["base", "segment"])

    outside = rows[(rows["high"] > rows["upper"]) | (rows["low"] < rows["lower"])]

    assert outside.empty, outside[["date", "code", "base", "low", "high"]].to_string()
    assert len(rows) > 380_000
    assert int((rows["high"] == rows["upper"]).sum()) > 1_000


def test_every_ticker_seen_is_a_code_and_every_isin_checks() -> None:
    tickers = pd.read_parquet(DATA / "krx_reference/krx_instrument_metadata.parquet")["ticker"]
    daily = pd.read_parquet(DATA / DAILY, columns=["code", "isin"]).drop_duplicates()

    assert [t for t in {*tickers, *daily["code"]} if not codes.is_code(t)] == []
    assert [isin for isin in daily["isin"] if not codes.is_isin(isin)] == []
    usual = sum(codes.usual_isin(codes.symbol(c)) == i for c, i in daily.itertuples(index=False))
    assert 0.9 < usual / len(daily) < 1
