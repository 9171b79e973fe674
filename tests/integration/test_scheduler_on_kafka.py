"""The scheduler and the job loop as a process of their own: killed, restarted, fenced.

Market time is served over the exchange's own protocol by a clock that this test drives.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from infra.admin import create_topics, delete_namespace
from infra.connection import Connection
from infra.deploy import register_all
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.served_clock import ServedClock
from infra.settings import Settings
from infra.tail import Tail, decoded, watermark_of
from infra.topology import EXTERNAL_SOURCES, Topology
from scheduler import control, timetable
from scheduler.state import Book, digest, rebuild
from scheduler.triggers import Slot
from schemas.control import JobTriggered, RunReported
from schemas.krx.sessions import kst_midnight
from schemas.market import DailyBars, Instrument
from schemas.topics import (
    ALERTS,
    AUDIT,
    BARS,
    INSTRUMENTS,
    LEADER,
    RUNS,
    SCHEDULE,
    TRIGGERS,
    WINDOWS,
)  # fmt: skip
from schemas.units import HOUR, MINUTE, SECOND, Micros, Shares, Symbol, Won

pytestmark = pytest.mark.stack

DAY = date(2026, 2, 10)
MIDNIGHT = kst_midnight(DAY)
BEGIN = Micros(MIDNIGHT + 8 * HOUR - 30 * SECOND)
OPEN = Micros(MIDNIGHT + 9 * HOUR)
WAIT_S = 60.0
ENDS = {"succeeded", "degraded", "failed"}
JOB = "pre_open_prepare"


class MarketClock(ServedClock):
    """Goes on only on the word of the scheduler."""

    def __init__(self, now: Micros) -> None:
        super().__init__(now, "scheduler")

    def run_to(self, end: int, slack: int = 10 * SECOND, meanwhile: Any = None) -> None:
        """Let time go on a second at a time, never more than the slack ahead of the scheduler."""
        give_up = time.monotonic() + WAIT_S
        while self.now < end:
            if meanwhile is not None:
                meanwhile()
            with self.changed:
                self.changed.wait_for(lambda: self.reached + slack > self.now, 0.02)
                ahead = min(end, self.reached + slack)
                if ahead > self.now:
                    self.now = min(ahead, self.now + 5 * SECOND)
                    give_up = time.monotonic() + WAIT_S
            self.say()
            assert time.monotonic() < give_up, f"time stands at {self.now}"

    def settle(self, meanwhile: Any = None) -> None:
        """Wait until the scheduler is done with all there is."""
        give_up = time.monotonic() + WAIT_S
        while self.reached < self.now:
            if meanwhile is not None:
                meanwhile()
            time.sleep(0.01)
            assert time.monotonic() < give_up, f"the scheduler stays at {self.reached}"


class Place(NamedTuple):
    connection: Connection
    serde: Serde
    clock: MarketClock
    env: dict[str, str]
    log: Path


@pytest.fixture
def place(stack: Any, tmp_path: Path) -> Iterator[Place]:
    namespace = f"demo.test.{os.getpid()}-{time.monotonic_ns()}"
    connection = Connection(settings=Settings(), endpoints=stack, namespace=namespace)
    registry = Registry(stack.registry_url)
    register_all(registry)
    create_topics(connection, Topology((), ()))
    clock = MarketClock(BEGIN)
    env = {
        **os.environ,
        "AEGIS_NAMESPACE": namespace,
        "AEGIS_KAFKA__BOOTSTRAP": stack.kafka_bootstrap,
        "AEGIS_REGISTRY__URL": stack.registry_url,
        "AEGIS_POSTGRES__DSN": stack.postgres_dsn,
        "AEGIS_REDIS__URL": stack.redis_url,
        "AEGIS_CLOCK": "exchange",
        "AEGIS_CLOCK_URL": clock.url,
        "AEGIS_VAR_DIR": str(tmp_path),
    }
    yield Place(connection, Serde(registry), clock, env, tmp_path / "child.log")
    clock.close()
    delete_namespace(connection, namespace)
    registry.close()


class Roles:
    """Stands for the roles: answers each trigger whose target is one, and keeps windows alive."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._tail = Tail(place.connection, (TRIGGERS,), client="test.roles")
        self.publisher = Publisher(place.connection, place.serde, client="test.roles")
        self.waited: list[int] = []

    def __call__(self) -> None:
        now = Micros(self._place.clock.now)
        for each in decoded(self._place.serde, TRIGGERS, self._tail.poll(0.001)):
            if each.target.startswith("role:"):
                time.sleep(0.3)  # a decision takes a while of wall time
                self.waited.append(self._place.clock.reached - each.ts_event)
                self.publisher.send(RUNS, each.job, ended(each, now))
        if now >= OPEN:
            self.publisher.watermark(WINDOWS, "test", now)

    def close(self) -> None:
        self._tail.close()
        self.publisher.close()


