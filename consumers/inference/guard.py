"""What may enter a model and what may leave it.

ONNX Runtime aborts the whole process on an LSTM with no rows, one NaN spoils a cross-section, and
a mask without a usable row has no meaning (measured): so all three are refused here, before and
after every run.  Padding to fixed slots keeps the shape a model sees the same from run to run.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.errors import Poison
from schemas.features import FeatureSnapshot
from schemas.model_card import Floats

SLOTS: Final = 256
"""Rows are padded to a multiple of this: one shape for the usual universe of 150 to 200 names."""

NAMES_MAX: Final = 4_096
"""More rows than this are a broken snapshot, not a market."""

SPREAD_MIN: Final = 1e-9
"""A cross-section with a smaller standard deviation says nothing about anybody."""


class Inputs(NamedTuple):
    """A snapshot that may be run.

    Attributes:
        values: (names, steps, features) float32, finite, rows without data all zero.
        usable: (names) bool, at least one true.
    """

    values: Floats
    usable: npt.NDArray[np.bool_]


def admit(snapshot: FeatureSnapshot, features: tuple[str, ...], steps: int) -> Inputs:
    """Return the snapshot as arrays.

    A row that holds a NaN or an infinity is zeroed and masked, whatever its mask said.

    Args:
        snapshot: As read.
        features: Columns the model was trained on, in order.
        steps: Steps the model was trained on.

    Raises:
        Poison: No rows, other columns or steps, a wrong length, or no usable row.
    """
    names = len(snapshot.symbols)
    if not 1 <= names <= NAMES_MAX:
        raise Poison(f"expected 1 to {NAMES_MAX} names, was {names}")
    if snapshot.features != features:
        raise Poison(f"expected features {features}, was {snapshot.features}")
    if snapshot.steps != steps:
        raise Poison(f"expected {steps} steps, was {snapshot.steps}")
    width = names * steps * len(features) * 4
    if len(snapshot.tensor) != width:
        raise Poison(f"expected a tensor of {width} bytes, was {len(snapshot.tensor)}")
    if len(snapshot.mask) != names:
        raise Poison(f"expected a mask of {names} bytes, was {len(snapshot.mask)}")
    values = np.frombuffer(snapshot.tensor, dtype="<f4").reshape(names, steps, len(features))
    usable = np.frombuffer(snapshot.mask, dtype=np.uint8) != 0
    usable = usable & np.isfinite(values).all(axis=(1, 2))
    if not usable.any():
        raise Poison(f"expected at least one usable row of {names}, was none")
    return Inputs(np.where(usable[:, None, None], values, np.float32(0)), usable)


def pad(values: Floats) -> Floats:
    """Return the rows followed by zero rows up to the next multiple of ``SLOTS``.

    Raises:
        Poison: There are no rows.
    """
    names = values.shape[0]
    if names < 1:
        raise Poison("expected at least one row, was none")
    slots = -(-names // SLOTS) * SLOTS
    padded = np.zeros((slots, *values.shape[1:]), dtype=np.float32)
    padded[:names] = values
    return padded


def check_output(scores: Floats, usable: npt.NDArray[np.bool_]) -> None:
    """Refuse an answer nobody can rank by.

    Args:
        scores: (names) as the model answered, padding removed.
        usable: (names) bool.

    Raises:
        Poison: A wrong length, a value that is not finite, or all usable names alike.
    """
    if scores.shape != usable.shape:
        raise Poison(f"expected {usable.shape[0]} scores, was shape {scores.shape}")
    kept = scores[usable].astype(np.float64)
    if not np.isfinite(kept).all():
        count = int((~np.isfinite(kept)).sum())
        raise Poison(f"expected finite scores, was {count} of {kept.size} not finite")
    if kept.size > 1 and float(kept.std()) <= SPREAD_MIN:
        raise Poison(f"expected a spread above {SPREAD_MIN}, was {float(kept.std())}")
