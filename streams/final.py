"""The final score: the factor model and the AI, mixed, 0 to 100, with its exact parts.

    Q, A   quant and AI scores, each scaled to 0..1 over its cross-section
    m      0.4 Q + 0.6 A                             Q alone for a name (or a run) without AI
    score  clip(50 + 50 z / 3, 0, 100)               z = (m - mean m) / sd m

buy at >= 75, sell at <= 25, neutral between.  Both scalings are affine, so the score before
clipping is a sum: each factor's share, ``ai`` (0 for a name without), ``mix`` (what the origins of
the two scales add where only some names have AI, else 0), ``base`` (50).  ``clip`` is what clipping
takes away.  Every part but ``base`` and ``clip`` is counted from its mean over the names.

Inference answers every snapshot, with scores or with the reason why there are none, so a quant
score waits for its answer without a timer.  Finals leave in the order of T.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.control import RunReported
from schemas.errors import Fatal
from schemas.role import Batch, Output, Role, Step, command, paced
from schemas.scores import AiScored, FinalScored, QuantScored
from schemas.topics import AI, FINAL, QUANT, RUNS
from schemas.units import Micros, Symbol, Won
from streams.factors import table
from streams.factors.scaling import FLAT, minmax

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

NAME: Final = "scores.final"
QUANT_SHARE: Final = 0.4
AI_SHARE: Final = 0.6
MIDDLE: Final = 50.0
PER_SD: Final = 50.0 / 3.0
SCORE_MAX: Final = 100.0
BUY_FROM: Final = 75.0
SELL_TO: Final = 25.0
PARTS: Final = (*table.FACTORS, "ai", "mix", "base", "clip")
WAITING_MAX: Final = 64
"""Quant scores without an answer; a day has 27 triggers."""


class Quant(NamedTuple):
    """A quant score that waits for its AI answer; fields as in ``QuantScored``."""

    ts_event: Micros
    ts_ingest: Micros
    fire_id: str
    job: str
    symbols: tuple[Symbol, ...]
    scores: tuple[float, ...]
    factors: tuple[str, ...]
    exposures: tuple[float, ...]
    present: tuple[int, ...]
    weights: tuple[float, ...]
    prices: tuple[Won, ...]
    sectors: tuple[str, ...]
    regime: str
    weights_version: str
    lineage: dict[str, str]


class Answer(NamedTuple):
    """An AI answer that waits for its quant score; fields as in ``AiScored``."""

    ts_event: Micros
    ts_ingest: Micros
    snapshot_id: str
    model_hash: str
    level: str
    reason: str
    symbols: tuple[Symbol, ...]
    scores: tuple[float, ...]


class State(NamedTuple):
    """Quant scores in order of T, and answers by fire id."""

    waiting: tuple[Quant, ...]
    answers: dict[str, Answer]


INITIAL: Final = State((), {})


class Mixed(NamedTuple):
    """Scores and their parts.

    Attributes:
        scores: (names) 0..100.
        parts: (names, parts) in the order of ``PARTS``; each row sums to the score.
    """

    scores: Floats
    parts: Floats


def step(state: State, batch: Batch) -> Step:
    """Pair quant scores with AI answers and give what is complete, oldest first."""
    outputs: list[Output] = []
    for record in batch.records:
        value = record.value
        if isinstance(value, QuantScored):
            state = state._replace(waiting=(*state.waiting, _held(value)))
        elif isinstance(value, AiScored):
            answers = dict(state.answers)
            answers.setdefault(value.fire_id, _answer(value))
            state = state._replace(answers=answers)
        if max(len(state.waiting), len(state.answers)) > WAITING_MAX:
            raise Fatal(
                f"expected at most {WAITING_MAX} scores waiting for their pair, was more; "
                "see whether consumers.inference runs"
            )
        while state.waiting and state.waiting[0].fire_id in state.answers:
            held, *later = state.waiting
            answers = dict(state.answers)
            outputs.extend(_outputs(held, answers.pop(held.fire_id)))
            state = State(tuple(later), answers)
    return Step(state, outputs)


def mix(quant: Floats, shares: Floats, ai: Floats) -> Mixed:
    """Mix two scores into one of 0..100.

    Args:
        quant: (names) quant scores.
        shares: (names, factors) what each factor adds to them; a row sums to the quant score.
        ai: (names) AI scores, NaN where there is none.
    """
    names, factors = shares.shape
    scored = np.isfinite(ai)
    _, low, reach = minmax(quant)
    unit, _, _ = minmax(ai[scored])
    per_quant = 0.0 if reach <= 0.0 else 1.0 / reach
    quant_share = np.where(scored, QUANT_SHARE, 1.0)
    parts = np.zeros((names, len(PARTS)))
    for factor in range(factors):
        parts[:, factor] = quant_share * per_quant * shares[:, factor]
    ai_mean = AI_SHARE * float(np.mean(unit)) if len(unit) else 0.0
    parts[scored, factors] = AI_SHARE * unit - ai_mean
    parts[:, factors + 1] = np.where(scored, ai_mean, 0.0) - quant_share * per_quant * low
    for column in (*range(factors), factors + 1):
        parts[:, column] -= np.mean(parts[:, column]) if names else 0.0
    mixed = _row_sums(parts)
    deviation = float(np.sqrt(np.mean(mixed * mixed))) if names else 0.0
    parts *= PER_SD / deviation if deviation > FLAT else 0.0
    parts[:, factors + 2] = MIDDLE
    raw = _row_sums(parts)
    scores = np.clip(raw, 0.0, SCORE_MAX)
    parts[:, factors + 3] = scores - raw
    return Mixed(scores, parts)


def word_of(score: float) -> str:
    """Return what a score says: buy, neutral or sell."""
    if score >= BUY_FROM:
        return "buy"
    return "sell" if score <= SELL_TO else "neutral"


def final(held: Quant, answer: Answer) -> FinalScored:
    """Return the final snapshot of a quant score and its AI answer."""
    names, factors = len(held.symbols), len(held.factors)
    present = np.array(held.present, dtype=bool).reshape(names, factors)
    exposures = np.array(held.exposures, dtype=np.float64).reshape(names, factors)
    shares = table.applied_weights(np.array(held.weights, dtype=np.float64), present) * exposures
    by_symbol = dict(zip(answer.symbols, answer.scores, strict=True))
    if answer.level != "on":
        by_symbol = {}
    order = sorted(range(names), key=lambda at: held.symbols[at])
    ai = np.array([by_symbol.get(held.symbols[at], np.nan) for at in order], dtype=np.float64)
    mixed = mix(np.array(held.scores, dtype=np.float64)[order], shares[order], ai)
    back = np.empty(names, dtype=np.int64)
    back[order] = np.arange(names)
    scores = mixed.scores[back].tolist()
    full = bool(np.isfinite(ai).any())
    return FinalScored(
        ts_event=held.ts_event,
        ts_ingest=Micros(max(held.ts_ingest, answer.ts_ingest)),
        fire_id=held.fire_id,
        symbols=held.symbols,
        scores=tuple(scores),
        words=tuple(word_of(each) for each in scores),
        parts=PARTS,
        contributions=tuple(mixed.parts[back].ravel().tolist()),
        prices=held.prices,
        sectors=held.sectors,
        level="full" if full else "quant_only",
        regime=held.regime,
        weights_version=held.weights_version,
        model_hash=answer.model_hash if full else "",
        lineage={
            **held.lineage,
            QUANT.name: held.fire_id,
            AI.name: answer.snapshot_id,
        },
    )


def _outputs(held: Quant, answer: Answer) -> tuple[Output, Output]:
    scored = final(held, answer)
    full = scored.level == "full"
    ended = Micros(max(held.ts_event, answer.ts_event))
    why = "" if full else f", without AI: {answer.reason or 'no name was scored'}"
    report = RunReported(
        ts_event=ended,
        ts_ingest=scored.ts_ingest,
        fire_id=held.fire_id,
        job=held.job,
        slot=held.ts_event,
        state="succeeded" if full else "degraded",
        attempt=1,
        worker=NAME,
        detail=f"{len(scored.symbols)} names scored, {scored.level}{why}",
        started=held.ts_event,
        ended=ended,
    )
    return Output(FINAL, "universe", scored), Output(RUNS, held.job, report)


def _row_sums(parts: Floats) -> Floats:
    """Column by column, so that a reader who adds the parts in order gets the same bits."""
    total = np.zeros(parts.shape[0])
    for column in range(parts.shape[1]):
        total += parts[:, column]
    return total


def _held(value: QuantScored) -> Quant:
    fields = {name: getattr(value, name) for name in Quant._fields}
    return Quant(**{**fields, "lineage": dict(value.lineage)})


def _answer(value: AiScored) -> Answer:
    return Answer(**{name: getattr(value, name) for name in Answer._fields})


ROLE: Final = Role(
    name=NAME,
    version=1,
    scope="universe",
    inputs=(paced(QUANT), command(AI)),
    outputs=(FINAL, RUNS),
    initial=INITIAL,
    step=step,
    states=(State, Quant, Answer),
)
