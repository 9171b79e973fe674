"""From information coefficients to bounded weights.

    IC      rank correlation of a factor's exposures at k with the returns from k to k + 1
    shrunk  empirical Bayes: mean + tau2 / (tau2 + se2) * (IC - mean), tau2 = var(IC) - mean(se2)
    target  base * (1 + (shrunk - mean) / IC_UNIT), then bounded

A raw one-month IC loses to equal weights when skill is constant (measured: .078 < .083); the
shrunk one does not, because factors that cannot be told apart stay at their base.  Sums are
sequential: the same evidence gives the same bits.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

IC_UNIT: Final = 0.05
"""A factor whose shrunk IC is this far above the mean of the factors asks for twice its base."""

FLOOR: Final = 0.5
CAP: Final = 2.0
"""A weight stays within these multiples of its base (DESIGN 8)."""

WEEK_CHANGE_MAX: Final = 0.2
"""A weight moves by at most this share of what it was when the week began."""

HALF_LIFE_DAYS: Final = 60
"""Evidence this many learning days old counts half."""

NAMES_MIN: Final = 30
"""An IC over fewer names is noise and is left out."""

OBSERVATIONS_MIN: Final = 2.0
"""A factor with fewer has no error bar and stays at the mean."""

BISECTIONS: Final = 200


class Tally(NamedTuple):
    """Decayed sums over intervals, one entry per factor.

    Attributes:
        counts: Observations.
        sums: Of the ICs.
        squares: Of the squared ICs.
    """

    counts: tuple[float, ...]
    sums: tuple[float, ...]
    squares: tuple[float, ...]


def empty(factors: int) -> Tally:
    """Return a tally of nothing."""
    zeros = (0.0,) * factors
    return Tally(zeros, zeros, zeros)


def add(tally: Tally, ics: Sequence[float | None]) -> Tally:
    """Return the tally with one interval more; None is a factor without an IC."""
    known = [(0.0, 0.0) if each is None else (1.0, each) for each in ics]
    return Tally(
        tuple(have + one for have, (one, _) in zip(tally.counts, known, strict=True)),
        tuple(have + ic for have, (_, ic) in zip(tally.sums, known, strict=True)),
        tuple(have + ic * ic for have, (_, ic) in zip(tally.squares, known, strict=True)),
    )


def decay(tally: Tally) -> Tally:
    """Return the tally one learning day older."""
    kept = 0.5 ** (1 / HALF_LIFE_DAYS)
    return Tally(*(tuple(each * kept for each in column) for column in tally))


def rank(values: Doubles) -> Doubles:
    """Return average ranks from 0; equal values share theirs."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts + 1) / 2)[where].astype(np.float64)


def information_coefficients(
    exposures: Doubles, present: npt.NDArray[np.bool_], returns: Doubles
) -> tuple[float | None, ...]:
    """Return one Spearman correlation per factor.

    Args:
        exposures: (names, factors).
        present: (names, factors).
        returns: (names).

    Returns:
        None where fewer than ``NAMES_MIN`` names have the factor, or where a side is constant.
    """
    return tuple(
        _spearman(exposures[present[:, at], at], returns[present[:, at]])
        for at in range(exposures.shape[1])
    )


def shrink(tally: Tally) -> tuple[tuple[float, ...], float]:
    """Return each factor's shrunk mean IC and the mean they are shrunk to."""
    known = [at for at, count in enumerate(tally.counts) if count >= OBSERVATIONS_MIN]
    if not known:
        return (0.0,) * len(tally.counts), 0.0
    means = {at: tally.sums[at] / tally.counts[at] for at in known}
    errors = {at: _error2(tally, at) for at in known}
    centre = _mean([means[at] for at in known])
    between = _mean([(means[at] - centre) ** 2 for at in known])
    between *= len(known) / max(1, len(known) - 1)
    tau2 = max(0.0, between - _mean([errors[at] for at in known]))
    shrunk = [centre] * len(tally.counts)
    for at in known:
        share = tau2 / (tau2 + errors[at]) if tau2 > 0.0 else 0.0
        shrunk[at] = centre + share * (means[at] - centre)
    return tuple(shrunk), centre


def bounded(
    base: Sequence[float], week_start: Sequence[float], shrunk: Sequence[float], centre: float
) -> tuple[float, ...]:
    """Return weights that follow the shrunk ICs as far as the bounds allow.

    Args:
        base: Positive weights, sum 1.
        week_start: The weights when the week began, sum 1, within FLOOR and CAP of the base.
        shrunk: As ``shrink`` gave them.
        centre: Their mean.

    Returns:
        Sum 1; each within FLOOR..CAP of its base and WEEK_CHANGE_MAX of its week's start.
    """
    wishes = [b * (1 + (ic - centre) / IC_UNIT) for b, ic in zip(base, shrunk, strict=True)]
    lows = [
        max(FLOOR * b, (1 - WEEK_CHANGE_MAX) * w) for b, w in zip(base, week_start, strict=True)
    ]
    highs = [min(CAP * b, (1 + WEEK_CHANGE_MAX) * w) for b, w in zip(base, week_start, strict=True)]
    return _project(wishes, lows, highs)


def _project(
    wishes: Sequence[float], lows: Sequence[float], highs: Sequence[float]
) -> tuple[float, ...]:
    """The nearest point of the box whose sum is 1: shift all wishes alike, clip, bisect."""

    def shifted(shift: float) -> list[float]:
        return [
            min(max(wish + shift, low), high)
            for wish, low, high in zip(wishes, lows, highs, strict=True)
        ]

    down = min(low - wish for wish, low in zip(wishes, lows, strict=True))
    up = max(high - wish for wish, high in zip(wishes, highs, strict=True))
    for _ in range(BISECTIONS):
        middle = (down + up) / 2
        if math.fsum(shifted(middle)) < 1.0:
            down = middle
        else:
            up = middle
    return tuple(shifted(up))


def _spearman(left: Doubles, right: Doubles) -> float | None:
    if left.size < NAMES_MIN:
        return None
    a, b = rank(left), rank(right)
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / spread if spread > 0.0 else None


def _error2(tally: Tally, at: int) -> float:
    count = tally.counts[at]
    mean = tally.sums[at] / count
    variance = max(0.0, tally.squares[at] / count - mean * mean) * count / (count - 1)
    return variance / count


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
