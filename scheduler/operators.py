"""What operators may ask of the scheduler: each command is done or refused, on record.

    run job:NAME            a run now, beside the timetable: gates are not asked, caps are
    backfill job:NAME       a past slot once more; children that were decided stay decided
    cancel fire:ID          end what waits or runs; its worker stops it
    pause | resume job:NAME from now on nothing of it fires, until resumed
    release job:NAME        let a quarantined job go

The subject says which room is meant: ``job:`` and ``fire:`` are ours, everything else is not
answered here.  The answer is a decision whose ``cause`` is the command's id.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from scheduler import records
from scheduler.agenda import planned
from scheduler.state import ENDED, Waiting, fire_id
from scheduler.triggers import Slot, clock
from schemas.control import CommandGiven
from schemas.krx.sessions import kst_date
from schemas.units import SECOND, Micros

if TYPE_CHECKING:
    from scheduler.core import Turn

JOB: Final = "job"
FIRE: Final = "fire"
TEXT_MAX: Final = 500
"""Characters of a subject, an actor, a reason: an act has to fit on the record of it."""


def ours(given: CommandGiven) -> bool:
    """Say whether a command is for the scheduler."""
    return given.subject.partition(":")[0] in {JOB, FIRE}


def take(turn: "Turn", given: CommandGiven) -> None:
    """Do what was asked, or say why not."""
    if not ours(given):
        return
    kind, _, name = given.subject[:TEXT_MAX].partition(":")
    why_not = _check(turn, given, kind, name)
    if why_not is None:
        why_not = _VERBS[kind, given.verb](turn, given, name)
    if why_not is not None:
        turn.say(name, "refused", why_not, given.command_id[:TEXT_MAX])
    turn.records.append(records.audited(turn.now, _short(given), why_not))


def _check(turn: "Turn", given: CommandGiven, kind: str, name: str) -> str | None:
    known = sorted(verb for of, verb in _VERBS if of == kind)
    if (kind, given.verb) not in _VERBS:
        return f"expected {' | '.join(known)} of a {kind}, was {given.verb[:TEXT_MAX]}"
    longest = max(map(len, (given.subject, given.actor, given.reason, given.command_id)))
    if longest > TEXT_MAX:
        return f"expected texts of at most {TEXT_MAX} characters, was one of {longest}"
    if not given.actor or not given.reason:
        return "expected an actor and a reason, was none; operators' acts stand on record"
    if kind == JOB and name not in turn.timetable.jobs:
        return f"expected a job of {', '.join(sorted(turn.timetable.jobs))}, was {name!r}"
    return None


def _run(turn: "Turn", given: CommandGiven, name: str) -> str | None:
    if name in turn.book.held:
        return _not_firing(turn, name)
    at = Micros(turn.now + 1)
    while at % SECOND == 0 or (name, at) in turn.book.status:  # the timetable's are whole seconds
        at = Micros(at + 1)
    slot, job = Slot(name, at, kst_date(at)), turn.timetable.jobs[name]
    named = fire_id(job, at, "manual", given.command_id)
    turn.add(Waiting(slot, named, "manual", cause=given.command_id))
    return None


def _backfill(turn: "Turn", given: CommandGiven, name: str) -> str | None:
    at, job = given.slot, turn.timetable.jobs[name]
    slot = None if at is None else planned(turn.timetable, name, at, turn.calendar)
    if at is None or slot is None or at > turn.before:
        return f"expected a past slot of {name}, was {'none' if at is None else clock(at)}"
    status = turn.book.status.get((name, at), "suppressed")
    if name in turn.book.held:
        return _not_firing(turn, name)
    if status not in ENDED:
        return f"expected a slot that has ended, was {status}"
    named = fire_id(job, at, "backfill", given.command_id)
    turn.add(Waiting(slot, named, "backfill", cause=given.command_id))
    return None


def _cancel(turn: "Turn", given: CommandGiven, name: str) -> str | None:
    done = turn.cancel(name, _told(given), given.command_id)
    return None if done else f"expected a fire that waits or runs, was {name!r}"


def _pause(turn: "Turn", given: CommandGiven, name: str) -> str | None:
    if name in turn.book.held:
        return _not_firing(turn, name)
    turn.say(name, "paused", _told(given), given.command_id)
    return None


def _resume(turn: "Turn", given: CommandGiven, name: str) -> str | None:
    return _let_go(turn, given, name, "paused", "resumed")


def _release(turn: "Turn", given: CommandGiven, name: str) -> str | None:
    return _let_go(turn, given, name, "quarantined", "released")


def _let_go(turn: "Turn", given: CommandGiven, name: str, word: str, decision: str) -> str | None:
    held = turn.book.held.get(name)
    if held is None or held.word != word:
        return f"expected a {word} job, was {'firing' if held is None else held.word}"
    turn.say(name, decision, _told(given), given.command_id)
    return None


def _short(given: CommandGiven) -> CommandGiven:
    return replace(
        given,
        subject=given.subject[:TEXT_MAX],
        actor=given.actor[:TEXT_MAX],
        reason=given.reason[:TEXT_MAX],
    )


def _not_firing(turn: "Turn", name: str) -> str:
    held = turn.book.held[name]
    return f"expected a job that fires, was {held.word} since {clock(held.since)}: {held.reason}"


def _told(given: CommandGiven) -> str:
    return f"by {given.actor}: {given.reason}"


_VERBS: Final[Mapping[tuple[str, str], Callable[["Turn", CommandGiven, str], str | None]]] = {
    (JOB, "run"): _run,
    (JOB, "backfill"): _backfill,
    (JOB, "pause"): _pause,
    (JOB, "resume"): _resume,
    (JOB, "release"): _release,
    (FIRE, "cancel"): _cancel,
}
