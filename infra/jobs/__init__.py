"""The jobs: every trigger whose target is a handler, a command or a url is run by some worker.

A handler is a function ``(JobContext) -> Result`` of the room that owns the work, found by the
entry point group ``aegis.jobs``; it may be run again after a crash, so it is idempotent.  What
is run is an attempt, ``(fire_id, attempt)``: it has one end on ``control.runs``, and one that the
scheduler gave up (``expired``, ``cancelled``) is not begun.  Retries are the scheduler's: they
are other attempts.  Targets that are roles report themselves.

Any number of workers share the load; the log decides who runs what.

    contract   what a handler is given and gives back
    targets    what a target means, and whether it is allowed
    claims     who holds an attempt: a pure fold of ``control.runs``
    board      what a worker knows, and what it should claim next
    worker     the loop
    launch     how an attempt begins
    attempt    an attempt under way, on a thread or in a process
    order      what a job's process is told
    child      the job's process
    confine    its walls
"""

import secrets
import time
from typing import Final

import structlog

from infra.host import Context
from infra.jobs.contract import HANDLERS, Handler, JobContext, Result, Stopped
from infra.jobs.targets import handler
from infra.jobs.worker import NAME, Worker
from schemas.errors import Fatal, Transient

__all__ = ["HANDLERS", "NAME", "Handler", "JobContext", "Result", "Stopped", "handler", "run"]

RESTARTS_MAX: Final = 5
RESTART_WAIT_S: Final = 0.5
STEADY_S: Final = 120.0


def run(context: Context) -> None:
    """Run attempts until told to stop; entry point ``aegis.services: jobs``.

    Raises:
        Fatal: It did not get going again.
    """
    life, failures = secrets.token_hex(4), 0
    while not context.stopping.is_set():
        began = time.monotonic()
        worker = Worker(context, life)
        try:
            worker.run()
        except Transient as error:
            failures = 1 if time.monotonic() - began > STEADY_S else failures + 1
            if failures > RESTARTS_MAX:
                raise Fatal(f"jobs: expected to go on, failed {failures} times") from error
            structlog.get_logger(NAME).warning("started_over", reason=str(error))
            context.stopping.wait(RESTART_WAIT_S)
        finally:
            worker.close()
