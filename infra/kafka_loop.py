"""The Kafka loop: the driver that can run every role.

One thread consumes, feeds, and writes outputs, state, timers and offsets in one transaction;
effects run after it is durable, and what they give is written by the next transaction and comes
back as records.  A transaction that holds outputs or effects holds the state behind them too: a
restart gives none of them again, in whatever order the inputs of several topics come the second
time.  What gave nothing is replayed, at most one save interval of it.

Starting: fence first (``init_transactions``), bury what hangs, restore, consume.  After any failed
transaction everything is thrown away and started over.
"""

import heapq
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from infra import failpoint, snapshot
from infra.clock import wall_now
from infra.host import Context
from infra.publish import Publisher
from infra.reader import at_end, incoming
from infra.runner import Fed, Incoming, Instance, Outgoing
from infra.states import Shelf
from schemas.errors import Fatal, Misconfigured, Transient
from schemas.role import (
    INTERRUPTED_TOPIC,
    TIMER_TOPIC,
    Effect,
    Interrupted,
    Output,
    Record,
    Role,
    Timer,
    TimerFired,
)
from schemas.topics import DEAD_LETTERS, state_topic
from schemas.units import Micros

EffectRunner = Callable[[Effect], Sequence[Output]]

POLL_EFFECTS_S: Final = 0.005
POLL_PACING_S: Final = 0.02
POLL_S: Final = 0.05
"""A message ends the wait at once; only timers and effects need a look in between."""
BATCH_MESSAGES_MAX: Final = 5_000
COMMIT_S: Final = 10.0
IDLE_S: Final = 0.5
"""After so long without a message positions are committed early: somebody may wait for them."""
EFFECT_THREADS: Final = 8
REFERENCES_S_MAX: Final = 120.0
RESTARTS_MAX: Final = 5
RESTART_WAIT_S: Final = 0.5


class Kept(NamedTuple):
    """What the loop saves of an instance: its own state, unfinished effects, set timers."""

    instance: bytes
    effects: list[Any]
    timers: list[Any]


def run_role(
    context: Context,
    role: Role,
    *,
    effects: Mapping[str, EffectRunner] | None = None,
    pacing: str | None = None,
    worker: int = 0,
    workers: int = 1,
) -> None:
    """Run a role until ``context.stopping``.

    Args:
        context: The service's context.
        role: What to run.
        effects: How each kind of effect is done.
        pacing: The name under which an accelerated day waits for this role, if it does.
        worker: Which worker this is, for a role of key scope.
        workers: How many share the partitions.

    Raises:
        Misconfigured: An effect has no runner.
        Fatal: Fenced, or the fold failed, or it did not get going again.
    """
    runners = dict(effects or {})
    missing = [kind for kind in role.effects if kind not in runners]
    if missing:
        raise Misconfigured(f"expected a runner for {', '.join(missing)} of {role.name}, was none")
    failures = 0
    while not context.stopping.is_set():
        began = time.monotonic()
        loop = _Loop(context, role, runners, pacing=pacing, worker=worker, workers=workers)
        try:
            loop.run()
        except Transient as error:
            failures = failures + 1 if time.monotonic() - began < REFERENCES_S_MAX else 1
            if failures > RESTARTS_MAX:
                raise Fatal(f"{role.name}: expected to go on, failed {failures} times") from error
            structlog.get_logger(role.name).warning("started_over", reason=str(error))
            time.sleep(RESTART_WAIT_S)
        finally:
            loop.close()


