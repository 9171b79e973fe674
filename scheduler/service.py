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
from prometheus_client import Counter, Gauge

from infra import failpoint
from infra.clock import wall_now
from infra.host import Context
from infra.publish import Publisher
from infra.reader import read_all
from infra.tail import Tail, decoded, watermark_of
from scheduler import core, lease, pacing, timetable
from scheduler.core import Decision, State
from scheduler.lease import Lease, Outcome, Phase
from scheduler.timetable import Timetable
from schemas.control import JobTriggered, LeadershipHeld
from schemas.errors import Fatal, Fenced, Misconfigured, Transient
from schemas.topics import LEADER, RUNS, SCHEDULE, TRIGGERS
from schemas.units import Micros

NAME: Final = "scheduler"
LOOK_S: Final = 0.005
CALM_S: Final = 0.05
"""Wall seconds to wait for a report, or for market time, before looking at the other."""

LISTEN_S: Final = 0.02
"""Wall seconds a standing instance waits for the leader's word before it looks at its clock."""

STANDING_S: Final = 0.2
"""Market time that has not moved for so many wall seconds stands."""

NEWEST_BACK: Final = 64
"""Offsets before the end of ``control.leader`` that are read: the newest record is among them."""

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
    try:
        return timetable.load(path.read_text("utf-8"))
    except OSError as error:
        raise Misconfigured(
            f"AEGIS_SCHEDULER__TIMETABLE: expected a readable file, was {path}: {error.strerror}"
        ) from error


