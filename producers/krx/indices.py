"""Index and currency closes before a session; a level that jumps away and back is an error."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

SESSIONS_MAX: Final = 800
JUMP_MAX: Final = 0.5
"""Largest log change to the last good level; a day's worst on file is 0.13 (VIX aside)."""

FREE: Final = frozenset({"VIX"})
"""Names whose real changes are larger than that."""


class Closes(NamedTuple):
    """An index's closes, oldest first."""

    dates: tuple[int, ...]
    closes: tuple[float, ...]


def collect(tables: dict[str, pd.DataFrame]) -> dict[str, Closes]:
    """Return each index's last closes without impossible ones."""
    out = {}
    for name, table in tables.items():
        recent = table.iloc[-SESSIONS_MAX:]
        levels = recent["Close"].to_numpy(dtype=np.float64)
        good = np.ones(len(levels), dtype=bool) if name in FREE else plausible(levels)
        dates = recent["Date"].dt.strftime("%Y%m%d").astype(int)[good]
        out[name] = Closes(tuple(dates.tolist()), tuple(levels[good].tolist()))
    return out


def plausible(levels: Floats) -> npt.NDArray[np.bool_]:
    """Return which levels are within ``JUMP_MAX`` of the last good one.

    The first is judged against the median, so that a bad start does not spoil the rest.
    """
    good = np.zeros(len(levels), dtype=np.bool_)
    if len(levels) == 0:
        return good
    last = float(np.median(levels))
    for at, level in enumerate(levels.tolist()):
        if level > 0 and abs(np.log(level / last)) <= JUMP_MAX * (4 if not good.any() else 1):
            good[at] = True
            last = level
    return good
