"""One instance of a role: everything the three drivers have in common.

    feed(incoming) -> Fed(outputs, effects, timers)

An instance decodes, drops what a restart delivers twice, merges paced inputs by time, cuts
slices, calls the fold, numbers its outputs and forwards watermarks.  It does no IO: a driver
reads and writes.  Its state is one value (``save``), and the offsets that value covers.

Time: a source's time is what its watermarks (or, on a topic whose key is its source, its
records) have reached; a partition's is the minimum over its declared sources, the instance's
the minimum over its partitions.  A merging role sees market time in whole seconds, so its
slices are the same however the log was read.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from infra import snapshot
from infra.topology import Topology
from schemas.errors import Fatal, Poison
from schemas.ops import DeadLettered
from schemas.role import (
    LABEL_HEADER,
    ORIGIN_HEADER,
    WATERMARK_KEY,
    Batch,
    Effect,
    Input,
    Output,
    Record,
    Role,
    Timer,
)
from schemas.topics import DEAD_LETTERS, Topic
from schemas.units import SECOND, Micros

BEGINNING: Final = Micros(0)


class Incoming(NamedTuple):
    """A record as the log holds it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: str
    value: bytes | None
    headers: Mapping[str, bytes]


class Outgoing(NamedTuple):
    """A record to be written; ``value`` is None for a watermark."""

    topic: Topic
    key: str
    value: Any
    timestamp: Micros
    headers: tuple[tuple[str, bytes], ...]
    partition: int | None = None


class Fed(NamedTuple):
    """What feeding an instance gave."""

    outputs: list[Outgoing]
    watermarks: list[Outgoing]
    effects: list[Effect]
    timers: list[Timer]


class Saved(NamedTuple):
    """All that an instance needs to go on, as one value."""

    state: Any
    ordinal: int
    forwarded: int
    released: int
    times: list[Any]
    origins: list[Any]
    waiting: list[Any]
    references: list[Any]
    offsets: dict[str, int]


class Wire(Protocol):
    """Events to bytes and back, with the schema's id before the body."""

    def encode(self, topic: Topic, event: Any) -> bytes:
        """Return the wire value of an event."""
        ...

    def decode(self, topic: Topic, value: bytes) -> Any:
        """Return the event; raises ``Poison`` when the value will never be read."""
        ...


