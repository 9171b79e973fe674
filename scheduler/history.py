"""A job's past, told from the log: what was decided of each fire, and how each attempt went."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from schemas.control import RunReported, ScheduleDecided
from schemas.units import Micros

STATES: Final = {"fired": "running", "exhausted": "failed"}
"""A decision's word as the state that it leads to, where they differ."""


class Attempt(NamedTuple):
    """One attempt of a fire.

    Attributes:
        attempt: From 1.
        fired: Market time.
        ended: Market time of its end, None while it runs.
        state: running, or how it ended.
        worker: Who reported last; empty when nobody did.
        detail: The result or the error, and where its output is.
    """

    attempt: int
    fired: Micros
    ended: Micros | None
    state: str
    worker: str
    detail: str


class Fire(NamedTuple):
    """One fire of a job.

    Attributes:
        kind: auto, manual, backfill or event.
        state: Where it is now.
        way: The states it went through; being due it waited, if only for a moment.
        reason: What was last said about it.
    """

    fire_id: str
    job: str
    kind: str
    slot: Micros
    state: str
    way: tuple[str, ...]
    reason: str
    attempts: tuple[Attempt, ...]


def told(
    decisions: Iterable[ScheduleDecided], reports: Iterable[RunReported], job: str
) -> list[Fire]:
    """Return a job's fires by slot.

    Args:
        decisions: ``control.schedule`` in order.
        reports: ``control.runs`` in order; the first end of an attempt is its end.
        job: Whose.
    """
    spoken: dict[tuple[str, int], RunReported] = {}
    for each in reports:
        key = each.fire_id, each.attempt
        if key not in spoken or spoken[key].ended is None:
            spoken[key] = each
    found: dict[str, Fire] = {}
    for decided in decisions:
        if decided.job == job and (decided.attempt > 0 or decided.logical_date > 0):
            before = found.get(decided.fire_id)
            found[decided.fire_id] = _followed(before, decided, spoken)
    return sorted(found.values(), key=lambda fire: (fire.slot, fire.kind))


def _followed(
    before: Fire | None,
    decided: ScheduleDecided,
    spoken: dict[tuple[str, int], RunReported],
) -> Fire:
    state = STATES.get(decided.decision, decided.decision)
    way = ("waiting",) if before is None else before.way
    way = way if way[-1] == state else (*way, state)
    attempts = () if before is None else before.attempts
    if decided.decision == "fired":
        attempts = (*attempts, Attempt(decided.attempt, decided.decided, None, "running", "", ""))
    elif attempts and attempts[-1].attempt == decided.attempt and attempts[-1].ended is None:
        last = attempts[-1]._replace(ended=decided.decided, state=state)
        attempts = (*attempts[:-1], last)
    if attempts:
        report = spoken.get((decided.fire_id, attempts[-1].attempt))
        if report is not None:
            last = attempts[-1]._replace(worker=report.worker, detail=report.detail)
            attempts = (*attempts[:-1], last)
    return Fire(
        decided.fire_id, decided.job, decided.kind, decided.slot, state, way, decided.reason,
        attempts,
    )  # fmt: skip
