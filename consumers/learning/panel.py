"""Daily bars as arrays (names, sessions): from a data folder, or from a small seeded market.

The folder is the one the exchange plays: ``krx_daily/krx_daily_full_<from>_<to>.parquet`` with
date, code, market, high, low, close, change and volume.  Prices are chained from close and change,
so that a split or a rights issue is not a return.

The seeded market has one market factor and, on purpose, a weak rule to be found: five-session
reversal and continuation after unusual volume.  What a model learns there proves the harness,
never a skill on real stocks.
"""

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import Misconfigured

Doubles = npt.NDArray[np.float64]

COLUMNS: Final = ("date", "code", "high", "low", "close", "change", "volume")
SESSIONS_MAX: Final = 600
"""Newest sessions read from a folder: more would not fit the memory of a laptop's training."""

REVERSAL: Final = 0.05
CONTINUATION: Final = 0.03
RULE_SESSIONS: Final = 5


class Panel(NamedTuple):
    """A market over time, oldest session first.

    Attributes:
        origin: One sentence for the model's card.
        closes: (names, sessions) chained closes, NaN where there was none.
        highs: Same shape and unit.
        lows: Same shape and unit.
        volumes: Same shape, shares.
        market: (sessions) index level.
    """

    origin: str
    closes: Doubles
    highs: Doubles
    lows: Doubles
    volumes: Doubles
    market: Doubles


def seeded(seed: int, *, names: int = 400, sessions: int = 400) -> Panel:
    """Return a seeded factor market with a weak rule in it."""
    random = np.random.default_rng(seed)
    beta = random.uniform(0.6, 1.4, names)
    sigma = random.uniform(0.012, 0.035, names)
    index = random.normal(0.0002, 0.009, sessions)
    relative = np.zeros((names, sessions))
    surprise = np.zeros((names, sessions))
    for at in range(sessions):
        before = relative[:, max(0, at - RULE_SESSIONS) : at]
        pull = -REVERSAL * before.sum(axis=1)
        if at > 0:
            pull += CONTINUATION * np.clip(surprise[:, at - 1], -2, 2) * relative[:, at - 1]
        relative[:, at] = pull + sigma * random.standard_t(5, names) * np.sqrt(3 / 5)
        shock = np.abs(relative[:, at]) / sigma - 0.8
        carried = 0.4 * surprise[:, at - 1] if at > 0 else 0.0
        surprise[:, at] = carried + 0.5 * shock + random.normal(0, 0.35, names)
    closes = 10_000 * np.exp(np.cumsum(beta[:, None] * index + relative, axis=1))
    span = np.abs(random.normal(0, 1, (2, names, sessions))) * sigma[:, None] * 0.6
    volumes = random.lognormal(11, 1, names)[:, None] * np.exp(surprise)
    return Panel(
        origin=f"a seeded synthetic market (seed {seed}, {names} names, {sessions} sessions)",
        closes=closes,
        highs=closes * np.exp(span[0]),
        lows=closes * np.exp(-span[1]),
        volumes=np.floor(volumes),
        market=1_000 * np.exp(np.cumsum(index)),
    )


def read(folder: Path) -> Panel:
    """Read the newest ``SESSIONS_MAX`` sessions of a data folder.

    Raises:
        Misconfigured: The folder holds no daily bars.
    """
    files = sorted((folder / "krx_daily").glob("krx_daily_full_*.parquet"))
    if not files:
        raise Misconfigured(
            f"expected krx_daily/krx_daily_full_*.parquet in {folder}, was none; "
            "leave --data out to train on the seeded market"
        )
    tables: list[pa.Table] = []
    days: set[object] = set()
    for file in reversed(files):
        tables.append(pq.read_table(file, columns=list(COLUMNS)))
        days.update(tables[-1].column("date").unique().to_pylist())
        if len(days) >= SESSIONS_MAX:
            break
    name = "the seeded synthetic market of" if (folder / "SYNTHETIC.json").exists() else "bars of"
    return _panel(pa.concat_tables(tables, promote_options="default"), f"{name} {folder.name}")


def _panel(table: pa.Table, origin: str) -> Panel:
    days, day = np.unique(np.asarray(table.column("date")), return_inverse=True)
    codes, code = np.unique(np.asarray(table.column("code")), return_inverse=True)
    first = max(0, days.size - SESSIONS_MAX)
    kept = day >= first
    shape = (codes.size, days.size - first)
    grids = {name: np.full(shape, np.nan) for name in COLUMNS[2:]}
    for name, filled in grids.items():
        values = np.asarray(table.column(name)).astype(np.float64)
        filled[code[kept], day[kept] - first] = values[kept]
    close, base = grids["close"], grids["close"] - grids["change"]
    known = (close > 0) & (base > 0) & (grids["volume"] > 0)
    steps = np.where(known, np.log(np.where(known, close / base, 1.0)), 0.0)
    chained = np.where(known, np.exp(np.cumsum(steps, axis=1)), np.nan)
    scale = chained / np.where(known, close, np.nan)
    counts = np.maximum(known.sum(axis=0), 1)
    return Panel(
        origin=f"{origin}, {codes.size} names, {shape[1]} sessions to {days[-1]}",
        closes=chained,
        highs=grids["high"] * scale,
        lows=grids["low"] * scale,
        volumes=np.where(known, grids["volume"], np.nan),
        market=np.exp(np.cumsum(steps.sum(axis=0) / counts)),
    )
