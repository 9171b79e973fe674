"""What is wrong with the data."""

from dataclasses import dataclass

from schemas.units import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityEvent:
    """Something about the data that a decision must know.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        subject: Symbol or source; also the key.
        seq: Of the record it is about.
        kind: duplicate, gap, out_of_order, outlier_iqr, outlier_zscore, crossed_book, stale,
            fallback, completeness.
        value: What came.
        expected: What was expected.
        detail: One sentence.
    """

    ts_event: Micros
    ts_ingest: Micros
    subject: str
    seq: int
    kind: str
    value: float
    expected: float
    detail: str
