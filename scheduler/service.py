"""The scheduler's shell: market time and run reports in, triggers and decisions out.

Fence first (``init_transactions``), restore second, decide third: the log is the state.  One small
transaction per tick that has anything in it; after it, and only then, ``control.triggers`` says
how far its time has come.  After any failed transaction everything is thrown away and started over.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog
from prometheus_client import Counter

from infra.clock import wall_now
from infra.host import Context
from infra.publish import Publisher
from infra.reader import read_all
from infra.tail import Tail, decoded, watermark_of
from scheduler import core, pacing, timetable
from scheduler.core import Decision, State
from scheduler.timetable import Timetable
from schemas.control import JobTriggered
from schemas.errors import Fatal, Transient
from schemas.topics import RUNS, SCHEDULE, TRIGGERS
from schemas.units import Micros

NAME: Final = "scheduler"
LOOK_S: Final = 0.005
CALM_S: Final = 0.05
"""Wall seconds to wait for a report, or for market time, before looking at the other."""

STANDING_S: Final = 0.2
"""Market time that has not moved for so many wall seconds stands."""

RESTARTS_MAX: Final = 5
RESTART_WAIT_S: Final = 0.5
STEADY_S: Final = 120.0
REPORT_EVERY_S: Final = 1.0
"""Market time hears from us this often in wall seconds even when nothing has changed."""


def run(context: Context) -> None:
    """Decide until told to stop; entry point ``aegis.services: scheduler``.

    Raises:
        Fatal: Fenced by another instance, or it did not get going again.
    """
    table = timetable.default()
    failures = 0
    while not context.stopping.is_set():
        began = time.monotonic()
        try:
            serve(context, table)
        except Transient as error:
            failures = 1 if time.monotonic() - began > STEADY_S else failures + 1
            if failures > RESTARTS_MAX:
                raise Fatal(f"scheduler: expected to go on, failed {failures} times") from error
            structlog.get_logger(NAME).warning("started_over", reason=str(error))
            context.stopping.wait(RESTART_WAIT_S)


def serve(context: Context, table: Timetable) -> None:
    """Restore and decide until told to stop or a transaction fails.

    Raises:
        Transient: Start over.
        Fatal: Another instance has taken over.
    """
    loop = _Loop(context, table)
    try:
        loop.restore()
        while not context.stopping.is_set():
            loop.turn()
        loop.leave()
    finally:
        loop.close()


class _Loop:
    def __init__(self, context: Context, table: Timetable) -> None:
        self._context, self._table = context, table
        self._log = structlog.get_logger(NAME)
        connection, serde = context.connection, context.serde
        self._publisher = Publisher(connection, serde, client=NAME, transactional_id=NAME)
        self._time = Publisher(connection, serde, client=f"{NAME}.time")
        self._runs = Tail(connection, (RUNS,), client=NAME)
        self._state: State = core.initial(Micros(0))
        self._deciding = pacing.deciding(table)
        self._holds: dict[str, pacing.Hold] = {}
        self._said = pacing.Said()
        self._reported: tuple[Micros, Micros | None, Micros] = (Micros(-1), None, Micros(-1))
        self._reported_s = 0.0
        self._moved_s = time.monotonic()
        self._fired = _counter(context)

    def restore(self) -> None:
        """Fold our own log; time goes on where it was last said."""
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
        self._log.info(
            "restored",
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
        if records:
            self._write(records)
        wall_s = time.monotonic()
        self._moved_s = self._moved_s if now == before else wall_s
        self._say(
            fired=any(isinstance(each, JobTriggered) for each in records),
            standing=wall_s - self._moved_s > STANDING_S,
        )
        self._report(now)

    def leave(self) -> None:
        """Let what is queued arrive."""
        try:
            self._time.flush()
        except Transient as error:
            self._log.warning("left_early", reason=str(error))

    def close(self) -> None:
        """Throw producers and consumer away."""
        self._publisher.close()
        self._time.close()
        self._runs.close()

    def _write(self, records: Sequence[Decision]) -> None:
        """Make a step's records durable, all or none."""
        wall = wall_now()
        self._publisher.begin()
        for record in records:
            topic = TRIGGERS if isinstance(record, JobTriggered) else SCHEDULE
            self._publisher.send(topic, record.job, replace(record, ts_ingest=wall))
        self._publisher.commit()
        for record in records:
            if isinstance(record, JobTriggered):
                self._hold(record)
                self._said = self._said._replace(newest=max(self._said.newest, record.ts_event))
                self._fired.inc()

    def _hold(self, trigger: JobTriggered) -> None:
        if trigger.job in self._deciding:
            scoring = pacing.scores(self._table, trigger.job)
            self._holds[trigger.fire_id] = pacing.Hold(trigger.ts_event, time.monotonic(), scoring)

    def _say(self, *, fired: bool, standing: bool) -> None:
        """Promise that no trigger before the horizon will come."""
        mark = core.horizon(self._state)
        if pacing.to_say(self._said, mark, fired=fired, standing=standing):
            self._time.watermark(TRIGGERS, NAME, mark)
            self._said = self._said._replace(micros=mark)
        self._time.poll()

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
