"""The claim rule: every interleaving of two workers leaves one live attempt and one end."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, reduce
from typing import NamedTuple

import pytest

from infra.jobs.claims import FREE, YIELD_S, Claim, Said, follow, said, yield_s
from schemas.control import RunReported
from schemas.testing import MORNING
from schemas.units import Micros

LOG_MAX = 5


@cache
def fold(*records: Said) -> Claim:
    return reduce(follow, records, FREE)


def test_the_first_of_two_claims_on_the_log_holds() -> None:
    assert fold(Said(0, "a"), Said(1, "b")) == Claim("a", 0)


def test_the_holder_renews_and_nobody_else_does() -> None:
    assert fold(Said(0, "a"), Said(1, "b"), Said(2, "a")) == Claim("a", 2)


def test_a_takeover_holds_only_after_the_record_it_names() -> None:
    beats = (Said(0, "a"), Said(1, "a"))

    assert fold(*beats, Said(2, "b", after=1)) == Claim("b", 2)
    assert fold(*beats, Said(2, "b", after=0)) == Claim("a", 1)


def test_a_zombie_that_goes_on_changes_nothing() -> None:
    taken = (Said(0, "a"), Said(1, "b", after=0))

    assert fold(*taken, Said(2, "a")) == Claim("b", 1)
    assert fold(*taken, Said(2, "a", lets_go=True)) == Claim("b", 1)


def test_what_is_let_go_is_free_and_the_next_claim_holds() -> None:
    gone = (Said(0, "a"), Said(1, "a", lets_go=True))

    assert fold(*gone) == FREE
    assert fold(*gone, Said(2, "b")) == Claim("b", 2)


def test_the_first_end_counts_and_nothing_follows_it() -> None:
    ended = (Said(0, "a"), Said(1, "a", "degraded"))

    assert fold(*ended, Said(2, "b", "failed"), Said(3, "b"))[2] == "degraded"


def test_a_report_is_read_with_its_headers() -> None:
    report = RunReported(
        ts_event=MORNING, ts_ingest=MORNING, fire_id="f", job="j", slot=MORNING,
        state="running", attempt=2, worker="b", detail="", started=MORNING,
    )  # fmt: skip
    gone = replace(report, ended=Micros(MORNING + 1))

    assert said(report, 7, {"after": b"3"}) == Said(7, "b", after=3)
    assert said(gone, 8, {}) == Said(8, "b", lets_go=True)


def test_the_emptier_worker_comes_first_and_none_waits_longer_than_the_limit() -> None:
    keys = [(f"f{number}", 1) for number in range(200)]
    first = sum(yield_s("a", key, 1, 4) < yield_s("b", key, 1, 4) for key in keys)

    assert 70 <= first <= 130  # equally busy: about half each
    assert all(yield_s("a", key, 0, 4) < yield_s("a", key, 4, 4) <= YIELD_S for key in keys)
    assert all(yield_s("a", key, 0, 1) <= YIELD_S / 2 <= yield_s("b", key, 1, 1) for key in keys)


class One(NamedTuple):
    """A worker of the model: how far it has read, and what it believes.

    Attributes:
        claimed: Offset of the record whose return confirms its claim; one sent before it stood
            still confirms nothing any more.  While it is taking over: of the record it names.
        fresh: Its claim is confirmed, and it has not stood still since.
    """

    name: str
    read: int = 0
    phase: str = "idle"
    claimed: int = -1
    fresh: bool = False
    stands: bool = False


class World(NamedTuple):
    log: tuple[Said, ...] = ()
    workers: tuple[One, ...] = (One("a"), One("b"))


def steps(world: World, bug: str) -> Iterator[World]:
    """Every world one step further; a bug of this name is built in."""
    for index, one in enumerate(world.workers):
        other = world.workers[1 - index]
        for log, after in _moves(world.log, one, other, bug):
            workers = (after, other) if index == 0 else (other, after)
            yield World(log, workers)


def _moves(
    log: tuple[Said, ...], one: One, other: One, bug: str
) -> Iterator[tuple[tuple[Said, ...], One]]:
    if one.phase == "done":
        return
    if one.stands:
        yield log, one._replace(stands=False)
        return
    if one.phase != "idle":
        keeps = bug == "an old record confirms" or one.phase == "taking"
        yield log, one._replace(stands=True, fresh=False, claimed=one.claimed if keeps else -1)
    if one.read < len(log):
        yield log, _read(log, one)
    if len(log) < LOG_MAX:
        yield from _appends(log, one, other, bug)


def _appends(
    log: tuple[Said, ...], one: One, other: One, bug: str
) -> Iterator[tuple[tuple[Said, ...], One]]:
    view, here = fold(*log[: one.read]), len(log)
    claims = "running" if bug == "no look at the log" else "claimed"
    if one.phase == "idle" and view.end is None:
        claimed = one._replace(phase=claims, claimed=here, fresh=claims == "running")
        if view.worker in {None, one.name}:
            yield (*log, Said(here, one.name)), claimed
        elif other.stands and view.at is not None:
            yield log, one._replace(phase="taking", claimed=view.at)
    if one.phase == "taking":
        after = one.claimed if bug != "takes over whatever stands there" else fold(*log).at
        yield (*log, Said(here, one.name, after=after)), one._replace(phase="claimed", claimed=here)
    if one.phase in {"claimed", "running"}:
        yield (*log, Said(here, one.name)), one._replace(claimed=here)
    if one.phase == "running" and (one.fresh or bug == "ends without a confirmation"):
        yield (*log, Said(here, one.name, "succeeded")), one._replace(phase="done")


def _read(log: tuple[Said, ...], one: One) -> One:
    """Read one record; our own that comes back confirms, or shows that the claim is lost."""
    after = one._replace(read=one.read + 1)
    view = fold(*log[: after.read])
    if one.phase not in {"claimed", "running"}:
        return after
    if view.end is not None or view.worker not in {None, one.name}:
        return after._replace(phase="idle", fresh=False)
    if one.read == one.claimed:
        return after._replace(phase="running", fresh=True)
    return after


def violation(world: World) -> str | None:
    live = [one for one in world.workers if one.phase == "running" and one.fresh]
    if len(live) > 1:
        return "two live attempts"
    if sum(each.state != "running" for each in world.log) > 1:
        return "two ends"
    return None


def explore(bug: str) -> tuple[int, str | None]:
    """Visit every world; return how many there are, and the first violation."""
    seen, next_ = {World()}, [World()]
    while next_:
        world = next_.pop()
        found = violation(world)
        if found is not None:
            return len(seen), found
        for each in steps(world, bug):
            if each not in seen:
                seen.add(each)
                next_.append(each)
    return len(seen), None


def test_no_interleaving_of_two_workers_has_two_live_attempts_or_two_ends() -> None:
    worlds, found = explore("")

    print(f"{worlds} worlds")  # noqa: T201 -- the figure
    assert found is None
    assert worlds > 10_000


@pytest.mark.parametrize(
    "bug",
    [
        "no look at the log",
        "an old record confirms",
        "ends without a confirmation",
        "takes over whatever stands there",
    ],
)
def test_the_exploration_finds_a_planted_bug(bug: str) -> None:
    assert explore(bug)[1] is not None