def ended(trigger: JobTriggered, now: Micros, state: str = "succeeded") -> RunReported:
    return RunReported(
        ts_event=now,
        ts_ingest=now,
        fire_id=trigger.fire_id,
        job=trigger.job,
        slot=trigger.slot,
        state=state,
        attempt=trigger.attempt,
        worker="test",
        detail="",
        started=now,
        ended=now,
    )


def publish_listing(place: Place, symbols: Sequence[str]) -> None:
    """Publish master data and yesterday's bar of some names."""
    publisher = Publisher(place.connection, place.serde, client="test.listing")
    at = Micros(BEGIN - MINUTE)
    for name in map(Symbol, symbols):
        publisher.send(INSTRUMENTS, name, instrument(name, at))
        publisher.send(BARS, name, bar(name, at))
    publisher.flush()


def instrument(symbol: Symbol, at: Micros) -> Instrument:
    return Instrument(
        ts_event=at,
        ts_ingest=at,
        symbol=symbol,
        isin="",
        name=symbol,
        segment="KOSPI",
        security_type="COMMON",
        listed_shares=Shares(1_000),
        base_price=Won(50_000),
        market_cap=Won(50_000_000),
        halted=False,
        administrative=False,
        delisting=False,
    )


def bar(symbol: Symbol, at: Micros) -> DailyBars:
    price = (Won(50_000),)
    return DailyBars(
        ts_event=at,
        ts_ingest=at,
        symbol=symbol,
        source="test",
        dates=(20260209,),
        opens=price,
        highs=price,
        lows=price,
        closes=price,
        volumes=(Shares(10),),
        turnovers=(Won(500_000),),
        adjusts=(1.0,),
    )


def start(place: Place, *services: str, node: str = "a") -> subprocess.Popen[bytes]:
    with place.log.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "infra.host", *services],
            env={**place.env, "AEGIS_SCHEDULER__NODE": node},
            stderr=sink,
            stdout=sink,
        )


def stop(child: subprocess.Popen[bytes], how: int = signal.SIGTERM) -> int:
    child.send_signal(how)
    return child.wait(20)


def read(place: Place, topic: Any) -> list[Any]:
    return decoded(place.serde, topic, read_all(place.connection, topic))


def wait_for(happened: Callable[[], bool]) -> None:
    give_up = time.monotonic() + WAIT_S
    while not happened():
        time.sleep(0.05)
        assert time.monotonic() < give_up


def due_until(end: int) -> Counter[tuple[str, Micros]]:
    found = timetable.preview(timetable.default(), DAY)
    return Counter(
        (each.job, each.at) for each in found if isinstance(each, Slot) and BEGIN < each.at <= end
    )


