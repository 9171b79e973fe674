"""The records that a step writes, built from what it decided about."""

from typing import Final

from scheduler.state import Waiting, yyyymmdd
from scheduler.timetable import Job, Timetable
from schemas.control import CommandGiven, JobTriggered, ScheduleDecided
from schemas.krx.calendar import calendar_hash
from schemas.ops import ActAudited, AlertRaised
from schemas.units import Micros

SERVICE: Final = "scheduler"

Decision = ScheduleDecided | JobTriggered | AlertRaised | ActAudited


def decided(
    timetable: Timetable, now: Micros, about: Waiting, decision: str, reason: str, *, logical: int
) -> ScheduleDecided:
    """Return a decision about a slot, or about a job (attempt and logical date 0)."""
    return ScheduleDecided(
        ts_event=about.slot.at,
        ts_ingest=now,
        job=about.slot.job,
        slot=about.slot.at,
        fire_id=about.fire_id,
        decision=decision,
        reason=reason,
        schedule_hash=timetable.hash,
        calendar_hash=calendar_hash(),
        decided=now,
        kind=about.kind,
        attempt=about.attempt,
        logical_date=logical,
        due=about.due if decision in {"retrying", "waiting"} else None,
        cause=about.cause,
    )


def triggered(timetable: Timetable, now: Micros, about: Waiting, *, before: Micros) -> JobTriggered:
    """Return the trigger of an attempt.

    Args:
        timetable: Where the job is.
        now: Market time of the fire.
        about: The slot and the attempt.
        before: Up to where time had come before: nothing may appear there any more.
    """
    job, slot = timetable.jobs[about.slot.job], about.slot
    first = about.kind == "auto" and about.attempt == 1
    return JobTriggered(
        ts_event=slot.at if first and slot.at > before else now,
        ts_ingest=now,
        fire_id=about.fire_id,
        job=slot.job,
        slot=slot.at,
        kind=about.kind,
        target=job.target,
        group=job.group,
        priority=job.priority,
        logical_date=yyyymmdd(slot.logical_date),
        schedule_hash=timetable.hash,
        calendar_hash=calendar_hash(),
        cause=about.cause,
        attempt=about.attempt,
        ends_by=Micros(now + job.run_max),
        isolation=job.isolation,
    )


def alert(now: Micros, key: str, job: Job, summary: str, detail: str) -> AlertRaised:
    """Return a call for somebody; the same key is never written twice."""
    return AlertRaised(
        ts_event=now,
        ts_ingest=now,
        alert_key=f"{SERVICE}/{key}",
        service=SERVICE,
        severity="urgent" if job.critical else "warning",
        summary=f"{job.name}: {summary}",
        detail=detail,
    )


def audited(now: Micros, given: CommandGiven, why_not: str | None) -> ActAudited:
    """Return the entry of an operator's act, done or denied."""
    return ActAudited(
        ts_event=now,
        ts_ingest=now,
        service=SERVICE,
        actor=given.actor,
        act=given.verb,
        subject=given.subject,
        allowed=why_not is None,
        reason=given.reason if why_not is None else why_not,
    )
