"""How fast one leader is, on the real broker: ``aegis bench schedule``.

lateness   from a slot's instant to its trigger in a reader's hands, at real time, a process
commit     a transaction of one fire: decision, trigger, the leader's word
leader     fires a second when a thousand jobs are due at once and all end before the next slot
rebuild    a log of decisions read and folded by whoever comes next
"""

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Final

from infra.admin import create_topics, delete_namespace
from infra.connection import Connection
from infra.host import tune_interpreter
from infra.publish import Publisher
from infra.registry import Serde
from infra.served_clock import ServedClock
from infra.settings import Settings
from infra.stack.endpoints import Endpoints
from infra.tail import Tail, decoded
from infra.topology import Topology
from scheduler import core, timetable
from scheduler.drill_lives import environment
from scheduler.follower import Follower
from scheduler.records import Decision
from scheduler.state import Book, digest, initial
from schemas.control import JobTriggered, LeadershipHeld, RunReported, ScheduleDecided
from schemas.errors import Fatal
from schemas.krx.sessions import kst_midnight, session
from schemas.topics import LEADER, RUNS, SCHEDULE, TRIGGERS
from schemas.units import HOUR, MILLISECOND, SECOND, Micros

DAY: Final = date(2026, 2, 10)
CROWD: Final = 1_000
MINUTES: Final = 12
COMMITS: Final = 300
SECONDLY: Final = 5
TICK_S: Final = 0.004
WARM_S: Final = 3.0
_HEAD: Final = """
[limits]
running_max = 1_000_000
emergency_max = 0
[limits.groups]
all = 1_000_000
"""
_JOB: Final = """
[jobs.job_{n}]
source = "aegis bench schedule"
{when}
target = "role:bench"
group = "all"
priority = 2
late_max = "1h"
run_max = "1h"
"""
_MINUTELY: Final = 'cron = "* * * * *"\ncalendar = "every-day"'
_EACH_SECOND: Final = 'session = "every 1s within session"\ncalendar = "sessions"'


def _jobs(count: int, when: str) -> str:
    return _HEAD + "".join(_JOB.format(n=n, when=when) for n in range(count))


def schedule(
    settings: Settings, endpoints: Endpoints, serde: Serde, *, seconds: int, records: int
) -> dict[str, Any]:
    """Measure everything, in a namespace of its own that is deleted afterwards."""
    name = f"bench.schedule.{time.time_ns() // 1_000_000}"
    connection = Connection(settings=settings, endpoints=endpoints, namespace=name)
    create_topics(connection, Topology((), ()))
    try:
        folder = settings.var_dir.resolve() / name
        folder.mkdir(parents=True)
        return {
            "lateness_ms": lateness(connection, serde, folder, seconds),
            "commit_ms": commits(connection, serde),
            "fires_per_s": leader(connection, serde),
            "rebuild": rebuild(connection, serde, records),
        }
    finally:
        delete_namespace(connection, name)


def lateness(connection: Connection, serde: Serde, folder: Path, seconds: int) -> dict[str, float]:
    """Return how late triggers reach a reader, in ms, with a scheduler in a process of its own."""
    today = session(DAY)
    if today is None:
        raise Fatal(f"expected a session on {DAY}, was none")
    begin = Micros(today.open + HOUR)
    clock, ended = ServedClock(begin, "scheduler"), threading.Event()
    table = folder / "timetable.toml"
    table.write_text(_jobs(SECONDLY, _EACH_SECOND), "utf-8")
    told = {**environment(connection, folder), "AEGIS_SCHEDULER__TIMETABLE": str(table),
            "AEGIS_CLOCK": "exchange", "AEGIS_CLOCK_URL": clock.url}  # fmt: skip
    command = [sys.executable, "-m", "infra.host", "scheduler"]
    with (folder / "scheduler.log").open("wb") as sink:
        child = subprocess.Popen(command, env=told, stdout=sink, stderr=sink)
    tail = Tail(connection, (TRIGGERS,), client="bench.worker")
    answers = Publisher(connection, serde, client="bench.worker")
    try:
        while clock.reached < begin:
            time.sleep(TICK_S)
            clock.say()
        began_s = time.monotonic()
        _in_thread(lambda: _run(clock, begin, began_s, ended))
        late = []
        while time.monotonic() - began_s < WARM_S + seconds:
            for each in decoded(serde, TRIGGERS, tail.poll(0.05)):
                due_s = began_s + (each.slot - begin) / SECOND
                if due_s > began_s + WARM_S:
                    late.append((time.monotonic() - due_s) * 1_000)
                answers.send(RUNS, each.job, _ended(each))
            answers.poll()
    finally:
        ended.set()
        child.terminate()
        child.wait()
        clock.close()
        tail.close()
        answers.close()
    return {"samples": len(late), **_quantiles(late)}