def test_each_due_slot_fires_once_and_ends_once_across_kills_of_the_process(place: Place) -> None:
    publish_listing(place, ["005930", "000660"])
    roles = Roles(place)
    end = Micros(OPEN + 3 * MINUTE + 2 * SECOND)  # a held run ends before time reaches it
    kills = [BEGIN + 16 * MINUTE, OPEN - 30 * MINUTE, OPEN + MINUTE, OPEN + 2 * MINUTE + SECOND]
    child = start(place, "scheduler", "jobs")
    try:
        for instant in kills:
            slack = 10 * SECOND if instant >= OPEN else 60 * SECOND
            place.clock.run_to(instant, slack, roles)
            stop(child, signal.SIGKILL)
            place.clock.lose()
            child = start(place, "scheduler", "jobs")
        place.clock.run_to(end, meanwhile=roles)
        place.clock.settle(roles)
        assert stop(child) == 0, place.log.read_text()
    finally:
        child.kill()
        roles.close()

    triggers: list[JobTriggered] = read(place, TRIGGERS)
    assert Counter((each.job, each.slot) for each in triggers) == due_until(end), (
        place.log.read_text()
    )
    assert len({each.fire_id for each in triggers}) == len(triggers)
    decided = Counter(each.fire_id for each in read(place, SCHEDULE) if each.decision == "fired")
    assert decided == Counter(each.fire_id for each in triggers)
    runs: list[RunReported] = read(place, RUNS)
    ends = Counter((each.job, each.slot) for each in runs if each.state in ENDS)
    assert ends == Counter((each.job, each.slot) for each in triggers), place.log.read_text()
    states = {(each.job, each.state) for each in runs if each.state in ENDS}
    assert ("pre_open_prepare", "succeeded") in states
    assert ("morning_data_collection", "succeeded") in states
    assert ("market_monitoring", "succeeded") in states
    assert ("trading_execution", "degraded") in states  # there is no opening balance here
    assert not [state for _, state in states if state == "failed"], [each.detail for each in runs]
    assert max(roles.waited) <= 0, "market time ran on while a decision was being made"


def test_no_trigger_comes_behind_the_time_that_was_said(place: Place) -> None:
    publish_listing(place, ["005930"])
    roles = Roles(place)
    child = start(place, "scheduler", "jobs")
    end = Micros(OPEN + MINUTE + 2 * SECOND)
    try:
        place.clock.run_to(OPEN - 20 * MINUTE, 60 * SECOND, roles)
        stop(child, signal.SIGKILL)
        place.clock.lose()
        child = start(place, "scheduler", "jobs")
        place.clock.run_to(end, meanwhile=roles)
        place.clock.settle(roles)
        assert stop(child) == 0, place.log.read_text()
    finally:
        child.kill()
        roles.close()

    said, fires = 0, 0
    for record in read_all(place.connection, TRIGGERS):
        mark = watermark_of(record)
        if mark is not None:
            said = max(said, mark)
            assert record.headers["source"].decode() in EXTERNAL_SOURCES[TRIGGERS.name]
        elif record.value is not None:
            trigger = place.serde.decode(TRIGGERS, record.value)
            fires += 1
            assert said <= trigger.ts_event <= end
            assert trigger.ts_event >= trigger.slot
            assert trigger.ts_ingest > trigger.ts_event  # the wall clock, not the market's
    assert said == end
    assert fires > 0


