"""The newest decisions and reports of every job, folded once and asked often."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from scheduler.history import Fire, told
from schemas.control import RunReported, ScheduleDecided

KEPT_MAX: Final = 4_096
"""Decisions, and reports, of one job: some hundred fires; ``aegis jobs explain`` reads them all."""

ENDS: Final = frozenset(
    {"succeeded", "degraded", "exhausted", "expired", "cancelled", "suppressed"}
)
"""After these nothing follows; after ``failed`` comes ``retrying`` or ``exhausted``."""


class Ledger:
    """What became of the jobs of a timetable.

    Args:
        jobs: Their names; what is said of any other is not kept.
    """

    def __init__(self, jobs: Iterable[str]) -> None:
        self._decided: dict[str, deque[ScheduleDecided]] = {
            job: deque(maxlen=KEPT_MAX) for job in jobs
        }
        self._reported: dict[str, deque[RunReported]] = {
            job: deque(maxlen=KEPT_MAX) for job in self._decided
        }

    def take(self, decided: Iterable[ScheduleDecided], reported: Iterable[RunReported]) -> None:
        """Take what is new, each topic in its order."""
        for each in decided:
            if each.job in self._decided:
                self._decided[each.job].append(each)
        for report in reported:
            if report.job in self._reported:
                self._reported[report.job].append(report)

    def fires(self, job: str) -> list[Fire]:
        """Return the fires of a job that are kept, by slot."""
        return told(self._decided[job], self._reported[job], job)

    def fire(self, fire_id: str) -> Fire | None:
        """Return a fire, None when none of that name is kept."""
        job = self.job_of(fire_id)
        if job is None:
            return None
        return next((each for each in self.fires(job) if each.fire_id == fire_id), None)

    def job_of(self, fire_id: str) -> str | None:
        """Return the job that a fire or a command is about, None when neither is kept."""
        for job, kept in self._decided.items():
            if any(each.fire_id == fire_id for each in reversed(kept)):
                return job
        return None

    def end_of(self, job: str, fire_id: str) -> ScheduleDecided | None:
        """Return the decision that ended a fire for good, None while there is none."""
        kept = self._decided.get(job, ())
        last = next((each for each in reversed(kept) if each.fire_id == fire_id), None)
        return last if last is not None and last.decision in ENDS else None
