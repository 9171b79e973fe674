"""How long the quant score takes for 200 and for 2,800 names, side by side.

``bench`` builds a synthetic cross-section (seeded, said so in its answer), folds it as a day's
reference data and scores a screen of each size.
"""

import gc
import time
from typing import Any, Final

import numpy as np

from schemas.market import DailyBars, Fundamentals, IndexBars, Instrument
from schemas.role import Batch, Record
from schemas.scores import Screened
from schemas.topics import BARS, FUNDAMENTALS, INDICES, INSTRUMENTS, SCREEN
from schemas.units import DAY, Micros, Shares, Symbol, Won
from streams import final, quant, snapshots
from streams.factors import measures

SMALL: Final = 200
LARGE: Final = 2_800
SEED: Final = 20_260_210
_FIRST: Final = np.datetime64("2025-01-01")


def bench(
    small: int = SMALL, large: int = LARGE, repeats: int = 5, seed: int = SEED
) -> dict[str, Any]:
    """Time each stage for both sizes.

    Returns:
        ``names``; ``sheet_ms``, the day's first screen, which forms the sheet of all ``large``
        names; and per stage the best wall time of ``repeats`` in milliseconds for both sizes
        and the ratio; the sizes take turns, so that a busy machine hurts both.
    """
    records = reference_records(large, seed)
    screens = {size: screen_of(size, seed) for size in (small, large)}
    folded = quant.step(quant.INITIAL, Batch(records, Micros(0))).state
    first = Batch([Record(SCREEN.name, "universe", screens[small])], Micros(0))
    start = time.perf_counter()
    warm = quant.step(folded, first).state
    sheet_s = time.perf_counter() - start
    states = {
        "quant": warm,
        "snapshot": snapshots.step(snapshots.INITIAL, Batch(records, Micros(0))).state,
    }
    best: dict[str, dict[int, float]] = {"quant": {}, "snapshot": {}, "final": {}}
    for _ in range(repeats):
        for size, screened in screens.items():
            batch = Batch([Record(SCREEN.name, "universe", screened)], Micros(0))
            _timed(best["quant"], size, lambda batch=batch: quant.step(states["quant"], batch))
            _timed(
                best["snapshot"],
                size,
                lambda batch=batch: snapshots.step(states["snapshot"], batch),
            )
            ai = np.linspace(-1.0, 1.0, size)
            shares = np.random.default_rng(seed).normal(size=(size, 12))
            _timed(
                best["final"],
                size,
                lambda ai=ai, shares=shares: final.mix(shares.sum(axis=1), shares, ai),
            )
    return {
        "data": "synthetic",
        "names": [small, large],
        "sheet_ms": round(sheet_s * 1e3, 3),
        "stages": {
            stage: {
                "small_ms": round(times[small] * 1e3, 3),
                "large_ms": round(times[large] * 1e3, 3),
                "ratio": round(times[large] / times[small], 2),
            }
            for stage, times in best.items()
        },
    }


def reference_records(names: int, seed: int = SEED) -> list[Record]:
    """Return a day's reference data of a seeded market of ``names``."""
    random = np.random.default_rng(seed)
    dates = _dates(measures.SESSIONS)
    market = np.cumprod(1.0 + random.normal(0.0, 0.01, len(dates))) * 2_500
    index = IndexBars(
        ts_event=Micros(0),
        ts_ingest=Micros(0),
        name=quant.MARKET,
        source="synthetic",
        dates=dates,
        closes=tuple(market.tolist()),
    )
    records = [Record(INDICES.name, quant.MARKET, index)]
    for number in range(names):
        symbol = symbol_of(number)
        records.append(Record(BARS.name, symbol, _bars(symbol, dates, random)))
        records.append(Record(INSTRUMENTS.name, symbol, _instrument(symbol)))
        records.append(Record(FUNDAMENTALS.name, symbol, _fundamentals(symbol, random)))
    return records


def screen_of(names: int, seed: int = SEED) -> Screened:
    """Return a screen of the first ``names`` of the seeded market."""
    prices = np.random.default_rng(seed + 1).integers(1_000, 100_000, names).tolist()
    symbols = tuple(symbol_of(number) for number in range(names))
    return Screened(
        ts_event=DAY,
        ts_ingest=DAY,
        fire_id="bench",
        job="bench",
        considered=names,
        symbols=symbols,
        prices=tuple(Won(price) for price in prices),
        polled=(0,) * names,
        mean_values=(Won(0),) * names,
        market_caps=(Won(0),) * names,
        sectors=("",) * names,
        excluded={},
        binding="rank",
        lineage={},
    )


def symbol_of(number: int) -> Symbol:
    """Return the code of a synthetic name: a common share's, ending in 0."""
    return Symbol(f"{number + 1:05d}0")


def _timed(best: dict[int, float], size: int, work: Any) -> None:
    gc.collect()
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    best[size] = min(best.get(size, took), took)


def _dates(sessions: int) -> tuple[int, ...]:
    days = np.busday_offset(_FIRST, np.arange(sessions), roll="forward")
    return tuple(int(str(day).replace("-", "")) for day in days)


def _bars(symbol: Symbol, dates: tuple[int, ...], random: np.random.Generator) -> DailyBars:
    closes = 10_000 * np.cumprod(1.0 + random.normal(0.0, 0.02, len(dates)))
    won = tuple(Won(int(price)) for price in closes.tolist())
    volumes = tuple(Shares(int(each)) for each in random.integers(1_000, 10**6, len(dates)))
    return DailyBars(
        ts_event=Micros(0),
        ts_ingest=Micros(0),
        symbol=symbol,
        source="synthetic",
        dates=dates,
        opens=won,
        highs=won,
        lows=won,
        closes=won,
        volumes=volumes,
        turnovers=tuple(Won(price * volume) for price, volume in zip(won, volumes, strict=True)),
        adjusts=(1.0,) * len(dates),
    )


def _instrument(symbol: Symbol) -> Instrument:
    return Instrument(
        ts_event=Micros(0),
        ts_ingest=Micros(0),
        symbol=symbol,
        isin="",
        name=symbol,
        segment="KOSPI",
        security_type="COMMON",
        listed_shares=Shares(10**7),
        base_price=Won(10_000),
        market_cap=Won(10**11),
        halted=False,
        administrative=False,
        delisting=False,
    )


def _fundamentals(symbol: Symbol, random: np.random.Generator) -> Fundamentals:
    amounts = [Won(int(each)) for each in random.integers(10**9, 10**12, 9)]
    equity, liabilities, sales, sales_prior, operating, net, net_prior, cash, _ = amounts
    return Fundamentals(
        ts_event=Micros(0),
        ts_ingest=Micros(0),
        symbol=symbol,
        period_end=20_250_930,
        basis="CFS",
        source="synthetic",
        equity=equity,
        liabilities=liabilities,
        assets=Won(equity + liabilities),
        sales_ttm=sales,
        sales_prior_ttm=sales_prior,
        operating_income_ttm=operating,
        net_income_ttm=net,
        net_income_prior_ttm=net_prior,
        operating_cash_flow_ttm=cash,
    )
