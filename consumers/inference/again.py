"""Every on-time inference of a run, run again: for ``aegis verify --recompute``."""

from collections.abc import Sequence

from consumers.inference import registry, scoring
from consumers.inference.engine import Engine, choose_provider
from consumers.inference.registry import Model
from schemas.features import FeatureSnapshot
from schemas.scores import AiScored


def differences(
    snapshots: Sequence[FeatureSnapshot], answers: Sequence[AiScored]
) -> dict[str, int]:
    """Run each snapshot that was answered on time again, with the model that answered.

    Returns:
        ``compared``, ``different``, ``off`` (answers that were none) and ``other_model`` (made
        by a model that is not bundled, so not compared).
    """
    model = registry.bundled()
    engine = _engine(model)
    by_id = {each.snapshot_id: each for each in snapshots}
    found = {"compared": 0, "different": 0, "off": 0, "other_model": 0}
    for answer in answers:
        if answer.level != "on":
            found["off"] += 1
        elif answer.model_hash != model.card.sha256 or answer.snapshot_id not in by_id:
            found["other_model"] += 1
        else:
            again = scoring.recompute(by_id[answer.snapshot_id], model, engine)
            found["compared"] += 1
            found["different"] += bool(scoring.differences(answer, again))
    return found


def _engine(model: Model) -> Engine:
    card = model.card
    return Engine(
        model.content,
        provider=choose_provider(),
        steps=card.steps,
        features=len(card.features),
    )
