"""The scheduler's shell: market time and run reports in, triggers and decisions out.

Several instances may run: one leads, the others stand by (``scheduler.lease``).  The one that
leads takes a step whenever there is something to look at, and writes what it decided, how far the
time of ``control.triggers`` has come and that it still leads in one small transaction.  The log
is the state: whoever takes over folds it and goes on.
"""

import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from infra import failpoint
from infra.clock import wall_now
from infra.host import Context
from infra.publish import Publisher
from infra.tail import Tail, decoded
from scheduler import core, lease, pacing, reading, snapshots, timetable
from scheduler.follower import Follower, Left
from scheduler.lease import Outcome, Phase
from scheduler.meters import Meters
from scheduler.records import Decision
from scheduler.snapshots import Snapshot
from scheduler.state import State, initial
from scheduler.timetable import Timetable
from scheduler.watching import Watch, sources
from schemas.control import JobTriggered, LeadershipHeld, ScheduleDecided
from schemas.errors import Fatal, Fenced, Transient
from schemas.ops import AlertRaised
from schemas.topics import (
    ALERTS,
    AUDIT,
    COMMANDS,
    LEADER,
    RUNS,
    SCHEDULE,
    SCHEDULER_STATE,
    TRIGGERS,
)
from schemas.units import Micros

NAME: Final = "scheduler"
LOOK_S: Final = 0.005
CALM_S: Final = 0.05
"""Wall seconds to wait for a report, or for market time, before looking at the other."""

LISTEN_S: Final = 0.02
"""Wall seconds a standing instance waits for the leader's word before it looks at its clock."""

STANDING_S: Final = 0.2
"""Market time that has not moved for so many wall seconds stands."""

FAILURES_MAX: Final = 5
RESTART_WAIT_S: Final = 0.5
STEADY_S: Final = 120.0
REPORT_EVERY_S: Final = 1.0
"""Market time hears from us this often in wall seconds even when nothing has changed."""


def run(context: Context) -> None:
    """Stand by or decide until told to stop; entry point ``aegis.services: scheduler``.

    Raises:
        Fatal: It did not get going again.
    """
    node = _Node(context, _timetable(context))
    try:
        phase: Phase = "standby"
        while not context.stopping.is_set():
            phase = lease.after(phase, node.do(phase))
    finally:
        node.close()


def _timetable(context: Context) -> Timetable:
    path = context.settings.scheduler.timetable
    if path is None:
        return timetable.default()
    return timetable.load(reading.text_of(path, "AEGIS_SCHEDULER__TIMETABLE"))


class _Node:
    """One instance: stands by, and from a takeover on holds a loop that leads."""

    def __init__(self, context: Context, table: Timetable) -> None:
        settings = context.settings.scheduler
        self._context, self._table = context, table
        self._name = settings.node if settings.node is not None else socket.gethostname()
        self._lease_s = settings.lease_s
        self._log = structlog.get_logger(NAME).bind(node=self._name)
        self._meters = meters_of(context)
        sources()  # the calendar's take a while: not while everybody waits for a leader
        self._follower = Follower(context.connection, context.serde)
        self._follower.to_end()
        self._lease = lease.begin(self._follower.left().held, self._name, time.monotonic())
        self._looked_s = time.monotonic()
        self._loop: _Loop | None = None
        self._failures, self._failed_s = 0, time.monotonic()

    def do(self, phase: Phase) -> Outcome:
        """Work in a phase until it ends, at most until told to stop."""
        try:
            if phase == "standby":
                return self._stand_by()
            if phase == "fence":
                return self._fence()
            if phase == "catch_up":
                return self._catch_up()
            return self._lead()
        except Fenced as error:
            self._drop()
            self._lease = self._lease._replace(holder="another", heard_s=time.monotonic())
            self._log.warning("stood_down", reason=str(error))
            return "fenced"
        except Transient as error:
            self._drop()
            self._fail(error)
            return "unclear"

    def close(self) -> None:
        """Let go of everything."""
        self._drop()
        self._follower.close()

    def _stand_by(self) -> Outcome:
        for said in self._follower.poll(LISTEN_S):
            self._lease = lease.heard(self._lease, said, time.monotonic())
        now_s = time.monotonic()
        self._lease = lease.looked(self._lease, self._looked_s, now_s, self._lease_s)
        self._looked_s = now_s
        return "silent" if lease.silent(self._lease, self._name, now_s, self._lease_s) else "ok"

    def _fence(self) -> Outcome:
        """Take the transactional id: whoever led can commit nothing more."""
        self._loop = _Loop(self._context, self._table, self._name, self._lease_s)
        return "ok"

    def _catch_up(self) -> Outcome:
        """Read what was committed before the fence: every transaction is decided by now."""
        began_s = time.monotonic()
        self._follower.to_end()
        left = self._follower.left()
        term = max(self._lease.term, 0 if left.held is None else left.held.term) + 1
        self._loop_now().begin(left, term, began_s)
        self._meters.takeovers.inc()
        return "ok"

    def _lead(self) -> Outcome:
        loop = self._loop_now()
        self._meters.leads.set(1)
        while not self._context.stopping.is_set():
            loop.turn()
        loop.leave()
        return "ok"

    def _loop_now(self) -> "_Loop":
        if self._loop is None:
            raise Fatal("expected a fence before anything is read or decided, was none")
        return self._loop

    def _drop(self) -> None:
        self._meters.leads.set(0)
        if self._loop is not None:
            self._loop.close()
            self._loop = None

    def _fail(self, error: Transient) -> None:
        now_s = time.monotonic()
        self._failures = 1 if now_s - self._failed_s > STEADY_S else self._failures + 1
        self._failed_s = now_s
        if self._failures > FAILURES_MAX:
            raise Fatal(f"scheduler: expected to go on, failed {self._failures} times") from error
        self._log.warning("started_over", reason=str(error))
        self._context.stopping.wait(RESTART_WAIT_S)


