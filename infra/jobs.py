"""The one job loop: every trigger whose target is a handler is run once.

A handler is a function ``(JobContext) -> Result`` of the room that owns the work, found by the
entry point group ``aegis.jobs``; it may be run again after a crash, so it is idempotent.  A fire
has exactly one end on ``control.runs``: one that has its end there, or that the scheduler gave
up (``expired``), is never run again.  Targets that are roles report themselves.

One instance runs at a time; retries are not here yet, so a failed run is failed.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Final, NamedTuple

import structlog

from infra.clock import Clock, wall_now
from infra.connection import Connection
from infra.host import Context
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Serde
from infra.runner import Incoming
from infra.settings import Settings
from infra.tail import Tail, View, decoded
from schemas.control import JobTriggered, RunReported
from schemas.errors import Fatal, Misconfigured, Transient
from schemas.topics import RUNS, SCHEDULE, TRIGGERS
from schemas.units import Micros

NAME: Final = "jobs"
HANDLERS: Final = "aegis.jobs"
PREFIX: Final = "handler:"
ENDS: Final = frozenset({"succeeded", "degraded", "failed"})

THREADS: Final = 4
POLL_S: Final = 0.05
COMMIT_S: Final = 1.0
RESTARTS_MAX: Final = 5
RESTART_WAIT_S: Final = 0.5
STEADY_S: Final = 120.0
DETAIL_CHARS_MAX: Final = 2_000


class Result(NamedTuple):
    """How a job ended.

    Attributes:
        state: ``succeeded``, ``degraded`` or ``failed``.
        detail: The result or the reason, one sentence.
    """

    state: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What a handler is given.

    Attributes:
        trigger: Why it runs; ``trigger.ts_event`` is its T, ``logical_date`` its day.
        view: Reads topics; shared, so that asking again costs only what is new.
        postgres_dsn: The database.
        stopping: Set when the process is to end; a handler that waits gives up then.
    """

    connection: Connection
    serde: Serde
    clock: Clock
    settings: Settings
    trigger: JobTriggered
    view: View
    postgres_dsn: str
    stopping: threading.Event
    log: Any


Handler = Callable[[JobContext], Result]


class Stopped(Exception):  # noqa: N818 -- no error: the process is asked to end
    """A handler gave up because the process ends; its fire is run again by the next one."""


def run(context: Context) -> None:
    """Run handlers until told to stop; entry point ``aegis.services: jobs``.

    Raises:
        Fatal: It did not get going again.
    """
    failures = 0
    while not context.stopping.is_set():
        began = time.monotonic()
        loop = _Loop(context)
        try:
            loop.run()
        except Transient as error:
            failures = 1 if time.monotonic() - began > STEADY_S else failures + 1
            if failures > RESTARTS_MAX:
                raise Fatal(f"jobs: expected to go on, failed {failures} times") from error
            structlog.get_logger(NAME).warning("started_over", reason=str(error))
            context.stopping.wait(RESTART_WAIT_S)
        finally:
            loop.close()


@cache
def handler(name: str) -> Handler:
    """Return an installed handler.

    Raises:
        Misconfigured: None has this name.
    """
    found = {each.name: each for each in entry_points(group=HANDLERS)}
    if name not in found:
        raise Misconfigured(
            f"expected a handler {name!r} in the entry points {HANDLERS}, "
            f"was {', '.join(sorted(found))}; install it"
        )
    loaded: Handler = found[name].load()
    return loaded


