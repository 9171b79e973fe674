"""The models we have: folders that never change, and which of them is the champion.

    <root>/<model>/<version>/model.onnx     the weights
                             card.json      what they are (schemas/model_card.py)

``learning.models`` says which version serves; without a word from it, the bundled one does.
"""

import hashlib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from schemas.errors import Misconfigured
from schemas.learning import ModelDeployed
from schemas.model_card import CARD_FILE, MODEL_FILE, PARITY_MAX, Floats, ModelCard, parse_card
from schemas.units import Micros

BUNDLED: Final = "bundled:"
"""Scheme of a model that is shipped with this package."""

FILE: Final = "file:"
"""Scheme of a model in a folder ``<root>/<model>/<version>`` of this machine."""

BOOTSTRAP_MODEL: Final = "lstm"
BOOTSTRAP_VERSION: Final = 1

MODEL_BYTES_MAX: Final = 64 * 1024 * 1024


class Model(NamedTuple):
    """A version that was read and found whole.

    Attributes:
        card: What it is.
        content: The ONNX file.
        uri: Where it came from.
    """

    card: ModelCard
    content: bytes
    uri: str

    @property
    def name(self) -> str:
        """Model and version, as lineage names it."""
        return f"{self.card.model}/{self.card.version}"


def bundled_root() -> Path:
    """Return the folder of the models in this package."""
    return Path(str(resources.files("consumers.inference") / "models"))


def bundled() -> Model:
    """Return the bootstrap model."""
    return load(bundled_root(), BOOTSTRAP_MODEL, BOOTSTRAP_VERSION, scheme=BUNDLED)


def load(root: Path, model: str, version: int, *, scheme: str = FILE) -> Model:
    """Read a version and check that it is what its card says.

    Raises:
        Misconfigured: A file is missing or too large, or the card tells of another file.
    """
    folder = root / model / str(version)
    try:
        content = (folder / MODEL_FILE).read_bytes()
        card = parse_card((folder / CARD_FILE).read_text("utf-8"))
    except OSError as error:
        raise Misconfigured(
            f"expected {MODEL_FILE} and {CARD_FILE} of {model}/{version}, was {error}; "
            "train it: aegis train lstm"
        ) from error
    checked = check(card, content)
    if (checked.model, checked.version) != (model, version):
        raise Misconfigured(
            f"expected a card of {model}/{version}, was {checked.model}/{checked.version}; "
            "the folder was renamed: versions are immutable"
        )
    uri = f"{BUNDLED}{model}/{version}" if scheme == BUNDLED else f"{FILE}{folder}"
    return Model(checked, content, uri)


def check(card: ModelCard, content: bytes) -> ModelCard:
    """Return the card when it tells of this content.

    Raises:
        Misconfigured: The content is too large or has another SHA-256.
    """
    if len(content) > MODEL_BYTES_MAX:
        raise Misconfigured(f"expected at most {MODEL_BYTES_MAX} bytes, was {len(content)}")
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != card.sha256:
        raise Misconfigured(
            f"expected SHA-256 {card.sha256} of {card.model}/{card.version}, was {sha256}; "
            "the file is torn or was changed: take the version's original"
        )
    return card


def store(root: Path, card: ModelCard, content: bytes) -> Path:
    """Write a new version: in a folder beside it first, then by one rename.

    Raises:
        Misconfigured: The version exists, or the card tells of another file.
    """
    check(card, content)
    folder = root / card.model / str(card.version)
    if folder.exists():
        raise Misconfigured(
            f"expected a new version of {card.model}, was {card.version}, which exists; "
            "versions are immutable: choose the next number"
        )
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    (part / MODEL_FILE).write_bytes(content)
    (part / CARD_FILE).write_text(card.to_json(), "utf-8")
    part.rename(folder)
    return folder


def parity(card: ModelCard, answered: Floats) -> float:
    """Return the largest absolute difference to the golden output.

    Raises:
        Misconfigured: It is above ``PARITY_MAX`` or not a number.
    """
    _, golden = card.golden()
    if answered.shape != golden.shape:
        raise Misconfigured(f"expected golden shape {golden.shape}, was {answered.shape}")
    difference = float(np.abs(answered.astype(np.float64) - golden.astype(np.float64)).max())
    if not difference <= PARITY_MAX:
        raise Misconfigured(
            f"expected the golden output of {card.model}/{card.version} within {PARITY_MAX}, "
            f"was off by {difference}; this runtime must not serve it"
        )
    return difference


def champion(deployments: Iterable[ModelDeployed], model: str, at: Micros) -> ModelDeployed | None:
    """Return the newest champion of ``model`` effective by ``at``, or None.

    A later word about the same version (retired) ends its reign; later in the topic wins a tie.
    """
    newest: ModelDeployed | None = None
    for each in deployments:
        if each.model != model or each.ts_event > at:
            continue
        if newest is not None and each.ts_event < newest.ts_event:
            continue
        if each.alias == "champion":
            newest = each
        elif newest is not None and each.version == newest.version:
            newest = None
    return newest


def deployed(deployment: ModelDeployed) -> Model:
    """Read the version a deployment names.

    Raises:
        Misconfigured: Its place is unknown to us, or what is there is another model.
    """
    if deployment.uri.startswith(BUNDLED):
        root, scheme = bundled_root(), BUNDLED
    elif deployment.uri.startswith(FILE):
        root, scheme = Path(deployment.uri.removeprefix(FILE)).parent.parent, FILE
    else:
        raise Misconfigured(
            f"expected a uri {BUNDLED}MODEL/VERSION or {FILE}FOLDER, was {deployment.uri!r}"
        )
    found = load(root, deployment.model, int(deployment.version), scheme=scheme)
    if found.card.sha256 != deployment.sha256:
        raise Misconfigured(
            f"expected SHA-256 {deployment.sha256} as deployed, was {found.card.sha256}; "
            "deploy the version that is there"
        )
    return found


def bundled_deployment(at: Micros, ingest: Micros | None = None) -> ModelDeployed:
    """Return the event that makes the bootstrap model the champion from ``at`` on."""
    model = bundled()
    return ModelDeployed(
        ts_event=at,
        ts_ingest=at if ingest is None else ingest,
        model=model.card.model,
        version=str(model.card.version),
        alias="champion",
        sha256=model.card.sha256,
        uri=model.uri,
        features_hash=model.card.features_hash,
        card=model.card.without_golden().to_json(),
        skill=model.card.skill,
    )
