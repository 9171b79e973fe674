"""The scheduler's bench measures what it says, on the real broker; its figures are no test's."""

from typing import Any

import pytest

from infra.registry import Registry, Serde
from infra.settings import Settings
from scheduler import speed

pytestmark = pytest.mark.stack


def test_a_bench_fires_every_second_of_its_jobs_and_rebuilds_the_state_it_wrote(
    stack: Any, stack_settings: Settings
) -> None:
    registry = Registry(stack.registry_url)
    try:
        found = speed.schedule(stack_settings, stack, Serde(registry), seconds=4, records=3_000)
    finally:
        registry.close()

    assert found["lateness_ms"]["samples"] in range(3 * speed.SECONDLY, 5 * speed.SECONDLY + 1)
    assert 0 < found["lateness_ms"]["p50"] <= found["lateness_ms"]["max"]
    assert 0 < found["commit_ms"]["p50"] <= found["commit_ms"]["p99"]
    assert found["fires_per_s"] > 0
    assert found["rebuild"] == {
        "records": 3_000,
        "seconds": found["rebuild"]["seconds"],
        "same_state": True,
    }
