"""What the folds make of the market."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas.units import Micros, Shares, Symbol, Won

LABEL_SECOND: Final = "1s"
LABEL_MINUTE: Final = "60s"
"""What a window's record is labelled with: most readers want one size only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One symbol's microstructure over start <= ts < end.

    A feature that could not be formed is null.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        symbol: Short code.
        start: Inclusive.
        end: Exclusive; equals ts_event.
        size: Length.
        polled: From polled prices, no books.
        trades: Prints.
        books: Snapshots.
        volume: Sum of qty.
        turnover: Sum of price times qty.
        last: Last price.
        bid: Best bid at the end.
        ask: Best ask at the end.
        vwap: turnover / volume.
        ofi: Order-flow imbalance at the best level (Cont, Kukanov, Stoikov 2014).
        imbalance: (bid - ask) / (bid + ask) of ten levels, at the end.
        microprice_bps: Microprice minus mid, in bps of mid, at the end.
        spread_bps: At the end.
        realized_vol: Square root of the sum of squared log returns between prints.
        return_bps: Last against the last of the window before.
        signed_volume: Buy minus sell aggressor.
    """

    ts_event: Micros
    ts_ingest: Micros
    symbol: Symbol
    start: Micros
    end: Micros
    size: Micros
    polled: bool
    trades: int
    books: int
    volume: Shares
    turnover: Won
    last: Won | None = None
    bid: Won | None = None
    ask: Won | None = None
    vwap: float | None = None
    ofi: Shares | None = None
    imbalance: float | None = None
    microprice_bps: float | None = None
    spread_bps: float | None = None
    realized_vol: float | None = None
    return_bps: float | None = None
    signed_volume: Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A symbol left its reference price.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        symbol: Short code.
        seq: Of the trade.
        reference: Price it left.
        price: Price it reached.
        bps: Signed.
    """

    ts_event: Micros
    ts_ingest: Micros
    symbol: Symbol
    seq: int
    reference: Won
    price: Won
    bps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSnapshot:
    """What a model sees as of T: symbols x steps x features.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        snapshot_id: Function of content.
        fire_id: The trigger that asked.
        model: Model name; also the key.
        symbols: Rows, in order.
        features: Columns, in order.
        steps: Sessions or windows back.
        tensor: float32, little endian, (symbols, steps, features); NaN never, 0 with mask.
        mask: uint8 (symbols): 1 where the row is usable.
        deadline: Market time after which the answer is not used.
        coverage: Share of usable rows.
        lineage: Where it came from: topic to the id of the newest record used.
    """

    ts_event: Micros
    ts_ingest: Micros
    snapshot_id: str
    fire_id: str
    model: str
    symbols: tuple[Symbol, ...]
    features: tuple[str, ...]
    steps: int
    tensor: bytes
    mask: bytes
    deadline: Micros
    coverage: float
    lineage: Mapping[str, str]
