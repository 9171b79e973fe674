"""What a model sees: the columns of ``features.snapshots`` and the arithmetic that fills them.

Training and serving call the same ``features_of``, so that a column means the same in both.
The last step is the session that is not over: of it only a newest price is known.  Its
volume and range are therefore 0 by construction, in training too.  The two microstructure
columns are known at the last step only; daily history does not have them: a training on daily
bars fills them with noise of mean 0 (``NOISE_SD``), so that their weights are learned, not left
as drawn.

    return            ln(close / close before) / RETURN_SCALE
    relative_return   the same, less the market's; a market that is not known at a step is the
                      mean return of the names present at it
    volume            ln(volume / mean volume of the 20 sessions before)
    range             (high - low) / close / RETURN_SCALE - 1
    imbalance         (bid - ask) / (bid + ask) of ten levels, last step only
    flow              order-flow imbalance / shares traded in its window, last step only

Everything is clipped to +-CLIP; what could not be formed is 0.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MODEL: Final = "lstm"
FEATURES: Final = ("return", "relative_return", "volume", "range", "imbalance", "flow")
STEPS: Final = 60
VOLUME_SESSIONS: Final = 20
ROWS_MAX: Final = 256
"""More rows than the screener lets through; a snapshot of them stays under Kafka's record limit."""

HISTORY_SESSIONS: Final = STEPS + VOLUME_SESSIONS
"""Columns ``features_of`` reads at most; fewer leave the oldest steps 0."""

PRESENT_STEPS_MIN: Final = 40
RETURN_SCALE: Final = 0.03
CLIP: Final = 5.0
NOISE_SD: Final = 0.3


def features_of(
    closes: Floats,
    highs: Floats,
    lows: Floats,
    volumes: Floats,
    market: Floats,
    *,
    imbalance: Floats | None = None,
    flow: Floats | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return the tensor and the mask of a cross-section.

    Args:
        closes: (names, sessions) adjusted closes, oldest first; the last column holds the newest
            price of the session that is not over.  NaN where unknown.
        highs: Same shape and unit; the last column is not read.
        lows: Same shape and unit; the last column is not read.
        volumes: Same shape, shares; the last column is not read.
        market: (sessions) index level, NaN where unknown.
        imbalance: (names) -1..1 at the last step, None or NaN where unknown.
        flow: (names) shares over shares at the last step, None or NaN where unknown.

    Returns:
        (names, STEPS, features) float32 without NaN, and (names) uint8: 1 where at least
        ``PRESENT_STEPS_MIN`` returns and the last one are known.
    """
    names = closes.shape[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = _tail(np.diff(np.log(np.where(closes > 0, closes, np.nan)), axis=1))
        index = _tail(np.diff(np.log(np.where(market > 0, market, np.nan)))[np.newaxis, :])[0]
        volume = _tail(_volume(volumes))
        spans = _tail((highs - lows) / closes / RETURN_SCALE - 1.0)
    known = np.isfinite(returns)
    counts = known.sum(axis=0)
    means = np.where(known, returns, 0.0).sum(axis=0) / np.maximum(counts, 1)
    relative = returns - np.where(np.isfinite(index), index, means)
    tensor = np.full((names, STEPS, len(FEATURES)), np.nan)
    tensor[:, :, 0] = returns / RETURN_SCALE
    tensor[:, :, 1] = relative / RETURN_SCALE
    tensor[:, :-1, 2] = volume[:, :-1]
    tensor[:, :-1, 3] = spans[:, :-1]
    if imbalance is not None:
        tensor[:, -1, 4] = imbalance
    if flow is not None:
        tensor[:, -1, 5] = flow
    mask = (known.sum(axis=1) >= PRESENT_STEPS_MIN) & known[:, -1]
    tensor[~mask] = 0.0
    clean = np.clip(np.where(np.isfinite(tensor), tensor, 0.0), -CLIP, CLIP)
    return clean.astype(np.float32), mask.astype(np.uint8)


def _volume(volumes: Floats) -> Floats:
    """Log of volume against the mean of the sessions before it; NaN where either is 0."""
    names, sessions = volumes.shape
    out = np.full((names, sessions), np.nan)
    if sessions <= VOLUME_SESSIONS:
        return out
    filled = np.where(np.isfinite(volumes), volumes, 0.0)
    sums = np.cumsum(np.concatenate([np.zeros((names, 1)), filled], axis=1), axis=1)
    before = (sums[:, VOLUME_SESSIONS:-1] - sums[:, : -VOLUME_SESSIONS - 1]) / VOLUME_SESSIONS
    today = volumes[:, VOLUME_SESSIONS:]
    good = (before > 0) & (today > 0)
    ratio = np.where(good, today, 1.0) / np.where(good, before, 1.0)
    out[:, VOLUME_SESSIONS:] = np.where(good, np.log(ratio), np.nan)
    return out


def _tail(values: Floats) -> Floats:
    """The last ``STEPS`` columns, with NaN in front where there are fewer."""
    names, columns = values.shape
    if columns >= STEPS:
        return values[:, -STEPS:]
    return np.concatenate([np.full((names, STEPS - columns), np.nan), values], axis=1)
