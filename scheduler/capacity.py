"""How many may run: one of a job, so many of a group, so many at all (scheduler document 3.4)."""

from collections import Counter
from collections.abc import Iterable

from scheduler.state import Running
from scheduler.timetable import Job, Timetable
from scheduler.triggers import Slot


class Capacity:
    """What is left of the caps while a step starts one slot after another."""

    def __init__(self, timetable: Timetable, running: Iterable[Running]) -> None:
        self._timetable = timetable
        self._jobs: set[str] = set()
        self._groups: Counter[str] = Counter()
        self._total = 0
        for run in running:
            self.take(run.slot)

    def take(self, slot: Slot) -> None:
        """Count a run."""
        self._jobs.add(slot.job)
        self._groups[self._timetable.jobs[slot.job].group] += 1
        self._total += 1

    def room(self, job: Job) -> tuple[bool, str]:
        """Say whether a job must wait, and why; or what is special about its start."""
        table = self._timetable
        if job.name in self._jobs:  # which run it is changes, and each change would be a record
            return True, "for its own run"
        in_group, group_max = self._groups[job.group], table.groups[job.group]
        if in_group < group_max and self._total < table.running_max:
            return False, ""
        if job.priority == 0 and self._total < table.running_max + table.emergency_max:
            return False, f"emergency: started beyond the caps, {self._total} running"
        if self._total >= table.running_max:
            return True, f"for capacity: {self._total} of {table.running_max} running"
        return True, f"for group {job.group}: {in_group} of {group_max} running"