def test_a_stopped_leader_is_fenced_and_stands_by_when_it_wakes(place: Place) -> None:
    first = start(place, "scheduler", node="a")
    second = None
    try:
        place.clock.run_to(BEGIN + 20 * SECOND)
        second = start(place, "scheduler", node="b")
        place.clock.run_to(BEGIN + 25 * SECOND)
        assert [each.node for each in read(place, LEADER)] == ["a"] * len(read(place, LEADER))
        first.send_signal(signal.SIGSTOP)
        wait_for(lambda: read(place, LEADER)[-1].node == "b")
        first.send_signal(signal.SIGCONT)
        place.clock.run_to(BEGIN + 40 * SECOND)  # 08:00: both want to fire
        wait_for(lambda: "stood_down" in place.log.read_text())
        assert (first.poll(), second.poll()) == (None, None), "neither process has ended"
        assert stop(second) == 0
        wait_for(lambda: read(place, LEADER)[-1].node == "a")
        assert stop(first) == 0
    finally:
        first.kill()
        if second is not None:
            second.kill()

    fired = [each.job for each in read(place, TRIGGERS)]
    assert sorted(fired) == ["morning_data_collection", "pre_open_prepare"]
    beats = read(place, LEADER)
    terms = [each.term for each in beats]
    assert terms == sorted(terms)
    assert len({(each.term, each.node) for each in beats}) == terms[-1] == 3
    assert (beats[0].state, beats[-1].state) == ("taken", "left")


ALONE = f"""
[limits]
running_max = 1
emergency_max = 0
[limits.groups]
one = 1
[jobs.{JOB}]
source = "a test"
cron = "0 8 * * *"
calendar = "sessions"
target = "handler:nobody"
group = "one"
priority = 2
late_max = "1h"
run_max = "1h"
"""


def test_a_failure_told_while_nobody_leads_is_answered_once_by_whoever_leads_next(
    place: Place,
) -> None:
    alone = place.log.parent / "alone.toml"
    alone.write_text(ALONE, "utf-8")
    place.env["AEGIS_SCHEDULER__TIMETABLE"] = str(alone)
    place.env["AEGIS_SCHEDULER__SNAPSHOT_EVERY"] = "1"
    publisher = Publisher(place.connection, place.serde, client="test.worker")
    child = start(place, "scheduler")
    try:
        place.clock.run_to(BEGIN + 40 * SECOND)
        wait_for(lambda: any(each.job == JOB for each in read(place, TRIGGERS)))
        stop(child, signal.SIGKILL)
        place.clock.lose()
        [first] = [each for each in read(place, TRIGGERS) if each.job == JOB]
        publisher.send(RUNS, JOB, ended(first, Micros(place.clock.now), "failed"))
        publisher.flush()
        child = start(place, "scheduler")
        wait_for(lambda: "retrying" in words(place))
        stop(child, signal.SIGKILL)  # and what it answered is not answered again
        place.clock.lose()
        child = start(place, "scheduler")
        place.clock.run_to(BEGIN + 3 * MINUTE)
        wait_for(lambda: len(words(place)) == 4)
        assert stop(child) == 0, place.log.read_text()
    finally:
        child.kill()
        publisher.close()

    assert words(place) == ["fired", "failed", "retrying", "fired"]
    left, whole = control.left(place.connection, place.serde), rebuild(read(place, SCHEDULE))
    assert left.state is not None
    assert whole is not None
    assert left.decisions == 0, "a snapshot stands for every decision"
    book = Book(whole)
    book.at(left.state.clock)
    assert digest(left.state) == digest(book.state())
    again = [each for each in read(place, TRIGGERS) if each.job == JOB]
    assert [(each.fire_id, each.attempt) for each in again] == [
        (first.fire_id, 1),
        (first.fire_id, 2),
    ]
    [retrying] = [each for each in read(place, SCHEDULE) if each.decision == "retrying"]
    assert 60 * SECOND <= retrying.due - retrying.decided < 66 * SECOND
    assert retrying.due <= again[1].ts_event <= retrying.due + 10 * SECOND
    [call] = read(place, ALERTS)
    assert call.alert_key == f"scheduler/{first.fire_id}/failed"


