"""The final score: exact parts, exact thresholds, in the order of T, never NaN."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import snapshot
from schemas.role import Batch, Output, Record
from schemas.scores import AiScored, FinalScored, QuantScored
from schemas.topics import AI, FINAL, QUANT, RUNS
from schemas.units import DAY, Micros
from streams import bench, final, quant
from streams.factors import table

NAMES = 20


def quant_of(fire_id: str = "a", ts_event: int = DAY) -> QuantScored:
    state = quant.step(quant.INITIAL, Batch(bench.reference_records(NAMES), Micros(0))).state
    found = quant.quant(state, bench.screen_of(NAMES))
    return replace(found, fire_id=fire_id, ts_event=Micros(ts_event))


FOUND = quant_of()


def answer_of(scored: QuantScored, scores: list[float] | None = None) -> AiScored:
    on = scores is not None
    return AiScored(
        ts_event=Micros(scored.ts_event + 1), ts_ingest=Micros(scored.ts_ingest + 5),
        fire_id=scored.fire_id, snapshot_id="snapshot", model="lstm", model_hash="hash",
        provider="cpu", level="on" if on else "off", reason="" if on else "deadline passed",
        symbols=scored.symbols[: len(scores or [])], scores=tuple(scores or []),
        elapsed=Micros(0), lineage={},
    )  # fmt: skip


def fold(values: list[QuantScored | AiScored], cuts: list[int] | None = None) -> list[Output]:
    records = [
        Record(QUANT.name if isinstance(each, QuantScored) else AI.name, "universe", each)
        for each in values
    ]
    found: list[Output] = []
    state, start = final.INITIAL, 0
    for end in [*sorted(cuts or []), len(records)]:
        step = final.step(state, Batch(records[start:end], Micros(0)))
        found += step.outputs
        state = snapshot.unpack(snapshot.pack(step.state), final.ROLE.states)
        start = end
    return found


def finals(outputs: list[Output]) -> list[FinalScored]:
    return [each.value for each in outputs if each.topic is FINAL]


@pytest.mark.parametrize(
    ("score", "word"),
    [(74.999999, "neutral"), (75.0, "buy"), (25.0, "sell"), (25.000001, "neutral")],
)
def test_the_words_begin_exactly_at_75_and_25(score: float, word: str) -> None:
    assert final.word_of(score) == word


def test_the_mix_equals_numpy_from_the_two_scores() -> None:
    ai = np.random.default_rng(3).normal(size=NAMES)

    [scored] = finals(fold([FOUND, answer_of(FOUND, ai.tolist())]))

    q = np.array(FOUND.scores)
    mixed = 0.4 * (q - q.min()) / np.ptp(q) + 0.6 * (ai - ai.min()) / np.ptp(ai)
    expected = np.clip(50 + 50 / 3 * (mixed - mixed.mean()) / mixed.std(), 0, 100)
    assert scored.scores == pytest.approx(expected.tolist(), abs=1e-9)
    assert (scored.level, scored.model_hash) == ("full", "hash")


def test_without_ai_the_quant_part_counts_whole_on_the_same_scale() -> None:
    outputs = fold([FOUND, answer_of(FOUND)])
    [scored] = finals(outputs)

    q = np.array(FOUND.scores)
    expected = np.clip(50 + 50 / 3 * (q - q.mean()) / q.std(), 0, 100)
    assert scored.scores == pytest.approx(expected.tolist(), abs=1e-9)
    assert (scored.level, scored.model_hash) == ("quant_only", "")
    [report] = [each.value for each in outputs if each.topic is RUNS]
    assert (report.state, report.fire_id, report.job) == ("degraded", "a", "bench")
    assert "deadline passed" in report.detail


@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.floats(0, 1))
@settings(deadline=None)
def test_every_row_of_parts_sums_to_its_score(names: int, seed: int, without: float) -> None:
    random = np.random.default_rng(seed)
    shares = random.normal(size=(names, 12)) * random.choice([0.0, 1.0, 1e3], (names, 12))
    ai = np.where(random.random(names) < without, np.nan, random.normal(size=names))

    mixed = final.mix(shares.sum(axis=1), shares, ai)

    assert np.isfinite(mixed.scores).all()
    assert np.abs(mixed.parts.sum(axis=1) - mixed.scores).max() < 1e-9
    assert ((mixed.scores >= 0) & (mixed.scores <= 100)).all()
    assert not mixed.parts[np.isnan(ai), len(table.FACTORS)].any()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
def test_a_constant_cross_section_gives_fifty(value: float) -> None:
    shares = np.full((7, 12), value / 12)

    for ai in (np.full(7, np.nan), np.full(7, value)):
        assert final.mix(shares.sum(axis=1), shares, ai).scores.tolist() == [50.0] * 7


def test_finals_leave_in_the_order_of_t_whatever_order_answers_come_in() -> None:
    early, late = quant_of("early", DAY), quant_of("late", DAY + 1)

    held = fold([early, late, answer_of(late)])
    scored = finals(fold([answer_of(late), early, late, answer_of(early)]))

    assert held == []
    assert [each.fire_id for each in scored] == ["early", "late"]


@given(st.lists(st.integers(0, 4), max_size=3), st.permutations(range(4)))
@settings(deadline=None)
def test_any_split_and_order_gives_the_same_finals(cuts: list[int], order: list[int]) -> None:
    early, late = replace(FOUND, fire_id="e"), replace(FOUND, fire_id="l", ts_event=Micros(2 * DAY))
    values: list[QuantScored | AiScored] = [early, late]
    values += [answer_of(early, [1.0, 2.0, 0.5]), answer_of(late)]
    quants = [early, late]
    mixed = [quants.pop(0) if at < 2 else values[at] for at in order]

    assert finals(fold(mixed, cuts)) == finals(fold(values))


def test_an_empty_screen_is_still_reported() -> None:
    empty = quant.quant(quant.INITIAL, bench.screen_of(0))

    outputs = fold([empty, answer_of(empty)])

    assert [each.topic for each in outputs] == [FINAL, RUNS]
