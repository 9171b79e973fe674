"""A user's own job.

Installed beside AEGIS and named in ``AEGIS_JOBS__ALLOW=["example-job"]``, its handler is the
target ``handler:example_flaky`` of a line in the timetable.  It runs in a process and a folder
of its own, with only the environment variables that ``AEGIS_JOBS__ENVIRONMENT`` gives the job:

    AEGIS_JOBS__ENVIRONMENT='{"my_job": ["EXAMPLE_FAILS"]}'
"""

import os

from infra.jobs import JobContext, Result


def flaky(context: JobContext) -> Result:
    """Fail the first ``EXAMPLE_FAILS`` attempts of a fire (default 2), then succeed."""
    fails = int(os.environ.get("EXAMPLE_FAILS", "2"))
    attempt = context.trigger.attempt
    context.progress(f"attempt {attempt}")
    context.log.info("looked", attempt=attempt, fails=fails)
    print(f"attempt {attempt} of {context.trigger.job}")  # noqa: T201 -- kept in output.log
    if attempt <= fails:
        return Result("failed", f"attempt {attempt} of the {fails} that fail")
    return Result("succeeded", f"attempt {attempt} went well")
