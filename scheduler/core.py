"""The scheduler's decisions as a pure function: ``step(timetable, state, now, inputs)``.

A slot is decided once.  It comes due, waits behind its gates and the capacity, and ends as

    fired        one ``JobTriggered`` and one ``ScheduleDecided``
    suppressed   the calendar, a parent, or its age forbids it: the reason is on record

and a run that never reports its end is ``expired``.  Waiting is recorded when its reason changes.

* Gate (cron is the earliest time, an edge is a gate): the parent's newest slot of the same logical
  date.  ``all_succeeded`` takes succeeded and degraded; ``all_done`` takes any end.
* One run of a job at a time; groups and the total are capped; lower priority numbers first.
  Priority 0 may run beyond the total, on record.
* A trigger's ``ts_event`` is its T: the slot, or the instant of the fire when the slot had been
  decided upon before (``waiting``), because nothing may appear before the ``horizon``.
* A slot is named by ``fire_id = sha256(job | schedule version | slot UTC micros | kind)``; a second
  report of its end changes nothing.

Retries, quarantine and operator commands are not here yet: a failed run is failed.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Final, NamedTuple

from scheduler.agenda import due, planned
from scheduler.timetable import Edge, Job, Timetable
from scheduler.triggers import KRX, Calendar, Slot, Suppressed, clock
from schemas.control import JobTriggered, RunReported, ScheduleDecided
from schemas.krx.calendar import calendar_hash
from schemas.units import DAY, SECOND, Micros

REMEMBERED: Final = Micros(4 * DAY)
"""How long the end of a slot is kept; a gate never looks beyond its own logical date."""

_GOOD: Final = frozenset({"succeeded", "degraded"})
_REPORTED: Final = _GOOD | {"failed"}
_ENDED: Final = _REPORTED | {"suppressed", "expired"}

Decision = ScheduleDecided | JobTriggered


class Waiting(NamedTuple):
    """A slot that is due and has not started.

    Attributes:
        reason: What was last recorded about it; empty when nothing was.
        cause: Fire id of the parent it waited for last; empty if it never did.
    """

    slot: Slot
    reason: str = ""
    cause: str = ""


class Running(NamedTuple):
    """A slot that was fired and whose end is not known."""

    slot: Slot
    started: Micros


class State(NamedTuple):
    """What the scheduler knows; treat it as a value.

    Attributes:
        clock: Every slot up to and at this instant is known.
        waiting: Slots due and not started, by time.
        running: Fire id to run.
        status: (job, slot) to waiting, running, succeeded, degraded, failed, suppressed, expired.
        slots: (job, logical date) to its slots so far, by time.
    """

    clock: Micros
    waiting: tuple[Waiting, ...]
    running: Mapping[str, Running]
    status: Mapping[tuple[str, Micros], str]
    slots: Mapping[tuple[str, int], tuple[Micros, ...]]


def initial(at: Micros) -> State:
    """Return the state of a scheduler that decides what comes due after ``at``."""
    nothing: Mapping[str, Running] = MappingProxyType({})
    return State(at, (), nothing, MappingProxyType({}), MappingProxyType({}))


def fire_id(job: Job, slot: Micros, kind: str = "auto") -> str:
    """Return the name of a fire: the same content gives the same name, for ever."""
    return sha256(f"{job.name}|{job.version}|{slot}|{kind}".encode()).hexdigest()


def horizon(state: State) -> Micros:
    """Return the instant no later trigger's ``ts_event`` lies before: the room's watermark.

    A later step may fire at this very instant, when market time stands and a parent ends.
    """
    return state.clock


def step(
    timetable: Timetable,
    state: State,
    now: Micros,
    inputs: Iterable[RunReported] = (),
    calendar: Calendar = KRX,
) -> tuple[State, tuple[Decision, ...]]:
    """Decide everything that comes due up to and at ``now``.

    Args:
        timetable: Jobs, gates and limits.
        state: What the previous step returned.
        now: Market time; one that goes back decides nothing new.
        inputs: Run reports in the order of ``control.runs``; a report of a run that is not
            running (a duplicate, an expired one) changes nothing.
        calendar: The exchange's.

    Returns:
        The next state and the records to write, in order, in one transaction.
    """
    now = max(now, state.clock)
    reports, found = tuple(inputs), due(timetable, state.clock, now, calendar)
    if not (reports or found or state.waiting or state.running):
        return state._replace(clock=now), ()
    turn = _Turn(timetable, state, now)
    for report in reports:
        turn.report(report)
    turn.expire()
    turn.come_due(found)
    turn.drop_late()
    turn.start(turn.gate())
    return turn.state(), tuple(turn.records)


def restore(
    timetable: Timetable,
    decided: Iterable[ScheduleDecided],
    reports: Iterable[RunReported],
    calendar: Calendar = KRX,
) -> State | None:
    """Fold a scheduler's own log back into its state, or None when it holds no decision.

    Args:
        timetable: The one in force; decisions about jobs it no longer has are left out.
        decided: ``control.schedule`` in order, from any point at least ``REMEMBERED`` back.
        reports: ``control.runs`` in order, from the same point.
        calendar: The exchange's.
    """
    turn: _Turn | None = None
    for each in decided:
        turn = turn if turn is not None else _Turn(timetable, initial(each.decided), each.decided)
        turn.now = max(turn.now, each.decided)
        slot = planned(timetable, each.job, each.slot, calendar)
        if slot is not None:
            turn.remember(slot, each)
    if turn is None:
        return None
    for report in reports:
        turn.report(report)
    return turn.state()


class _Turn:
    """One step at work: copies of the state's maps, and the records so far."""

    def __init__(self, timetable: Timetable, state: State, now: Micros) -> None:
        self.timetable, self.now, self.before = timetable, now, state.clock
        self.waiting, self.running = list(state.waiting), dict(state.running)
        self.status, self.slots = dict(state.status), dict(state.slots)
        self.records: list[Decision] = []

    def state(self) -> State:
        """Return the state after this step, without what is too old to matter."""
        self._forget(Micros(self.now - REMEMBERED))
        return State(
            self.now,
            tuple(self.waiting),
            MappingProxyType(self.running),
            MappingProxyType(self.status),
            MappingProxyType(self.slots),
        )

    def report(self, report: RunReported) -> None:
        """Take a run's end."""
        run = self.running.get(report.fire_id)
        if run is None or report.state not in _REPORTED:
            return
        del self.running[report.fire_id]
        self.status[run.slot.job, run.slot.at] = report.state

    def expire(self) -> None:
        """End the runs that have said nothing for too long."""
        for name, run in list(self.running.items()):
            limit = self.timetable.jobs[run.slot.job].run_max
            if self.now - run.started >= limit:
                del self.running[name]
                self.status[run.slot.job, run.slot.at] = "expired"
                self._decide(run.slot, "expired", f"no end reported within {limit // SECOND} s")

    def come_due(self, found: Iterable[Slot | Suppressed]) -> None:
        """Take new slots; what the calendar suppresses is recorded and never waited for."""
        for each in found:
            if isinstance(each, Suppressed):
                self._decide(each.slot, "suppressed", each.reason)
            else:
                self._know(each)
                self.waiting.append(Waiting(each))

    def drop_late(self) -> None:
        """Suppress what has waited too long, and older slots where only the newest counts."""
        newest: dict[str, Micros] = {}
        for each in self.waiting:
            newest[each.slot.job] = max(each.slot.at, newest.get(each.slot.job, each.slot.at))
        for each in tuple(self.waiting):
            job = self.timetable.jobs[each.slot.job]
            late = self.now - each.slot.at
            if late > job.late_max:
                after = f" after waiting: {each.reason}" if each.reason else ""
                limit = job.late_max // SECOND
                self._suppress(each, f"misfire: {late // SECOND} s late, limit {limit} s{after}")
            elif job.missed == "newest" and each.slot.at < newest[job.name]:
                self._suppress(each, f"superseded by the slot of {clock(newest[job.name])}")

    def gate(self) -> list[Waiting]:
        """Return the slots whose parents let them go, most urgent first."""
        ready = []
        rank = {name: place for place, name in enumerate(self.timetable.jobs)}
        for each in sorted(self.waiting, key=lambda waiting: rank[waiting.slot.job]):
            passed = self._passed(each)
            if passed is not None:
                ready.append(passed)
        jobs = self.timetable.jobs
        return sorted(
            ready, key=lambda it: (jobs[it.slot.job].priority, it.slot.at, rank[it.slot.job])
        )

    def start(self, ready: Sequence[Waiting]) -> None:
        """Fire what there is room for."""
        for each in ready:
            full, note = self._room(self.timetable.jobs[each.slot.job])
            if full:
                self._wait(each, note)
            else:
                self._fire(each, note)

    def remember(self, slot: Slot, decided: ScheduleDecided) -> None:
        """Fold one recorded decision about a slot."""
        self.waiting = [each for each in self.waiting if each.slot != slot]
        if decided.decision == "waiting":
            self._know(slot)
            self.waiting.append(Waiting(slot, decided.reason))
            return
        self._know(slot)
        fired = decided.decision == "fired"
        self.status[slot.job, slot.at] = "running" if fired else decided.decision
        if fired:
            self.running[decided.fire_id] = Running(slot, decided.decided)
        else:
            self.running.pop(decided.fire_id, None)

    def _forget(self, oldest: Micros) -> None:
        """Drop the slots of a job's logical date once its last one is old and none is open."""
        for (job, logical), slots in list(self.slots.items()):
            if slots[-1] < oldest and all(self.status[job, at] in _ENDED for at in slots):
                del self.slots[job, logical]
                for at in slots:
                    del self.status[job, at]

    def _passed(self, waiting: Waiting) -> Waiting | None:
        job = self.timetable.jobs[waiting.slot.job]
        blocked = ""
        for edge in job.depends_on:
            at = self._parent(edge, waiting.slot)
            status = "succeeded" if at is None else self.status[edge.parent, at]
            if at is None or status in _GOOD or (status in _ENDED and job.rule == "all_done"):
                continue
            if status in _ENDED:
                self._suppress(waiting, f"parent {edge.parent} of {clock(at)} ended {status}")
                return None
            blocked = f"for {edge.parent} of {clock(at)}"
            waiting = waiting._replace(cause=fire_id(self.timetable.jobs[edge.parent], at))
        if blocked:
            self._wait(waiting, blocked)
            return None
        return waiting

    def _parent(self, edge: Edge, slot: Slot) -> Micros | None:
        known = self.slots.get((edge.parent, _yyyymmdd(slot)), ())
        for at in reversed(known):
            if at < slot.at or (at == slot.at and not edge.before):
                return at
        return None

    def _room(self, job: Job) -> tuple[bool, str]:
        """Say whether a job must wait, and why; or what is special about its start."""
        jobs = [self.timetable.jobs[run.slot.job] for run in self.running.values()]
        same = [run for run in self.running.values() if run.slot.job == job.name]
        if same:
            return True, f"for its own run of {clock(same[0].slot.at)}"
        in_group = sum(1 for each in jobs if each.group == job.group)
        group_max, running_max = self.timetable.groups[job.group], self.timetable.running_max
        if in_group < group_max and len(jobs) < running_max:
            return False, ""
        if job.priority == 0 and len(jobs) < running_max + self.timetable.emergency_max:
            return False, f"emergency: started beyond the caps, {len(jobs)} running"
        if len(jobs) >= running_max:
            return True, f"for capacity: {len(jobs)} of {running_max} running"
        return True, f"for group {job.group}: {in_group} of {group_max} running"

    def _fire(self, each: Waiting, note: str) -> None:
        slot, job = each.slot, self.timetable.jobs[each.slot.job]
        name = fire_id(job, slot.at)
        self.waiting = [other for other in self.waiting if other.slot != slot]
        self.running[name] = Running(slot, self.now)
        self.status[slot.job, slot.at] = "running"
        late = (self.now - slot.at) // SECOND
        self._decide(slot, "fired", note or (f"{late} s after its slot" if late else "on time"))
        self.records.append(
            JobTriggered(
                ts_event=slot.at if slot.at > self.before else self.now,
                ts_ingest=self.now,
                fire_id=name,
                job=slot.job,
                slot=slot.at,
                kind="auto",
                target=job.target,
                group=job.group,
                priority=job.priority,
                logical_date=_yyyymmdd(slot),
                schedule_hash=self.timetable.hash,
                calendar_hash=calendar_hash(),
                cause=each.cause,
            )
        )

    def _wait(self, each: Waiting, reason: str) -> None:
        if each.reason != reason:
            self._decide(each.slot, "waiting", reason)
        place = next(i for i, other in enumerate(self.waiting) if other.slot == each.slot)
        self.waiting[place] = each._replace(reason=reason)

    def _suppress(self, each: Waiting, reason: str) -> None:
        self.waiting = [other for other in self.waiting if other.slot != each.slot]
        self.status[each.slot.job, each.slot.at] = "suppressed"
        self._decide(each.slot, "suppressed", reason)

    def _know(self, slot: Slot) -> None:
        key, at = (slot.job, _yyyymmdd(slot)), slot.at
        if at not in self.slots.get(key, ()):
            self.slots[key] = tuple(sorted((*self.slots.get(key, ()), at)))
        self.status.setdefault((slot.job, at), "waiting")

    def _decide(self, slot: Slot, decision: str, reason: str) -> None:
        self.records.append(
            ScheduleDecided(
                ts_event=slot.at,
                ts_ingest=self.now,
                job=slot.job,
                slot=slot.at,
                fire_id=fire_id(self.timetable.jobs[slot.job], slot.at),
                decision=decision,
                reason=reason,
                schedule_hash=self.timetable.hash,
                calendar_hash=calendar_hash(),
                decided=self.now,
            )
        )


def _yyyymmdd(slot: Slot) -> int:
    day = slot.logical_date
    return day.year * 10_000 + day.month * 100 + day.day
