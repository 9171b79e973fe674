"""Beginning an attempt: inline or in a process, or ended at once when it cannot begin."""

import os

import structlog

from infra.host import Context
from infra.jobs import order
from infra.jobs.attempt import Attempt, Ended, Inline, Isolated, room_for
from infra.jobs.contract import JobContext, failed
from infra.jobs.targets import Target, allowed, handler, is_inline
from infra.tail import View
from schemas.control import JobTriggered


def begin(context: Context, view: View, trigger: JobTriggered) -> Attempt:
    """Begin an attempt that the worker holds.

    Args:
        context: Of the worker's service.
        view: Shared by its inline handlers.
        trigger: What is to run.

    Returns:
        What runs, or what failed because its target is not allowed or cannot be loaded.
    """
    try:
        target = allowed(trigger.target, context.settings.jobs)
        if is_inline(trigger, target):
            return Inline(handler(target.words[0]), _inline_context(context, view, trigger))
        return _isolated(context, trigger, target)
    except Exception as error:  # whatever a module raises when it is loaded is an end too
        log = structlog.get_logger("jobs")
        log.exception("job_not_begun", job=trigger.job, fire_id=trigger.fire_id)
        return Ended(failed(error))


def _isolated(context: Context, trigger: JobTriggered, target: Target) -> Attempt:
    settings = context.settings
    jobs = settings.var_dir.resolve() / order.FOLDER
    folder = room_for(jobs, f"{trigger.fire_id}.{trigger.attempt}")
    told = order.Order.of(trigger, target, folder, settings)
    env = order.environment(trigger, target, folder, context.connection, os.environ)
    return Isolated(folder, told, env)


def _inline_context(context: Context, view: View, trigger: JobTriggered) -> JobContext:
    return JobContext(
        connection=context.connection,
        serde=context.serde,
        clock=context.clock,
        settings=context.settings,
        trigger=trigger,
        view=view,
        postgres_dsn=context.connection.endpoints.postgres_dsn,
        stopping=context.stopping,
        log=structlog.get_logger(trigger.job),
    )
