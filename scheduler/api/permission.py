"""What every endpoint asks first: who is it, what is it about, and may they."""

from collections.abc import Callable
from typing import Annotated, Final, cast

from fastapi import Depends, HTTPException, Path, Request

from scheduler.api import roles
from scheduler.api.desk import Desk
from scheduler.api.keys import Key
from scheduler.history import Fire
from scheduler.timetable import Job

JOB: Final = "/jobs/{name}"
FIRE: Final = "/fires/{fire_id}"

FireId = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="Whole.")]
JobName = Annotated[str, Path(max_length=200)]


def desk_of(request: Request) -> Desk:
    """Return what stands behind the endpoints."""
    return cast("Desk", request.app.state.desk)


def key_of(request: Request) -> Key:
    """Return the key that the door let in."""
    return cast("Key", request.state.key)


TheDesk = Annotated[Desk, Depends(desk_of)]
TheKey = Annotated[Key, Depends(key_of)]


def job_of(desk: TheDesk, name: JobName) -> Job:
    """Return the job that a path names.

    Raises:
        HTTPException: 404, there is none.
    """
    if name not in desk.timetable.jobs:
        raise HTTPException(404, f"expected a job of the timetable, was {name[:80]!a}")
    return desk.timetable.jobs[name]


def fire_of(desk: TheDesk, fire_id: FireId) -> Fire:
    """Return the fire that a path names.

    Raises:
        HTTPException: 404, none is kept.
    """
    found = desk.log.fire(fire_id)
    if found is None:
        raise HTTPException(
            404, f"expected one of the newest fires, was {fire_id}; "
            f"'aegis jobs explain {fire_id[:12]}' looks at the whole log",
        )  # fmt: skip
    return found


TheJob = Annotated[Job, Depends(job_of)]
TheFire = Annotated[Fire, Depends(fire_of)]


def check(desk: Desk, key: Key, act: str, subject: str, group: str | None = None) -> None:
    """Let an act through, or put its denial on record.

    Raises:
        HTTPException: 403, denied.
    """
    why = roles.why_not(key.role, key.scopes, act, group)
    if why is not None:
        raise deny(desk, key, act, subject, why)


def deny(desk: Desk, key: Key, act: str, subject: str, why: str) -> HTTPException:
    """Put a denial on record and return it."""
    desk.audit.write(key.name, act, subject, allowed=False, reason=why)
    return HTTPException(403, why)


def may_see(desk: TheDesk, key: TheKey) -> None:
    """Let in who may see."""
    check(desk, key, roles.SEE, "jobs")


def may_manage_keys(desk: TheDesk, key: TheKey) -> None:
    """Let in who may manage keys."""
    check(desk, key, roles.KEYS, "keys")


def may_do(act: str) -> Callable[..., None]:
    """Return what lets in who may do an act to the job of the path."""

    def allowed(desk: TheDesk, key: TheKey, job: TheJob) -> None:
        check(desk, key, act, f"job:{job.name}", job.group)

    return allowed


def may_cancel(desk: TheDesk, key: TheKey, fire: TheFire) -> None:
    """Let in who may cancel the fire of the path."""
    check(desk, key, "cancel", f"fire:{fire.fire_id}", desk.timetable.jobs[fire.job].group)
