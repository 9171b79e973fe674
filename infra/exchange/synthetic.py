"""A market without data: seeded, written as a folder of Parquet laid out like the real one.

    krx_daily/krx_daily_full_<from>_<to>.parquet           bars, the day's last
    krx_reference/sector_snapshots_synthetic.parquet       a sector per name
    fundamentals/quarterly_cashflow_2021_2025q3.parquet    quarters a year back from the day and on
    index/{kospi,kosdaq,kospi200}_daily_1995_20260821.parquet
    SYNTHETIC.json                                         says that it is one, and its seed

Daily log returns are market + sector + own, the market's volatility changing with a slow regime;
turnover is log-normal around a share of the market cap, so that more than a thousand names trade
over a billion won a day.  Bars are on the tick grid and inside the price limits.  File names are
the real ones because readers know them; the years in them do not bind.
"""

import json
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from infra.exchange.day import Longs
from infra.exchange.path import nearest, ticks
from schemas.krx.codes import usual_isin
from schemas.krx.prices import Grid, grid
from schemas.krx.sessions import previous_session
from schemas.units import Symbol

SECTORS: Final = 24
KOSPI_SHARE: Final = 0.34
KONEX_SHARE: Final = 0.04
SILENT_SHARE: Final = 0.035
"""Names that do not trade on a day, halted or out of interest."""

QUARTERS: Final = 16
_CAP_MEDIAN_WON: Final = 160e9
_PRICE_MEDIAN_WON: Final = 7_000.0
_TURNOVER_SHARE: Final = 0.007
_INDEX_START: Final = {"kospi": 3_000.0, "kosdaq": 900.0, "kospi200": 400.0}
_LETTERS: Final = "ABCDEFGH"

Floats = NDArray[np.float64]


class _Bars(NamedTuple):
    """Arrays (session, name), int64."""

    open: Longs
    high: Longs
    low: Longs
    close: Longs
    change: Longs
    volume: Longs
    value: Longs