def commits(connection: Connection, serde: Serde) -> dict[str, float]:
    """Return how long a transaction of one fire takes, in ms."""
    table = timetable.load(_jobs(1, _MINUTELY))
    state, now = initial(kst_midnight(DAY)), Micros(kst_midnight(DAY))
    publisher = Publisher(connection, serde, client="bench", transactional_id="bench.commit")
    taken, inputs = [], list[core.Input]()
    for _ in range(COMMITS):
        now = Micros(now + 60 * SECOND)
        state, found = core.step(table, state, now, inputs)
        began = time.perf_counter()
        _write(publisher, found)
        taken.append((time.perf_counter() - began) * 1_000)
        inputs = [_ended(each) for each in found if isinstance(each, JobTriggered)]
    publisher.close()
    return _quantiles(taken)


def leader(connection: Connection, serde: Serde) -> int:
    """Return fires a second of a leader whose thousand jobs are due every minute."""
    table = timetable.load(_jobs(CROWD, _MINUTELY))
    publisher = Publisher(connection, serde, client="bench", transactional_id="bench.leader")
    state = initial(kst_midnight(DAY))
    core.step(table, state, Micros(state.clock + SECOND))  # the day's slots are laid out once
    tune_interpreter()  # as every service of ours is
    fires, inputs = 0, list[core.Input]()
    began = time.perf_counter()
    for _ in range(MINUTES):
        state, found = core.step(table, state, Micros(state.clock + 60 * SECOND), inputs)
        _write(publisher, found)
        inputs = [_ended(each) for each in found if isinstance(each, JobTriggered)]
        fires += len(inputs)
    took = time.perf_counter() - began
    publisher.close()
    return round(fires / took)


def rebuild(connection: Connection, serde: Serde, records: int) -> dict[str, Any]:
    """Write a log of so many decisions, and let a new instance read and fold it."""
    own = Connection(
        settings=connection.settings,
        endpoints=connection.endpoints,
        namespace=f"{connection.namespace}.log",
    )
    create_topics(own, Topology((), ()))
    publisher = Publisher(own, serde, client="bench.log")
    book = Book(initial(Micros(0)))
    for written, each in enumerate(_decisions(records)):
        book.follow(each)
        publisher.send(SCHEDULE, each.job, each)
        if written % CROWD == 0:
            publisher.poll()
    publisher.flush(120.0)
    publisher.close()
    began = time.perf_counter()
    follower = Follower(own, serde)
    follower.to_end()
    left = follower.left()
    took = time.perf_counter() - began
    follower.close()
    delete_namespace(own, own.namespace)
    same = left.state is not None and digest(left.state) == digest(book.state())
    return {"records": left.decisions, "seconds": round(took, 1), "same_state": same}


def _decisions(count: int) -> Any:
    """Yield decisions of minutes that pass, two a fire."""
    table = timetable.load(_jobs(CROWD, _MINUTELY))
    state, inputs, given = initial(kst_midnight(DAY)), list[core.Input](), 0
    while True:
        state, found = core.step(table, state, Micros(state.clock + 60 * SECOND), inputs)
        inputs = [_ended(each) for each in found if isinstance(each, JobTriggered)]
        for each in found:
            if isinstance(each, ScheduleDecided):
                yield each
                given += 1
                if given == count:
                    return


def _run(clock: ServedClock, begin: Micros, began_s: float, ended: threading.Event) -> None:
    """Let market time go as the wall's does."""
    while not ended.wait(TICK_S):
        passed = time.monotonic() - began_s
        clock.now = begin + int(passed * SECOND) // MILLISECOND * MILLISECOND
        clock.say()


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


def _write(publisher: Publisher, records: tuple[Decision, ...]) -> None:
    publisher.begin()
    for each in records:
        if isinstance(each, JobTriggered):
            publisher.send(TRIGGERS, each.job, each)
        elif isinstance(each, ScheduleDecided):
            publisher.send(SCHEDULE, each.job, each)
    publisher.send(LEADER, "0", _HELD)
    publisher.commit()


_HELD: Final = LeadershipHeld(
    ts_event=Micros(0), ts_ingest=Micros(0), shard="0", node="bench", term=1, state="held"
)


def _ended(trigger: JobTriggered) -> RunReported:
    return RunReported(
        ts_event=trigger.ts_event,
        ts_ingest=trigger.ts_event,
        fire_id=trigger.fire_id,
        job=trigger.job,
        slot=trigger.slot,
        state="succeeded",
        attempt=trigger.attempt,
        worker="bench",
        detail="",
        started=trigger.ts_event,
        ended=trigger.ts_event,
    )


def _quantiles(found: list[float]) -> dict[str, float]:
    if len(found) < 2:  # noqa: PLR2004 -- below, there are no quantiles
        raise Fatal(f"expected samples, was {len(found)}")
    cut = statistics.quantiles(found, n=100, method="inclusive")
    return {"p50": round(cut[49], 1), "p99": round(cut[98], 1), "max": round(max(found), 1)}
