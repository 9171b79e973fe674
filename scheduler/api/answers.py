"""What is answered: instants are micros UTC, lengths of time micros, days ``yyyy-mm-dd``."""

from datetime import date
from typing import Self

from pydantic import BaseModel, ConfigDict

from scheduler.api.keys import Key
from scheduler.follower import Left
from scheduler.timetable import Job
from scheduler.triggers import Slot, Suppressed, clock


class Told(BaseModel):
    """An answer, read off a value of ours that has its fields."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Problem(Told):
    """Why not, one sentence."""

    detail: str


class JobTold(Told):
    """A line of the timetable."""

    name: str
    source: str
    target: str
    group: str
    priority: int
    calendar: str
    after: tuple[str, ...]
    late_max: int
    run_max: int
    retries: int
    isolate_after: int
    isolation: str
    critical: bool

    @classmethod
    def of(cls, job: Job) -> Self:
        """Return what is told of a job."""
        after = tuple(edge.parent for edge in job.depends_on)
        return cls(**job._asdict(), calendar=job.trigger.calendar, after=after)


class JobsTold(Told):
    """The timetable."""

    jobs: tuple[JobTold, ...]
    schedule_hash: str
    warnings: tuple[str, ...]


class AttemptTold(Told):
    """One attempt of a fire: ``scheduler.history.Attempt``."""

    attempt: int
    fired: int
    ended: int | None
    state: str
    worker: str
    detail: str


class FireTold(Told):
    """One fire of a job: ``scheduler.history.Fire``."""

    fire_id: str
    job: str
    kind: str
    slot: int
    state: str
    way: tuple[str, ...]
    reason: str
    attempts: tuple[AttemptTold, ...]


class HistoryTold(Told):
    """A job's newest fires, by slot."""

    job: str
    fires: tuple[FireTold, ...]


class SlotTold(Told):
    """A nominal instant; ``suppressed`` says why the calendar lets nothing fire."""

    at: str
    job: str
    slot: int
    logical_date: date
    suppressed: str | None

    @classmethod
    def of(cls, each: Slot | Suppressed) -> Self:
        """Return what is told of a nominal instant."""
        slot = each if isinstance(each, Slot) else each.slot
        why = None if isinstance(each, Slot) else each.reason
        return cls(
            at=clock(slot.at), job=slot.job, slot=slot.at, logical_date=slot.logical_date,
            suppressed=why,
        )  # fmt: skip


class CountTold(Told):
    """What a job does over a period: ``scheduler.almanac.Count``."""

    job: str
    due: int
    suppressed: dict[str, int]


class NextTold(Told):
    """What a day holds slot by slot, or what a period holds job by job."""

    on: date
    until: date | None
    due: int
    suppressed: int
    fires: tuple[SlotTold, ...] = ()
    jobs: tuple[CountTold, ...] = ()


class DayTold(Told):
    """A day out of the ordinary: ``scheduler.almanac.Day``."""

    date: date
    weekday: str
    hours: str
    name: str
    certainty: str
    source: str


class YearTold(Told):
    """A year's closures and special hours."""

    days: tuple[DayTold, ...]


class OpenTold(Told):
    """A fire that waits or runs."""

    fire_id: str
    job: str
    slot: int
    attempt: int
    reason: str = ""
    due: int | None = None


class HeldTold(Told):
    """A job that fires nothing until it is let go."""

    job: str
    word: str
    since: int
    reason: str


class StateTold(Told):
    """What waits, runs and is held, who leads, and how far market time has come."""

    leader: str | None
    term: int
    clock: int
    running: tuple[OpenTold, ...]
    waiting: tuple[OpenTold, ...]
    held: tuple[HeldTold, ...]

    @classmethod
    def of(cls, left: Left) -> Self:
        """Return what is told of what the leader has left on the log."""
        held, state = left.held, left.state
        leads = held is not None and held.state != "left"
        leader = held.node if held is not None and leads else None
        term = 0 if held is None else held.term
        if state is None:
            return cls(leader=leader, term=term, clock=left.said, running=(), waiting=(), held=())
        return cls(
            leader=leader, term=term, clock=left.said,
            running=tuple(
                OpenTold(fire_id=name, job=run.slot.job, slot=run.slot.at, attempt=run.attempt)
                for name, run in state.running.items()
            ),
            waiting=tuple(
                OpenTold(
                    fire_id=each.fire_id, job=each.slot.job, slot=each.slot.at,
                    attempt=each.attempt, reason=each.reason, due=each.due,
                )
                for each in state.waiting.values()
            ),
            held=tuple(HeldTold(job=job, **each._asdict()) for job, each in state.held.items()),
        )  # fmt: skip


class HealthTold(Told):
    """The scheduler is there: who leads, and wall seconds since it was last heard."""

    leader: str
    term: int
    heard_s: float


class AnswerTold(Told):
    """What the scheduler did: ``scheduler.control.Answer``."""

    decision: str
    fire_id: str
    reason: str


class KeyTold(Told):
    """A key without its secret."""

    key_id: str
    name: str
    role: str
    scopes: tuple[str, ...]
    created: int
    expires: int
    revoked: int | None
    last_used: int | None


class KeysTold(Told):
    """All keys, by the time they were made."""

    keys: tuple[KeyTold, ...]


class KeyMade(KeyTold):
    """A key with its token: the only time it is shown."""

    token: str

    @classmethod
    def of(cls, key: Key, token: str) -> Self:
        """Return what is told of a key just made."""
        return cls(**{k: v for k, v in key._asdict().items() if k != "digest"}, token=token)
