"""Time and operators: leadership, triggers, decisions, runs, commands."""

from dataclasses import dataclass
from typing import Final

from schemas.units import Micros

DECISIONS: Final = (
    "waiting", "fired", "suppressed",
    "succeeded", "degraded", "failed", "expired", "cancelled",
    "retrying", "exhausted",
    "quarantined", "released", "paused", "resumed", "refused",
)  # fmt: skip
"""Of a slot's start, of a run's end, of what follows a failure, and of a job by an operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadershipHeld:
    """An instance of the scheduler led; silence for longer than the lease calls for another.

    Attributes:
        ts_event: Market time it had decided up to, also the Kafka timestamp.
        ts_ingest: The wall clock of the instance.
        shard: Which part of the jobs; also the key.
        node: Which instance.
        term: Counts takeovers, from 1.
        state: taken, held or left.
        runs_next: Offset on control.runs up to which everything is answered.
        commands_next: Offset on control.commands up to which everything is answered.
    """

    ts_event: Micros
    ts_ingest: Micros
    shard: str
    node: str
    term: int
    state: str
    runs_next: int = 0
    commands_next: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDecided:
    """What the scheduler decided of one slot; a fire that did not happen has its reason.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        job: Name; also the key.
        slot: Nominal time; equals ts_event.
        fire_id: sha256(job | schedule version | slot UTC | kind); of a command's answer its id.
        decision: What, one of the words of DECISIONS.
        reason: Why.
        schedule_hash: Of the timetable.
        calendar_hash: Of the calendar.
        decided: Market time of the decision.
        kind: auto, manual, backfill or event.
        attempt: From 1; a retry is the same fire, one higher; 0 where nothing can run.
        logical_date: yyyymmdd; 0 when the decision is about a job.
        due: When a retry is due, null for any other decision.
        cause: Fire id of the parent it waits for, or id of the command; empty for time.
    """

    ts_event: Micros
    ts_ingest: Micros
    job: str
    slot: Micros
    fire_id: str
    decision: str
    reason: str
    schedule_hash: str
    calendar_hash: str
    decided: Micros
    kind: str = "auto"
    attempt: int = 1
    logical_date: int = 0
    due: Micros | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTriggered:
    """A job is to run; cron fires are events.

    Attributes:
        ts_event: Its T: the slot, or when it fired if a gate or a stop made it late.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        fire_id: sha256(job | schedule version | slot UTC | kind).
        job: Name; also the key.
        slot: Nominal time.
        kind: auto, manual, backfill or event.
        target: Handler or role that runs it.
        group: Resource group.
        priority: 0 emergency .. 3 report.
        logical_date: yyyymmdd.
        schedule_hash: Of the timetable.
        calendar_hash: Of the calendar.
        cause: Parent's fire id, or id of the command; empty for time.
        attempt: From 1; a retry is the same fire, one higher.
        ends_by: When the scheduler gives it up: a worker stops it then.
        isolation: inline, or process: a process, folder and settings of its own.
    """

    ts_event: Micros
    ts_ingest: Micros
    fire_id: str
    job: str
    slot: Micros
    kind: str
    target: str
    group: str
    priority: int
    logical_date: int
    schedule_hash: str
    calendar_hash: str
    cause: str
    attempt: int = 1
    ends_by: Micros | None = None
    isolation: str = "inline"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReported:
    """A step in a run's life.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        fire_id: Which run.
        job: Name; also the key.
        slot: Nominal time.
        state: running, succeeded, degraded, failed or retrying.
        attempt: From 1.
        worker: Who ran it.
        detail: Result or error, one sentence.
        started: Market time.
        ended: Market time, null while running.
    """

    ts_event: Micros
    ts_ingest: Micros
    fire_id: str
    job: str
    slot: Micros
    state: str
    attempt: int
    worker: str
    detail: str
    started: Micros
    ended: Micros | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandGiven:
    """An operator's command.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        command_id: Id.
        verb: halt, resume, release, pause, run, ...
        subject: What it is about; also the key.
        actor: Who.
        reason: Why.
        slot: Which slot a backfill is about, null for any other verb.
    """

    ts_event: Micros
    ts_ingest: Micros
    command_id: str
    verb: str
    subject: str
    actor: str
    reason: str
    slot: Micros | None = None
