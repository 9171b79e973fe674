"""What other schedulers reach where they can do the same work; run by an interpreter that has them.

    python -m venv rivals && rivals/bin/pip install "apscheduler==4.0.0a6" croniter
    aegis bench schedule --rivals rivals/bin/python

Neither writes anything down: no durability, no second instance, no record of what did not fire.
"""

import asyncio
import importlib
import json
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

JOBS, FIRES = 1_000, 20_000
LATE_MS: list[float] = []
"""APScheduler wants a job that it can name: no closure."""


def note_start() -> None:
    """Be the job: how far into its second did it start?"""
    LATE_MS.append(datetime.now(UTC).microsecond / 1_000)


def croniter_loop() -> dict[str, float]:
    """Find and 'fire' the minutes of a thousand cron lines, in memory."""
    croniter = importlib.import_module("croniter").croniter

    lines = [croniter("* * * * *", 1_770_000_000.0) for _ in range(JOBS)]
    fired: list[tuple[int, float]] = []
    began = time.perf_counter()
    while len(fired) < FIRES:
        fired.extend((place, line.get_next(float)) for place, line in enumerate(lines))
    return {"fires_per_s": round(len(fired) / (time.perf_counter() - began))}


async def apscheduler_lateness(seconds: int) -> dict[str, float]:
    """Let five jobs start every second, in memory, and see how late each start is."""
    scheduler_class = importlib.import_module("apscheduler").AsyncScheduler
    interval = importlib.import_module("apscheduler.triggers.interval").IntervalTrigger
    base = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    async with scheduler_class() as scheduler:
        for name in range(5):
            trigger = interval(seconds=1, start_time=base)
            await scheduler.add_schedule(note_start, trigger, id=str(name))
        await scheduler.start_in_background()
        await asyncio.sleep(seconds + 2)
    cut = statistics.quantiles(LATE_MS, n=100, method="inclusive")
    return {"samples": len(LATE_MS), "p50": round(cut[49], 1), "p99": round(cut[98], 1)}


def main() -> None:
    """Print one JSON object: null for what is not installed."""
    found: dict[str, Any] = {"croniter": None, "apscheduler": None}
    try:
        found["croniter"] = croniter_loop()
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
    try:
        found["apscheduler"] = {"lateness_ms": asyncio.run(apscheduler_lateness(int(sys.argv[1])))}
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