def write_market(
    folder: Path, seed: int, names: int = 2_800, sessions: int = 260, *, day: date
) -> None:
    """Write a seeded market.

    Args:
        folder: Made if absent; its files are overwritten.
        seed: The same seed, sizes and day give the same files.
        names: Listed names, at most 9,999.
        sessions: Sessions of history before the day.
        day: The session to be played: the last in the bars.
    """
    rng = np.random.default_rng(seed)
    days = _days(day, sessions)
    codes = [_code(number) for number in range(1, names + 1)]
    segments = rng.permutation(_segments(names))
    sectors = rng.integers(0, SECTORS, names)
    market, returns = _returns(rng, len(days), sectors)
    caps = np.exp(np.log(_CAP_MEDIAN_WON) + 1.5 * rng.standard_normal(names))
    start = np.clip(np.exp(np.log(_PRICE_MEDIAN_WON) + 1.1 * rng.standard_normal(names)), 300, 9e5)
    shares = np.maximum(caps / start, 100_000).astype(np.int64)
    bars = _bars(rng, days=days, start=start, returns=returns, shares=shares, segments=segments)
    for part in ("krx_daily", "krx_reference", "fundamentals", "index"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    _write_bars(folder, days=days, codes=codes, segments=segments, shares=shares, bars=bars)
    _write_sectors(folder, days[0], codes, segments, sectors)
    _write_fundamentals(folder, rng, day, codes, caps)
    _write_indices(folder, rng, days, market)
    marker = {"seed": seed, "names": names, "sessions": sessions, "date": day.isoformat()}
    (folder / "SYNTHETIC.json").write_text(json.dumps(marker) + "\n")


def _days(day: date, sessions: int) -> list[date]:
    days = [day]
    for _ in range(sessions):
        days.append(previous_session(days[-1]).date)
    return days[::-1]


def _code(number: int) -> Symbol:
    """Return a code that no listed share has long had; every fortieth carries a letter."""
    if number % 40 == 0:
        return Symbol(f"9{number % 1000:03d}{_LETTERS[number // 1000 % len(_LETTERS)]}0")
    return Symbol(f"9{number:04d}0")


def _segments(names: int) -> list[str]:
    kospi, konex = int(names * KOSPI_SHARE), int(names * KONEX_SHARE)
    return ["KOSPI"] * kospi + ["KONEX"] * konex + ["KOSDAQ"] * (names - kospi - konex)


def _returns(rng: np.random.Generator, days: int, sectors: Longs) -> tuple[Floats, Floats]:
    """Return the market's log returns (session,) and the names' (session, name)."""
    regime = np.exp(0.5 * np.sin(np.arange(days) / 25.0 + rng.uniform(0, 6)))
    market = 0.0003 + 0.010 * regime * rng.standard_normal(days)
    groups = 0.007 * rng.standard_normal((days, SECTORS))
    names = len(sectors)
    beta = rng.normal(1.0, 0.3, names)
    wild = np.exp(rng.normal(np.log(0.021), 0.35, names))
    own = wild * rng.standard_t(4, (days, names)) / np.sqrt(2.0)
    total = beta * market[:, None] + groups[:, sectors] + own
    return market, np.clip(total - 0.5 * wild**2, -0.25, 0.22)


def _bars(
    rng: np.random.Generator,
    *,
    days: Sequence[date],
    start: Floats,
    returns: Floats,
    shares: Longs,
    segments: NDArray[Any],
) -> _Bars:
    steps = grid(days[-1], "KOSPI")
    count, names = returns.shape
    percent = np.where(segments == "KONEX", 15, 30)
    silent = rng.random(returns.shape) < SILENT_SHARE
    spread = np.abs(rng.standard_normal((3, count, names)))
    gap = 0.35 * returns + 0.004 * rng.standard_normal(returns.shape)
    liking = np.exp(rng.normal(np.log(_TURNOVER_SHARE), 0.9, names))
    noise = np.exp(0.6 * rng.standard_normal(returns.shape)) * (1 + 12 * np.abs(returns))
    out = _Bars(*(np.zeros((count, names), np.int64) for _ in _Bars._fields))
    base = nearest(start, steps)
    for at in range(count):
        lower, upper = _limits(base, percent, steps)
        moved = returns[at]
        close = np.clip(nearest(base * np.exp(moved), steps), lower, upper)
        first = np.clip(nearest(base * np.exp(gap[at]), steps), lower, upper)
        reach = 0.004 + 0.35 * np.abs(moved)
        high = nearest(np.maximum(first, close) * (1 + reach * spread[0, at]), steps)
        low = nearest(np.minimum(first, close) * (1 - reach * spread[1, at]), steps)
        high = np.clip(high, np.maximum(first, close), upper)
        low = np.clip(low, lower, np.minimum(first, close))
        volume = np.maximum(shares * liking * noise[at], 1).astype(np.int64)
        middle = (first + high + low + close) / 4
        still = silent[at]
        close = np.where(still, base, close)
        out.open[at], out.high[at], out.low[at] = (
            np.where(still, 0, x) for x in (first, high, low)
        )
        out.close[at], out.change[at] = close, close - base
        out.volume[at] = np.where(still, 0, volume)
        out.value[at] = np.where(still, 0, np.clip(middle, low, high) * volume)
        base = close
    return out


def _limits(base: Longs, percent: Longs, steps: Grid) -> tuple[Longs, Longs]:
    tick = ticks(base, steps)
    width = np.maximum(base * percent // 100 // tick * tick, tick)
    upper = base + width
    return np.maximum(base - width, 1), upper // ticks(upper, steps) * ticks(upper, steps)


def _write_bars(
    folder: Path,
    *,
    days: Sequence[date],
    codes: Sequence[Symbol],
    segments: NDArray[Any],
    shares: Longs,
    bars: _Bars,
) -> None:
    order = np.argsort(np.array(codes))
    count, names = bars.close.shape
    flat = {name: column[:, order].ravel() for name, column in bars._asdict().items()}
    base = flat["close"] - flat["change"]

    def repeat(values: Sequence[str]) -> pa.Array:
        held = pa.array([values[i] for i in order]).dictionary_encode()
        return pa.DictionaryArray.from_arrays(
            pa.array(np.tile(held.indices.to_numpy(), count)), held.dictionary
        )

    listed = np.tile(shares[order], count)
    table = pa.table(
        {
            "date": _stamps(days, names),
            "code": repeat(codes).cast(pa.large_string()),
            "isin": repeat([usual_isin(code) for code in codes]).cast(pa.large_string()),
            "name": repeat([f"모의{code}" for code in codes]).cast(pa.large_string()),
            "market": repeat([str(segment) for segment in segments]),
            **{name: flat[name] for name in ("open", "high", "low", "close", "change", "volume")},
            "value": flat["value"],
            "shares": listed,
            "market_cap": flat["close"] * listed,
            "change_pct": np.round(100 * flat["change"] / base, 2),
        }
    )
    name = f"krx_daily_full_{days[0]:%Y%m%d}_{days[-1]:%Y%m%d}.parquet"
    pq.write_table(table, folder / "krx_daily" / name, row_group_size=names * 20)


def _stamps(days: Sequence[date], each: int) -> pa.Array:
    stamps = np.array([np.datetime64(day) for day in days], dtype="datetime64[us]")
    return pa.array(np.repeat(stamps, each))


def _write_sectors(
    folder: Path, first: date, codes: Sequence[Symbol], segments: NDArray[Any], sectors: Longs
) -> None:
    listed = [i for i, segment in enumerate(segments) if segment != "KONEX"]
    frame = pa.table(
        {
            "date": [first.isoformat()] * len(listed),
            "code": [str(codes[i]) for i in listed],
            "wics_sector": [f"모의업종{int(sectors[i]) + 1:02d}" for i in listed],
        }
    )
    pq.write_table(frame, folder / "krx_reference" / "sector_snapshots_synthetic.parquet")


def _write_fundamentals(
    folder: Path, rng: np.random.Generator, day: date, codes: Sequence[Symbol], caps: Floats
) -> None:
    names = len(codes)
    quarters = _quarters(day)
    shape = (names, len(quarters))
    equity0 = caps / np.exp(rng.normal(np.log(1.1), 0.6, names))
    margin = rng.normal(0.05, 0.08, names)[:, None] + 0.02 * rng.standard_normal(shape)
    growth = np.cumsum(rng.normal(0.01, 0.04, shape), axis=1)
    revenue = equity0[:, None] * np.exp(rng.normal(-1.6, 0.7, names)[:, None] + growth)
    operating = revenue * margin
    net = operating * rng.normal(0.8, 0.15, shape)
    equity = equity0[:, None] + np.cumsum(net, axis=1)
    debt = np.exp(rng.normal(-0.4, 0.7, names))[:, None] * np.abs(equity)
    cash = net + 0.03 * revenue * rng.standard_normal(shape)
    columns = {
        "revenue": revenue,
        "operating_income": operating,
        "gross_profit": operating + 0.15 * revenue,
        "sga": 0.15 * revenue,
        "net_income": net,
        "income_tax": 0.2 * np.maximum(operating, 0),
        "assets": equity + debt,
        "liabilities": debt,
        "equity": equity,
        "op_cash_flow": cash,
        "inv_cash_flow": -0.6 * cash,
        "fin_cash_flow": -0.2 * cash,
    }
    table = pa.table(
        {
            "code": pa.array([str(code) for code in codes for _ in quarters]),
            "fs": pa.array(["CFS"] * (names * len(quarters))),
            "fy": pa.array([year for year, _ in quarters] * names, pa.int16()),
            "fq": pa.array([quarter for _, quarter in quarters] * names, pa.int8()),
            **{name: values.ravel().astype(np.int64) for name, values in columns.items()},
        }
    )
    pq.write_table(table, folder / "fundamentals" / "quarterly_cashflow_2021_2025q3.parquet")


def _quarters(day: date) -> list[tuple[int, int]]:
    """Return the last quarters that ended before the day, oldest first."""
    last = day.year * 4 + (day.month - 1) // 3 - 1
    return [(index // 4, index % 4 + 1) for index in range(last - QUARTERS + 1, last + 1)]


def _write_indices(
    folder: Path, rng: np.random.Generator, days: Sequence[date], market: Floats
) -> None:
    for name, start in _INDEX_START.items():
        moved = market + 0.002 * rng.standard_normal(len(days))
        close = start * np.exp(np.cumsum(moved))
        before = np.concatenate([[start], close[:-1]])
        high, low = np.maximum(close, before) * 1.003, np.minimum(close, before) * 0.997
        stamps = [datetime(day.year, day.month, day.day) for day in days]  # noqa: DTZ001 -- dates
        table = pa.table(
            {
                "Date": pa.array(stamps, pa.timestamp("us")),
                "Close": np.round(close, 2),
                "UpDown": np.where(close > before, 1, np.where(close < before, 2, 3)),
                "Comp": np.round(close - before, 2),
                "Change": np.round(close / before - 1, 4),
                "Open": np.round(before, 2),
                "High": np.round(high, 2),
                "Low": np.round(low, 2),
                "Volume": rng.integers(300_000_000, 900_000_000, len(days)),
                "Amount": rng.integers(8_000_000_000_000, 20_000_000_000_000, len(days)),
                "MarCap": close * 1e12,
            }
        )
        pq.write_table(table, folder / "index" / f"{name}_daily_1995_20260821.parquet")
