"""``POST /v1/...``: operators' acts and keys; each is let through or denied on record first.

The scheduler does or refuses what it is asked, and records that itself: a refusal is 409.
"""

from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, HTTPException

from infra.clock import wall_now
from scheduler.api import answers, callbacks
from scheduler.api.bodies import Act, Backfill, NewKey, Run
from scheduler.api.database import OWED_MAX
from scheduler.api.desk import Desk
from scheduler.api.keys import Key
from scheduler.api.permission import (
    FIRE,
    JOB,
    TheDesk,
    TheFire,
    TheJob,
    TheKey,
    deny,
    may_cancel,
    may_do,
    may_manage_keys,
)
from scheduler.timetable import Job
from schemas.errors import Misconfigured, Transient

jobs = APIRouter(prefix="/v1", tags=["act"], responses={409: {"model": answers.Problem}})
keys = APIRouter(prefix="/v1/keys", tags=["keys"], dependencies=[Depends(may_manage_keys)])


@jobs.post(f"{JOB}/run", dependencies=[Depends(may_do("run"))])
def run_job(desk: TheDesk, key: TheKey, job: TheJob, body: Run) -> answers.AnswerTold:
    """Run a job now, beside the timetable; takes the scope ``run:<group>``."""
    return _start(desk, key, job, "run", body)


@jobs.post(f"{JOB}/backfill", dependencies=[Depends(may_do("backfill"))])
def backfill_job(desk: TheDesk, key: TheKey, job: TheJob, body: Backfill) -> answers.AnswerTold:
    """Run a past slot once more; takes the scope ``run:<group>``."""
    return _start(desk, key, job, "backfill", body)


@jobs.post(f"{JOB}/pause", dependencies=[Depends(may_do("pause"))])
def pause_job(desk: TheDesk, key: TheKey, job: TheJob, body: Act) -> answers.AnswerTold:
    """Let a job fire nothing until it is resumed."""
    return _ask(desk, key, "pause", f"job:{job.name}", body)


@jobs.post(f"{JOB}/resume", dependencies=[Depends(may_do("resume"))])
def resume_job(desk: TheDesk, key: TheKey, job: TheJob, body: Act) -> answers.AnswerTold:
    """Let a paused job fire again."""
    return _ask(desk, key, "resume", f"job:{job.name}", body)


@jobs.post(f"{JOB}/release", dependencies=[Depends(may_do("release"))])
def release_job(desk: TheDesk, key: TheKey, job: TheJob, body: Act) -> answers.AnswerTold:
    """Let a quarantined job go."""
    return _ask(desk, key, "release", f"job:{job.name}", body)


@jobs.post(f"{FIRE}/cancel", dependencies=[Depends(may_cancel)])
def cancel_fire(desk: TheDesk, key: TheKey, fire: TheFire, body: Act) -> answers.AnswerTold:
    """End a fire that waits or runs."""
    return _ask(desk, key, "cancel", f"fire:{fire.fire_id}", body)


@keys.get("")
def list_keys(desk: TheDesk) -> answers.KeysTold:
    """Return every key, without secrets."""
    found = map(answers.KeyTold.model_validate, desk.database.keys())
    return answers.KeysTold(keys=tuple(found))


@keys.post("", status_code=201)
def make_key(desk: TheDesk, key: TheKey, body: NewKey) -> answers.KeyMade:
    """Make a key; its token is shown this once."""
    try:
        made = desk.administration.make(key.name, body.name, body.role, body.scopes, body.days)
    except Misconfigured as error:
        raise HTTPException(422, str(error)) from error
    return answers.KeyMade.of(made.key, made.token)


@keys.post("/{name}/revoke", status_code=204)
def revoke_key(desk: TheDesk, key: TheKey, name: str, body: Act) -> None:
    """Take a key back, at once and for good."""
    try:
        desk.administration.revoke(key.name, name, body.reason)
    except Misconfigured as error:
        raise HTTPException(404, str(error)) from error


def _start(desk: Desk, key: Key, job: Job, verb: str, body: Run) -> answers.AnswerTold:
    """Start a run, and note whom its end is to be told."""
    if body.callback is not None:
        _check_callback(desk, key, job, body.callback)
    told = _ask(desk, key, verb, f"job:{job.name}", body)
    if body.callback is not None:
        desk.database.owe(told.fire_id, body.callback, job.name, wall_now())
    return told


def _check_callback(desk: Desk, key: Key, job: Job, url: str) -> None:
    if not callbacks.covered(url, desk.settings.callbacks):
        raise deny(
            desk, key, "callback", f"job:{job.name}",
            "expected a callback under one of AEGIS_API__CALLBACKS, was "
            f"{_place(url)!a}",
        )  # fmt: skip
    if not desk.database.room(wall_now()):
        raise Transient(f"expected fewer than {OWED_MAX} callbacks to wait, was as many")


def _place(url: str) -> str:
    """Return a url without its path, which may be a secret."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}"[:80]
    except ValueError:
        return "no url"


def _ask(desk: Desk, key: Key, verb: str, subject: str, body: Act) -> answers.AnswerTold:
    slot = body.slot if isinstance(body, Backfill) else None
    answer = desk.ask(key, verb, subject, body.reason, slot)
    if not answer.done:
        raise HTTPException(409, answer.reason)
    return answers.AnswerTold.model_validate(answer)
