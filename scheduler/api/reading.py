"""``GET /v1/...``: what a key of any role may see; nothing here changes anything."""

from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Path, Query

from scheduler import almanac
from scheduler.api import answers
from scheduler.api.permission import FIRE, JOB, TheDesk, TheFire, TheJob, may_see
from scheduler.timetable import between
from scheduler.triggers import KRX, Slot
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_midnight
from schemas.units import SECOND

DAYS_MAX: Final = 400
HISTORY_MAX: Final = 500

router = APIRouter(prefix="/v1", dependencies=[Depends(may_see)], tags=["see"])


@router.get("/jobs")
def list_jobs(desk: TheDesk) -> answers.JobsTold:
    """Return every job: when it is due, what runs it, what it waits for."""
    table = desk.timetable
    jobs = tuple(map(answers.JobTold.of, table.jobs.values()))
    return answers.JobsTold(jobs=jobs, schedule_hash=table.hash, warnings=table.warnings)


@router.get(JOB)
def show_job(job: TheJob) -> answers.JobTold:
    """Return a job."""
    return answers.JobTold.of(job)


@router.get(f"{JOB}/history")
def show_history(
    desk: TheDesk, job: TheJob, count: Annotated[int, Query(ge=1, le=HISTORY_MAX)] = 50
) -> answers.HistoryTold:
    """Return a job's newest fires: the states each went through, and every attempt."""
    fires = map(answers.FireTold.model_validate, desk.log.fires(job.name)[-count:])
    return answers.HistoryTold(job=job.name, fires=tuple(fires))


@router.get(FIRE)
def show_fire(fire: TheFire) -> answers.FireTold:
    """Return a fire."""
    return answers.FireTold.model_validate(fire)


@router.get("/next")
def show_next(
    desk: TheDesk,
    on: Annotated[date, Query(description="Day in Korea.")],
    until: Annotated[date | None, Query(description="Last day of a period, counted.")] = None,
) -> answers.NextTold:
    """Return what a day or a period holds, and what the calendar suppresses with its reason."""
    days = 0 if until is None else (until - on).days
    if not 0 <= days < DAYS_MAX:
        raise HTTPException(
            422, f"expected until within {DAYS_MAX} days from on, was {on} to {until}"
        )
    try:
        if until is None:
            return _of_day(desk, on)
        return _of_period(desk, on, until)
    except (Misconfigured, OverflowError) as error:
        raise HTTPException(422, str(error)) from error


@router.get("/calendar/{year}")
def show_calendar(year: Annotated[int, Path(ge=1, le=9_999)]) -> answers.YearTold:
    """Return a year's closures and special hours."""
    try:
        days = almanac.year(year)
    except Misconfigured as error:
        raise HTTPException(422, str(error)) from error
    return answers.YearTold(days=tuple(map(answers.DayTold.model_validate, days)))


@router.get("/state")
def show_state(desk: TheDesk) -> answers.StateTold:
    """Return what waits, runs and is held, and who leads."""
    return desk.log.state()


@router.get("/health")
def show_health(desk: TheDesk) -> answers.HealthTold:
    """Return who leads; 503 when no scheduler does."""
    held, ago = desk.leader()
    return answers.HealthTold(leader=held.node, term=held.term, heard_s=ago / SECOND)


def _of_day(desk: TheDesk, on: date) -> answers.NextTold:
    start, end = kst_midnight(on), kst_midnight(on + timedelta(days=1))
    found = between(desk.timetable, start, end, KRX)
    due = sum(1 for each in found if isinstance(each, Slot))
    return answers.NextTold(
        on=on, until=None, due=due, suppressed=len(found) - due,
        fires=tuple(map(answers.SlotTold.of, found)),
    )  # fmt: skip


def _of_period(desk: TheDesk, on: date, until: date) -> answers.NextTold:
    found = almanac.counts(desk.timetable, on, until + timedelta(days=1), KRX)
    return answers.NextTold(
        on=on, until=until,
        due=sum(each.due for each in found),
        suppressed=sum(sum(each.suppressed.values()) for each in found),
        jobs=tuple(map(answers.CountTold.model_validate, found)),
    )  # fmt: skip
