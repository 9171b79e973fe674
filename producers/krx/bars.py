"""Bars of 260 sessions, comparable with the session's base price.

The exchange tells every event that changes what a price means (split, rights, capital
reduction) by the day's base price, which is the close minus its change.  So

    ratio(t) = base(t) / close(t - 1)         1 when they are less than a tick apart: rounding
    adjust(t) = product of ratio(s) over s > t, the session's own ratio included

Sessions before the raw file come from the long file, whose closes are adjusted as of a later day:
its returns are used, not its levels.  They are joined at the first session that both have.
Traded value before the join is close times volume.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from schemas.krx import prices

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SESSIONS_MAX: Final = 260
FIELDS: Final = ("open", "high", "low", "close", "volume", "value")
CLOSE: Final = FIELDS.index("close")
VOLUME: Final = FIELDS.index("volume")
VALUE: Final = FIELDS.index("value")


class Bars(NamedTuple):
    """Bars of many names on one axis.

    Attributes:
        codes: (names).
        dates: (sessions) yyyymmdd, ascending.
        fields: (fields, names, sessions) int64 in the order of ``FIELDS``.
        adjusts: (names, sessions).
        known: (names, sessions) whether there is a bar.
    """

    codes: tuple[str, ...]
    dates: Integers
    fields: Integers
    adjusts: Floats
    known: npt.NDArray[np.bool_]


def collect(raw: pd.DataFrame, long: pd.DataFrame, master: pd.DataFrame, session: date) -> Bars:
    """Return the bars of the session's names.

    Args:
        raw: Unadjusted bars before the session, with ``change``.
        long: Adjusted bars before the session.
        master: The session's names with their base price.
        session: The day.
    """
    codes = tuple(sorted(master["code"]))
    first_raw = raw["date"].min()
    older = long[long["date"] < first_raw]
    days = pd.DatetimeIndex(sorted({*raw["date"].unique(), *older["date"].unique()}))
    days = days[-SESSIONS_MAX:]
    fields, known = _matrix(raw, codes, days, FIELDS)
    change, _ = _matrix(raw, codes, days, ("change",))
    base = master.set_index("code")["base"].reindex(codes).to_numpy(dtype=np.float64)
    adjusts = _adjusts(fields[CLOSE], change[0], known, base, session)
    if not long.empty:
        _join(fields, adjusts, known, _matrix(long, codes, days, FIELDS[:VALUE]))
    dates = np.array(days.strftime("%Y%m%d").astype(np.int64))
    return Bars(codes, dates, fields, adjusts, known)


def _matrix(
    table: pd.DataFrame, codes: Sequence[str], days: pd.DatetimeIndex, names: Sequence[str]
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    rows = pd.Index(codes).get_indexer(pd.Index(table["code"]))
    columns = days.get_indexer(pd.DatetimeIndex(table["date"]))
    inside = (rows >= 0) & (columns >= 0)
    out = np.zeros((len(names), len(codes), len(days)), dtype=np.int64)
    known = np.zeros(out.shape[1:], dtype=np.bool_)
    known[rows[inside], columns[inside]] = True
    for at, name in enumerate(names):
        out[at, rows[inside], columns[inside]] = table[name].to_numpy(dtype=np.int64)[inside]
    return out, known


def _adjusts(
    closes: Integers, changes: Integers, known: npt.NDArray[np.bool_], base: Floats, session: date
) -> Floats:
    """Product of the later ratios; a name's gap is bridged from its last close before."""
    names, sessions = closes.shape
    ratios = np.ones((names, sessions + 1))
    last = np.zeros(names)
    for column in range(sessions + 1):
        if column < sessions:
            there = known[:, column] & (closes[:, column] > changes[:, column])
            bases = (closes[:, column] - changes[:, column]).astype(np.float64)
        else:
            there, bases = np.isfinite(base) & (base > 0), base
        ratios[:, column] = _ratio(last, bases, there, session)
        if column < sessions:
            last = np.where(known[:, column], closes[:, column], last)
    later = np.cumprod(ratios[:, ::-1], axis=1)[:, ::-1]
    return np.ascontiguousarray(later[:, 1:])


def _ratio(last: Floats, bases: Floats, there: npt.NDArray[np.bool_], session: date) -> Floats:
    grid = prices.grid(session, "KOSPI")
    ticks = np.asarray(grid.ticks)[np.searchsorted(np.asarray(grid.bounds), last, side="right")]
    event = there & (last > 0) & (np.abs(np.where(there, bases, 0.0) - last) >= ticks)
    return np.where(event, bases / np.where(last > 0, last, 1.0), 1.0)


def _join(
    fields: Integers,
    adjusts: Floats,
    known: npt.NDArray[np.bool_],
    long: tuple[Integers, npt.NDArray[np.bool_]],
) -> None:
    values, present = long
    both = known & present & (fields[CLOSE] > 0) & (values[CLOSE] > 0)
    joined = both.any(axis=1)
    at = np.argmax(both, axis=1)
    rows = np.arange(len(at))
    level = fields[CLOSE][rows, at] * adjusts[rows, at]
    factor = level / np.where(joined, values[CLOSE][rows, at], 1)
    first = np.where(known.any(axis=1), np.argmax(known, axis=1), known.shape[1])
    older = np.arange(known.shape[1]) < first[:, np.newaxis]
    fill = older & present & joined[:, np.newaxis]
    fields[:VALUE, fill] = values[:, fill]
    fields[VALUE, fill] = values[CLOSE][fill] * values[VOLUME][fill]
    adjusts[fill] = np.broadcast_to(factor[:, np.newaxis], fill.shape)[fill]
    known |= fill
