"""``aegis drill scheduler``: real instances on the real broker, killed and stopped; then counted.

    decided    SIGKILL after the decision, before anything is sent
    produced   SIGKILL after the records are sent, before the commit
    committed  SIGKILL after the commit, before memory knows
    killed     SIGKILL at any instant
    stopped    SIGSTOP at any instant, woken when another leads

Every round ends the leadership of one instance.  Market time is served by the drill and goes on
on the leader's word; five jobs are due every market second, and the drill answers for the roles.
At the end the committed log is compared with the timetable.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

from infra import failpoint
from infra.clock import wall_now
from infra.connection import Connection
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Serde
from infra.served_clock import ServedClock
from infra.tail import Tail, decoded
from scheduler import timetable
from scheduler.timetable import Timetable
from scheduler.triggers import Slot
from schemas.control import JobTriggered, LeadershipHeld, RunReported
from schemas.errors import Fatal
from schemas.krx.sessions import session
from schemas.topics import LEADER, RUNS, TRIGGERS
from schemas.units import SECOND, Micros

DAY: Final = date(2026, 2, 10)
INSTANCES: Final = 3
JOBS: Final = 5
LEASE_S: Final = 1.5
AHEAD: Final = Micros(2 * SECOND)
"""How far market time runs ahead of the leader's word."""

STEP_S: Final = 0.01
PACE_S: Final = 0.1
"""Wall seconds a market second takes at least: 50 fires a second."""

PASSES_MAX: Final = 30
"""A leader dies at the latest at its 30th decision."""

ROUND_S_MAX: Final = 60.0
SETTLE_S_MAX: Final = 60.0
POINTS: Final = {
    "decided": failpoint.DECIDED,
    "produced": failpoint.PRODUCED,
    "committed": failpoint.COMMITTED,
}
FATES: Final = (*POINTS, "killed", "stopped")

_JOB: Final = """
[jobs.drill_{n}]
source = "aegis drill scheduler"
session = "every 1s within session"
calendar = "sessions"
target = "role:drill"
group = "data_processing"
priority = 2
late_max = "1d"
run_max = "1d"
"""
TIMETABLE: Final = """version = 1
[limits]
running_max = 10
emergency_max = 1
[limits.groups]
data_processing = 10
""" + "".join(_JOB.format(n=n) for n in range(JOBS))


class Takeover(NamedTuple):
    """A new leader: which term, and the wall seconds nobody led; None for the first."""

    term: int
    node: str
    after_s: float | None


@dataclass(slots=True)
class Life:
    """A process of one instance, and what is to become of it when it leads."""

    node: str
    fate: str
    process: subprocess.Popen[bytes]
    strike_after_s: float
    leads_since_s: float | None = None
    stopped: bool = False


@dataclass(slots=True, kw_only=True)
class Drill:
    """Instances, the time they live by, and what has been seen of them.

    Args:
        connection: A namespace of its own, its topics made.
        environment: What the instances are told.
        folder: Logs and death lists.
        rounds: Leaderships to end.
        seed: Of the instants and the passes.
    """

    connection: Connection
    serde: Serde
    environment: Mapping[str, str]
    folder: Path
    rounds: int
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    takeovers: list[Takeover] = field(default_factory=list)

    def run(self, say: Callable[[int], None]) -> dict[str, Any]:
        """Play every round, let time settle, and judge the log.

        Raises:
            Fatal: Nobody led, or time stood, for longer than a round may take.
        """
        today = session(DAY)
        if today is None:
            raise Fatal(f"expected a session on {DAY}, was none")
        begin = Micros(today.open - SECOND)
        self.folder.mkdir(parents=True, exist_ok=True)
        table_path = self.folder / "timetable.toml"
        table_path.write_text(TIMETABLE, "utf-8")
        work = _Work(self, ServedClock(begin, "scheduler"), table_path)
        try:
            while self.done.total() < self.rounds:
                work.turn()
                say(self.done.total())
            work.settle()
        finally:
            work.close()
        end = Micros(work.clock.now)
        return self._judge(timetable.load(TIMETABLE), begin, end)

    def _judge(self, table: Timetable, begin: Micros, end: Micros) -> dict[str, Any]:
        due = {
            (each.job, each.at)
            for each in timetable.between(table, Micros(begin + 1), Micros(end + 1))
            if isinstance(each, Slot)
        }
        triggers: list[JobTriggered] = decoded(
            self.serde, TRIGGERS, read_all(self.connection, TRIGGERS)
        )
        waits = sorted(each.after_s for each in self.takeovers if each.after_s is not None)
        return {
            "rounds": self.done.total(),
            "rounds_by_fault": dict(sorted(self.done.items())),
            "takeovers": len(self.takeovers),
            "upper_bound_95": round(1 - 0.05 ** (1 / max(self.done.total(), 1)), 5),
            "failover_s": {"p50": _at(waits, 0.5), "p99": _at(waits, 0.99)},
            "lease_s": LEASE_S,
            **judged(due, triggers),
        }