class _Loop:
    def __init__(
        self,
        context: Context,
        role: Role,
        runners: Mapping[str, EffectRunner],
        *,
        pacing: str | None,
        worker: int,
        workers: int,
    ) -> None:
        self._context, self._role, self._runners, self._pacing = context, role, runners, pacing
        self._log = structlog.get_logger(role.name)
        name = role.name if workers == 1 else f"{role.name}.{worker}"
        connection, serde = context.connection, context.serde
        count = context.topology.symbol_partitions
        self._publisher = Publisher(
            connection, serde, client=name, transactional_id=name, symbol_partitions=count
        )
        self._watermarks = Publisher(
            connection, serde, client=f"{name}.time", symbol_partitions=count
        )
        self._consumer = Consumer(connection.consumer(role.name, **{"enable.partition.eof": True}))
        names = context.topology.instances(role)
        self._instances = [
            Instance(role, each, context.topology, serde)
            for index, each in enumerate(names)
            if index % workers == worker
        ]
        self._results: queue.SimpleQueue[tuple[Effect, Future[Sequence[Output]]]] = (
            queue.SimpleQueue()
        )
        self._running: dict[str, Effect] = {}
        self._timers: list[tuple[int, str]] = []
        self._pool = ThreadPoolExecutor(EFFECT_THREADS) if role.effects else None
        self._shelves = {each: Shelf(role, each) for each in names}
        self._by_place: dict[tuple[str, int], Instance] = {}
        self._read_to_end: set[tuple[str, int]] = set()
        self._positions: dict[tuple[str, int], int] = {}
        self._committed: dict[tuple[str, int], int] = {}
        self._last_commit = self._heard = time.monotonic()
        self._echoes = {each.topic.name for each in role.inputs} & {e.name for e in role.outputs}
        self._unheard = 0
        self._said: tuple[Micros, Micros | None] = (Micros(-1), None)
        self._meters = context.role_meters

    def run(self) -> None:
        written = (*self._role.outputs, state_topic(self._role.name), DEAD_LETTERS)
        self._publisher.bury(written, group=self._role.name)
        interrupted = [effect for each in self._instances for effect in self._restore(each)]
        self._assign()
        self._recover(interrupted)
        while not self._context.stopping.is_set():
            self._turn()
        self._leave()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._consumer.close()
        self._publisher.close()
        self._watermarks.close()

    def _restore(self, instance: Instance) -> list[Effect]:
        shelf = self._shelves[instance.name]
        body = shelf.load(self._context.connection, self._context.serde)
        if body is None:
            return []
        kept: Kept = snapshot.unpack(body, (Kept, Effect, Timer, *self._role.states))
        instance.restore(kept.instance)
        for each in kept.timers:
            heapq.heappush(self._timers, (each.at, each.id))
        return list(kept.effects)

    def _assign(self) -> None:
        connection = self._context.connection
        places: list[TopicPartition] = []
        references: list[TopicPartition] = []
        for instance in self._instances:
            for each in self._role.inputs:
                for partition in instance.partitions_of(each.topic):
                    name = connection.topic(each.topic)
                    start = instance.offsets.get(f"{each.topic.name}/{partition}", 0)
                    place = TopicPartition(name, partition, start)
                    self._by_place[name, partition] = instance
                    self._positions[name, partition] = start
                    (references if each.kind == "reference" else places).append(place)
        committed = self._consumer.committed([*places, *references], timeout=30.0)
        self._committed = {(e.topic, e.partition): max(e.offset, 0) for e in committed}
        restored = sum(self._positions.values())
        again = sum(
            max(self._committed[place] - start, 0) for place, start in self._positions.items()
        )
        self._log.info(
            "restored", role=self._role.name, restored_offset=restored, records_replayed=again
        )
        if references:
            self._read_references(references)
        self._consumer.assign([TopicPartition(t, p, at) for (t, p), at in self._positions.items()])

    def _read_references(self, places: list[TopicPartition]) -> None:
        """Read reference topics to their end before the first decision."""
        self._consumer.assign(places)
        wanted = {(each.topic, each.partition) for each in places}
        give_up = time.monotonic() + REFERENCES_S_MAX
        while not wanted <= self._read_to_end:
            self._write(self._feed(self._fetch(0.1)))
            if self._context.stopping.is_set():
                return
            if time.monotonic() > give_up:
                raise Transient(f"expected to read the references within {REFERENCES_S_MAX} s")

    def _recover(self, interrupted: Sequence[Effect]) -> None:
        if self._role.on_restart == "again":
            self._start(interrupted)
            return
        now = self._context.clock.now()
        for effect in interrupted:
            event = Interrupted(now, wall_now(), effect.id, effect.kind)
            record = Record(INTERRUPTED_TOPIC, effect.id, event)
            self._write([self._instances[0].inject(record)])

    def _turn(self) -> None:
        clock = self._context.clock
        before = clock.now()
        messages = self._fetch(self._patience())
        fed = self._feed(messages)
        fed += self._fire(before)
        self._write(fed)
        if self._pacing is not None:
            said = self._reached(before, busy=bool(messages))
            if said != self._said:
                clock.report(self._pacing, *said)
                self._said = said

    def _patience(self) -> float:
        """Return how long to wait for a message; effects end and time moves without one."""
        if self._running:
            return POLL_EFFECTS_S
        return POLL_S if self._pacing is None and not self._timers else POLL_PACING_S

    def _reached(self, before: Micros, *, busy: bool) -> tuple[Micros, Micros | None]:
        """Return how far this role has come and lets time go, for an accelerated day.

        Time stands while effects run (a quote, an order, a listing): a decision that takes
        steps takes no market time of its own.  An effect that waits for time says so itself.
        So it does until the role has heard its own events again.  It stops at the next timer, so
        that a timer fires at its instant.
        """
        if any(source.kind == "paced" for source in self._role.inputs):
            return min((each.watermark for each in self._instances), default=before), None
        if self._running or busy or self._unheard:
            return before, before
        return before, Micros(self._timers[0][0]) if self._timers else None

    def _fetch(self, wait_s: float) -> list[Message]:
        first = self._consumer.poll(wait_s)
        if first is None:
            return []
        messages = []
        for each in (first, *self._consumer.consume(BATCH_MESSAGES_MAX, 0)):
            if at_end(each):
                self._read_to_end.add((str(each.topic()), int(each.partition() or 0)))
            else:
                messages.append(each)
        return messages

    def _feed(self, messages: Sequence[Message]) -> list[Fed]:
        connection = self._context.connection
        chunks: dict[str, list[Incoming]] = {}
        for each in messages:
            taken = incoming(each, connection.plain(str(each.topic())))
            place = (str(each.topic()), taken.partition)
            self._positions[place] = taken.offset + 1
            chunks.setdefault(self._by_place[place].name, []).append(taken)
            if taken.topic in self._echoes and taken.value is not None:
                self._unheard = max(self._unheard - 1, 0)
        self._meters.records.labels(self._role.name).inc(len(messages))
        return [
            self._timed(each, chunks[each.name]) for each in self._instances if each.name in chunks
        ]

    def _timed(self, instance: Instance, records: Sequence[Incoming]) -> Fed:
        name, began = self._role.name, time.perf_counter()
        fed = instance.feed(records)
        if fed.outputs:
            self._meters.step.labels(name).observe(time.perf_counter() - began)
            seen = getattr(fed.outputs[-1].value, "ts_ingest", 0)
            self._meters.age.labels(name).observe(max(wall_now() - seen, 0) / 1e6)
        self._meters.watermark.labels(name).set(instance.watermark / 1e6)
        return fed

    def _fire(self, now: Micros) -> list[Fed]:
        fired = []
        while self._timers and self._timers[0][0] <= now:
            at, name = heapq.heappop(self._timers)
            event = TimerFired(Micros(at), wall_now(), name)
            fired.append(self._instances[0].inject(Record(TIMER_TOPIC, name, event)))
        return fired

    def _write(self, fed: Sequence[Fed]) -> None:
        """Make everything of this turn durable, then let effects run."""
        effects = [effect for each in fed for effect in each.effects]
        outputs = [out for each in fed for out in each.outputs]
        timers = [timer for each in fed for timer in each.timers]
        finished, results = self._finished()
        for timer in timers:
            heapq.heappush(self._timers, (timer.at, timer.id))
        touched = bool(outputs or effects or timers or finished)
        saves = [
            each
            for each in self._instances
            if each.gave or each.save_due() or (self._role.effects and touched)
        ]
        now = time.monotonic()
        self._heard = now if fed else self._heard
        stale = now - self._last_commit > COMMIT_S or now - self._heard > IDLE_S
        if touched or saves or (stale and self._positions != self._committed):
            for effect in effects:
                self._running[effect.id] = effect
            for effect in finished:
                self._running.pop(effect.id, None)
            self._commit([*outputs, *results], saves)
        for each in fed:
            for mark in each.watermarks:
                self._watermarks.write(mark)
        self._watermarks.poll()
        self._start(effects)

    def _commit(self, outputs: Sequence[Outgoing], saves: Sequence[Instance]) -> None:
        publisher = self._publisher
        publisher.begin()
        for out in outputs:
            publisher.write(out)
        if outputs:
            failpoint.hit(failpoint.PRODUCED)
        for each in saves:
            kept = Kept(
                each.save(),
                list(self._running.values()),
                [Timer(name, Micros(at)) for at, name in sorted(self._timers)],
            )
            self._shelves[each.name].save(publisher, each, snapshot.pack(kept))
        if saves:
            failpoint.hit(failpoint.SAVED)
        publisher.offsets(self._positions, self._consumer.consumer_group_metadata())
        publisher.commit()
        self._unheard += sum(out.topic.name in self._echoes for out in outputs)
        self._committed = dict(self._positions)
        self._last_commit = time.monotonic()
        self._meters.commits.labels(self._role.name).inc()

    def _finished(self) -> tuple[list[Effect], list[Outgoing]]:
        finished: list[Effect] = []
        outputs: list[Outgoing] = []
        while True:
            try:
                effect, future = self._results.get_nowait()
            except queue.Empty:
                return finished, outputs
            finished.append(effect)
            outputs.extend(
                Outgoing(each.topic, each.key, each.value, each.value.ts_event, ())
                for each in future.result()
            )

    def _start(self, effects: Sequence[Effect]) -> None:
        if self._pool is None:
            return
        for effect in effects:
            self._running.setdefault(effect.id, effect)
            future = self._pool.submit(self._runners[effect.kind], effect)
            future.add_done_callback(partial(self._done, effect))
        self._meters.effects.labels(self._role.name).set(len(self._running))

    def _leave(self) -> None:
        """Save on the way out, so that the next start replays nothing."""
        try:
            self._commit([], self._instances)
            self._watermarks.flush()
        except (Transient, KafkaException) as error:
            self._log.warning("left_without_saving", reason=str(error))

    def _done(self, effect: Effect, future: Future[Sequence[Output]]) -> None:
        self._results.put((effect, future))