class _Node:
    """One instance: stands by, and from a takeover on holds a loop that leads."""

    def __init__(self, context: Context, table: Timetable) -> None:
        settings = context.settings.scheduler
        self._context, self._table = context, table
        self._name = settings.node if settings.node is not None else socket.gethostname()
        self._lease_s = settings.lease_s
        self._log = structlog.get_logger(NAME).bind(node=self._name)
        self._leads, self._takeovers = _leadership(context)
        self._tail = Tail(context.connection, (LEADER,), client=f"{NAME}.lease", back=NEWEST_BACK)
        self._lease = self._begin()
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
        self._tail.close()

    def _begin(self) -> Lease:
        said = decoded(self._context.serde, LEADER, self._tail.catch_up())
        return lease.begin(said[-1] if said else None, self._name, time.monotonic())

    def _stand_by(self) -> Outcome:
        for said in decoded(self._context.serde, LEADER, self._tail.poll(LISTEN_S)):
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
        self._loop_now().restore(self._newest_term() + 1)
        self._takeovers.inc()
        return "ok"

    def _lead(self) -> Outcome:
        loop = self._loop_now()
        self._leads.set(1)
        while not self._context.stopping.is_set():
            loop.turn()
        loop.leave()
        return "ok"

    def _newest_term(self) -> int:
        """Return the last term on the log; the tail may not have it yet."""
        tail = Tail(self._context.connection, (LEADER,), client=f"{NAME}.term", back=NEWEST_BACK)
        try:
            said: list[LeadershipHeld] = decoded(self._context.serde, LEADER, tail.catch_up())
        finally:
            tail.close()
        return max([self._lease.term, *(each.term for each in said)])

    def _loop_now(self) -> "_Loop":
        if self._loop is None:
            raise Fatal("expected a fence before anything is read or decided, was none")
        return self._loop

    def _drop(self) -> None:
        self._leads.set(0)
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
        self._runs = Tail(connection, (RUNS,), client=NAME)
        self._state: State = core.initial(Micros(0))
        self._deciding = pacing.deciding(table)
        self._holds: dict[str, pacing.Hold] = {}
        self._said = pacing.Said()
        self._reported: tuple[Micros, Micros | None, Micros] = (Micros(-1), None, Micros(-1))
        self._reported_s = 0.0
        self._moved_s = time.monotonic()
        self._fired = _counter(context)

    def restore(self, term: int) -> None:
        """Fold the log and say that we lead; time goes on where it was last said."""
        began, connection, serde = time.monotonic(), self._context.connection, self._context.serde
        decided = decoded(serde, SCHEDULE, read_all(connection, SCHEDULE))
        fires = list(read_all(connection, TRIGGERS))
        triggers: list[JobTriggered] = decoded(serde, TRIGGERS, fires)
        said = max((mark for each in fires if (mark := watermark_of(each)) is not None), default=0)
        reports = decoded(serde, RUNS, self._runs.catch_up())
        state = core.restore(self._table, decided, reports)
        if state is None:
            state = core.initial(Micros(said) if said else self._context.clock.now())
        self._state = state._replace(clock=Micros(max(state.clock, said)))
        self._said = pacing.Said(
            Micros(said), max((each.ts_event for each in triggers), default=Micros(0))
        )
        for each in triggers:
            if each.fire_id in state.running:
                self._hold(each)
        self._term = term
        self._commit((), None, "taken")
        self._log.info(
            "restored",
            term=term,
            decisions=len(decided),
            running=len(state.running),
            waiting=len(state.waiting),
            watermark=said,
            seconds=round(time.monotonic() - began, 3),
        )

    def turn(self) -> None:
        """Take one step at the market time there is."""
        clock, before = self._context.clock, self._state.clock
        if self._state.running:
            news = self._runs.poll(LOOK_S)
            now = clock.now()
        else:
            now = clock.wait(Micros(before + 1), CALM_S)
            news = self._runs.poll(0)
        now = max(now, before)
        reports = decoded(self._context.serde, RUNS, news)
        self._state, records = core.step(self._table, self._state, now, reports)
        wall_s = time.monotonic()
        self._moved_s = self._moved_s if now == before else wall_s
        mark = self._mark(
            fired=any(isinstance(each, JobTriggered) for each in records),
            standing=wall_s - self._moved_s > STANDING_S,
        )
        if records or mark is not None or lease.beat_due(self._beat_s, wall_s, self._lease_s):
            self._commit(records, mark, "held")
        self._report(now)

    def leave(self) -> None:
        """Say that we lead no more, so that nobody waits for the lease."""
        try:
            self._commit((), None, "left")
        except (Fenced, Transient) as error:
            self._log.warning("left_early", reason=str(error))

    def close(self) -> None:
        """Throw producer and consumer away."""
        self._publisher.close()
        self._runs.close()

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
            topic = TRIGGERS if isinstance(record, JobTriggered) else SCHEDULE
            self._publisher.send(topic, record.job, replace(record, ts_ingest=wall))
        if mark is not None:
            self._publisher.watermark(TRIGGERS, NAME, mark)
        self._publisher.send(LEADER, lease.SHARD, self._held(wall, state))
        if records:
            failpoint.hit(failpoint.PRODUCED)
        self._publisher.commit()
        if records:
            failpoint.hit(failpoint.COMMITTED)
        self._beat_s = time.monotonic()
        if mark is not None:
            self._said = self._said._replace(micros=mark)
        for record in records:
            if isinstance(record, JobTriggered):
                self._hold(record)
                self._said = self._said._replace(newest=max(self._said.newest, record.ts_event))
                self._fired.inc()

    def _held(self, wall: Micros, state: str) -> LeadershipHeld:
        return LeadershipHeld(
            ts_event=self._state.clock,
            ts_ingest=wall,
            shard=lease.SHARD,
            node=self._node,
            term=self._term,
            state=state,
        )

    def _hold(self, trigger: JobTriggered) -> None:
        if trigger.job in self._deciding:
            scoring = pacing.scores(self._table, trigger.job)
            self._holds[trigger.fire_id] = pacing.Hold(trigger.ts_event, time.monotonic(), scoring)

    def _report(self, now: Micros) -> None:
        wall_s = time.monotonic()
        reached, until, overdue = pacing.reached(
            self._holds,
            self._state.running,
            now,
            wall_s,
            pacing.next_stop(self._table, now),
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


def _counter(context: Context) -> Counter:
    if NAME not in context.meters:
        context.meters[NAME] = Counter(
            "aegis_scheduler_fired", "Triggers committed.", registry=context.metrics
        )
    found: Counter = context.meters[NAME]
    return found


def _leadership(context: Context) -> tuple[Gauge, Counter]:
    if "leads" not in context.meters:
        registry = context.metrics
        context.meters["leads"] = (
            Gauge("aegis_scheduler_leads", "1 while this instance leads.", registry=registry),
            Counter("aegis_scheduler_takeovers", "Times it took over.", registry=registry),
        )
    found: tuple[Gauge, Counter] = context.meters["leads"]
    return found
