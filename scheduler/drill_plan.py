"""What ``aegis drill scheduler`` plays: three real instances, broken again and again.

    decided    SIGKILL after the decision, before anything is sent
    produced   SIGKILL after the records are sent, before the commit
    committed  SIGKILL after the commit, before memory knows
    killed     SIGKILL at any instant
    stopped    SIGSTOP at any instant, woken when another leads
    cut        the answer to the leader's EndTxn is lost, and for a while its way to the broker
    broker     SIGKILL of the only broker, started again up to two seconds later
    leader     SIGKILL of the node of three that leads one of the scheduler's partitions

Five jobs are due every market second.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final

from infra import failpoint
from infra.connection import Connection
from infra.registry import Serde
from scheduler import timetable
from scheduler.drill_brokers import Brokers
from scheduler.drill_count import Strike
from scheduler.triggers import Slot
from schemas.errors import Fatal
from schemas.krx.sessions import session
from schemas.units import SECOND, Micros

DAY: Final = date(2026, 2, 10)
INSTANCES: Final = 3
JOBS: Final = 5
LEASE_S: Final = 1.5

POINTS: Final = {
    "decided": failpoint.DECIDED,
    "produced": failpoint.PRODUCED,
    "committed": failpoint.COMMITTED,
}
KILLED, STOPPED = "killed", "stopped"
CUT, BROKER, LEADING = "cut", "broker", "leader"
BEHIND_PROXIES: Final = (*POINTS, KILLED, STOPPED, CUT, BROKER)
"""What is played on one broker."""

AMONG_THREE: Final = (LEADING,)
"""What is played on three."""

FAULTS: Final = (*BEHIND_PROXIES, *AMONG_THREE)
SPARED: Final = "spared"

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


@dataclass(slots=True, kw_only=True)
class Drill:
    """What is played where, and what has been seen of it.

    Args:
        connection: A namespace of its own, its topics made.
        brokers: What it lives on.
        folder: Logs and death lists.
        fates: What to play, in turn.
        rounds: How many strikes of each fate, at least.
        seed: Of the instants and the passes.

    Attributes:
        restarts: How often an instance gave up by itself and was started again, as a supervisor
            does; never but for faults of the brokers.
    """

    connection: Connection
    brokers: Brokers
    serde: Serde
    folder: Path
    fates: Sequence[str]
    rounds: int
    seed: int
    strikes: list[Strike] = field(default_factory=list)
    takeovers: int = 0
    restarts: int = 0

    @property
    def unanswered(self) -> list[Strike]:
        """The strikes after which nothing has been fired yet that was not due before."""
        return [each for each in self.strikes if each.fired_s is None]

    @property
    def played(self) -> int:
        """How many rounds have been played of the fate that was played least."""
        done = Counter(each.fault for each in self.strikes)
        return min(done[fate] for fate in self.fates)


def begin() -> Micros:
    """Return the market time at which a drill begins: a second before the open.

    Raises:
        Fatal: The drill's day is no session.
    """
    today = session(DAY)
    if today is None:
        raise Fatal(f"expected a session on {DAY}, was none")
    return Micros(today.open - SECOND)


def due_until(end: Micros) -> set[tuple[str, Micros]]:
    """Return every job and slot from the beginning to an instant, itself included."""
    table = timetable.load(TIMETABLE)
    fires = timetable.between(table, Micros(begin() + 1), Micros(end + 1))
    return {(each.job, each.at) for each in fires if isinstance(each, Slot)}