class _Loop:
    """A leader's life; making it fences whoever led before."""

    def __init__(self, context: Context, table: Timetable, node: str, lease_s: float) -> None:
        self._context, self._table = context, table
        self._node, self._lease_s, self._term = node, lease_s, 0
        self._beat_s: float | None = None
        self._log = structlog.get_logger(NAME).bind(node=node)
        connection, serde = context.connection, context.serde
        self._publisher = Publisher(connection, serde, client=NAME, transactional_id=NAME)
        self._publisher.bury((SCHEDULE, TRIGGERS, LEADER, ALERTS, AUDIT, SCHEDULER_STATE))
        self._inputs: Tail | None = None
        self._next: dict[str, int] = {}
        self._decided, self._saved = 0, 0
        self._snapshot_every = context.settings.scheduler.snapshot_every
        self._watch = Watch(context)
        self._state: State = initial(Micros(0))
        self._deciding = pacing.deciding(table)
        self._holds: dict[str, pacing.Hold] = {}
        self._said = pacing.Said()
        self._reported: tuple[Micros, Micros | None, Micros] = (Micros(-1), None, Micros(-1))
        self._reported_s = 0.0
        self._moved_s = time.monotonic()
        self._meters = meters_of(context)

    def begin(self, left: Left, term: int, began_s: float) -> None:
        """Go on where the last leader stopped, and say that we lead."""
        state = left.state
        if state is None:
            state = initial(left.said or self._context.clock.now())
        self._state = state._replace(clock=max(state.clock, left.said))
        self._said = pacing.Said(left.said, left.newest)
        for name, run in state.running.items():
            first = run.kind == "auto" and run.attempt == 1
            self._hold(name, run.slot.job, run.slot.at if first else run.started)
        held = left.held
        start = {RUNS: held.runs_next, COMMANDS: held.commands_next} if held is not None else {}
        self._next = {topic.name: at for topic, at in start.items()}
        self._inputs = Tail(self._context.connection, (RUNS, COMMANDS), client=NAME, start=start)
        self._term = term
        self._commit((), None, "taken")
        self._log.info(
            "restored",
            term=term,
            decisions=left.decisions,
            running=len(state.running),
            waiting=len(state.waiting),
            watermark=left.said,
            seconds=round(time.monotonic() - began_s, 3),
        )

    def turn(self) -> None:
        """Take one step at the market time there is."""
        clock, before = self._context.clock, self._state.clock
        if self._state.running:
            inputs = self._heard(LOOK_S)
            now = clock.now()
        else:
            now = clock.wait(Micros(before + 1), CALM_S)
            inputs = self._heard(0)
        now = max(now, before)
        self._meters.took(inputs, self._state)
        watched = self._watch.look(now)
        self._state, decided = core.step(self._table, self._state, now, inputs, watched.calendar)
        records = (*watched.alerts, *decided)
        wall_s = time.monotonic()
        self._moved_s = self._moved_s if now == before else wall_s
        mark = self._mark(
            fired=any(isinstance(each, JobTriggered) for each in records),
            standing=wall_s - self._moved_s > STANDING_S,
        )
        if records or mark is not None or lease.beat_due(self._beat_s, wall_s, self._lease_s):
            self._commit(records, mark, "held")
            self._decided += len(records)
        if self._decided >= self._snapshot_every:
            self._take_snapshot()
        self._report(now)

    def _take_snapshot(self) -> None:
        """Save the state; nothing of ours is in flight, and nobody else writes."""
        if self._inputs is None:
            return
        self._saved += 1
        taken = Snapshot(
            self._state,
            self._said.micros,
            self._said.newest,
            self._inputs.end(SCHEDULE),
            self._inputs.end(TRIGGERS),
        )
        self._publisher.begin()
        saved = snapshots.event(taken, lease.SHARD, self._saved)
        self._publisher.send(SCHEDULER_STATE, lease.SHARD, saved)
        self._publisher.commit()
        self._decided = 0

    def _heard(self, wait_s: float) -> list[core.Input]:
        """Return reports and commands; how far they were read rides on what they lead to."""
        if self._inputs is None:
            raise Fatal("expected to have begun before a step is taken, had not")
        news = self._inputs.poll(wait_s)
        self._next.update((each.topic, each.offset + 1) for each in news)
        serde = self._context.serde
        return [
            event
            for topic in (RUNS, COMMANDS)
            for event in decoded(serde, topic, (e for e in news if e.topic == topic.name))
        ]

    def leave(self) -> None:
        """Say that we lead no more, so that nobody waits for the lease."""
        try:
            self._commit((), None, "left")
        except (Fenced, Transient) as error:
            self._log.warning("left_early", reason=str(error))

    def close(self) -> None:
        """Throw producer and consumer away."""
        self._publisher.close()
        self._watch.close()
        if self._inputs is not None:
            self._inputs.close()

    def _mark(self, *, fired: bool, standing: bool) -> Micros | None:
        """Return the time before which no trigger will come, if it is due to be said."""
        mark = core.horizon(self._state)
        return mark if pacing.to_say(self._said, mark, fired=fired, standing=standing) else None

    def _commit(self, records: Sequence[Decision], mark: Micros | None, state: str) -> None:
        """Make a step durable, all or nothing: decisions, then their time, then that we lead."""
        wall = wall_now()
        if records:
            failpoint.hit(failpoint.DECIDED)
        self._publisher.begin()
        for record in records:
            self._send(replace(record, ts_ingest=wall))
        if mark is not None:
            self._publisher.watermark(TRIGGERS, NAME, mark)
        self._publisher.send(LEADER, lease.SHARD, self._held(wall, state))
        if records:
            failpoint.hit(failpoint.PRODUCED)
        self._publisher.commit()
        if records:
            failpoint.hit(failpoint.COMMITTED)
        self._beat_s = time.monotonic()
        self._meters.wrote(records)
        self._meters.stands(self._state, self._table)
        if mark is not None:
            self._said = self._said._replace(micros=mark)
        for record in records:
            if isinstance(record, JobTriggered):
                self._hold(record.fire_id, record.job, record.ts_event)
                self._said = self._said._replace(newest=max(self._said.newest, record.ts_event))

    def _send(self, event: Decision) -> None:
        if isinstance(event, ScheduleDecided):
            self._publisher.send(SCHEDULE, event.job, event)
        elif isinstance(event, JobTriggered):
            self._publisher.send(TRIGGERS, event.job, event)
        else:
            topic = ALERTS if isinstance(event, AlertRaised) else AUDIT
            self._publisher.send(topic, event.service, event)

    def _held(self, wall: Micros, state: str) -> LeadershipHeld:
        return LeadershipHeld(
            ts_event=self._state.clock,
            ts_ingest=wall,
            shard=lease.SHARD,
            node=self._node,
            term=self._term,
            state=state,
            runs_next=self._next.get(RUNS.name, 0),
            commands_next=self._next.get(COMMANDS.name, 0),
        )

    def _hold(self, name: str, job: str, at: Micros) -> None:
        if job in self._deciding:
            scoring = pacing.scores(self._table, job)
            self._holds[name] = pacing.Hold(at, time.monotonic(), scoring)

    def _report(self, now: Micros) -> None:
        wall_s = time.monotonic()
        reached, until, overdue = pacing.reached(
            self._holds,
            self._state.running,
            now,
            wall_s,
            pacing.next_stop(self._table, now, self._state.waiting.values()),
        )
        for name in overdue:
            run = self._state.running[name]
            self._log.warning(
                "hold_let_go", job=run.slot.job, fire_id=name, after_s=pacing.HOLD_S_MAX
            )
        said = (reached, until, now)
        if said != self._reported or wall_s - self._reported_s > REPORT_EVERY_S:
            self._context.clock.report(NAME, reached, until)
            self._reported, self._reported_s = said, wall_s


def meters_of(context: Context) -> Meters:
    """Return the figures of this process: the same for every leadership of it."""
    if NAME not in context.meters:
        context.meters[NAME] = Meters(context.metrics)
    found: Meters = context.meters[NAME]
    return found
