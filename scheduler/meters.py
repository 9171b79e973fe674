"""The scheduler's figures: what waits, runs and is held, how runs end, how late they start.

A success ratio and mean run time per job are what ``control.runs`` holds since this instance
leads; a restart begins them anew, as counters do.
"""

from collections import Counter as Count
from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from scheduler.core import Input
from scheduler.records import Decision
from scheduler.state import State
from scheduler.timetable import Timetable
from schemas.control import JobTriggered, RunReported, ScheduleDecided

LATENESS_S: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.12, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300)
ENDS: Final = frozenset({"succeeded", "degraded", "failed", "expired", "cancelled", "suppressed"})
GOOD: Final = frozenset({"succeeded", "degraded"})


class Meters:
    """The figures of one process; made once, whoever leads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        job, group = ["job"], ["group"]
        self.leads = Gauge(
            "aegis_scheduler_leads", "1 while this instance leads.", registry=registry
        )
        self.takeovers = Counter(
            "aegis_scheduler_takeovers", "Times it took over.", registry=registry
        )
        self._fired = Counter("aegis_scheduler_fired", "Triggers committed.", registry=registry)
        self._ends = Counter(
            "aegis_scheduler_ends",
            "Slots and attempts that ended, by how.",
            ["job", "state"],
            registry=registry,
        )
        self._ratio = Gauge(
            "aegis_scheduler_success_ratio",
            "Good ends of all reported ends.",
            job,
            registry=registry,
        )
        self._seconds = Summary(
            "aegis_scheduler_run_seconds", "Market time of a run.", job, registry=registry
        )
        self._late = Histogram(
            "aegis_scheduler_lateness_seconds",
            "Market time from slot to trigger.",
            job,
            buckets=LATENESS_S,
            registry=registry,
        )
        self._open = Gauge(
            "aegis_scheduler_jobs", "Slots waiting, runs running, jobs held.", ["state"],
            registry=registry,
        )  # fmt: skip
        self._used = Gauge(
            "aegis_scheduler_group_used_ratio", "Running of allowed.", group, registry=registry
        )
        self._good: Count[str] = Count()
        self._all: Count[str] = Count()

    def took(self, inputs: Iterable[Input], before: State) -> None:
        """Take note of the ends that a step is about to answer: of what ran before it."""
        for each in inputs:
            if not isinstance(each, RunReported) or each.ended is None:
                continue
            run = before.running.get(each.fire_id)
            if run is not None and run.attempt == each.attempt:
                self._seconds.labels(each.job).observe((each.ended - each.started) / 1e6)

    def wrote(self, records: Iterable[Decision]) -> None:
        """Take note of what was committed."""
        for each in records:
            if isinstance(each, JobTriggered):
                self._fired.inc()
                if each.kind == "auto" and each.attempt == 1:
                    self._late.labels(each.job).observe(max(each.ts_ingest - each.slot, 0) / 1e6)
            elif isinstance(each, ScheduleDecided) and each.decision in ENDS:
                self._ends.labels(each.job, each.decision).inc()
                if each.decision in GOOD | {"failed"}:
                    self._all[each.job] += 1
                    self._good[each.job] += each.decision in GOOD
                    self._ratio.labels(each.job).set(self._good[each.job] / self._all[each.job])

    def stands(self, state: State, table: Timetable) -> None:
        """Show what is open."""
        self._open.labels("waiting").set(len(state.waiting))
        self._open.labels("running").set(len(state.running))
        self._open.labels("held").set(len(state.held))
        groups = Count(table.jobs[run.slot.job].group for run in state.running.values()
                       if run.slot.job in table.jobs)  # fmt: skip
        for group, most in table.groups.items():
            self._used.labels(group).set(groups[group] / most if most else 0.0)