def judged(due: set[tuple[str, Micros]], triggers: Sequence[JobTriggered]) -> dict[str, int]:
    """Compare what was committed with what was due: fires, duplicates, missing, not due, disorder.

    A slot is a duplicate as often as it was fired beyond once, by fire id or by job and slot.
    """
    slots = Counter((each.job, each.slot) for each in triggers)
    names = Counter(each.fire_id for each in triggers)
    beyond = max(len(triggers) - len(slots), len(triggers) - len(names))
    newest: dict[str, Micros] = {}
    inversions = 0
    for each in triggers:
        inversions += each.slot < newest.get(each.job, Micros(0))
        newest[each.job] = max(each.slot, newest.get(each.job, Micros(0)))
    return {
        "fires": len(triggers),
        "duplicates": beyond,
        "missing": len(due - set(slots)),
        "not_due": len(set(slots) - due),
        "inversions": inversions,
    }


class _Work:
    """The drill at work."""

    def __init__(self, drill: Drill, clock: ServedClock, table_path: Path) -> None:
        self.drill, self.clock, self._table_path = drill, clock, table_path
        self._random = random.Random(drill.seed)  # noqa: S311 -- instants of faults, not secrets
        connection, serde = drill.connection, drill.serde
        self._leader = Tail(connection, (LEADER,), client="drill.leader")
        self._triggers = Tail(connection, (TRIGGERS,), client="drill.triggers")
        self._publisher = Publisher(connection, serde, client="drill.roles")
        self._fates = 0
        self._down_s: float | None = None
        self._moved_s = time.monotonic()
        self._lives = [self._start(f"instance-{n}") for n in range(INSTANCES)]

    def turn(self) -> None:
        """Move time, answer, look who leads, and let fate have its way."""
        self._advance()
        self._answer()
        self._look()
        for place, life in enumerate(self._lives):
            if life.process.poll() is not None:
                self._lives[place] = self._buried(life)
            elif life.stopped:
                self._wake(life)
            elif life.leads_since_s is not None and life.fate in {"killed", "stopped"}:
                self._strike(life)
        time.sleep(STEP_S)

    def settle(self) -> None:
        """Let the leader come to where time stands, without any more faults."""
        for life in self._lives:
            life.fate = "spared"
            if life.stopped:
                life.process.send_signal(signal.SIGCONT)
        give_up = time.monotonic() + SETTLE_S_MAX
        quiet = 0
        while quiet < 10:  # noqa: PLR2004 -- looks in a row without anything new
            self._answer()
            self._look()
            for place, life in enumerate(self._lives):
                if life.process.poll() is not None:
                    self._lives[place] = self._start(life.node, "spared")
            done = self.clock.reached >= self.clock.now and not self._answer()
            quiet = quiet + 1 if done else 0
            self.clock.say()
            time.sleep(0.05)
            if time.monotonic() > give_up:
                raise Fatal(
                    f"drill: expected the leader at {self.clock.now} within {SETTLE_S_MAX} s, was "
                    f"at {self.clock.reached}; see the logs in {self.drill.folder}"
                )

    def close(self) -> None:
        """Stop every process and let go."""
        for life in self._lives:
            with suppress(ProcessLookupError):
                life.process.kill()
            life.process.wait()
        self.clock.close()
        self._leader.close()
        self._triggers.close()
        self._publisher.close()

    def _start(self, node: str, fate: str | None = None) -> Life:
        if fate is None:
            fate = FATES[self._fates % len(FATES)]
            self._fates += 1
        environment = {
            **self.drill.environment,
            "AEGIS_CLOCK": "exchange",
            "AEGIS_CLOCK_URL": self.clock.url,
            "AEGIS_SCHEDULER__NODE": node,
            "AEGIS_SCHEDULER__LEASE_S": str(LEASE_S),
            "AEGIS_SCHEDULER__TIMETABLE": str(self._table_path),
        }
        if fate in POINTS:
            passes = self._random.randint(1, PASSES_MAX)
            deaths = self.drill.folder / f"deaths-{self._fates}"
            environment["AEGIS_FAILPOINT"] = f"{POINTS[fate]}:{passes}"
            environment["AEGIS_FAILPOINT_DEATHS"] = str(deaths)
        with (self.drill.folder / f"{node}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "infra.host", "scheduler"],
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        return Life(node, fate, process, self._random.uniform(0.1, 1.0))

    def _advance(self) -> None:
        clock, now_s = self.clock, time.monotonic()
        with clock.changed:
            if clock.reached + AHEAD > clock.now and now_s - self._moved_s >= PACE_S:
                clock.now += SECOND
                self._moved_s = now_s
        clock.say()
        if now_s - self._moved_s > ROUND_S_MAX:
            raise Fatal(
                f"drill: expected market time to go on within {ROUND_S_MAX} s, stands at "
                f"{clock.now}; see the logs in {self.drill.folder}"
            )

    def _answer(self) -> int:
        triggers = decoded(self.drill.serde, TRIGGERS, self._triggers.poll(0))
        for each in triggers:
            self._publisher.send(RUNS, each.job, _ended(each, Micros(self.clock.now)))
        self._publisher.poll()
        return len(triggers)

    def _look(self) -> None:
        for said in decoded(self.drill.serde, LEADER, self._leader.poll(0)):
            if said.state == "taken":
                self._taken(said)

    def _taken(self, said: LeadershipHeld) -> None:
        now_s = time.monotonic()
        waited = None if self._down_s is None else now_s - self._down_s
        self.drill.takeovers.append(Takeover(said.term, said.node, waited))
        self._down_s = None
        for life in self._lives:
            life.leads_since_s = now_s if life.node == said.node and not life.stopped else None

    def _buried(self, life: Life) -> Life:
        if life.process.returncode != -signal.SIGKILL:
            raise Fatal(
                f"drill: expected {life.node} to live, ended with {life.process.returncode}; "
                f"see {self.drill.folder / life.node}.log"
            )
        self._ended(life)
        return self._start(life.node)

    def _strike(self, life: Life) -> None:
        if life.leads_since_s is None or (
            time.monotonic() - life.leads_since_s < life.strike_after_s
        ):
            return
        if life.fate == "killed":
            life.process.kill()
            life.process.wait()
            return
        life.process.send_signal(signal.SIGSTOP)
        life.stopped = True
        self._ended(life)

    def _ended(self, life: Life) -> None:
        self.drill.done[life.fate] += 1
        life.leads_since_s = None
        self.clock.lose()
        self._down_s = time.monotonic()

    def _wake(self, life: Life) -> None:
        if self._down_s is None:  # another leads
            life.process.send_signal(signal.SIGCONT)
            life.stopped = False
            life.fate = "killed"
            life.strike_after_s = self._random.uniform(0.1, 1.0)


def environment(connection: Connection, folder: Path) -> dict[str, str]:
    """Return what an instance of this namespace is told beyond its own name and time."""
    endpoints = connection.endpoints
    return {
        **os.environ,
        "AEGIS_NAMESPACE": connection.namespace,
        "AEGIS_KAFKA__BOOTSTRAP": endpoints.kafka_bootstrap,
        "AEGIS_REGISTRY__URL": endpoints.registry_url,
        "AEGIS_POSTGRES__DSN": endpoints.postgres_dsn,
        "AEGIS_REDIS__URL": endpoints.redis_url,
        "AEGIS_VAR_DIR": str(folder),
    }


def _ended(trigger: JobTriggered, now: Micros) -> RunReported:
    return RunReported(
        ts_event=now,
        ts_ingest=wall_now(),
        fire_id=trigger.fire_id,
        job=trigger.job,
        slot=trigger.slot,
        state="succeeded",
        attempt=1,
        worker="drill",
        detail="answered",
        started=now,
        ended=now,
    )


def _at(values: Sequence[float], share: float) -> float | None:
    return round(values[min(int(len(values) * share), len(values) - 1)], 3) if values else None
