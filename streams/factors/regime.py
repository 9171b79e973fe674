"""The market's regime, from KOSPI's volatility against its own past.

    volatility  standard deviation of 20 daily log returns
    rank        share of the last 750 such volatilities that lie below the newest
    calm        rank < 1/3
    stressed    rank >= 0.9
    normal      between, and while fewer than 250 volatilities are known

Only closes up to the session before are read, so the rank is filtered, never smoothed.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

VOLATILITY_SESSIONS: Final = 20
MEMORY_SESSIONS: Final = 750
KNOWN_MIN: Final = 250
CALM_BELOW: Final = 1 / 3
STRESSED_FROM: Final = 0.9

INDEX_SESSIONS: Final = MEMORY_SESSIONS + VOLATILITY_SESSIONS
"""Closes that are enough to tell the regime."""


def regime_of(levels: Floats) -> tuple[str, float]:
    """Return the regime and the rank (0..1) of the newest volatility.

    Args:
        levels: (sessions) closes of the index, oldest first.
    """
    if len(levels) <= VOLATILITY_SESSIONS:
        return "normal", 0.5
    returns = np.diff(np.log(levels))
    windows = np.lib.stride_tricks.sliding_window_view(returns, VOLATILITY_SESSIONS)
    volatilities = np.std(windows, axis=1, ddof=1)[-MEMORY_SESSIONS:]
    rank = float(np.mean(volatilities < volatilities[-1]))
    if len(volatilities) < KNOWN_MIN:
        return "normal", rank
    if rank >= STRESSED_FROM:
        return "stressed", rank
    return ("calm" if rank < CALM_BELOW else "normal"), rank
