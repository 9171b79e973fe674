"""Wishes."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.units import Micros, Symbol, Won


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A wish: buy, neutral or sell, with the change of score that caused it.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        signal_id: Function of content.
        fire_id: The trigger that asked.
        symbol: Short code.
        side: buy, neutral or sell.
        score: 0..100.
        previous_score: At the last decision, null at the first.
        price: Newest price by T.
        sector: Empty when unknown.
        reason: The change of score that caused it, and its largest contribution.
        level: full or quant_only.
        expires: Market time after which it must not be acted on.
        lineage: Where it came from: topic to the id of the newest record used.
    """

    ts_event: Micros
    ts_ingest: Micros
    signal_id: str
    fire_id: str
    symbol: Symbol
    side: str
    score: float
    previous_score: float | None = None
    price: Won
    sector: str
    reason: str
    level: str
    expires: Micros
    lineage: Mapping[str, str]
