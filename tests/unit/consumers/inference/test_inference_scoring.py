"""An answer names what was scored, by what, and leaves out whom it knows nothing of."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from consumers.inference import scoring
from consumers.inference.guard import Inputs
from consumers.inference.registry import Model
from schemas.errors import Poison
from schemas.features import FeatureSnapshot
from schemas.model_card import Floats, ModelCard, features_hash
from schemas.testing import at
from schemas.units import Micros, Symbol

FEATURES = ("return", "volume")
CARD = ModelCard(
    model="lstm",
    version=3,
    sha256=hashlib.sha256(b"weights").hexdigest(),
    features=FEATURES,
    steps=2,
    features_hash=features_hash(FEATURES, 2),
    opset=18,
    trained_on="nothing",
    skill="not shown",
    remark="a test's",
    seed=1,
    metrics={},
    golden_names=0,
    golden_input=b"",
    golden_output=b"",
)
MODEL = Model(CARD, b"weights", "file:/models/lstm/3")
VALUES = np.arange(12, dtype="<f4").reshape(3, 2, 2)
ASKED = FeatureSnapshot(
    ts_event=at(60),
    ts_ingest=at(61),
    snapshot_id="snapshot",
    fire_id="fire",
    model="lstm",
    symbols=(Symbol("000010"), Symbol("000020"), Symbol("0001A0")),
    features=FEATURES,
    steps=2,
    tensor=VALUES.tobytes(),
    mask=b"\x01\x00\x01",
    deadline=at(120),
    coverage=2 / 3,
    lineage={},
)


class Sums:
    """A model that adds a row up."""

    provider = "SumExecutionProvider"

    def run(self, values: Floats) -> Floats:
        return np.asarray(values.sum(axis=(1, 2)), dtype=np.float32)


def test_a_masked_name_has_no_score_at_all() -> None:
    answer = scoring.recompute(ASKED, MODEL, Sums())

    assert answer.symbols == ("000010", "0001A0")
    assert answer.scores == (6.0, 38.0)


def test_an_answer_carries_time_cause_and_what_scored_it() -> None:
    answer = scoring.recompute(ASKED, MODEL, Sums())

    assert (answer.ts_event, answer.ts_ingest) == (ASKED.ts_event, ASKED.ts_ingest)
    assert (answer.fire_id, answer.snapshot_id) == ("fire", "snapshot")
    assert (answer.model_hash, answer.provider) == (CARD.sha256, "SumExecutionProvider")
    assert answer.lineage == {"features.snapshots": "snapshot", "learning.models": "lstm/3"}
    assert (answer.level, answer.reason) == ("on", "")


def test_off_has_a_reason_and_no_scores() -> None:
    answer = scoring.off(ASKED, MODEL, "deadline", "too late")
    nobody = scoring.off(ASKED, None, "model", "none is here")

    assert (answer.level, answer.reason) == ("off", "deadline: too late")
    assert (answer.symbols, answer.scores) == ((), ())
    assert (nobody.model_hash, nobody.lineage) == ("", {"features.snapshots": "snapshot"})


def test_only_the_time_a_run_took_may_differ() -> None:
    recorded = replace(scoring.recompute(ASKED, MODEL, Sums()), elapsed=Micros(9_999))

    assert scoring.differences(recorded, replace(recorded, elapsed=Micros(1))) == ()
    assert scoring.differences(recorded, replace(recorded, scores=(6.0, 38.5))) == ("scores",)
    assert scoring.differences(recorded, replace(recorded, provider="other")) == ("provider",)


def test_scores_of_another_length_are_refused() -> None:
    inputs = Inputs(VALUES.astype(np.float32), np.ones(3, dtype=bool))

    with pytest.raises(Poison, match="expected 3 scores"):
        scoring.on(ASKED, MODEL, inputs, np.zeros(2, np.float32), provider="p", elapsed=Micros(0))