class _Loop:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._log = structlog.get_logger(NAME)
        connection, serde = context.connection, context.serde
        self._publisher = Publisher(connection, serde, client=NAME)
        self._tail = Tail(connection, (TRIGGERS,), client=NAME, resume=True)
        self._view = View(connection, serde)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=NAME)
        self._ended: set[str] = set()
        self._open: dict[tuple[str, int, int], Future[None]] = {}
        self._positions: dict[tuple[str, int], int] = {}
        self._committed: dict[tuple[str, int], int] = {}
        self._committed_s = time.monotonic()

    def run(self) -> None:
        self._ended = self._ends()
        while not self._context.stopping.is_set():
            for record in self._tail.poll(POLL_S):
                self._take(record)
            self._settle()

    def close(self) -> None:
        """Let handlers under way end, then let go; what did not end is run again."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._settle(commit_only=True)
        self._view.close()
        self._tail.close()
        self._publisher.close()

    def _ends(self) -> set[str]:
        """Return the fires that have their end."""
        serde, connection = self._context.serde, self._context.connection
        reports = decoded(serde, RUNS, read_all(connection, RUNS))
        decisions = decoded(serde, SCHEDULE, read_all(connection, SCHEDULE))
        return {each.fire_id for each in reports if each.state in ENDS} | {
            each.fire_id for each in decisions if each.decision == "expired"
        }

    def _take(self, record: Incoming) -> None:
        place = self._context.connection.prefix + record.topic, record.partition
        self._positions[place] = record.offset + 1
        if record.value is None:
            return
        trigger: JobTriggered = self._context.serde.decode(TRIGGERS, record.value)
        if not trigger.target.startswith(PREFIX) or trigger.fire_id in self._ended:
            return
        self._ended.add(trigger.fire_id)
        self._open[*place, record.offset] = self._pool.submit(self._run, trigger)

    def _settle(self, *, commit_only: bool = False) -> None:
        """Note what is done; a report that was not delivered starts everything over."""
        for where, future in list(self._open.items()):
            if future.cancelled() or not future.done():
                continue
            error = future.exception()
            if error is None:
                del self._open[where]
            elif not commit_only and not isinstance(error, Stopped):
                raise error
        if commit_only or time.monotonic() - self._committed_s > COMMIT_S:
            done = dict(self._positions)
            for name, partition, offset in self._open:
                done[name, partition] = min(done[name, partition], offset)
            if done != self._committed:
                self._tail.commit(done)
                self._committed = done
            self._committed_s = time.monotonic()

    def _run(self, trigger: JobTriggered) -> None:
        """Run one handler, on a thread of the pool, and report it."""
        started = self._context.clock.now()
        self._report(trigger, Result("running", "begun"), started, None)
        result = self._result(trigger)
        self._report(trigger, result, started, self._context.clock.now())
        self._publisher.flush()

    def _result(self, trigger: JobTriggered) -> Result:
        name = trigger.target.removeprefix(PREFIX)
        try:
            result = handler(name)(self._job_context(trigger))
        except Stopped:
            raise
        except Exception as error:
            if self._context.stopping.is_set():
                raise Stopped from error
            self._log.exception("job_failed", job=trigger.job, fire_id=trigger.fire_id)
            return Result("failed", f"{type(error).__name__}: {error}"[:DETAIL_CHARS_MAX])
        if result.state not in ENDS:
            return Result("failed", f"expected an end of {sorted(ENDS)}, was {result.state!r}")
        return result

    def _job_context(self, trigger: JobTriggered) -> JobContext:
        context = self._context
        return JobContext(
            connection=context.connection,
            serde=context.serde,
            clock=context.clock,
            settings=context.settings,
            trigger=trigger,
            view=self._view,
            postgres_dsn=context.connection.endpoints.postgres_dsn,
            stopping=context.stopping,
            log=structlog.get_logger(trigger.job),
        )

    def _report(
        self, trigger: JobTriggered, result: Result, started: Micros, ended: Micros | None
    ) -> None:
        report = RunReported(
            ts_event=started if ended is None else ended,
            ts_ingest=wall_now(),
            fire_id=trigger.fire_id,
            job=trigger.job,
            slot=trigger.slot,
            state=result.state,
            attempt=1,
            worker=NAME,
            detail=result.detail[:DETAIL_CHARS_MAX],
            started=started,
            ended=ended,
        )
        self._publisher.send(RUNS, trigger.job, report)
