"""Seeded days in memory: two instances, one log, every misfortune in random order, no clock.

The decisions are the product's (``core.step``, ``state.rebuild``, ``lease.after``); the log keeps
epochs, an open transaction, answers that get lost and EndTxn requests that come late.  A seed is
a whole story: the same seed plays the same one, and a failing seed tells its last events.

What must hold is in ``scheduler.invariants``.
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any, Final, NamedTuple

from scheduler import core, invariants, lease, timetable
from scheduler.lease import Phase
from scheduler.state import Book, State, initial, rebuild
from scheduler.timetable import Timetable
from schemas.control import CommandGiven, JobTriggered, RunReported, ScheduleDecided
from schemas.krx.sessions import kst_midnight
from schemas.units import HOUR, MINUTE, SECOND, Micros

DAYS: Final = (date(2026, 2, 10), date(2026, 11, 19), date(2026, 2, 7), date(2026, 1, 2))
"""A plain session, an exam day, a Saturday, the first session of a year."""

EVENTS: Final = 160
SETTLE_STEPS: Final = 400
TOLD: Final = 25
_CROWD: Final = """
[jobs.crowd_{n}]
source = "aegis drill simulate"
session = "every 1m within session"
calendar = "sessions"
target = "handler:crowd"
group = "{group}"
priority = {priority}
late_max = "3m"
run_max = "5m"
retries = {retries}
isolate_after = 2
"""
CROWDED: Final = """version = 1
[limits]
running_max = 3
emergency_max = 1
[limits.groups]
data_processing = 2
trading = 2
""" + "".join(
    _CROWD.format(n=n, group=("data_processing", "trading")[n % 2], priority=n % 4, retries=n % 3)
    for n in range(8)
)
"""Eight jobs that come due every minute and may not all run: the caps bind."""

_COUNTED: Final = ("suppressed", "quarantined", "released", "cancelled", "refused")
_STOPPED: Final = {"expired", "cancelled"}
_ENDS: Final = ("succeeded",) * 12 + ("degraded",) + ("failed",) * 7
_LAST_ENDS: Final = ("succeeded",) * 9 + ("failed",)


class Committed(NamedTuple):
    """A record of the log; its transaction says how far time and the inputs have come."""

    record: Any
    said: Micros
    seen: int = 0


@dataclass(slots=True)
class Log:
    """The broker as far as it matters."""

    entries: list[Committed] = field(default_factory=list)
    inputs: list[core.Input] = field(default_factory=list)
    epoch: int = 0
    open: tuple[int, tuple[Committed, ...]] | None = None
    strays: list[int] = field(default_factory=list)

    def fence(self) -> int:
        """Begin a new epoch: what is open is aborted, what comes under an old one is refused."""
        self.epoch, self.open = self.epoch + 1, None
        return self.epoch

    def send(self, epoch: int, records: Iterable[Committed]) -> bool:
        """Add to the open transaction; False when fenced."""
        if epoch != self.epoch:
            return False
        before = self.open[1] if self.open is not None else ()
        self.open = epoch, (*before, *records)
        return True

    def end(self, epoch: int) -> bool:
        """Commit what is open under an epoch; False when fenced."""
        if epoch != self.epoch:
            return False
        if self.open is not None:
            self.entries.extend(self.open[1])
        self.open = None
        return True


@dataclass(slots=True)
class Node:
    """An instance: where it is in the protocol, what it knows, what it is about to write."""

    phase: Phase = "standby"
    epoch: int = 0
    state: State | None = None
    seen: int = 0
    pending: tuple[State, tuple[Committed, ...]] | None = None
    sent: int = 0


class Story:
    """One seed's day.

    Args:
        seed: Everything random comes from it, the choice of the timetable too.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311 -- a reproducible story, no secret
        self.table, self.log = _table(crowded=self.random.random() < 1 / 3), Log()
        self.nodes = [Node(), Node()]
        day = self.random.choice(DAYS)
        self.begin = Micros(kst_midnight(day) + self.random.randrange(0, 17) * HOUR - SECOND)
        self.now = self.begin
        self.events: list[str] = []
        self.open_runs: dict[str, JobTriggered] = {}
        self.held: set[str] = set()
        self.heard = 0
        self.beyond: Counter[str] = Counter()
        self.order: list[Any] = []

    def play(self) -> None:
        """Let everything happen in random order, then let one instance settle alone."""
        for _ in range(EVENTS):
            self._event()
        self.due_until = self.now
        self.nodes = [Node()]
        self.log.strays = []
        for _ in range(SETTLE_STEPS):
            self._act(0, faulty=False)
            self._listen()
            for name in list(self.open_runs):
                self._report(name, self.random.choice(_LAST_ENDS))
            if self._quiet():
                self.now = Micros(self.now + MINUTE)
                if self.now > self.due_until + HOUR // 2:
                    return

    def _quiet(self) -> bool:
        node = self.nodes[0]
        state = node.state
        return (
            node.phase == "lead"
            and node.pending is None
            and state is not None
            and state.clock == self.now
            and node.seen == len(self.log.inputs)
            and not self.open_runs
        )

    def _event(self) -> None:
        what = self.random.random()
        if what < 0.10:  # noqa: PLR2004 -- shares of the whole
            self._tell(f"time +{self._pass()} s")
        elif what < 0.22 and self.open_runs:  # noqa: PLR2004 -- same
            self._report(self.random.choice(list(self.open_runs)), self.random.choice(_ENDS))
        elif what < 0.24 and self.order:  # noqa: PLR2004 -- same
            self._again()
        elif what < 0.255:  # noqa: PLR2004 -- same
            self._ask()
        elif what < 0.27 and self.log.strays:  # noqa: PLR2004 -- same
            self._tell("a late EndTxn")
            self.log.end(self.log.strays.pop())
        elif what < 0.30:  # noqa: PLR2004 -- same
            place = self.random.randrange(len(self.nodes))
            self._tell(f"{place} dies")
            self.nodes[place] = Node()
        else:
            self._act(self.random.randrange(len(self.nodes)), faulty=True)
        self._listen()

    def _again(self) -> None:
        """Let a report come a second time."""
        said = [each for each in self.log.inputs if isinstance(each, RunReported)]
        if said:
            self._tell("a report comes twice")
            self.log.inputs.append(self.random.choice(said))

    def _ask(self) -> None:
        """Let an operator ask for something."""
        verb = self.random.choice(("run", "pause", "resume", "release", "release", "cancel"))
        fires = list(self.open_runs) or [""]
        held = sorted(self.held) if verb == "release" else []
        job = self.random.choice(held or list(self.table.jobs))
        subject = f"fire:{self.random.choice(fires)}" if verb == "cancel" else f"job:{job}"
        name = f"{len(self.log.inputs)}"
        self.log.inputs.append(
            CommandGiven(
                ts_event=self.now,
                ts_ingest=self.now,
                command_id=name,
                verb=verb,
                subject=subject,
                actor="ops",
                reason="seeded",
            )
        )
        self._tell(f"{verb} {subject}")

    def _pass(self) -> int:
        seconds = self.random.choice((1, 7, 29, 60, 60, 60, 300, 900))
        self.now = Micros(self.now + seconds * SECOND)
        return seconds

    def _act(self, place: int, *, faulty: bool) -> None:
        node = self.nodes[place]
        if node.phase == "standby":
            leads = any(each.phase == "lead" for each in self.nodes)
            if not faulty or not leads or self.random.random() < 0.05:  # noqa: PLR2004 -- a lease ends early
                self._go(place, "silent")
        elif node.phase == "fence":
            node.epoch = self.log.fence()
            self._go(place, "ok")
        elif node.phase == "catch_up":
            self._catch_up(place, node)
        elif node.pending is None:
            self._decide(node)
        else:
            self._write(place, node, faulty=faulty)

    def _catch_up(self, place: int, node: Node) -> None:
        if node.epoch != self.log.epoch:
            self._go(place, "fenced")
            return
        last = self.log.entries[-1] if self.log.entries else Committed(None, self.begin)
        node.state = self.rebuilt(last.said)
        node.seen, node.pending, node.sent = last.seen, None, 0
        self._go(place, "ok")

    def rebuilt(self, now: Micros) -> State:
        """Return the state that the log holds, at an instant."""
        decided = [e.record for e in self.log.entries if isinstance(e.record, ScheduleDecided)]
        book = Book(rebuild(decided) or initial(now))
        book.at(now)
        return book.state()

    def _decide(self, node: Node) -> None:
        if node.state is None:
            return
        news = self.log.inputs[node.seen :]
        node.seen = seen = len(self.log.inputs)
        state, records = core.step(self.table, node.state, self.now, news)
        said = core.horizon(state)
        if records:
            node.pending = state, tuple(Committed(each, said, seen) for each in records)
            node.sent = 0
        else:
            node.state = state

    def _write(self, place: int, node: Node, *, faulty: bool) -> None:
        if node.pending is None:
            return
        state, records = node.pending
        if node.sent < len(records):
            part = records[node.sent : node.sent + self.random.randint(1, len(records))]
            if not self.log.send(node.epoch, part):
                self._go(place, "fenced")
                return
            node.sent += len(part)
            return
        luck = self.random.random() if faulty else 1.0
        if luck < 0.04:  # noqa: PLR2004 -- the request is under way, nobody knows
            self.log.strays.append(node.epoch)
            self._go(place, "unclear")
        elif not self.log.end(node.epoch):
            self._go(place, "fenced")
        elif luck < 0.08:  # noqa: PLR2004 -- committed, and the answer is lost
            self._go(place, "unclear")
        else:
            node.state, node.pending = state, None

    def _go(self, place: int, outcome: lease.Outcome) -> None:
        node = self.nodes[place]
        phase = lease.after(node.phase, outcome)
        self._tell(f"{place} {node.phase} {outcome} -> {phase}")
        fresh = phase in {"standby", "fence"}
        self.nodes[place] = Node(phase) if fresh else node
        self.nodes[place].phase = phase

    def _listen(self) -> None:
        """See what was committed since the last look, as workers do."""
        for each in self.log.entries[self.heard :]:
            record = each.record
            self.order.append(record)
            if isinstance(record, JobTriggered):
                self.open_runs[record.fire_id] = record
                self._tell(f"fires {record.job} of {record.slot}, attempt {record.attempt}")
            elif isinstance(record, ScheduleDecided) and record.decision in _STOPPED:
                self.open_runs.pop(record.fire_id, None)
            elif isinstance(record, ScheduleDecided) and record.decision == "quarantined":
                self.held.add(record.job)
        self.heard = len(self.log.entries)
        self._count()

    def _count(self) -> None:
        """Note by how many the caps are exceeded; emergencies run beyond them by right."""
        table = self.table
        plain = [each for each in self.open_runs.values() if each.priority > 0]
        groups = Counter(each.group for each in plain)
        for group, running in groups.items():
            self.beyond[group] = max(self.beyond[group], running - table.groups[group])
        total = len(self.open_runs) - table.emergency_max
        self.beyond["all"] = max(
            self.beyond["all"], len(plain) - table.running_max, total - table.running_max
        )

    def _report(self, name: str, state: str) -> None:
        trigger = self.open_runs.pop(name)
        report = RunReported(
            ts_event=self.now,
            ts_ingest=self.now,
            fire_id=name,
            job=trigger.job,
            slot=trigger.slot,
            state=state,
            attempt=trigger.attempt,
            worker="simulated",
            detail="",
            started=trigger.ts_event,
            ended=self.now,
        )
        self.log.inputs.append(report)
        self.order.append(report)
        self._tell(f"{trigger.job} ends {state}")

    def _tell(self, event: str) -> None:
        self.events.append(event)


