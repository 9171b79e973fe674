"""The drill at work: instances live and die, market time goes on on the leader's word.

Every round is a strike: the leadership of one instance ends, or its brokers or its way to them
break.  At the end the committed log is compared with the timetable (``scheduler.drill_count``).
"""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from infra import host
from infra.reader import read_all
from infra.tail import Tail, decoded
from scheduler.drill_brokers import TRANSACTIONS
from scheduler.drill_count import Strike
from scheduler.drill_lives import Life, prepare, start
from scheduler.drill_market import Market
from scheduler.drill_plan import (
    BROKER,
    CUT,
    INSTANCES,
    KILLED,
    LEADING,
    LEASE_S,
    POINTS,
    SPARED,
    STOPPED,
    Drill,
    due_until,
)
from schemas.control import JobTriggered, LeadershipHeld
from schemas.errors import Fatal
from schemas.topics import LEADER, SCHEDULE, TRIGGERS
from schemas.units import Micros

STEP_S: Final = 0.01
PASSES_MAX: Final = 30
"""A leader dies at the latest at its 30th decision."""

QUIET_LOOKS: Final = 10
"""Looks in a row without anything new, until all has settled."""

QUIET_S: Final = 0.05

SETTLE_S_MAX: Final = 120.0
STRIKE_S: Final = (0.1, 1.0)
"""Wall seconds after an instance was seen to lead, or after the last trouble."""

SHUT_S_MAX: Final = 2 * LEASE_S
"""How long a leader whose answer was cut may find no way to the broker; half of them find one."""

BROKER_DEAD_S_MAX: Final = 2.0
NODE_DEAD_S_MAX: Final = 15.0
"""A node of three stays dead until fires go on without it, at most for so long."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a drill leaves to be counted."""

    drill: Drill
    due: set[tuple[str, Micros]]
    triggers: list[JobTriggered]


def run(drill: Drill, say: Callable[[int], None]) -> Found:
    """Play every round, let time settle, and read the log.

    Raises:
        Fatal: Nobody led, or time stood, for longer than a round may take.
    """
    prepare(drill)
    work = _Work(drill)
    try:
        while drill.played < drill.rounds:
            work.turn()
            say(len(drill.strikes))
        work.settle()
    finally:
        work.close()
    triggers = decoded(drill.serde, TRIGGERS, read_all(drill.connection, TRIGGERS))
    return Found(drill, due_until(work.market.now), triggers)


@dataclass(slots=True)
class _Trouble:
    """A fault of the brokers or of the way to them: no other is played until it is over."""

    strike: Strike
    healing: Future[None] | None