class Instance:
    """A role at work on its partitions.

    Attributes:
        offsets: Where it goes on reading, by ``topic/partition``.
        since_save: Records taken since the state was saved.
        gave: It has given outputs, effects or timers since then.
    """

    def __init__(
        self,
        role: Role,
        name: str,
        topology: Topology,
        wire: Wire,
    ) -> None:
        self.role = role
        self.name = name
        self.offsets: dict[str, int] = {}
        self.since_save = 0
        self.gave = False
        self._topology = topology
        self._wire = wire
        self._merges = role.merges
        self._may_write = {each.name for each in role.outputs}
        self._inputs: dict[str, tuple[int, Input]] = {
            each.topic.name: (rank, each) for rank, each in enumerate(role.inputs)
        }
        self._state = role.initial
        self._ordinal = 0
        self._forwarded = BEGINNING
        self._released = BEGINNING
        self._saved_at = BEGINNING
        self._times: dict[tuple[str, int, str], int] = {
            (each.topic.name, partition, source): BEGINNING
            for each in role.inputs
            if each.kind == "paced"
            for partition in self.partitions_of(each.topic)
            for source in topology.sources(each.topic, partition)
        }
        self._origins: dict[tuple[str, int, str], int] = {}
        self._waiting: list[Any] = []
        self._references: list[Any] = []
        self._arrivals = 0
        self._skip: dict[str, int] = {}
        self._packer = snapshot.Packer()

    def partitions_of(self, topic: Topic) -> Sequence[int]:
        """Return the partitions of an input that this instance reads."""
        if self.role.scope == "universe":
            return range(self._topology.partitions(topic))
        return (int(self.name),)

    @property
    def source(self) -> str:
        """The name under which its outputs carry time and ordinals."""
        return f"{self.role.name}@{self.role.version}/{self.name}"

    @property
    def watermark(self) -> Micros:
        """How far the time of its paced inputs has come; 0 when it has none."""
        if not self._times:
            return BEGINNING
        reached = min(self._times.values())
        return Micros(reached - reached % SECOND) if self._merges else Micros(reached)

    def feed(self, incoming: Iterable[Incoming]) -> Fed:
        """Take records in log order and return what the fold made of them.

        Raises:
            Fatal: A limit was exceeded or the fold failed.
        """
        fed = Fed([], [], [], [])
        ready: list[Record] = []
        for each in incoming:
            where = f"{each.topic}/{each.partition}"
            if each.offset < self._skip.get(where, 0):
                continue
            self.offsets[where] = each.offset + 1
            self._take(each, ready, fed)
        if ready:
            self._give(ready, self.watermark, fed)
        self._advance(fed)
        return self._noted(fed)

    def inject(self, record: Record) -> Fed:
        """Give the fold a record that comes from its driver: a timer, an interruption."""
        fed = Fed([], [], [], [])
        self._give([record], self.watermark, fed)
        return self._noted(fed)

    def _noted(self, fed: Fed) -> Fed:
        self.gave = self.gave or bool(fed.outputs or fed.effects or fed.timers)
        return fed

    def _take(self, each: Incoming, ready: list[Record], fed: Fed) -> None:
        rank, source = self._inputs[each.topic]
        if each.value is None:
            if each.key == WATERMARK_KEY:
                self._tick(each)
            return
        if source.label is not None and _label(each) != source.label:
            return
        if self._seen(each):
            return
        self.since_save += 1
        try:
            value = self._wire.decode(source.topic, each.value)
        except Poison as error:
            fed.outputs.append(self._dead_letter(each, error))
            return
        record = Record(each.topic, each.key, value, each.partition, each.offset)
        at = value.ts_event
        if source.kind == "reference" and self._times:
            self._arrivals += 1
            heapq.heappush(self._references, (at, rank, each.key, self._arrivals, record))
        elif source.kind != "paced":
            ready.append(record)
        elif self._merges:
            self._hold(each, record, fed)
        else:
            self._due_references(at, ready)
            ready.append(record)
        if source.topic.self_timed:
            self._reach((each.topic, each.partition, each.key), at)

    def _hold(self, each: Incoming, record: Record, fed: Fed) -> None:
        at, rank = record.value.ts_event, self._inputs[each.topic][0]
        if at < self._released:
            late = Poison(
                f"expected a record of {self._released} us or later, because what came before is "
                f"decided, was {at}; its source said a watermark that it did not keep"
            )
            fed.outputs.append(self._dead_letter(each, late))
            return
        self._arrivals += 1
        order = getattr(record.value, "seq", 0)
        heapq.heappush(self._waiting, (at, rank, record.key, order, self._arrivals, record))
        if len(self._waiting) > self.role.limits.buffer_records_max:
            raise Fatal(
                f"expected at most {self.role.limits.buffer_records_max} records of "
                f"{self.role.name} waiting for time, was more; which source stands still? "
                f"{self._slowest()}"
            )

    def _tick(self, each: Incoming) -> None:
        source = each.headers["source"].decode()
        self._reach((each.topic, each.partition, source), int(each.headers["micros"]))

    def _reach(self, clock: tuple[str, int, str], at: int) -> None:
        if clock in self._times and at > self._times[clock]:
            self._times[clock] = at

    def _slowest(self) -> str:
        topic, partition, source = min(self._times, key=lambda each: self._times[each])
        return f"{source} on {topic}/{partition}"

    def _seen(self, each: Incoming) -> bool:
        origin = each.headers.get(ORIGIN_HEADER)
        if origin is None:
            return False
        source, _, ordinal = origin.decode().rpartition(":")
        place = (each.topic, each.partition, source)
        if int(ordinal) <= self._origins.get(place, -1):
            return True
        self._origins[place] = int(ordinal)
        return False

    def _due_references(self, at: int, ready: list[Record]) -> None:
        while self._references and self._references[0][0] <= at:
            ready.append(heapq.heappop(self._references)[-1])

    def _advance(self, fed: Fed) -> None:
        reached = self.watermark
        if self._merges:
            while self._waiting and self._waiting[0][0] < reached:
                start = self._waiting[0][0] - self._waiting[0][0] % SECOND
                end = start + SECOND
                records: list[Record] = []
                while self._waiting and self._waiting[0][0] < end:
                    at, *_, record = heapq.heappop(self._waiting)
                    self._due_references(at, records)
                    records.append(record)
                self._give(records, Micros(end), fed)
                self._released = Micros(end)
        if reached > self._released:
            records = []
            self._due_references(reached - 1, records)
            self._give(records, reached, fed)
            self._released = reached
        if reached - self._forwarded >= SECOND:
            self._forwarded = reached
            fed.watermarks.extend(self._watermarks(reached))

    def _give(self, records: Sequence[Record], watermark: Micros, fed: Fed) -> None:
        limit = self.role.limits.batch_records_max
        for start in range(0, max(len(records), 1), limit):
            part = records[start : start + limit]
            last = start + limit >= len(records)
            self._step(part, watermark if last else self._released, fed)

    def _step(self, records: Sequence[Record], watermark: Micros, fed: Fed) -> None:
        try:
            step = self.role.step(self._state, Batch(records, watermark))
        except Poison as error:
            if len(records) == 1:
                fed.outputs.append(self._dead_letter(records[0], error))
                self._step((), watermark, fed)
                return
            if not records:
                raise Fatal(f"{self.role.name} refuses an empty batch: {error}") from error
            half = len(records) // 2
            self._step(records[:half], self._released, fed)
            self._step(records[half:], watermark, fed)
            return
        self._state = step.state
        fed.outputs.extend(self._number(each) for each in step.outputs)
        fed.effects.extend(step.effects)
        fed.timers.extend(step.timers)

    def _number(self, output: Output) -> Outgoing:
        if output.topic.name not in self._may_write:
            raise Fatal(
                f"expected {self.role.name} to write one of its outputs, was {output.topic.name}; "
                f"add it to the role's declaration"
            )
        self._ordinal += 1
        origin = (ORIGIN_HEADER, f"{self.source}:{self._ordinal}".encode())
        label = ((LABEL_HEADER, output.label.encode()),) if output.label else ()
        return Outgoing(
            output.topic, output.key, output.value, output.value.ts_event, (origin, *label)
        )

    def _dead_letter(self, each: Incoming | Record, error: Poison) -> Outgoing:
        where = f"{each.topic}/{each.partition}/{each.offset}"
        at = (
            Micros(each.timestamp_ms * 1_000) if isinstance(each, Incoming) else each.value.ts_event
        )
        payload = each.value if isinstance(each, Incoming) and each.value is not None else b""
        letter = DeadLettered(
            ts_event=at,
            ts_ingest=at,
            origin=where,
            role=self.role.name,
            error=type(error).__name__,
            reason=str(error),
            attempt=1,
            payload=payload,
        )
        origin = f"{self.source}/{each.topic}/{each.partition}:{each.offset}".encode()
        return Outgoing(DEAD_LETTERS, where, letter, at, ((ORIGIN_HEADER, origin),))

    def _watermarks(self, reached: Micros) -> Iterable[Outgoing]:
        headers = (("source", self.source.encode()), ("micros", str(reached).encode()))
        for topic in self.role.outputs:
            if not topic.paced:
                continue
            if self._topology.keeps_partition(self.role, topic):
                partitions: Iterable[int] = (int(self.name),)
            else:
                partitions = range(self._topology.partitions(topic))
            for partition in partitions:
                yield Outgoing(topic, WATERMARK_KEY, None, reached, headers, partition)

    def save_due(self) -> bool:
        """Whether the state should be saved now."""
        limits = self.role.limits
        if self.since_save >= limits.save_records_max:
            return True
        return self.since_save > 0 and self._released - self._saved_at >= limits.save_interval

    def save(self) -> bytes:
        """Return the whole state; what it covers is in ``offsets``."""
        self.since_save = 0
        self.gave = False
        self._saved_at = self._released
        return self._packer.pack(
            Saved(
                state=self._state,
                ordinal=self._ordinal,
                forwarded=self._forwarded,
                released=self._released,
                times=[[*place, at] for place, at in self._times.items()],
                origins=[[*place, ordinal] for place, ordinal in self._origins.items()],
                waiting=[self._plain(each) for each in sorted(self._waiting, key=_order)],
                references=[self._plain(each) for each in sorted(self._references, key=_order)],
                offsets=dict(self.offsets),
            )
        )

    def restore(self, body: bytes) -> None:
        """Go on from a saved state; records it covers are skipped when they come again."""
        saved: Saved = snapshot.unpack(body, (Saved, *self.role.states))
        self._state, self._ordinal = saved.state, saved.ordinal
        self._forwarded, self._released = Micros(saved.forwarded), Micros(saved.released)
        self._saved_at = self._released
        for topic, partition, source, at in saved.times:
            if (topic, partition, source) in self._times:
                self._times[topic, partition, source] = at
        self._origins = {(t, p, s): ordinal for t, p, s, ordinal in saved.origins}
        self._waiting = [self._held(each) for each in saved.waiting]
        self._references = [self._held(each) for each in saved.references]
        self._arrivals = max((e[-2] for e in (*self._waiting, *self._references)), default=0)
        self.offsets = dict(saved.offsets)
        self._skip = dict(saved.offsets)

    def _plain(self, held: Any) -> list[Any]:
        *order, record = held
        value = self._wire.encode(self._inputs[record.topic][1].topic, record.value)
        return [*order, [record.topic, record.key, record.partition, record.offset, value]]

    def _held(self, plain: list[Any]) -> Any:
        *order, (topic, key, partition, offset, value) = plain
        event = self._wire.decode(self._inputs[topic][1].topic, value)
        return (*order, Record(topic, key, event, partition, offset))


def _label(each: Incoming) -> str:
    return each.headers.get(LABEL_HEADER, b"").decode()


def _order(held: Any) -> Any:
    return held[:-1]
