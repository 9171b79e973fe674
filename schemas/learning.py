"""What results teach."""

from dataclasses import dataclass

from schemas.units import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsLearned:
    """Factor weights from the close on.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        version: Function of content.
        regime: Regime they hold for, * for all.
        factors: Names.
        weights: Sum to 1.
        previous_version: Replaced.
        evidence: Ids of fills and scores that moved them.
        detail: What changed, one sentence.
        skill: shown or not shown.
    """

    ts_event: Micros
    ts_ingest: Micros
    version: str
    regime: str
    factors: tuple[str, ...]
    weights: tuple[float, ...]
    previous_version: str
    evidence: tuple[str, ...]
    detail: str
    skill: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDeployed:
    """A model version and its alias.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        model: Name; also the key.
        version: Integer as text.
        alias: champion, challenger, shadow or retired.
        sha256: Of the file.
        uri: Where the file is.
        features_hash: Of the ordered feature names.
        card: JSON model card.
        skill: shown or not shown.
    """

    ts_event: Micros
    ts_ingest: Micros
    model: str
    version: str
    alias: str
    sha256: str
    uri: str
    features_hash: str
    card: str
    skill: str