class _Work:
    """The drill at work."""

    def __init__(self, drill: Drill) -> None:
        self.drill, self.market = drill, Market(drill)
        self._random = random.Random(drill.seed)  # noqa: S311 -- instants of faults, not secrets
        self._leader = Tail(drill.connection, (LEADER,), client="drill.leader")
        self._given: Counter[str] = Counter()
        self._trouble: _Trouble | None = None
        self._cuts = [0] * INSTANCES
        self._calm_s = 0.0
        self._over = False
        self._lives = [self._start(place) for place in range(INSTANCES)]

    def turn(self) -> None:
        """Move time, answer, look who leads, and let fate have its way."""
        self.market.advance()
        self.market.answer()
        self._tend()
        time.sleep(STEP_S)

    def settle(self) -> None:
        """Let the leader come to where time stands, without any more faults."""
        self._over = True
        for life in self._lives:
            life.fate = SPARED
        while self.drill.unanswered or self._trouble is not None:
            self.turn()
        give_up = time.monotonic() + SETTLE_S_MAX
        quiet = 0
        while quiet < QUIET_LOOKS:
            quiet = quiet + 1 if self.market.stands() else 0
            self._tend()
            time.sleep(QUIET_S)
            if time.monotonic() > give_up:
                raise Fatal(
                    f"drill: expected the leader at {self.market.now} within {SETTLE_S_MAX} s, it "
                    f"was not; see the logs in {self.drill.folder}"
                )

    def close(self) -> None:
        """Stop every process and let go."""
        for life in self._lives:
            with suppress(ProcessLookupError):
                life.process.kill()
            life.process.wait()
        self.market.close()
        self._leader.close()

    def _tend(self) -> None:
        self._look()
        self._see_to_trouble()
        for place, life in enumerate(self._lives):
            if life.process.poll() is not None:
                self._lives[place] = self._buried(life)
            elif life.stopped is not None:
                self._wake(life)
            else:
                self._strike(life)

    def _start(self, place: int) -> Life:
        return start(
            self.drill,
            place,
            SPARED if self._over else self._next_fate(self.drill.fates),
            self.market.clock.url,
            passes=self._random.randint(1, PASSES_MAX),
            strike_after_s=self._random.uniform(*STRIKE_S),
        )

    def _next_fate(self, among: Sequence[str]) -> str:
        """Return the fate that was given least often."""
        fate = min(among, key=lambda each: self._given[each])
        self._given[fate] += 1
        return fate

    def _look(self) -> None:
        for said in decoded(self.drill.serde, LEADER, self._leader.poll(0)):
            if said.state == "taken":
                self._taken(said)

    def _taken(self, said: LeadershipHeld) -> None:
        now_s = time.monotonic()
        self.drill.takeovers += 1
        for strike in self.drill.unanswered:
            strike.taken_s = now_s if strike.taken_s is None else strike.taken_s
        for life in self._lives:
            leads = life.node == said.node and life.stopped is None
            life.leads_since_s = now_s if leads else None

    def _buried(self, life: Life) -> Life:
        status = life.process.returncode
        if status == host.FAILED and {CUT, BROKER, LEADING} & set(self.drill.fates):
            self.drill.restarts += 1
            return self._start(life.place)
        if status != -signal.SIGKILL:
            raise Fatal(
                f"drill: expected {life.node} to live, ended with {status}; "
                f"see {self.drill.folder / life.node}.log"
            )
        if self._over:
            self.market.clock.lose()
        else:
            self._ended(life)
        return self._start(life.place)

    def _strike(self, life: Life) -> None:
        """Play what this instance was given, if it leads and its time has come."""
        if (
            life.leads_since_s is None
            or self._trouble is not None
            or life.fate in {*POINTS, SPARED}
        ):
            return
        if time.monotonic() - max(life.leads_since_s, self._calm_s) < life.strike_after_s:
            return
        play = {
            KILLED: self._kill,
            STOPPED: self._stop,
            CUT: self._cut,
            BROKER: self._break,
            LEADING: self._break,
        }
        play[life.fate](life)

    def _kill(self, life: Life) -> None:
        life.process.kill()
        life.process.wait()

    def _stop(self, life: Life) -> None:
        life.process.send_signal(signal.SIGSTOP)
        life.stopped = self._ended(life)

    def _cut(self, life: Life) -> None:
        """Arm the proxy of the instance; the trouble begins when it has cut."""
        proxy = self.drill.brokers.proxies[life.place]
        if not life.armed:
            self._cuts[life.place] = proxy.cuts
            proxy.arm(max(0.0, self._random.uniform(-SHUT_S_MAX, SHUT_S_MAX)))
            life.armed = True
        elif proxy.cuts > self._cuts[life.place]:
            life.armed = False
            self._trouble = _Trouble(self._struck(CUT), None)
            self._give_anew(life)

    def _break(self, life: Life) -> None:
        """Kill a broker: the only one, or the one that leads what the scheduler writes to."""
        connection, brokers = self.drill.connection, self.drill.brokers
        names = (*map(connection.topic, (TRIGGERS, LEADER, SCHEDULE)), TRANSACTIONS)
        brokers.kill(connection, names[self._given[life.fate] % len(names)])
        strike, healing = self._struck(life.fate), None
        if life.fate == BROKER:
            healing = brokers.heal(connection, self._random.uniform(0, BROKER_DEAD_S_MAX))
        self._trouble = _Trouble(strike, healing)
        self._give_anew(life)

    def _give_anew(self, life: Life) -> None:
        """Give a process that has survived its fate another, one that needs no preparation."""
        ready = [each for each in self.drill.fates if each not in POINTS]
        life.fate = SPARED if self._over else self._next_fate(ready)
        life.strike_after_s = self._random.uniform(*STRIKE_S)

    def _see_to_trouble(self) -> None:
        trouble = self._trouble
        if trouble is None:
            return
        strike = trouble.strike
        late = time.monotonic() - strike.struck_s > NODE_DEAD_S_MAX
        ripe = strike.fired_s is not None or late
        if strike.fault == LEADING and trouble.healing is None and ripe:
            trouble.healing = self.drill.brokers.heal(self.drill.connection, 0.0)
        if trouble.healing is not None and trouble.healing.done():
            trouble.healing.result()
        healed = strike.fault == CUT or (trouble.healing is not None and trouble.healing.done())
        if healed and strike.fired_s is not None:
            self._trouble, self._calm_s = None, time.monotonic()

    def _struck(self, fault: str) -> Strike:
        strike = Strike(fault, self.market.now, time.monotonic())
        self.drill.strikes.append(strike)
        return strike

    def _ended(self, life: Life) -> Strike:
        strike = self._struck(life.fate)
        life.leads_since_s = None
        self.market.clock.lose()
        return strike

    def _wake(self, life: Life) -> None:
        if life.stopped is not None and life.stopped.taken_s is not None:  # another leads
            life.process.send_signal(signal.SIGCONT)
            life.stopped = None
            self._give_anew(life)