@cache
def _table(*, crowded: bool) -> Timetable:
    return timetable.load(CROWDED) if crowded else timetable.default()


def story(seed: int) -> list[str]:
    """Play a seed and return what broke, with its last events; empty when all held."""
    played = Story(seed)
    played.play()
    broken = invariants.judge(played)
    if not broken:
        return []
    return [f"seed {seed}", *(f"{each.invariant}: {each.facts}" for each in broken),
            *played.events[-TOLD:]]  # fmt: skip


def many(seeds: range) -> dict[str, Any]:
    """Play a range of seeds; the story of the first that broke is told whole."""
    totals: Counter[str] = Counter()
    broken: list[int] = []
    told: list[str] = []
    for seed in seeds:
        played = Story(seed)
        played.play()
        found = invariants.judge(played)
        totals["fires"] += sum(isinstance(each, JobTriggered) for each in played.order)
        totals["takeovers"] += played.log.epoch
        decided = Counter(e.decision for e in played.order if isinstance(e, ScheduleDecided))
        totals.update({word: decided[word] for word in _COUNTED})
        totals["retries"] += decided["retrying"]
        if found:
            broken.append(seed)
            told = told or story(seed)
    return {"seeds": len(seeds), "violations": len(broken), "broken_seeds": broken[:TOLD],
            **totals, "story": told}  # fmt: skip
