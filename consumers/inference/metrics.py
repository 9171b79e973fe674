"""What inference shows on ``/metrics``."""

from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

RUN_BUCKETS: Final = (
    0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip


class Metrics(NamedTuple):
    """Handles, made once per process.

    Attributes:
        run: Wall time of an answer, child and pipe included, per model.
        snapshots: Answers per model, level and first word of the reason.
        provider: 1 for the provider that runs a model.
        breaker: 0 closed, 1 half open, 2 open, per model.
        starts: Children started per model.
    """

    run: Any
    snapshots: Any
    provider: Any
    breaker: Any
    starts: Any


def make(registry: CollectorRegistry) -> Metrics:
    """Register the metrics."""
    return Metrics(
        run=Histogram(
            "aegis_inference_run_seconds",
            "Wall time of one answer.",
            ["model"],
            buckets=RUN_BUCKETS,
            registry=registry,
        ),
        snapshots=Counter(
            "aegis_inference_snapshots",
            "Snapshots answered.",
            ["model", "level", "reason"],
            registry=registry,
        ),
        provider=Gauge(
            "aegis_inference_provider",
            "1 for the provider that runs the model.",
            ["model", "provider"],
            registry=registry,
        ),
        breaker=Gauge(
            "aegis_inference_breaker",
            "0 closed, 1 half open, 2 open.",
            ["model"],
            registry=registry,
        ),
        starts=Counter(
            "aegis_inference_child_starts",
            "Children started.",
            ["model"],
            registry=registry,
        ),
    )
