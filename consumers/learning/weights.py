"""Factor weights after the close: one ``learning.weights`` event per trigger.

Evidence is the day's ``scores.quant``: the exposures of each snapshot against the returns to the
next one of the same day (prices in the snapshots), as rank ICs.  The day's fills are named as
evidence, so that a chain from a fill to the next day's weights can be walked; in this version
they do not move a weight themselves, and the sentence in ``detail`` says so.

Weights hold for the regime of the newest snapshot.  Their base is what the factor model used
before we ever taught it; a base that changes (a new version that is not ours) starts afresh.
Skill is ``not shown``: a day of intraday ICs proves nothing.
"""

from typing import Final, NamedTuple

import numpy as np

from consumers.learning import estimate
from consumers.learning.estimate import Tally
from schemas import topics
from schemas.control import JobTriggered, RunReported
from schemas.ids import content_id
from schemas.learning import WeightsLearned
from schemas.orders import OrderEvent
from schemas.role import Batch, Limits, Output, Record, Role, Step, command, paced, reference
from schemas.scores import QuantScored
from schemas.units import DAY, KST_OFFSET, Micros

NAME: Final = "learning.weights"
JOB: Final = "learning_step"
"""The line of the timetable whose trigger is this fold's T."""

EVIDENCE_MAX: Final = 64
"""Newest ids of fills, and of snapshots, that an event names."""

FIRES_MAX: Final = 8
"""Newest fires remembered, so that none teaches twice."""

SUM_TOLERANCE: Final = 1e-6

NAMED_IN_DETAIL: Final = 3


class Seen(NamedTuple):
    """The newest snapshot, until the next one gives its returns.

    Attributes:
        day: Of the exchange, days since the epoch in KST.
        ts_event: Its instant.
        symbols: Rows.
        prices: Won.
        exposures: Row-major (symbols, factors).
        present: Row-major (symbols, factors).
    """

    day: int
    ts_event: Micros
    symbols: tuple[str, ...]
    prices: tuple[int, ...]
    exposures: tuple[float, ...]
    present: tuple[int, ...]


class Book(NamedTuple):
    """One regime's weights.

    Attributes:
        base: Before we ever taught.
        base_version: Their version.
        weights: In force.
        version: Of those.
        week: Monday-based week number of ``week_start``.
        week_start: The weights when that week began.
    """

    base: tuple[float, ...]
    base_version: str
    weights: tuple[float, ...]
    version: str
    week: int
    week_start: tuple[float, ...]


class State(NamedTuple):
    """What the days so far have taught.

    Attributes:
        factors: Columns of everything below.
        tally: ICs, decayed.
        books: By regime.
        regime: Of the newest snapshot, empty before the first.
        seen: The newest snapshot.
        scores: Fire ids of snapshots since the last lesson, newest last.
        fills: Event ids of fills since the last lesson, newest last.
        fills_count: All of them.
        intervals: Snapshots with a successor since the last lesson.
        fires: Newest lessons' fire ids.
    """

    factors: tuple[str, ...] = ()
    tally: Tally = Tally((), (), ())
    books: dict[str, Book] = {}  # noqa: RUF012 -- never mutated: a fold copies before it changes
    regime: str = ""
    seen: Seen | None = None
    scores: tuple[str, ...] = ()
    fills: tuple[str, ...] = ()
    fills_count: int = 0
    intervals: int = 0
    fires: tuple[str, ...] = ()


def step(state: State, batch: Batch) -> Step:
    """Fold snapshots and fills; teach at each trigger of ours."""
    outputs: list[Output] = []
    for record in batch.records:
        state = _fold(state, record, outputs)
    return Step(state, outputs)


def _fold(state: State, record: Record, outputs: list[Output]) -> State:
    event = record.value
    if isinstance(event, QuantScored):
        return _observe(state, event)
    if isinstance(event, OrderEvent) and event.kind == "filled":
        fills = (*state.fills, event.event_id)[-EVIDENCE_MAX:]
        return state._replace(fills=fills, fills_count=state.fills_count + 1)
    if isinstance(event, JobTriggered) and event.job == JOB:
        if event.fire_id in state.fires:
            return state
        fires = (*state.fires, event.fire_id)[-FIRES_MAX:]
        return _teach(state._replace(fires=fires), event, outputs)
    return state


def _observe(state: State, quant: QuantScored) -> State:
    if state.factors != quant.factors:
        state = State(
            factors=quant.factors,
            tally=estimate.empty(len(quant.factors)),
            fills=state.fills,
            fills_count=state.fills_count,
            fires=state.fires,
        )
    day = (quant.ts_event + KST_OFFSET) // DAY
    seen = state.seen
    if seen is not None and quant.ts_event <= seen.ts_event:
        return state
    if seen is not None and seen.day == day:
        ics = _interval(seen, quant)
        state = state._replace(tally=estimate.add(state.tally, ics), intervals=state.intervals + 1)
    return state._replace(
        books=_with_base(state.books, quant),
        regime=quant.regime,
        seen=Seen(day, quant.ts_event, quant.symbols, quant.prices, quant.exposures, quant.present),
        scores=(*state.scores, quant.fire_id)[-EVIDENCE_MAX:],
    )


