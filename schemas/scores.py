"""Snapshots of the universe, one per stage and as-of instant, in parallel arrays."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.units import Micros, Symbol, Won


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """The screener's snapshot: who is worth scoring.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        fire_id: The trigger that asked.
        job: The job that was triggered.
        considered: Names looked at.
        symbols: Passed, most liquid first.
        prices: Newest price by T.
        polled: 1 when the price is polled, else 0.
        mean_values: Mean daily traded value, 20 sessions.
        market_caps: At the previous close.
        sectors: Empty when unknown.
        excluded: Reason to count.
        binding: Which rule bound.
        lineage: Where it came from: topic to the id of the newest record used.
    """

    ts_event: Micros
    ts_ingest: Micros
    fire_id: str
    job: str
    considered: int
    symbols: tuple[Symbol, ...]
    prices: tuple[Won, ...]
    polled: tuple[int, ...]
    mean_values: tuple[Won, ...]
    market_caps: tuple[Won, ...]
    sectors: tuple[str, ...]
    excluded: Mapping[str, int]
    binding: str
    lineage: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantScored:
    """The factor model's snapshot.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        fire_id: The trigger that asked.
        job: The job that was triggered.
        symbols: Rows.
        scores: Composite z.
        factors: Columns.
        exposures: Row-major (symbols, factors) z-scores, 0 where missing.
        present: Row-major 1 where the factor is present.
        weights: Per factor, as applied.
        coverage: Factor to share of names present.
        regime: calm, normal or stressed.
        weights_version: Id of the weights.
        prices: Newest price by T.
        sectors: Empty when unknown.
        lineage: Where it came from: topic to the id of the newest record used.
    """

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
    coverage: Mapping[str, float]
    regime: str
    weights_version: str
    prices: tuple[Won, ...]
    sectors: tuple[str, ...]
    lineage: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AiScored:
    """The models' snapshot, or the record that there is none.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        fire_id: The trigger that asked.
        snapshot_id: What was scored.
        model: Model name.
        model_hash: SHA-256 of the file.
        provider: The execution provider that really ran.
        level: on, or off with a reason.
        reason: Why off.
        symbols: Rows.
        scores: Raw output.
        elapsed: Wall time of the run.
        lineage: Where it came from: topic to the id of the newest record used.
    """

    ts_event: Micros
    ts_ingest: Micros
    fire_id: str
    snapshot_id: str
    model: str
    model_hash: str
    provider: str
    level: str
    reason: str
    symbols: tuple[Symbol, ...]
    scores: tuple[float, ...]
    elapsed: Micros
    lineage: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalScored:
    """0-100 with its exact contributions.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        fire_id: The trigger that asked.
        symbols: Rows.
        scores: 0..100.
        words: buy, neutral, sell.
        parts: Columns of contributions.
        contributions: Row-major (symbols, parts); each row sums to the score.
        prices: Newest price by T.
        sectors: Empty when unknown.
        level: full or quant_only.
        regime: As in quant.
        weights_version: Id of the weights.
        model_hash: SHA-256 of the model, empty when off.
        lineage: Where it came from: topic to the id of the newest record used.
    """

    ts_event: Micros
    ts_ingest: Micros
    fire_id: str
    symbols: tuple[Symbol, ...]
    scores: tuple[float, ...]
    words: tuple[str, ...]
    parts: tuple[str, ...]
    contributions: tuple[float, ...]
    prices: tuple[Won, ...]
    sectors: tuple[str, ...]
    level: str
    regime: str
    weights_version: str
    model_hash: str
    lineage: Mapping[str, str]
