"""What must hold of the scheduler's committed log, whatever happened.

Judged over the committed log (``reference`` numbers of the scheduler's invariants):

    I1  each attempt of a fire at most once
    I2  every due slot ends as fired or suppressed
    I3  nothing fires that neither the calendar holds nor an operator asked for
    I4  never more running than the caps allow
    I5  no child before the end of its parents' slots of the same logical date
    I6  no more attempts than one and the retries, each 60 to 300 s after the failure before it
    I7  a quarantine begins once, is left by an operator, and nothing of it fires in between
    I8  the log rebuilds the state of whoever has written it
    I9  nobody is called twice for the same
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from scheduler import retry, timetable
from scheduler.state import digest
from scheduler.triggers import Slot
from schemas.control import CommandGiven, JobTriggered, RunReported, ScheduleDecided
from schemas.ops import AlertRaised
from schemas.units import Micros

if TYPE_CHECKING:
    from scheduler.simulate import Story

_NOTHING: Final = {"suppressed", "exhausted", "expired", "cancelled"}


class Broken(NamedTuple):
    """An invariant that did not hold: which, and the facts."""

    invariant: str
    facts: str


def judge(played: "Story") -> list[Broken]:
    """Return every invariant that the committed log breaks."""
    fired = [each for each in played.order if isinstance(each, JobTriggered)]
    return [
        *_once(played, fired), *_due(played, fired), *_gates(played), *_retries(played),
        *_isolation(played), *_rebuilds(played),
    ]  # fmt: skip


def _once(played: "Story", fired: Sequence[JobTriggered]) -> Iterable[Broken]:
    attempts = Counter((each.fire_id, each.attempt) for each in fired)
    for (name, attempt), times in attempts.items():
        if times > 1:
            yield Broken("I1", f"{name} attempt {attempt} fired {times} times")
    for cap, beyond in played.beyond.items():
        if beyond > 0:
            yield Broken("I4", f"{beyond} more than the cap of {cap} ran at once")
    calls = Counter(each.alert_key for each in played.order if isinstance(each, AlertRaised))
    for key, times in calls.items():
        if times > 1:
            yield Broken("I9", f"called {times} times for {key}")


def _due(played: "Story", fired: Sequence[JobTriggered]) -> Iterable[Broken]:
    found = timetable.between(played.table, Micros(played.begin + 1), Micros(played.now + 1))
    due = {(each.job, each.at) for each in found if isinstance(each, Slot)}
    asked = {each.command_id for each in played.log.inputs if isinstance(each, CommandGiven)}
    for each in fired:
        if (each.job, each.slot) not in due and each.cause not in asked and each.attempt == 1:
            yield Broken("I3", f"{each.job} of {each.slot} was not due")
    ended = {(each.job, each.slot) for each in fired} | {
        (each.job, each.slot)
        for each in played.order
        if isinstance(each, ScheduleDecided) and each.decision in _NOTHING
    }
    for job, at in sorted(due - ended):
        if at <= played.due_until:
            yield Broken("I2", f"{job} of {at} neither fired nor suppressed")


def _retries(played: "Story") -> Iterable[Broken]:
    failed: dict[str, Micros] = {}
    for each in played.order:
        if isinstance(each, ScheduleDecided) and each.decision == "failed":
            failed[each.fire_id] = each.decided
        elif isinstance(each, JobTriggered) and each.attempt > 1:
            most = played.table.jobs[each.job].retries + 1
            waited = each.ts_event - failed.get(each.fire_id, each.ts_event)
            if each.attempt > most or waited < retry.BASE:
                yield Broken("I6", f"{each.fire_id} attempt {each.attempt} after {waited} us")
        elif isinstance(each, ScheduleDecided) and each.due is not None and each.attempt > 1:
            wait = each.due - each.decided
            if each.decision == "retrying" and not retry.BASE <= wait <= retry.CAP:
                yield Broken("I6", f"{each.fire_id} is due {each.due}, decided {each.decided}")


def _isolation(played: "Story") -> Iterable[Broken]:
    held: set[str] = set()
    for each in played.order:
        if isinstance(each, JobTriggered) and each.job in held:
            yield Broken("I7", f"{each.job} fired in quarantine")
        if not isinstance(each, ScheduleDecided):
            continue
        if each.decision == "quarantined" and each.job in held:
            yield Broken("I7", f"{each.job} quarantined twice")
        if each.decision == "quarantined":
            held.add(each.job)
        elif each.decision == "released":
            held.discard(each.job)


def _rebuilds(played: "Story") -> Iterable[Broken]:
    live = played.nodes[0].state
    if live is not None and digest(played.rebuilt(live.clock)) != digest(live):
        yield Broken("I8", "the log rebuilds another state than the leader's")


def _gates(played: "Story") -> Iterable[Broken]:
    """Follow the log and look at the parents of each fire."""
    ends: dict[tuple[str, Micros], str] = {}
    slots = _logical(played)
    for each in played.order:
        if isinstance(each, RunReported) and each.state != "failed":
            ends.setdefault((each.job, each.slot), each.state)
        elif isinstance(each, ScheduleDecided) and each.decision in _NOTHING:
            ends[each.job, each.slot] = each.decision
        elif isinstance(each, JobTriggered) and each.kind == "auto":
            for edge in played.table.jobs[each.job].depends_on:
                at = _newest(slots, edge.parent, each, before=edge.before)
                if at is not None and (edge.parent, at) not in ends:
                    yield Broken("I5", f"{each.job} of {each.slot} before {edge.parent} of {at}")


def _logical(played: "Story") -> dict[tuple[str, int], list[Micros]]:
    found: dict[tuple[str, int], list[Micros]] = {}
    for each in timetable.between(played.table, Micros(played.begin + 1), Micros(played.now + 1)):
        if isinstance(each, Slot):
            day = each.logical_date
            key = each.job, day.year * 10_000 + day.month * 100 + day.day
            found.setdefault(key, []).append(each.at)
    return found


def _newest(
    slots: dict[tuple[str, int], list[Micros]], parent: str, child: JobTriggered, *, before: bool
) -> Micros | None:
    known = slots.get((parent, child.logical_date), [])
    fitting = [at for at in known if at < child.slot or (at == child.slot and not before)]
    return max(fitting, default=None)
