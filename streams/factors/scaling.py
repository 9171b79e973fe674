"""Scales: the winsorised z-score of a cross-section, min-max, and the plain z-score.

    winsorise  clip((x - median) / (1.4826 * MAD), -3, 3)       MAD = median |x - median|
    z          (x - mean) / sd                                  population sd

Where MAD is 0 more than half of the names are equal: nothing can be called an outlier and
nothing is clipped.  Where all are equal everything is 0.  NaN is missing and stays out.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MAD_TO_SD: Final = 1.4826
"""A normal distribution's standard deviation in units of its MAD."""

WINSOR: Final = 3.0
FLAT: Final = 1e-12
"""A spread below this share of the values is rounding, not information."""


def winsorise(values: Floats) -> Floats:
    """Return robust scores of (names) values without NaN, clipped to +-WINSOR."""
    centred = values - np.median(values)
    spread = MAD_TO_SD * float(np.median(np.abs(centred)))
    if spread <= FLAT * float(np.max(np.abs(values), initial=0.0)):
        return centred
    return np.clip(centred / spread, -WINSOR, WINSOR)


def zscore(values: Floats) -> Floats:
    """Return the z-scores of (names) values without NaN; all 0 when they are equal."""
    if len(values) == 0:
        return values
    mean = float(np.mean(values))
    centred = values - mean
    deviation = float(np.sqrt(np.mean(centred * centred)))
    if deviation <= FLAT * max(1.0, abs(mean)):
        return np.zeros_like(values)
    return centred / deviation


def exposures(raw: Floats) -> tuple[Floats, Flags]:
    """Return winsorised z-scores column by column.

    Args:
        raw: (names, factors), NaN where missing.

    Returns:
        (names, factors) scores, 0 where missing, and where they are present.
    """
    present = np.isfinite(raw)
    out = np.zeros(raw.shape)
    for column in range(raw.shape[1]):
        there = present[:, column]
        if there.any():
            out[there, column] = zscore(winsorise(raw[there, column]))
    return out, present


def minmax(values: Floats) -> tuple[Floats, float, float]:
    """Return (names) values scaled to 0..1, with the lowest and the range; range 0 gives all 0."""
    if len(values) == 0:
        return values, 0.0, 0.0
    low, high = float(np.min(values)), float(np.max(values))
    reach = high - low
    if reach <= FLAT * max(1.0, abs(low), abs(high)):
        return np.zeros_like(values), low, 0.0
    return (values - low) / reach, low, reach
