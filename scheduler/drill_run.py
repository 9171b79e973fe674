"""The scheduler's drill: its brokers, its runs, and the control that must go wrong.

The control plays the classic accident on the same broker with producers that are idempotent and
no more: one instance decides, stands still, another takes over and fires, the first goes on.
The same count that must find nothing in the drill has to find that.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from infra.connection import Connection
from infra.deploy import register_all
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack import stack
from infra.stack.endpoints import Endpoints
from infra.tail import decoded
from scheduler import core, timetable
from scheduler.drill import Found, run
from scheduler.drill_brokers import Brokers, brokers
from scheduler.drill_count import by_fault, failovers, judged, percentiles, upper_bound
from scheduler.drill_plan import (
    AMONG_THREE,
    BEHIND_PROXIES,
    FAULTS,
    INSTANCES,
    LEASE_S,
    TIMETABLE,
    Drill,
    begin,
    due_until,
)
from scheduler.records import Decision
from scheduler.state import initial
from schemas.control import JobTriggered, ScheduleDecided
from schemas.errors import Fatal, Fenced, Misconfigured
from schemas.topics import SCHEDULE, TRIGGERS
from schemas.units import SECOND, Micros

SAY_EVERY: Final = 10
WRONGS: Final = ("duplicates", "missing", "not_due", "inversions")


def drill(
    rounds: int, seed: int, say: Callable[[str], None], faults: Sequence[str] = FAULTS
) -> dict[str, Any]:
    """Run the drill and its control on brokers of their own beside the stack that runs, or one."""
    settings = Settings()
    with stack.running(settings) as endpoints:
        registry = Registry(endpoints.registry_url)
        try:
            register_all(registry)
            return play(
                settings,
                endpoints,
                Serde(registry),
                rounds=rounds,
                seed=seed,
                say=say,
                faults=faults,
            )
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
    faults: Sequence[str] = FAULTS,
) -> dict[str, Any]:
    """Play at least so many rounds, as many of one fault as of another, on brokers of our own.

    Nothing stays when all went well.

    Raises:
        Misconfigured: No such fault.
    """
    unknown = sorted(set(faults) - set(FAULTS))
    if unknown or not faults:
        raise Misconfigured(
            f"expected faults of {', '.join(FAULTS)}, was {', '.join(unknown) or 'none'}"
        )
    began = time.monotonic()
    folder = settings.var_dir.resolve() / f"drill.scheduler.{time.time_ns() // 1_000_000}"
    each = -(-rounds // len(faults))
    found: list[Found] = []
    controls: dict[str, int] = {}
    for size, fates in ((1, BEHIND_PROXIES), (3, AMONG_THREE)):
        asked = [fate for fate in fates if fate in faults]
        proxies = INSTANCES if size == 1 else 0
        if not asked:
            continue
        own = folder / f"brokers-{size}"
        with brokers(settings, endpoints, own, size=size, proxies=proxies) as cluster:
            there = folder / f"on-{size}"
            found.append(
                _played(cluster, serde, there, fates=asked, rounds=each, seed=seed, say=say)
            )
            if not controls:
                controls = {
                    "control_duplicates": control(cluster, serde, fenced=False),
                    "fenced_duplicates": control(cluster, serde, fenced=True),
                }
    result = {
        **_summary(found),
        **controls,
        "folder": str(folder),
        "seconds": round(time.monotonic() - began, 1),
    }
    if not any(result[name] for name in WRONGS):
        shutil.rmtree(folder)
    return result


def _played(
    cluster: Brokers,
    serde: Serde,
    folder: Path,
    *,
    fates: Sequence[str],
    rounds: int,
    seed: int,
    say: Callable[[str], None],
) -> Found:
    last = 0

    def said(done: int) -> None:
        nonlocal last
        if done >= last + SAY_EVERY:
            last = done
            say(f"{done} of {rounds * len(fates)} rounds of {', '.join(fates)}")

    connection = Connection(
        settings=cluster.settings, endpoints=cluster.endpoints, namespace="drill"
    )
    cluster.make_topics(connection)
    plan = Drill(
        connection=connection,
        brokers=cluster,
        serde=serde,
        folder=folder,
        fates=fates,
        rounds=rounds,
        seed=seed,
    )
    return run(plan, said)


def _summary(found: Sequence[Found]) -> dict[str, Any]:
    strikes = [strike for each in found for strike in each.drill.strikes]
    counts: Counter[str] = Counter()
    steps: dict[str, dict[str, Any]] = {}
    for each in found:
        counts.update(judged(each.due, each.triggers))
        steps |= by_fault(each.drill.strikes, each.due, each.triggers)
    names = ("fires", *WRONGS)
    return {
        "rounds": len(strikes),
        "steps": steps,
        "takeovers": sum(each.drill.takeovers for each in found),
        "restarts": sum(each.drill.restarts for each in found),
        "upper_bound_95": upper_bound(len(strikes)),
        "failover_s": percentiles(failovers(strikes)),
        "lease_s": LEASE_S,
        **{name: counts[name] for name in names},
    }


def control(cluster: Brokers, serde: Serde, *, fenced: bool) -> int:
    """Let a leader stand still between decision and commit; return the duplicates on the log."""
    name = "fenced" if fenced else "control"
    connection = Connection(settings=cluster.settings, endpoints=cluster.endpoints, namespace=name)
    cluster.make_topics(connection)
    now = Micros(begin() + SECOND)
    _, decided = core.step(timetable.load(TIMETABLE), initial(begin()), now)
    first = _writer(connection, serde, fenced=fenced)
    second = _writer(connection, serde, fenced=fenced)
    for writer in (second, first):  # the first one wakes when the second has fired
        with suppress(Fenced):  # that it is refused is what the count shows
            _write(writer, decided, fenced=fenced)
        writer.close()
    triggers: list[JobTriggered] = decoded(serde, TRIGGERS, read_all(connection, TRIGGERS))
    found = judged(due_until(now), triggers)
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