def test_an_operator_is_answered_by_the_leader_and_stands_on_the_audit_topic(place: Place) -> None:
    def ask(verb: str, subject: str = f"job:{JOB}") -> control.Answer:
        return control.ask(
            place.connection, place.serde, verb, subject, actor="kim", reason="a test"
        )

    child = start(place, "scheduler")
    try:
        paused = ask("pause")
        refused = ask("run")
        command = [sys.executable, "-m", "infra.cli", "jobs"]
        told = subprocess.run(
            [*command, "resume", JOB, "--reason", "mended", "--actor", "lee", "--json"],
            env=place.env, capture_output=True, text=True, timeout=WAIT_S, check=True,
        )  # fmt: skip
        denied = subprocess.run(
            [*command, "release", JOB, "--reason", "mended"],
            env=place.env, capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
        ran = ask("run")
        cancelled = ask("cancel", f"fire:{ran.fire_id}")
        looked = [
            json.loads(
                subprocess.run(
                    [*command, *words, "--json"],
                    env=place.env, capture_output=True, text=True, timeout=WAIT_S, check=True,
                ).stdout
            )
            for words in (["state"], ["history", JOB], ["explain", ran.fire_id])
        ]  # fmt: skip
        assert stop(child) == 0, place.log.read_text()
    finally:
        child.kill()

    assert (paused.done, refused.done, ran.done, cancelled.done) == (True, False, True, True)
    assert refused.reason.startswith("expected a job that fires, was paused since")
    assert json.loads(told.stdout)["decision"] == "resumed"
    assert (denied.returncode, denied.stdout.split(":")[0]) == (1, "refused")
    state, history, explained = looked
    assert (state["leader"], state["running"], state["held"]) == ("a", [], [])
    assert [each["way"] for each in history["fires"]] == [["waiting", "running", "cancelled"]]
    assert [each["name"] for each in explained["steps"]][:2] == ["due", "runnable"]
    [fired] = read(place, TRIGGERS)
    assert (fired.kind, fired.fire_id) == ("manual", ran.fire_id)
    acts = [(each.actor, each.act, each.allowed) for each in read(place, AUDIT)]
    assert acts[:3] == [("kim", "pause", True), ("kim", "run", False), ("lee", "resume", True)]
    assert [(act, allowed) for _, act, allowed in acts[3:]] == [
        ("release", False), ("run", True), ("cancel", True),
    ]  # fmt: skip


def test_the_systems_state_names_a_quarantined_job_until_it_is_released(place: Place) -> None:
    alone = place.log.parent / "alone.toml"
    alone.write_text(ALONE + "retries = 0\n", "utf-8")
    place.env["AEGIS_SCHEDULER__TIMETABLE"] = str(alone)
    publisher = Publisher(place.connection, place.serde, client="test.worker")
    child = start(place, "scheduler")
    try:
        place.clock.run_to(BEGIN + 40 * SECOND)
        wait_for(lambda: bool(read(place, TRIGGERS)))
        well = status_of(place)
        [fired] = read(place, TRIGGERS)
        publisher.send(RUNS, JOB, ended(fired, Micros(place.clock.now), "failed"))
        publisher.flush()
        wait_for(lambda: "exhausted" in words(place))
        ill = status_of(place)
        control.ask(
            place.connection, place.serde, "release", f"job:{JOB}", actor="kim", reason="mended"
        )
        mended = status_of(place)
        assert stop(child) == 0, place.log.read_text()
    finally:
        child.kill()
        publisher.close()

    assert [each[0] for each in (well, ill, mended)] == [0, 1, 0]
    assert [each[1]["state"] for each in (well, ill, mended)] == ["ok", "degraded", "ok"]
    [said] = ill[1]["problems"]
    assert said.startswith(f"job {JOB}: quarantined since 08:00")
    assert "its last run came to nothing" in said


def status_of(place: Place) -> tuple[int, dict[str, Any]]:
    """Return what ``aegis status`` says."""
    ran = subprocess.run(
        [sys.executable, "-m", "infra.cli", "status", "--json"],
        env=place.env, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    return ran.returncode, json.loads(ran.stdout)


def words(place: Place) -> list[str]:
    """Return what was decided about the job's runs, in order."""
    return [each.decision for each in read(place, SCHEDULE) if each.job == JOB and each.attempt > 0]
