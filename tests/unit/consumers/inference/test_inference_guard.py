"""Nothing enters a model that could kill it, and nothing leaves that nobody can rank by."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from consumers.inference import guard
from schemas.errors import Poison
from schemas.features import FeatureSnapshot
from schemas.model_card import Floats
from schemas.testing import MORNING
from schemas.units import MINUTE, Micros, Symbol

FEATURES = ("return", "volume")
STEPS = 3


def snapshot(values: Floats, mask: bytes | None = None) -> FeatureSnapshot:
    names = values.shape[0]
    return FeatureSnapshot(
        ts_event=MORNING,
        ts_ingest=MORNING,
        snapshot_id="s",
        fire_id="f",
        model="lstm",
        symbols=tuple(Symbol(f"{each:06d}") for each in range(names)),
        features=FEATURES,
        steps=STEPS,
        tensor=values.astype("<f4").tobytes(),
        mask=bytes([1] * names) if mask is None else mask,
        deadline=Micros(MORNING + MINUTE),
        coverage=1.0,
        lineage={},
    )


GOOD = snapshot(np.ones((4, STEPS, 2), dtype=np.float32))


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (replace(GOOD, symbols=(), tensor=b"", mask=b""), "names, was 0"),
        (replace(GOOD, features=("volume", "return")), "expected features"),
        (replace(GOOD, steps=2), "3 steps, was 2"),
        (replace(GOOD, tensor=GOOD.tensor[:-4]), "tensor of 96 bytes, was 92"),
        (replace(GOOD, mask=b"\x01"), "mask of 4 bytes, was 1"),
        (replace(GOOD, mask=bytes(4)), "at least one usable row of 4, was none"),
    ],
)
def test_a_snapshot_that_may_not_be_run_is_refused(broken: FeatureSnapshot, says: str) -> None:
    with pytest.raises(Poison, match=says):
        guard.admit(broken, FEATURES, STEPS)


@settings(deadline=None)  # a shared machine: time is not what is tested
@given(
    values=arrays.arrays(np.float32, (5, STEPS, 2), elements=st.floats(width=32, allow_nan=True))
)
def test_a_row_with_a_nan_is_zeroed_and_masked_and_the_others_stay(values: Floats) -> None:
    finite = np.isfinite(values).all(axis=(1, 2))
    if not finite.any():
        with pytest.raises(Poison):
            guard.admit(snapshot(values), FEATURES, STEPS)
        return

    inputs = guard.admit(snapshot(values), FEATURES, STEPS)

    assert inputs.usable.tolist() == finite.tolist()
    assert (inputs.values[~finite] == 0).all()
    assert (inputs.values[finite] == values[finite]).all()


@pytest.mark.parametrize(("names", "slots"), [(1, 256), (200, 256), (256, 256), (257, 512)])
def test_rows_are_padded_to_whole_slots(names: int, slots: int) -> None:
    padded = guard.pad(np.ones((names, STEPS, 2), dtype=np.float32))

    assert padded.shape == (slots, STEPS, 2)
    assert padded.sum() == names * STEPS * 2


def test_no_rows_are_never_padded_into_some() -> None:
    with pytest.raises(Poison, match="at least one row"):
        guard.pad(np.zeros((0, STEPS, 2), dtype=np.float32))


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ([1.0, 2.0], "expected 3 scores"),
        ([1.0, float("nan"), 2.0], "1 of 3 not finite"),
        ([0.5, 0.5, 0.5], "expected a spread"),
    ],
)
def test_an_answer_nobody_can_rank_by_is_refused(scores: list[float], says: str) -> None:
    with pytest.raises(Poison, match=says):
        guard.check_output(np.array(scores, dtype=np.float32), np.ones(3, dtype=bool))


def test_a_masked_row_may_answer_anything() -> None:
    scores = np.array([1.0, np.nan, 2.0], dtype=np.float32)

    guard.check_output(scores, np.array([True, False, True]))
