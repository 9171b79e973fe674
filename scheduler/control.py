"""How an operator reaches the scheduler: a command on a topic, its answer on another.

    CommandGiven on control.commands  ->  the leader  ->  ScheduleDecided whose cause is its id

Nothing is done here: the scheduler does it or refuses it, in its next transaction, on record.
"""

import time
import uuid
from typing import Final, NamedTuple

from infra.clock import wall_now
from infra.connection import Connection
from infra.publish import Publisher
from infra.registry import Serde
from infra.tail import Tail, decoded
from scheduler.follower import Follower, Left
from schemas.control import CommandGiven, ScheduleDecided
from schemas.errors import Transient
from schemas.topics import COMMANDS, SCHEDULE
from schemas.units import Micros

ANSWER_S_MAX: Final = 15.0
"""A takeover takes some seconds; an answer that has not come by then may still come."""

POLL_S: Final = 0.1
BACK: Final = 16
END_WAIT_MS: Final = 50


class Answer(NamedTuple):
    """What became of a command.

    Attributes:
        done: False when it was refused.
        decision: The word on record: fired, waiting, cancelled, paused, ..., refused.
        fire_id: Of the run it led to; empty when it is about none.
        reason: Why, one sentence.
    """

    done: bool
    decision: str
    fire_id: str
    reason: str


def ask(
    connection: Connection,
    serde: Serde,
    verb: str,
    subject: str,
    *,
    actor: str,
    reason: str,
    slot: Micros | None = None,
) -> Answer:
    """Give a command and wait for its answer.

    Args:
        connection: Where the scheduler is.
        serde: How events are written and read.
        verb: run, backfill, cancel, pause, resume or release.
        subject: ``job:NAME`` or ``fire:ID``.
        actor: Who asks.
        reason: Why; it stands on record.
        slot: Which past slot a backfill is about.

    Raises:
        Transient: No scheduler answered; the command stands and may still be done.
    """
    given = CommandGiven(
        ts_event=wall_now(),
        ts_ingest=wall_now(),
        command_id=uuid.uuid4().hex,
        verb=verb,
        subject=subject,
        actor=actor,
        reason=reason,
        slot=slot,
    )
    answers = Tail(
        connection,
        (SCHEDULE,),
        client="scheduler.control",
        back={SCHEDULE: BACK},
        end_wait_ms=END_WAIT_MS,
    )
    publisher = Publisher(connection, serde, client="scheduler.control")
    try:
        publisher.send(COMMANDS, subject, given)
        publisher.flush()
        return _answer(answers, serde, given)
    finally:
        publisher.close()
        answers.close()


def left(connection: Connection, serde: Serde) -> Left:
    """Return what the scheduler has decided so far, and who leads."""
    follower = Follower(connection, serde)
    try:
        follower.to_end()
        return follower.left()
    finally:
        follower.close()


def _answer(answers: Tail, serde: Serde, given: CommandGiven) -> Answer:
    give_up = time.monotonic() + ANSWER_S_MAX
    while time.monotonic() < give_up:
        decided: list[ScheduleDecided] = decoded(serde, SCHEDULE, answers.poll(POLL_S))
        for each in decided:
            if each.cause == given.command_id:
                about_run = each.attempt > 0
                return Answer(
                    each.decision != "refused",
                    each.decision,
                    each.fire_id if about_run else "",
                    each.reason,
                )
    raise Transient(
        f"{given.verb} {given.subject}: expected an answer within {ANSWER_S_MAX:.0f} s, was none; "
        f"it stands as {given.command_id} and is done when a scheduler runs: see 'aegis status'"
    )
