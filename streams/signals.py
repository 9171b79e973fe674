"""Signals: a name's word has changed, and which change of its score did it.

A name gets a signal when its word (buy, neutral, sell) differs from its last one, and at its first
score when that is not neutral; while the word stays nothing is said again.  A name that leaves
the screen keeps its last word: it has no score that could contradict it.  A signal is void after
``LIFETIME``, when the next scores are due.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.ids import content_id
from schemas.krx.sessions import kst_date, session
from schemas.role import Batch, Output, Role, Step, paced
from schemas.scores import FinalScored
from schemas.signals import Signal
from schemas.topics import FINAL, SIGNALS
from schemas.units import MINUTE, Micros, Symbol

NAME: Final = "signals"
LIFETIME: Final = Micros(15 * MINUTE)
SILENT: Final = "neutral"


class Last(NamedTuple):
    """What was said of a name last: its word, its score and the parts of the score."""

    word: str
    score: float
    parts: tuple[float, ...]


State = dict[str, Last]


def step(state: State, batch: Batch) -> Step:
    """Compare each name with its last score."""
    outputs: list[Output] = []
    for record in batch.records:
        scored: FinalScored = record.value
        state = dict(state)
        width = len(scored.parts)
        for row, symbol in enumerate(scored.symbols):
            parts = scored.contributions[row * width : (row + 1) * width]
            now = Last(scored.words[row], scored.scores[row], parts)
            before = state.get(symbol)
            state[symbol] = now
            if now.word != (SILENT if before is None else before.word):
                outputs.append(Output(SIGNALS, symbol, signal(scored, row, now, before)))
    return Step(state, outputs)


def signal(scored: FinalScored, row: int, now: Last, before: Last | None) -> Signal:
    """Return the signal of one row of a final snapshot."""
    symbol: Symbol = scored.symbols[row]
    return Signal(
        ts_event=scored.ts_event,
        ts_ingest=scored.ts_ingest,
        signal_id=content_id(NAME, scored.fire_id, symbol, now.word),
        fire_id=scored.fire_id,
        symbol=symbol,
        side=now.word,
        score=now.score,
        previous_score=None if before is None else before.score,
        price=scored.prices[row],
        sector=scored.sectors[row],
        reason=reason(scored.parts, now, before),
        level=scored.level,
        expires=_expires(scored.ts_event),
        lineage={**scored.lineage, FINAL.name: scored.fire_id},
    )


def reason(names: Sequence[str], now: Last, before: Last | None) -> str:
    """Say the change of score and the part that changed most, the first of equals."""
    if before is None:
        changes = [
            0.0 if name == "base" else part for name, part in zip(names, now.parts, strict=True)
        ]
        head = f"first score {now.score:.1f}: {now.word}"
    else:
        changes = [new - old for new, old in zip(now.parts, before.parts, strict=True)]
        change = now.score - before.score
        head = (
            f"score {before.score:.1f} -> {now.score:.1f} ({change:+.1f}): "
            f"{before.word} -> {now.word}"
        )
    largest = max(range(len(changes)), key=lambda at: abs(changes[at]))
    return f"{head}, most by {names[largest]} {changes[largest]:+.1f}"


def _expires(at: Micros) -> Micros:
    """Return when a wish of ``at`` ends; one made before the open outlives it by a lifetime."""
    today = session(kst_date(at))
    start = at if today is None or at >= today.open else today.open
    return Micros(start + LIFETIME)


ROLE: Final = Role(
    name=NAME,
    version=1,
    scope="key",
    inputs=(paced(FINAL),),
    outputs=(SIGNALS,),
    initial={},
    step=step,
    states=(Last,),
)
