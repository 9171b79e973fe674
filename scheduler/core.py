"""The scheduler's decisions as a pure function: ``step(timetable, state, now, inputs)``.

A slot is decided once.  It comes due, waits behind its gates and the capacity, and ends as

    fired        one ``JobTriggered`` and one ``ScheduleDecided`` for each attempt
    suppressed   the calendar, a parent, an operator or its age forbids it: the reason is on record

and a run that never reports its end is ``expired``.  Waiting is recorded when its reason changes.

* Gate (cron is the earliest time, an edge is a gate): the parent's newest slot of the same logical
  date.  ``all_succeeded`` takes succeeded and degraded; ``all_done`` takes any end; ``any_failed``
  waits for every end and takes it when one of them is bad.
* One run of a job at a time; groups and the total are capped; lower priority numbers first, and
  who waits rises by one level every ``AGED``, though never to that of an emergency.  Priority 0
  may run beyond the total, on record.  Nothing that runs is pre-empted.
* A failed attempt is tried again (``scheduler.retry``) while the job has retries left and the next
  one would begin in time; then it is exhausted, and after ``isolate_after`` such ends in a row the
  job is quarantined until an operator releases it.
* An alert is written in the transaction of what it is about: on the first failure, and when a run
  came to nothing; its key says which, so nobody is called twice for the same.
* A trigger's ``ts_event`` is its T: the slot, or the instant of the fire when the slot had been
  decided upon before (``waiting``), because nothing may appear before the ``horizon``.
* A slot is named by ``fire_id = sha256(job | schedule version | slot UTC micros | kind)``; a second
  report of an attempt's end changes nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from scheduler import operators, records, retry
from scheduler.agenda import due
from scheduler.capacity import Capacity
from scheduler.records import Decision
from scheduler.state import ENDED, GOOD, Book, Running, State, Waiting, fire_id, yyyymmdd
from scheduler.timetable import Edge, Job, Timetable
from scheduler.triggers import KRX, Calendar, Slot, Suppressed, clock
from schemas.control import CommandGiven, RunReported
from schemas.krx.sessions import kst_date
from schemas.units import MINUTE, SECOND, Micros

AGED: Final = Micros(10 * MINUTE)
"""After waiting so long a slot counts as one level more urgent."""

_REPORTED: Final = GOOD | {"failed"}

Input = RunReported | CommandGiven


class Step(NamedTuple):
    """What a step gave: the next state, and the records to write, in order, in one transaction."""

    state: State
    records: tuple[Decision, ...]


def horizon(state: State) -> Micros:
    """Return the instant no later trigger's ``ts_event`` lies before: the room's watermark.

    A later step may fire at this very instant, when market time stands and a parent ends.
    """
    return state.clock


def step(
    timetable: Timetable,
    state: State,
    now: Micros,
    inputs: Iterable[Input] = (),
    calendar: Calendar = KRX,
) -> Step:
    """Decide everything that comes due up to and at ``now``.

    Args:
        timetable: Jobs, gates and limits.
        state: What the previous step returned.
        now: Market time; one that goes back decides nothing new.
        inputs: Run reports and commands, each topic in its order.  A report of an attempt that
            is not running (a duplicate, an expired one) changes nothing.
        calendar: The exchange's.
    """
    now = max(now, state.clock)
    taken, found = tuple(inputs), due(timetable, state.clock, now, calendar)
    if not (taken or found or state.waiting or state.running):
        return Step(state._replace(clock=now), ())
    turn = Turn(timetable, state, now, calendar)
    for each in taken:
        if isinstance(each, RunReported):
            turn.report(each)
        else:
            operators.take(turn, each)
    turn.expire()
    turn.come_due(found)
    turn.drop_held()
    turn.drop_late()
    turn.start(turn.gate())
    return Step(turn.book.state(), tuple(turn.records))


class Turn:
    """One step at work: the book, the slots that have just come due, the records so far."""

    def __init__(
        self, timetable: Timetable, state: State, now: Micros, calendar: Calendar = KRX
    ) -> None:
        self.timetable, self.now, self.before = timetable, now, state.clock
        self.calendar, self.book = calendar, Book(state)
        self.records: list[Decision] = []
        self.book.at(now)
        self._new: dict[tuple[str, Micros], Waiting] = {}
        self._drop_jobs()

    def report(self, report: RunReported) -> None:
        """Take the end of an attempt."""
        run = self.book.running.get(report.fire_id)
        if run is None or report.state not in _REPORTED or report.attempt != run.attempt:
            return
        self._decide(_of(report.fire_id, run), report.state, report.detail)
        if report.state == "failed":
            self._failed(report.fire_id, run, report.detail)

    def expire(self) -> None:
        """End the runs that have said nothing for too long."""
        for name, run in list(self.book.running.items()):
            limit = self.timetable.jobs[run.slot.job].run_max
            if self.now - run.started >= limit:
                reason = f"no end reported within {limit // SECOND} s"
                self._decide(_of(name, run), "expired", reason)
                self._came_to_nothing(name, run, reason)

    def come_due(self, found: Iterable[Slot | Suppressed]) -> None:
        """Take new slots; what the calendar suppresses is recorded and never waited for."""
        for each in found:
            if isinstance(each, Suppressed):
                name = fire_id(self.timetable.jobs[each.slot.job], each.slot.at)
                self._decide(Waiting(each.slot, name, attempt=0), "suppressed", each.reason)
            else:
                self.add(Waiting(each, fire_id(self.timetable.jobs[each.job], each.at)))

    def add(self, waiting: Waiting) -> None:
        """Take a slot that is due; this step decides on it."""
        self.book.know(waiting.slot)
        self._new[waiting.slot.job, waiting.slot.at] = waiting

    def open(self) -> list[Waiting]:
        """Return what waits: what did before, then what has just come due."""
        return [*self.book.waiting.values(), *self._new.values()]

    def drop_held(self) -> None:
        """Suppress what a held job would have run."""
        for each in self.open():
            held = self.book.held.get(each.slot.job)
            if held is not None:
                since = f"{held.word} since {clock(held.since)}: {held.reason}"
                self._decide(each, "suppressed", since)

    def drop_late(self) -> None:
        """Suppress what has waited too long, and older slots where only the newest counts."""
        newest: dict[str, Micros] = {}
        for each in self.open():
            newest[each.slot.job] = max(each.slot.at, newest.get(each.slot.job, each.slot.at))
        for each in self.open():
            job = self.timetable.jobs[each.slot.job]
            late = self.now - each.slot.at
            if late > job.late_max and each.kind == "auto" and each.attempt == 1:
                after = f" after waiting: {each.reason}" if each.reason else ""
                limit = job.late_max // SECOND
                reason = f"misfire: {late // SECOND} s late, limit {limit} s{after}"
                self._decide(each, "suppressed", reason)
            elif job.missed == "newest" and each.kind == "auto" and each.slot.at < newest[job.name]:
                reason = f"superseded by the slot of {clock(newest[job.name])}"
                self._decide(each, "suppressed", reason)

    def gate(self) -> list[Waiting]:
        """Return the slots whose time and whose parents let them go, most urgent first."""
        ready = []
        rank = {name: place for place, name in enumerate(self.timetable.jobs)}
        for each in sorted(self.open(), key=lambda waiting: rank[waiting.slot.job]):
            if each.due is not None and self.now < each.due:
                continue
            asked = each.kind == "auto" and each.attempt == 1
            passed = self._passed(each) if asked else each
            if passed is not None:
                ready.append(passed)
        return sorted(ready, key=lambda it: (self._urgency(it), it.slot.at, rank[it.slot.job]))

    def start(self, ready: Sequence[Waiting]) -> None:
        """Fire what there is room for."""
        capacity = Capacity(self.timetable, self.book.running.values())
        for each in ready:
            full, note = capacity.room(self.timetable.jobs[each.slot.job])
            if full:
                self._wait(each, note)
            else:
                capacity.take(each.slot)
                self._fire(each, note)

    def cancel(self, name: str, reason: str, command: str) -> bool:
        """End a fire on an operator's word; False when it is not open."""
        run = self.book.running.get(name)
        found = [each for each in self.open() if each.fire_id == name]
        if run is not None:
            found = [_of(name, run)]
        for each in found:
            self._decide(each._replace(cause=command), "cancelled", reason)
        return bool(found)

    def say(self, job: str, decision: str, reason: str, command: str) -> None:
        """Record a decision about a job that is about no run."""
        slot = Slot(job, self.now, kst_date(self.now))
        about = Waiting(slot, command, attempt=0, cause=command)
        self._record(about, decision, reason, logical=0)

    def _drop_jobs(self) -> None:
        """End what is open of jobs that the timetable no longer has."""
        jobs = self.timetable.jobs
        open_now = [*self.open(), *(_of(name, run) for name, run in self.book.running.items())]
        for each in open_now:
            if each.slot.job not in jobs:
                self._decide(each, "cancelled", "the timetable no longer has this job")

    def _failed(self, name: str, run: Running, detail: str) -> None:
        """Try again, or let it be."""
        job = self.timetable.jobs[run.slot.job]
        again = Micros(self.now + retry.delay(name, run.attempt))
        until = None if job.retry_until is None else Micros(run.slot.at + job.retry_until)
        if run.attempt > job.retries:
            self._exhausted(
                name, run, f"{run.attempt} of {job.retries + 1} attempts failed", detail
            )
            return
        if until is not None and again > until:
            late = f"attempt {run.attempt} failed, another would begin after {clock(until)}"
            self._exhausted(name, run, late, detail)
            return
        self._decide(
            _of(name, run)._replace(attempt=run.attempt + 1, due=again),
            "retrying",
            f"attempt {run.attempt} failed, the next at {clock(again)}: {detail}",
        )
        if run.attempt == 1:
            self._alert(f"{name}/failed", job, f"attempt 1 failed: {detail}", f"tried again at "
                        f"{clock(again)}; 'aegis jobs explain {name}' tells its way")  # fmt: skip

    def _exhausted(self, name: str, run: Running, why: str, detail: str) -> None:
        reason = f"{why}: {detail}"
        self._decide(_of(name, run), "exhausted", reason)
        self._came_to_nothing(name, run, reason)

    def _came_to_nothing(self, name: str, run: Running, reason: str) -> None:
        """Call somebody, and isolate the job when it was not the first time in a row."""
        job = self.timetable.jobs[run.slot.job]
        failures = self.book.failures[job.name]
        todo = f"'aegis jobs explain {name}' tells its way"
        if 0 < job.isolate_after <= failures and job.name not in self.book.held:
            runs = "its last run" if failures == 1 else f"its last {failures} runs"
            why = f"{runs} came to nothing: {reason}"
            self.say(job.name, "quarantined", why, "")
            todo += f"; it is quarantined until 'aegis jobs release {job.name} --reason ...'"
        self._alert(f"{name}/nothing", job, f"came to nothing: {reason}", todo)

    def _passed(self, waiting: Waiting) -> Waiting | None:
        """Return what its parents let go, None when they hold or forbid it."""
        job = self.timetable.jobs[waiting.slot.job]
        ends = [(edge, at, self._end(edge, at)) for edge in job.depends_on
                if (at := self._parent(edge, waiting.slot)) is not None]  # fmt: skip
        for edge, at, end in ends:
            if end is None:
                waiting = waiting._replace(cause=self._open_fire(edge.parent, at))
            elif end not in GOOD and job.rule == "all_succeeded":
                self._decide(
                    waiting, "suppressed", f"parent {edge.parent} of {clock(at)} ended {end}"
                )
                return None
        blocked = [f"for {edge.parent} of {clock(at)}" for edge, at, end in ends if end is None]
        if blocked:
            self._wait(waiting, blocked[-1])
            return None
        if job.rule == "any_failed" and all(end in GOOD for *_, end in ends):
            self._decide(waiting, "suppressed", "no parent failed")
            return None
        return waiting

    def _open_fire(self, job: str, at: Micros) -> str:
        new = self._new.get((job, at))
        return self.book.open_fire((job, at)) if new is None else new.fire_id

    def _end(self, edge: Edge, at: Micros) -> str | None:
        """Return how a parent's slot ended, None while it is open."""
        status = self.book.status[edge.parent, at]
        return status if status in ENDED else None

    def _parent(self, edge: Edge, slot: Slot) -> Micros | None:
        known = self.book.slots.get((edge.parent, yyyymmdd(slot.logical_date)), ())
        for at in reversed(known):
            if at < slot.at or (at == slot.at and not edge.before):
                return at
        return None

    def _urgency(self, waiting: Waiting) -> int:
        """Return a waiting slot's level; who waits long rises, an emergency stays alone on top."""
        priority = self.timetable.jobs[waiting.slot.job].priority
        since = waiting.slot.at if waiting.due is None else waiting.due
        return min(priority, max(1, priority - (self.now - since) // AGED))

    def _fire(self, each: Waiting, note: str) -> None:
        late = (self.now - (each.slot.at if each.due is None else each.due)) // SECOND
        on_time = "on time" if late <= 0 else f"{late} s after it was due"
        self._decide(each, "fired", note or on_time)
        self.records.append(records.triggered(self.timetable, self.now, each, before=self.before))

    def _wait(self, each: Waiting, reason: str) -> None:
        if each.reason != reason:
            self._decide(each, "waiting", reason)

    def _decide(self, about: Waiting, decision: str, reason: str) -> None:
        """Record a decision about a slot; the state follows it at once."""
        self._new.pop((about.slot.job, about.slot.at), None)
        self._record(about, decision, reason, logical=yyyymmdd(about.slot.logical_date))

    def _record(self, about: Waiting, decision: str, reason: str, *, logical: int) -> None:
        decided = records.decided(
            self.timetable, self.now, about, decision, reason, logical=logical
        )
        self.records.append(decided)
        self.book.apply(decided)

    def _alert(self, key: str, job: Job, summary: str, detail: str) -> None:
        self.records.append(records.alert(self.now, key, job, summary, detail))


def _of(name: str, run: Running) -> Waiting:
    return Waiting(run.slot, name, run.kind, run.attempt)
