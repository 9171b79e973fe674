"""What becomes of a snapshot: a ``scores.ai`` record, on with scores or off with a reason.

Pure: whoever runs the model hands in its answer.  ``recompute`` runs an engine in this process and
is what ``aegis verify --recompute`` compares: the same machine gives the same bits.
"""

from typing import Final, Literal, Protocol

import numpy as np

from consumers.inference.guard import Inputs, admit, check_output
from consumers.inference.registry import Model
from schemas.features import FeatureSnapshot
from schemas.model_card import Floats
from schemas.scores import AiScored
from schemas.topics import MODELS, SNAPSHOTS
from schemas.units import Micros

Why = Literal["deadline", "breaker", "guard", "run", "model"]
"""The first word of every reason: late, resting, refused, failed, or nothing to run."""

NO_MODEL: Final = ""
NO_TIME: Final = Micros(0)

MAY_DIFFER: Final = frozenset({"elapsed"})
"""Fields of an answer that say how it was made, not what it is."""


class Runs(Protocol):
    """Something that runs a model in this process (``engine.Engine``)."""

    provider: str

    def run(self, values: Floats) -> Floats:
        """Return the scores of all rows."""
        ...


def prepare(snapshot: FeatureSnapshot, model: Model) -> Inputs:
    """Return what the model is to be given.

    Raises:
        Poison: The snapshot may not be run.
    """
    return admit(snapshot, model.card.features, model.card.steps)


def on(
    snapshot: FeatureSnapshot,
    model: Model,
    inputs: Inputs,
    scores: Floats,
    *,
    provider: str,
    elapsed: Micros,
) -> AiScored:
    """Return the record of a run: usable names only, absent means absent.

    Raises:
        Poison: Nobody can rank by these scores.
    """
    check_output(scores, inputs.usable)
    rows = np.flatnonzero(inputs.usable).tolist()
    return AiScored(
        ts_event=snapshot.ts_event,
        ts_ingest=snapshot.ts_ingest,
        fire_id=snapshot.fire_id,
        snapshot_id=snapshot.snapshot_id,
        model=snapshot.model,
        model_hash=model.card.sha256,
        provider=provider,
        level="on",
        reason="",
        symbols=tuple(snapshot.symbols[row] for row in rows),
        scores=tuple(float(scores[row]) for row in rows),
        elapsed=elapsed,
        lineage={SNAPSHOTS.name: snapshot.snapshot_id, MODELS.name: model.name},
    )


def off(
    snapshot: FeatureSnapshot,
    model: Model | None,
    why: Why,
    detail: str,
    *,
    provider: str = "",
    elapsed: Micros = NO_TIME,
) -> AiScored:
    """Return the record that there are no scores, and why."""
    return AiScored(
        ts_event=snapshot.ts_event,
        ts_ingest=snapshot.ts_ingest,
        fire_id=snapshot.fire_id,
        snapshot_id=snapshot.snapshot_id,
        model=snapshot.model,
        model_hash=NO_MODEL if model is None else model.card.sha256,
        provider=provider,
        level="off",
        reason=f"{why}: {detail}",
        symbols=(),
        scores=(),
        elapsed=elapsed,
        lineage={SNAPSHOTS.name: snapshot.snapshot_id}
        if model is None
        else {SNAPSHOTS.name: snapshot.snapshot_id, MODELS.name: model.name},
    )


def recompute(snapshot: FeatureSnapshot, model: Model, engine: Runs) -> AiScored:
    """Return what an on-time run of this snapshot says.

    Raises:
        Poison: The snapshot may not be run, or nobody can rank by its scores.
    """
    inputs = prepare(snapshot, model)
    scores = engine.run(inputs.values)
    return on(snapshot, model, inputs, scores, provider=engine.provider, elapsed=NO_TIME)


def differences(recorded: AiScored, again: AiScored) -> tuple[str, ...]:
    """Return the names of fields that differ, but for how long the run took."""
    names = [each for each in AiScored.__dataclass_fields__ if each not in MAY_DIFFER]
    return tuple(each for each in names if getattr(recorded, each) != getattr(again, each))
