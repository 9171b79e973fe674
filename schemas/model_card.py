"""A model's card: what a file of weights is, and how to know it again.

A version is a folder ``<model>/<version>/`` with ``model.onnx`` and ``card.json``; once written it
never changes.  The card names the file's SHA-256, the hash of the features it was trained on, and
a golden input with its output: a runtime that cannot repeat the output within ``PARITY_MAX`` does
not serve.  The same JSON travels on ``learning.models`` as ``card``.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from schemas.errors import Misconfigured

Floats = npt.NDArray[np.float32]

MODEL_FILE: Final = "model.onnx"
CARD_FILE: Final = "card.json"

PARITY_MAX: Final = 1e-4
"""Largest absolute difference between a golden output and what a runtime answers."""

INPUT_NAME: Final = "sequence"
"""The graph's one input, (names, steps, features) float32, names dynamic."""

OUTPUT_NAME: Final = "score"
"""The graph's one output, (names) float32."""

_BYTES_FIELDS: Final = ("golden_input", "golden_output")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a model version is.

    Attributes:
        model: Name; the folder above the version.
        version: From 1, never used twice.
        sha256: Of ``model.onnx``.
        features: Columns it was trained on, in order.
        steps: Sessions back, oldest first.
        features_hash: ``features_hash(features, steps)``.
        opset: ONNX operator set.
        trained_on: One sentence: which data.
        skill: ``shown`` or ``not shown``, with the reason after a colon in ``remark``.
        remark: What a reader has to know before believing a score.
        seed: Of the training.
        metrics: Named figures of the training.
        golden_names: Rows of the golden input.
        golden_input: float32, little endian, (golden_names, steps, features).
        golden_output: float32, little endian, (golden_names).
    """

    model: str
    version: int
    sha256: str
    features: tuple[str, ...]
    steps: int
    features_hash: str
    opset: int
    trained_on: str
    skill: str
    remark: str
    seed: int
    metrics: dict[str, float]
    golden_names: int
    golden_input: bytes
    golden_output: bytes

    def golden(self) -> tuple[Floats, Floats]:
        """Return the golden input (names, steps, features) and its output (names)."""
        shape = (self.golden_names, self.steps, len(self.features))
        return (
            np.frombuffer(self.golden_input, dtype="<f4").reshape(shape),
            np.frombuffer(self.golden_output, dtype="<f4").reshape(self.golden_names),
        )

    def to_json(self) -> str:
        """Return the card as JSON, keys in the order of the fields."""
        fields: dict[str, Any] = asdict(self)
        for name in _BYTES_FIELDS:
            fields[name] = base64.b64encode(fields[name]).decode("ascii")
        return json.dumps(fields, indent=1)

    def without_golden(self) -> "ModelCard":
        """Return the card as it travels on a topic: small, the vectors stay beside the file."""
        return replace(self, golden_names=0, golden_input=b"", golden_output=b"")


def features_hash(features: Sequence[str], steps: int) -> str:
    """Return the SHA-256 of the ordered feature names and the number of steps."""
    return hashlib.sha256(f"{steps}|{'|'.join(features)}".encode()).hexdigest()


def parse_card(text: str) -> ModelCard:
    """Read a card.

    Raises:
        Misconfigured: The text is no card, or it contradicts itself.
    """
    try:
        fields: dict[str, Any] = json.loads(text)
        for name in _BYTES_FIELDS:
            fields[name] = base64.b64decode(fields[name], validate=True)
        fields["features"] = tuple(fields["features"])
        card = ModelCard(**fields)
        width = card.golden_names * card.steps * len(card.features) * 4
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"expected a model card, was {error}; train the model again") from error
    if card.features_hash != features_hash(card.features, card.steps):
        raise Misconfigured(
            f"expected features_hash of the card's own features, was {card.features_hash}; "
            "the card was edited: take the version's original"
        )
    if (len(card.golden_input), len(card.golden_output)) != (width, card.golden_names * 4):
        raise Misconfigured(
            f"expected {width} golden bytes, was {len(card.golden_input)}; "
            "the card was edited: take the version's original"
        )
    return card
