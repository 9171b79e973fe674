"""The quant fold: order of names and cuts do not matter, debt lowers, splits change nothing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import snapshot
from schemas.learning import WeightsLearned
from schemas.role import Batch, Record
from schemas.scores import QuantScored, Screened
from schemas.topics import BARS, FUNDAMENTALS, SCREEN, WEIGHTS
from schemas.units import Micros
from streams import bench, quant
from streams.factors import table

NAMES = 12
REFERENCES = bench.reference_records(NAMES)
SCREENED = bench.screen_of(NAMES)


def scored(records: list[Record], cuts: list[int] | None = None) -> list[QuantScored]:
    state, found, start = quant.INITIAL, [], 0
    for end in [*sorted(cuts or []), len(records)]:
        step = quant.step(state, Batch(records[start:end], Micros(0)))
        found += [output.value for output in step.outputs]
        state = snapshot.unpack(snapshot.pack(step.state), quant.ROLE.states)
        start = end
    return found


def asked(screened: Screened = SCREENED) -> Record:
    return Record(SCREEN.name, "universe", screened)


def learned(version: str, regime: str, factors: tuple[str, ...]) -> Record:
    event = WeightsLearned(
        ts_event=Micros(0), ts_ingest=Micros(0), version=version, regime=regime, factors=factors,
        weights=(1.0 / len(factors),) * len(factors), previous_version="", evidence=(), detail="",
        skill="not shown",
    )  # fmt: skip
    return Record(WEIGHTS.name, regime, event)


@given(st.permutations(range(NAMES)))
@settings(max_examples=20, deadline=None)
def test_the_order_of_names_does_not_change_a_bit_of_a_score(order: list[int]) -> None:
    mixed = replace(
        SCREENED,
        symbols=tuple(SCREENED.symbols[at] for at in order),
        prices=tuple(SCREENED.prices[at] for at in order),
    )

    [plain] = scored([*REFERENCES, asked()])
    [permuted] = scored([*REFERENCES, asked(mixed)])

    assert dict(zip(permuted.symbols, permuted.scores, strict=True)) == dict(
        zip(plain.symbols, plain.scores, strict=True)
    )


@given(st.lists(st.integers(0, 40), max_size=5))
@settings(max_examples=20, deadline=None)
def test_any_split_into_batches_gives_the_same_scores(cuts: list[int]) -> None:
    records = [*REFERENCES[:20], asked(), *REFERENCES[20:], asked(), learned("w", "*", ("per",))]
    records.append(asked())

    assert scored(records, [min(cut, len(records)) for cut in cuts]) == scored(records)


def test_what_is_learned_after_a_screen_counts_in_the_next() -> None:
    _, later = scored([*REFERENCES[:20], asked(), *REFERENCES[20:], asked()])

    assert [later] == scored([*REFERENCES, asked()])


def test_raising_one_name_s_debt_lowers_its_score() -> None:
    symbol = SCREENED.symbols[3]
    indebted = [
        Record(each.topic, each.key, replace(each.value, liabilities=each.value.assets - 1))
        if each.topic == FUNDAMENTALS.name and each.key == symbol
        else each
        for each in REFERENCES
    ]

    [before] = scored([*REFERENCES, asked()])
    [after] = scored([*indebted, asked()])

    assert after.scores[3] < before.scores[3]


@pytest.mark.parametrize("day", [1, 100, 251])
def test_a_two_for_one_split_leaves_every_score_unchanged(day: int) -> None:
    def split(record: Record) -> Record:
        if record.topic != BARS.name:
            return record
        bars = record.value
        closes = tuple(close * 2 if at < day else close for at, close in enumerate(bars.closes))
        adjusts = tuple(0.5 if at < day else 1.0 for at in range(len(closes)))
        return Record(record.topic, record.key, replace(bars, closes=closes, adjusts=adjusts))

    assert scored([*map(split, REFERENCES), asked()]) == scored([*REFERENCES, asked()])


def test_scores_are_the_sum_of_applied_weights_and_exposures() -> None:
    [found] = scored([*REFERENCES, asked()])
    shape = (NAMES, len(table.FACTORS))
    present = np.array(found.present, dtype=bool).reshape(shape)

    applied = table.applied_weights(np.array(found.weights), present)

    total = (applied * np.array(found.exposures).reshape(shape)).sum(axis=1)
    assert found.scores == pytest.approx(total.tolist(), abs=1e-12)


def test_learned_weights_replace_the_table_and_are_named() -> None:
    [found] = scored([*REFERENCES, learned("w-1", "*", ("per",)), asked()])

    assert found.weights_version == "w-1"
    assert found.lineage[WEIGHTS.name] == "w-1"
    assert found.scores == pytest.approx(
        [found.exposures[row * 12 + table.FACTORS.index("per")] for row in range(NAMES)]
    )


def test_a_name_without_statements_says_so_in_the_coverage() -> None:
    bare = [
        each for each in REFERENCES
        if not (each.topic == FUNDAMENTALS.name and each.key == SCREENED.symbols[0])
    ]  # fmt: skip

    [found] = scored([*bare, asked()])

    assert found.coverage["pcr"] == pytest.approx((NAMES - 1) / NAMES)
    assert found.present[table.FACTORS.index("pcr")] == 0


def test_an_empty_screen_is_answered() -> None:
    [found] = scored([*REFERENCES, asked(bench.screen_of(0))])

    assert found.scores == ()
