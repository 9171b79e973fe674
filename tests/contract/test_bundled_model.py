"""The committed LSTM, as it is: parity, dynamic names, padding, and that it reads the sequence."""

from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest

from consumers.inference import engine, guard, registry, scoring
from consumers.inference.engine import Engine
from schemas.errors import Misconfigured, Poison
from schemas.features import FeatureSnapshot
from schemas.model_card import INPUT_NAME, PARITY_MAX, Floats
from schemas.model_features import FEATURES, MODEL, STEPS
from schemas.testing import MORNING
from schemas.units import MINUTE, Micros, Symbol

MODEL_BYTES_MAX = 300_000

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:onnxruntime")


@pytest.fixture(scope="module")
def model() -> registry.Model:
    return registry.bundled()


@pytest.fixture(scope="module")
def lstm(model: registry.Model) -> Engine:
    return Engine(model.content, provider=engine.CPU, steps=STEPS, features=len(FEATURES))


@pytest.fixture(scope="module")
def session(model: registry.Model) -> ort.InferenceSession:
    return ort.InferenceSession(model.content, providers=[engine.CPU])


def names(count: int, seed: int = 0) -> Floats:
    random = np.random.default_rng(seed)
    return random.normal(0, 1, (count, STEPS, len(FEATURES))).astype(np.float32)


def snapshot(values: Floats) -> FeatureSnapshot:
    return FeatureSnapshot(
        ts_event=MORNING,
        ts_ingest=MORNING,
        snapshot_id="snapshot",
        fire_id="fire",
        model=MODEL,
        symbols=tuple(Symbol(f"{each:06d}") for each in range(len(values))),
        features=FEATURES,
        steps=STEPS,
        tensor=values.tobytes(),
        mask=bytes([1] * len(values)),
        deadline=Micros(MORNING + MINUTE),
        coverage=1.0,
        lineage={},
    )


def test_the_card_says_what_serving_and_features_say(model: registry.Model) -> None:
    assert (model.card.features, model.card.steps) == (FEATURES, STEPS)
    assert len(model.content) < MODEL_BYTES_MAX
    assert "a seeded synthetic market" in model.card.remark
    assert "skill on real stocks: not shown" in model.card.remark
    assert model.card.skill == "not shown"


def test_the_file_holds_no_name_of_the_machine_it_was_made_on(model: registry.Model) -> None:
    assert not any(each in model.content for each in (b"/root", b"/home", b"site-packages", b".py"))


def test_the_file_knows_its_features(session: ort.InferenceSession, model: registry.Model) -> None:
    found = session.get_modelmeta().custom_metadata_map

    assert found["features_hash"] == model.card.features_hash


def test_the_first_axis_is_symbolic_and_the_others_are_fixed(session: ort.InferenceSession) -> None:
    [sequence] = session.get_inputs()

    assert sequence.name == INPUT_NAME
    assert isinstance(sequence.shape[0], str)
    assert sequence.shape[1:] == [STEPS, len(FEATURES)]


def test_the_golden_output_is_repeated(lstm: Engine, model: registry.Model) -> None:
    golden, _ = model.card.golden()

    assert registry.parity(model.card, lstm.run(golden)) < PARITY_MAX


@pytest.mark.parametrize("count", [1, 2, 7, 200, 256])
def test_padding_changes_no_bit(lstm: Engine, session: ort.InferenceSession, count: int) -> None:
    values = names(count)
    [alone] = session.run(None, {INPUT_NAME: values})

    answer = lstm.run(values)

    assert answer.shape == (count,)
    assert np.abs(answer - alone).max() < 1e-6
    assert (answer == lstm.run(names(256))[:count]).all() or count != 256
    assert (answer == lstm.run(np.concatenate([values, names(3, seed=9)]))[:count]).all()


def test_no_names_never_reach_the_runtime(lstm: Engine) -> None:
    with pytest.raises(Poison, match="at least one row"):
        lstm.run(names(1)[:0])


@pytest.mark.parametrize("part", [slice(0, STEPS - 1), slice(STEPS - 10, STEPS - 5)])
def test_hiding_a_part_of_the_sequence_changes_the_scores(lstm: Engine, part: slice) -> None:
    values = names(50)
    hidden = values.copy()
    hidden[:, part] = 0

    difference = np.abs(lstm.run(values) - lstm.run(hidden))

    assert difference.max() > 100 * guard.SPREAD_MIN
    assert (difference > 0).all()


def test_a_recomputed_answer_is_the_same_bits(lstm: Engine, model: registry.Model) -> None:
    asked = snapshot(names(200))
    recorded = replace(scoring.recompute(asked, model, lstm), elapsed=Micros(7))
    fresh = Engine(model.content, provider=engine.CPU, steps=STEPS, features=len(FEATURES))

    assert scoring.differences(recorded, scoring.recompute(asked, model, fresh)) == ()
    changed = names(200)
    changed[3, -1, 0] += 0.5
    again = scoring.recompute(snapshot(changed), model, fresh)
    assert scoring.differences(recorded, again) == ("scores",)


def test_the_cpu_passes_the_probe_and_an_unknown_provider_does_not() -> None:
    assert engine.probe(engine.CPU)
    assert not engine.probe("NoSuchExecutionProvider")


def test_a_provider_that_the_library_only_names_is_not_chosen() -> None:
    devices = {each.ep_name for each in ort.get_ep_devices()}
    if engine.CUDA in devices:
        pytest.skip("this machine has a CUDA device")

    assert not engine.probe(engine.CUDA)
    assert engine.choose_provider() == engine.CPU


@pytest.mark.parametrize(("steps", "features"), [(STEPS, 5), (59, len(FEATURES))])
def test_a_graph_of_other_columns_is_refused(
    model: registry.Model, steps: int, features: int
) -> None:
    with pytest.raises(Misconfigured, match="with names dynamic"):
        Engine(model.content, provider=engine.CPU, steps=steps, features=features)
