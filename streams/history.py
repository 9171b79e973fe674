"""Daily history of many names as plain arrays, and the grid that lines them up by session.

A record of bars replaces everything from its first date on and keeps what is older, so a whole
history and one day's update are folded alike.  A split is told by a whole history, whose
``adjusts`` compare each bar with the newest; a single later bar leaves older ones as they are.
Prices are adjusted by multiplication, volumes by division.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.market import DailyBars, IndexBars

Floats = npt.NDArray[np.float64]
Dates = npt.NDArray[np.int32]

CLOSES: Final = ("closes",)
BARS: Final = ("closes", "highs", "lows", "volumes")
_PRICES: Final = frozenset({"closes", "highs", "lows"})


class History(NamedTuple):
    """One name's sessions, oldest first.

    Attributes:
        dates: (sessions) int32, yyyymmdd.
        columns: (columns, sessions) float64, adjusted.
    """

    dates: Dates
    columns: Floats


class Grid(NamedTuple):
    """Many names on one axis of sessions.

    Attributes:
        dates: (sessions) int32, yyyymmdd, ascending.
        columns: (columns, names, sessions) float64, NaN where a name has no bar.
    """

    dates: Dates
    columns: Floats


def extend(
    history: History | None, bars: DailyBars, columns: Sequence[str], sessions_max: int
) -> History:
    """Return a history with a record of bars folded in.

    Args:
        history: What was known, None at first.
        bars: Consecutive bars, oldest first.
        columns: Which fields to keep, of ``BARS``.
        sessions_max: The newest that are kept.
    """
    adjusts = np.asarray(bars.adjusts, dtype=np.float64)
    rows = []
    for name in columns:
        values = np.asarray(getattr(bars, name), dtype=np.float64)
        rows.append(values * adjusts if name in _PRICES else values / adjusts)
    new = History(np.asarray(bars.dates, dtype=np.int32), np.stack(rows))
    return _append(history, new, sessions_max)


def extend_index(history: History | None, bars: IndexBars, sessions_max: int) -> History:
    """Return an index's history with a record folded in; its one column is the level."""
    new = History(
        np.asarray(bars.dates, dtype=np.int32),
        np.asarray(bars.closes, dtype=np.float64)[np.newaxis, :],
    )
    return _append(history, new, sessions_max)


def grid(histories: Sequence[History | None], columns: int, sessions: int) -> Grid:
    """Return the last ``sessions`` sessions that any of the names has, side by side."""
    known = [each.dates for each in histories if each is not None]
    axis = _axis(known)[-sessions:]
    out = np.full((columns, len(histories), len(axis)), np.nan)
    if len(axis) > 0:
        for row, each in enumerate(histories):
            if each is not None:
                _place(out[:, row, :], axis, each)
    return Grid(axis, out)


def on_axis(history: History | None, axis: Dates) -> Floats:
    """Return a history's first column on an axis of dates, NaN where it has none."""
    out = np.full((1, len(axis)), np.nan)
    if history is not None and len(axis) > 0:
        _place(out, axis, history)
    level: Floats = out[0]
    return level


def _axis(dates: Sequence[Dates]) -> Dates:
    if not dates:
        return np.zeros(0, dtype=np.int32)
    distinct = {each.tobytes(): each for each in dates}
    return np.unique(np.concatenate(list(distinct.values())))


def _place(out: Floats, axis: Dates, history: History) -> None:
    first = int(np.searchsorted(history.dates, axis[0]))
    dates, values = history.dates[first:], history.columns[: out.shape[0], first:]
    if dates.tobytes() == axis.tobytes():
        out[:] = values
        return
    at = np.searchsorted(axis, dates)
    inside = at < len(axis)
    inside[inside] = axis[at[inside]] == dates[inside]
    out[:, at[inside]] = values[:, inside]


def _append(old: History | None, new: History, sessions_max: int) -> History:
    if old is None or len(new.dates) == 0:
        joined = new if old is None else old
    else:
        keep = int(np.searchsorted(old.dates, new.dates[0]))
        joined = History(
            np.concatenate([old.dates[:keep], new.dates]),
            np.concatenate([old.columns[:, :keep], new.columns], axis=1),
        )
    return History(joined.dates[-sessions_max:].copy(), joined.columns[:, -sessions_max:].copy())
