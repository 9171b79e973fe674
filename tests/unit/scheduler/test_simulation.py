"""Seeded days of two instances: nothing breaks, and each planted fault is found by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from scheduler import core, invariants, records, retry, simulate
from scheduler.capacity import Capacity
from scheduler.simulate import Log
from scheduler.timetable import Job
from schemas.control import JobTriggered
from schemas.ops import AlertRaised
from schemas.units import SECOND, Micros

SEEDS = range(100)
ALERT = records.alert


def _breaks(invariant: str, seeds: range) -> bool:
    for seed in seeds:
        played = simulate.Story(seed)
        played.play()
        if invariant in {each.invariant for each in invariants.judge(played)}:
            return True
    return False


def test_no_seeded_day_breaks_an_invariant() -> None:
    found = simulate.many(SEEDS)

    assert found["story"] == []
    assert found["fires"] > 10 * len(SEEDS)
    assert found["takeovers"] > 5 * len(SEEDS)
    assert found["suppressed"] > len(SEEDS)
    assert found["retries"] > len(SEEDS)
    assert found["quarantined"] > len(SEEDS) // 10
    assert found["released"] > 0


def test_a_seed_tells_the_same_story_twice() -> None:
    first, second = simulate.Story(11), simulate.Story(11)
    first.play()
    second.play()

    assert first.events == second.events
    assert first.log.entries == second.log.entries


def _no_fence(log: Log) -> int:
    return log.epoch


def _loses_the_last(log: Log, epoch: int) -> bool:
    if epoch != log.epoch:
        return False
    if log.open is not None:
        log.entries.extend(log.open[1][:-1])
    log.open = None
    return True


def _fires_a_second_later(log: Log, epoch: int) -> bool:
    if epoch != log.epoch:
        return False
    for each in log.open[1] if log.open is not None else ():
        record: Any = each.record
        if isinstance(record, JobTriggered):
            record = replace(record, slot=Micros(record.slot + SECOND))
        log.entries.append(each._replace(record=record))
    log.open = None
    return True


def _forgets_failures(turn: core.Turn) -> None:
    turn.book.failures.clear()  # and nothing is on record about it


def _calls_for_everything(now: Micros, _key: str, job: Job, *what: str) -> AlertRaised:
    return ALERT(now, "something", job, *what)


@pytest.mark.parametrize(
    ("owner", "name", "fault", "invariant"),
    [
        (Log, "fence", _no_fence, "I1"),
        (Log, "end", _loses_the_last, "I2"),
        (Log, "end", _fires_a_second_later, "I3"),
        (Capacity, "room", lambda _capacity, _job: (False, ""), "I4"),
        (core.Turn, "_passed", lambda _turn, waiting: waiting, "I5"),
        (retry, "delay", lambda _name, _attempt: Micros(SECOND), "I6"),
        (core.Turn, "drop_held", lambda _turn: None, "I7"),
        (core.Turn, "_drop_jobs", _forgets_failures, "I8"),
        (records, "alert", _calls_for_everything, "I9"),
    ],
)
def test_a_planted_fault_breaks_its_invariant(
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    fault: Callable[..., Any],
    invariant: str,
) -> None:
    monkeypatch.setattr(owner, name, fault)

    assert _breaks(invariant, range(60))
