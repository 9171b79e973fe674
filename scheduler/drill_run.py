"""The scheduler's drill on a stack: its namespace, its run, and the control that must go wrong.

The control plays the classic accident on the same broker with producers that are idempotent and
no more: one instance decides, stands still, another takes over and fires, the first goes on.
The same count that must find nothing in the drill has to find that.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from infra.admin import create_topics, delete_namespace
from infra.connection import Connection
from infra.deploy import register_all
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack import stack
from infra.stack.endpoints import Endpoints
from infra.tail import decoded
from infra.topology import Topology
from scheduler import core, timetable
from scheduler.drill import DAY, TIMETABLE, Drill, environment, judged
from scheduler.records import Decision
from scheduler.state import initial
from scheduler.triggers import Slot
from schemas.control import JobTriggered, ScheduleDecided
from schemas.errors import Fatal, Fenced
from schemas.krx.sessions import session
from schemas.topics import SCHEDULE, TRIGGERS
from schemas.units import SECOND, Micros

SAY_EVERY: Final = 10


def drill(rounds: int, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the drill and its control on the stack that runs, or on one of their own."""
    settings = Settings()
    with stack.running(settings) as endpoints:
        registry = Registry(endpoints.registry_url)
        try:
            register_all(registry)
            return play(settings, endpoints, Serde(registry), rounds=rounds, seed=seed, say=say)
        finally:
            registry.close()


def play(
    settings: Settings,
    endpoints: Endpoints,
    serde: Serde,
    *,
    rounds: int,
    seed: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Run the drill in a namespace of its own, which is deleted when all went well."""
    began = time.monotonic()
    name = f"drill.scheduler.{time.time_ns() // 1_000_000}"
    connection = Connection(settings=settings, endpoints=endpoints, namespace=name)
    folder = settings.var_dir.resolve() / name
    create_topics(connection, Topology((), ()))
    last = 0

    def said(done: int) -> None:
        nonlocal last
        if done >= last + SAY_EVERY:
            last = done
            say(f"{done} of {rounds} rounds")

    found = Drill(
        connection=connection,
        serde=serde,
        environment=environment(connection, folder),
        folder=folder,
        rounds=rounds,
        seed=seed,
    ).run(said)
    found |= {
        "control_duplicates": control(settings, endpoints, serde, fenced=False),
        "fenced_duplicates": control(settings, endpoints, serde, fenced=True),
        "seconds": round(time.monotonic() - began, 1),
    }
    delete_namespace(connection, name)
    _clear(folder)
    return {"namespace": name, **found}


def control(settings: Settings, endpoints: Endpoints, serde: Serde, *, fenced: bool) -> int:
    """Let a leader stand still between decision and commit; return the duplicates on the log."""
    name = f"drill.control.{time.time_ns() // 1_000_000}"
    connection = Connection(settings=settings, endpoints=endpoints, namespace=name)
    create_topics(connection, Topology((), ()))
    table, today = timetable.load(TIMETABLE), session(DAY)
    if today is None:
        raise Fatal(f"expected a session on {DAY}, was none")
    begin, now = Micros(today.open - SECOND), today.open
    _, decided = core.step(table, initial(begin), now)
    first = _writer(connection, serde, fenced=fenced)
    second = _writer(connection, serde, fenced=fenced)
    for writer in (second, first):  # the first one wakes when the second has fired
        with suppress(Fenced):  # that it is refused is what the count shows
            _write(writer, decided, fenced=fenced)
        writer.close()
    triggers: list[JobTriggered] = decoded(serde, TRIGGERS, read_all(connection, TRIGGERS))
    due = {
        (each.job, each.at)
        for each in timetable.between(table, Micros(begin + 1), Micros(now + 1))
        if isinstance(each, Slot)
    }
    found = judged(due, triggers)
    delete_namespace(connection, name)
    if found["missing"]:
        raise Fatal(f"drill: expected the second writer's fires, were {found['missing']} missing")
    return found["duplicates"]


def _writer(connection: Connection, serde: Serde, *, fenced: bool) -> Publisher:
    name = "scheduler" if fenced else None
    return Publisher(connection, serde, client="drill.control", transactional_id=name)


def _write(writer: Publisher, decided: tuple[Decision, ...], *, fenced: bool) -> None:
    if fenced:
        writer.begin()
    for each in decided:
        if isinstance(each, JobTriggered | ScheduleDecided):
            writer.send(TRIGGERS if isinstance(each, JobTriggered) else SCHEDULE, each.job, each)
    if fenced:
        writer.commit()
    else:
        writer.flush()


def _clear(folder: Path) -> None:
    for each in folder.iterdir():
        each.unlink()
    folder.rmdir()
