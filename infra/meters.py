"""The metrics every driver exports, with the names of ``ops.md`` where it has one."""

from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS_S: Final = (
    0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075,
    0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60,
)  # fmt: skip
"""From 0.2 ms: OpenTelemetry's default of 5 ms is too coarse for ticks."""


class Meters(NamedTuple):
    """One set per process, labelled by role."""

    records: Any
    commits: Any
    effects: Any
    step: Any
    age: Any
    watermark: Any


def meters(registry: CollectorRegistry) -> Meters:
    """Make a process's meters."""
    role = ["role"]
    return Meters(
        Counter("aegis_fed_records", "Records fed to a role.", role, registry=registry),
        Counter("aegis_txn_commits", "Transactions committed.", role, registry=registry),
        Gauge("aegis_effects_running", "Effects under way.", role, registry=registry),
        Histogram(
            "aegis_step_seconds",
            "Wall time of a fold step that gave outputs.",
            role,
            buckets=BUCKETS_S,
            registry=registry,
        ),
        Histogram(
            "aegis_event_age_seconds",
            "Wall time from first sight of an event to the output it led to.",
            role,
            buckets=BUCKETS_S,
            registry=registry,
        ),
        Gauge(
            "aegis_watermark_timestamp_seconds",
            "How far a role's time has come, exchange's clock.",
            role,
            registry=registry,
        ),
    )


def quantile(buckets: list[tuple[float, float]], share: float) -> float | None:
    """Return a quantile of a cumulative histogram, interpolated; None when it is empty."""
    total = buckets[-1][1] if buckets else 0.0
    if not total:
        return None
    rank, low, before = share * total, 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if bound == float("inf"):
                return low
            inside = count - before
            return low + (bound - low) * ((rank - before) / inside if inside else 1.0)
        low, before = bound, count
    return low
