"""The day that is played: one daily bar per listed name, read from a folder of Parquet.

    <data>/krx_daily/krx_daily_full_<from>_<to>.parquet    the day itself and the session before
    <data>/SYNTHETIC.json                                  marks a folder made by ``synthetic``

A name with open = high = low = 0 did not trade that day: it prints nothing.  The base price is the
bar's close minus its change, which a corporate action may have moved off the previous close.
"""

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.errors import Misconfigured
from schemas.krx.prices import Grid, grid, price_limits
from schemas.krx.sessions import Session, session

_DAYS_BACK: Final = np.timedelta64(13, "D")
"""The longest gap between two sessions, holidays and weekends, is shorter."""

_TEXTS: Final = ("code", "name", "market")

Longs = NDArray[np.int64]
Columns = dict[str, NDArray[Any]]
"""Parquet columns by name."""

_COLUMNS: Final = (
    "date",
    "code",
    "name",
    "market",
    "open",
    "high",
    "low",
    "close",
    "change",
    "volume",
    "value",
    "shares",
    "market_cap",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayMarket:
    """All names of a day; arrays have shape (name,), int64, won or shares.

    Attributes:
        session: The day by the clock.
        grid: Orderable prices; one table serves all stocks since 2023-01-25.
        symbols: Short codes, ascending.
        row: Symbol to its place in the arrays.
        segments: KOSPI, KOSDAQ or KONEX per name.
        base: Base price.
        open, high, low, close: The bar; open, high and low are 0 when the name did not trade.
        turnover: Won, block trades included.
        previous_volume: Of the session before, 0 when unknown.
        lower, upper: Price limits; widened where the real bar broke them (listing, delisting).
        synthetic_seed: Of a seeded market; None for real data.
    """

    session: Session
    grid: Grid
    symbols: tuple[str, ...]
    row: dict[str, int]
    names: tuple[str, ...]
    segments: tuple[str, ...]
    base: Longs
    open: Longs
    high: Longs
    low: Longs
    close: Longs
    volume: Longs
    turnover: Longs
    shares: Longs
    market_cap: Longs
    previous_volume: Longs
    lower: Longs
    upper: Longs
    synthetic_seed: int | None

    @property
    def traded(self) -> NDArray[np.bool_]:
        """Return which names trade this day."""
        return (self.open > 0) & (self.volume > 0)


def load_day(data_dir: Path, day: date) -> DayMarket:
    """Read one day of the market.

    Args:
        data_dir: A folder laid out like the project's data.
        day: A session of the KRX the folder holds, from 2023-01-25 on.

    Raises:
        Misconfigured: The exchange was closed, or no file holds that day.
    """
    today = session(day)
    if today is None:
        raise Misconfigured(f"expected a session of the KRX, was {day}, closed; take another date")
    bars = _rows(data_dir, day)
    if bars is None:
        raise Misconfigured(
            f"expected daily bars of {day} in {data_dir / 'krx_daily'}, was none; "
            "take another date or leave the data out for a seeded market"
        )
    days = bars["date"]
    at_day = days == np.datetime64(day)
    earlier = days[~at_day]
    before = _picked(bars, days == earlier.max()) if len(earlier) else None
    todays = _picked(bars, at_day)
    order = np.argsort(todays["code"].astype(str))
    return _market(today, _picked(todays, order), before, _seed(data_dir))


def _rows(data_dir: Path, day: date) -> Columns | None:
    """Return the rows of the day and of the days before it, from the file that holds the day.

    Only reads and slices, and takes numbers from the buffers: pyarrow's compute functions and the
    pandas that its conversions pull in take seconds to import.
    """
    last = np.datetime64(day)
    for path in sorted((data_dir / "krx_daily").glob("krx_daily_full_*.parquet")):
        table = pq.ParquetFile(path, read_dictionary=list(_TEXTS)).read(columns=list(_COLUMNS))
        days = _array(table, "date").astype("datetime64[D]")
        near = np.flatnonzero((days > last - _DAYS_BACK) & (days <= last))
        if len(near) and (days[near] == last).any():
            part = table.slice(near[0], near[-1] - near[0] + 1)
            columns = {name: _array(part, name) for name in _COLUMNS}
            columns["date"] = columns["date"].astype("datetime64[D]")
            return _picked(columns, near - near[0])
    return None


def _array(table: Any, name: str) -> NDArray[Any]:
    column = table[name]
    if name in _TEXTS:
        return np.array(column.to_pylist(), dtype=object)
    if column.null_count:
        raise Misconfigured(f"expected {name} in every daily bar, was empty; repair the file")
    parts = [
        np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in column.chunks
    ]
    return np.concatenate(parts).view("datetime64[us]" if name == "date" else np.int64)


def _picked(columns: Columns, which: NDArray[Any]) -> Columns:
    return {name: values[which] for name, values in columns.items()}


def _seed(data_dir: Path) -> int | None:
    marker = data_dir / "SYNTHETIC.json"
    return int(json.loads(marker.read_text())["seed"]) if marker.exists() else None


def _market(today: Session, bars: Columns, before: Columns | None, seed: int | None) -> DayMarket:
    def longs(name: str) -> Longs:
        return bars[name].astype(np.int64)

    symbols = tuple(bars["code"])
    segments = tuple(bars["market"])
    traded = (longs("open") > 0) & (longs("volume") > 0)
    base = longs("close") - longs("change")
    steps = grid(today.date, "KOSPI")
    limits = [
        price_limits(max(int(price), 1), today.date, segment)
        for price, segment in zip(base, segments, strict=True)
    ]
    lower = np.array([limit.lower for limit in limits], np.int64)
    upper = np.array([limit.upper for limit in limits], np.int64)
    yesterday = _volumes(before)
    return DayMarket(
        session=today,
        grid=steps,
        symbols=symbols,
        row={symbol: row for row, symbol in enumerate(symbols)},
        names=tuple(bars["name"]),
        segments=segments,
        base=base,
        open=np.where(traded, longs("open"), 0),
        high=np.where(traded, longs("high"), 0),
        low=np.where(traded, longs("low"), 0),
        close=longs("close"),
        volume=np.where(traded, longs("volume"), 0),
        turnover=longs("value"),
        shares=longs("shares"),
        market_cap=longs("market_cap"),
        previous_volume=np.array([yesterday.get(symbol, 0) for symbol in symbols], np.int64),
        lower=np.where(traded, np.minimum(lower, longs("low")), lower),
        upper=np.where(traded, np.maximum(upper, longs("high")), upper),
        synthetic_seed=seed,
    )


def _volumes(before: Columns | None) -> dict[str, int]:
    if before is None:
        return {}
    return dict(zip(before["code"], before["volume"].tolist(), strict=True))
