"""One lesson per trigger: from the day's snapshots, naming its fills, whatever the batches."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.learning import weights
from infra import snapshot
from schemas.control import JobTriggered, RunReported
from schemas.learning import WeightsLearned
from schemas.orders import OrderEvent
from schemas.role import Batch, Output, Record
from schemas.scores import QuantScored
from schemas.testing import at
from schemas.topics import ORDERS, QUANT, TRIGGERS
from schemas.units import DAY, MINUTE, Micros, Symbol, Won

FACTORS = ("value", "momentum", "size")
BASE = (0.4, 0.3, 0.3)
NAMES = 60
QUARTER = 15 * MINUTE / 1e6


def quant(number: int, prices: np.ndarray[Any, Any], exposures: np.ndarray[Any, Any]) -> Record:
    when = at(number * QUARTER)
    event = QuantScored(
        ts_event=when,
        ts_ingest=when,
        fire_id=f"quant-{number}",
        job="rescoring",
        symbols=tuple(Symbol(f"{each:06d}") for each in range(NAMES)),
        scores=(0.0,) * NAMES,
        factors=FACTORS,
        exposures=tuple(exposures.ravel().tolist()),
        present=(1,) * (NAMES * len(FACTORS)),
        weights=BASE,
        coverage={},
        regime="normal",
        weights_version="base-1/normal",
        prices=tuple(Won(round(each)) for each in prices.tolist()),
        sectors=("",) * NAMES,
        lineage={},
    )
    return Record(QUANT.name, "universe", event)


def fill(number: int) -> Record:
    when = at(number * QUARTER + 1)
    blank = OrderEvent(**{each.name: _nothing(each.type) for each in fields(OrderEvent)})
    event = replace(blank, ts_event=when, event_id=f"fill-{number}", kind="filled")
    return Record(ORDERS.name, "account", event)


def _nothing(kind: Any) -> Any:
    plain = getattr(kind, "__supertype__", kind)
    return {str: "", int: 0}.get(plain, ())


def trigger(fire: str = "lesson", hours: float = 9.0, job: str = "learning_step") -> Record:
    when = at(hours * 3_600)
    event = JobTriggered(
        ts_event=when,
        ts_ingest=when,
        fire_id=fire,
        job=job,
        slot=when,
        kind="auto",
        target="role:learning.weights",
        group="data_processing",
        priority=2,
        logical_date=20260210,
        schedule_hash="s",
        calendar_hash="c",
        cause="",
    )
    return Record(TRIGGERS.name, job, event)


def day(winner: int = 1, count: int = 20, shift: int = 0) -> list[Record]:
    """A session in which the names rich in one factor rise at every interval."""
    random = np.random.default_rng(7)
    prices = random.uniform(5_000, 500_000, NAMES)
    records: list[Record] = []
    for number in range(count):
        exposures = random.normal(0, 1, (NAMES, len(FACTORS)))
        record = quant(number, prices, exposures)
        moved = replace(record.value, ts_event=Micros(record.value.ts_event + shift))
        records += [record._replace(value=moved), fill(number)]
        prices = prices * (1 + 0.004 * exposures[:, winner] + random.normal(0, 0.004, NAMES))
    return records


def run(records: Sequence[Record], cuts: Sequence[int] = ()) -> list[Output]:
    state, left = weights.State(), list(records)
    outputs: list[Output] = []
    for cut in [*cuts, len(left)]:
        step = weights.step(state, Batch(left[:cut], Micros(0)))
        state, left = step.state, left[cut:]
        outputs += step.outputs
    return outputs


def lessons(outputs: Sequence[Output]) -> list[WeightsLearned]:
    return [each.value for each in outputs if isinstance(each.value, WeightsLearned)]


def reports(outputs: Sequence[Output]) -> list[RunReported]:
    return [each.value for each in outputs if isinstance(each.value, RunReported)]


@pytest.mark.parametrize("winner", range(len(FACTORS)))
def test_the_factor_that_won_gains_weight(winner: int) -> None:
    [learned] = lessons(run([*day(winner), trigger()]))

    assert learned.weights[winner] > BASE[winner]
    assert math.fsum(learned.weights) == pytest.approx(1.0)
    assert (learned.regime, learned.previous_version) == ("normal", "base-1/normal")
    assert learned.skill == "not shown"


def test_a_lesson_names_the_days_fills_and_snapshots_and_is_effective_at_its_trigger() -> None:
    outputs = run([*day(count=3), trigger()])

    [learned], [report] = lessons(outputs), reports(outputs)
    assert learned.evidence == (
        "fill-0", "fill-1", "fill-2", "quant-0", "quant-1", "quant-2",
    )  # fmt: skip
    assert learned.ts_event == trigger().value.ts_event
    assert (report.fire_id, report.state, report.detail) == ("lesson", "succeeded", learned.detail)
    assert "2 intervals of 3 snapshots" in learned.detail
    assert "3 fills" in learned.detail


def test_the_same_fire_teaches_once_and_another_job_never() -> None:
    outputs = run([*day(), trigger(), trigger(), trigger("x", job="daily_settlement")])

    assert len(lessons(outputs)) == len(reports(outputs)) == 1


def test_a_day_without_snapshots_reports_degraded_and_teaches_nothing() -> None:
    outputs = run([trigger()])

    assert lessons(outputs) == []
    assert reports(outputs)[0].state == "degraded"


def test_the_night_is_no_interval() -> None:
    evening, morning = day(count=1), day(count=1, shift=DAY)

    [learned] = lessons(run([*evening, *morning, trigger(hours=33)]))

    assert "0 intervals of 2 snapshots" in learned.detail


def test_two_snapshots_of_one_instant_are_one() -> None:
    twice = [record for record in day(count=3) for _ in range(2)]

    [once], [doubled] = lessons(run([*day(count=3), trigger()])), lessons(run([*twice, trigger()]))

    assert doubled.weights == once.weights
    assert doubled.evidence.count("quant-1") == 1


def test_a_week_moves_a_weight_by_a_fifth_at_most_and_the_next_week_goes_on() -> None:
    evenings = [trigger(f"lesson-{number}", hours=9 + 24 * number) for number in range(10)]

    learned = lessons(run([*day(), *evenings]))

    assert learned[0].weights[1] == pytest.approx(BASE[1] * 1.2)
    assert learned[3].weights[1] == pytest.approx(BASE[1] * 1.2)  # Friday of the same week
    assert learned[5].weights[1] == pytest.approx(BASE[1] * 1.2)  # its Sunday
    assert learned[6].weights[1] == pytest.approx(BASE[1] * 1.44)  # the Monday after
    assert [each.previous_version for each in learned[1:]] == [
        each.version for each in learned[:-1]
    ]


def test_versions_are_functions_of_content() -> None:
    once, again = run([*day(), trigger()]), run([*day(), trigger()])
    other = run([*day(winner=0), trigger()])

    assert lessons(once) == lessons(again)
    assert lessons(once)[0].version != lessons(other)[0].version


RECORDS = [*day(count=6), trigger(), *day(count=3, shift=DAY), trigger("next", hours=33)]
WHOLE = run(RECORDS)


@settings(deadline=None, max_examples=40)  # time is not what is tested
@given(cuts=st.lists(st.integers(0, 8), max_size=20))
def test_any_cut_into_batches_gives_the_same_lessons(cuts: list[int]) -> None:
    assert run(RECORDS, cuts) == WHOLE


def test_a_saved_state_teaches_what_the_kept_one_would() -> None:
    kept = weights.step(weights.State(), Batch(RECORDS[:15], Micros(0))).state
    saved = snapshot.unpack(snapshot.pack(kept), weights.ROLE.states)

    rest = Batch(RECORDS[15:], Micros(0))

    assert saved == kept
    assert weights.step(saved, rest).outputs == weights.step(kept, rest).outputs