def _interval(seen: Seen, quant: QuantScored) -> tuple[float | None, ...]:
    """ICs of the exposures in ``seen`` over names that both snapshots price."""
    later: dict[str, int] = dict(zip(quant.symbols, quant.prices, strict=True))
    rows = [
        at
        for at, symbol in enumerate(seen.symbols)
        if seen.prices[at] > 0 and later.get(symbol, 0) > 0
    ]
    shape = (len(seen.symbols), len(quant.factors))
    returns = np.array(
        [later[seen.symbols[at]] / seen.prices[at] - 1.0 for at in rows], dtype=np.float64
    )
    return estimate.information_coefficients(
        np.array(seen.exposures, dtype=np.float64).reshape(shape)[rows],
        np.array(seen.present, dtype=np.uint8).reshape(shape)[rows] != 0,
        returns,
    )


def _with_base(books: dict[str, Book], quant: QuantScored) -> dict[str, Book]:
    book = books.get(quant.regime)
    if book is not None and quant.weights_version in {book.base_version, book.version}:
        return books
    total = sum(quant.weights)
    if min(quant.weights, default=0.0) <= 0.0 or abs(total - 1.0) > SUM_TOLERANCE:
        return books
    version = quant.weights_version
    fresh = Book(quant.weights, version, quant.weights, version, 0, quant.weights)
    return {**books, quant.regime: fresh}


def _teach(state: State, fire: JobTriggered, outputs: list[Output]) -> State:
    book = state.books.get(state.regime)
    if book is None:
        reason = "expected a scores.quant with positive weights since the last lesson, was none"
        outputs.append(_report(fire, "degraded", reason))
        return state
    at = fire.ts_event
    week = ((at + KST_OFFSET) // DAY + 3) // 7
    if book.week != week:
        book = book._replace(week=week, week_start=book.weights)
    shrunk, centre = estimate.shrink(state.tally)
    weights = estimate.bounded(book.base, book.week_start, shrunk, centre)
    version = content_id(
        NAME, fire.fire_id, state.regime, *state.factors, *(repr(each) for each in weights)
    )
    detail = _detail(state, book, weights)
    learned = WeightsLearned(
        ts_event=at,
        ts_ingest=fire.ts_ingest,
        version=version,
        regime=state.regime,
        factors=state.factors,
        weights=weights,
        previous_version=book.version,
        evidence=(*state.fills, *state.scores),
        detail=detail,
        skill="not shown",
    )
    outputs.append(Output(topics.WEIGHTS, state.regime, learned))
    outputs.append(_report(fire, "succeeded" if state.intervals else "degraded", detail))
    taught = book._replace(weights=weights, version=version)
    return state._replace(
        tally=estimate.decay(state.tally),
        books={**state.books, state.regime: taught},
        scores=(),
        fills=(),
        fills_count=0,
        intervals=0,
    )


def _detail(state: State, book: Book, weights: tuple[float, ...]) -> str:
    moves = sorted(
        zip(state.factors, book.weights, weights, strict=True),
        key=lambda move: (-abs(move[2] - move[1]), move[0]),
    )
    named = ", ".join(
        f"{name} {old:.4f} to {new:.4f}" for name, old, new in moves[:NAMED_IN_DETAIL]
    )
    return (
        f"{state.intervals} intervals of {len(state.scores)} snapshots moved {named} "
        f"(at most {estimate.WEEK_CHANGE_MAX:.0%} a week, {estimate.FLOOR} to {estimate.CAP} of "
        f"base); {state.fills_count} fills are named and moved nothing"
    )


def _report(fire: JobTriggered, word: str, detail: str) -> Output:
    run = RunReported(
        ts_event=fire.ts_event,
        ts_ingest=fire.ts_ingest,
        fire_id=fire.fire_id,
        job=fire.job,
        slot=fire.slot,
        state=word,
        attempt=fire.attempt,
        worker=NAME,
        detail=detail,
        started=fire.ts_event,
        ended=fire.ts_event,
    )
    return Output(topics.RUNS, fire.job, run)


ROLE = Role(
    name=NAME,
    version=1,
    scope="universe",
    inputs=(paced(topics.TRIGGERS), reference(topics.QUANT), command(topics.ORDERS)),
    outputs=(topics.WEIGHTS, topics.RUNS),
    initial=State(),
    step=step,
    states=(State, Book, Seen, Tally),
    limits=Limits(batch_records_max=1_000),
)
