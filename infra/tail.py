"""Looking at topics without a group: following them, and folding figures out of them.

``Tail`` follows topics from a place on.  ``View`` answers questions: it remembers how far it has
read for each question, so that asking again costs only what is new.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from infra.connection import Connection
from infra.reader import STALL_S_MAX, at_end, incoming
from infra.registry import Serde
from infra.runner import Incoming
from schemas.errors import Poison, Transient
from schemas.role import WATERMARK_KEY
from schemas.topics import Topic
from schemas.units import Micros

BATCH_MESSAGES_MAX: Final = 1_000
ASK_AGAIN_S: Final = 0.1
UNKNOWN_S_MAX: Final = 2.0
EOF: Final = {"enable.partition.eof": True}
END_WAIT_MS: Final = 500
NEWEST_BACK: Final = 8
SINGLE_BACK: Final = 64
"""Offsets before the end that are looked at: watermarks and transactions' markers take some."""

Value = TypeVar("Value")
Place = tuple[str, int]


def watermark_of(record: Incoming) -> Micros | None:
    """Return the instant a watermark record names, None for any other record."""
    if record.value is not None or record.key != WATERMARK_KEY:
        return None
    return Micros(int(record.headers["micros"]))


def decoded(serde: Serde, topic: Topic, records: Iterable[Incoming]) -> list[Any]:
    """Return the events of records; what nobody can read is logged and passed over."""
    found = []
    for each in records:
        if each.value is None:
            continue
        try:
            found.append(serde.decode(topic, each.value))
        except Poison as error:
            place = f"{topic.name}/{each.partition}/{each.offset}"
            structlog.get_logger("tail").error("unread", place=place, reason=str(error))
    return found


class Tail:
    """Follows topics, committed records only.

    Args:
        connection: Where.
        topics: What to follow.
        client: Name of the client and of the group that ``commit`` writes to.
        resume: Begin at the group's committed offsets instead of the beginning.
        start: Topics of one partition that are read from a given offset on instead.
        back: Topics that are read from so many offsets before their end on instead; transactions'
            markers take some.
        end_wait_ms: How long the broker may hold back that a partition is at its end.
    """

    def __init__(
        self,
        connection: Connection,
        topics: Iterable[Topic],
        *,
        client: str,
        resume: bool = False,
        start: Mapping[Topic, int] | None = None,
        back: Mapping[Topic, int] | None = None,
        end_wait_ms: int = END_WAIT_MS,
    ) -> None:
        self._connection = connection
        waits = {"fetch.wait.max.ms": end_wait_ms}
        self._consumer = Consumer(connection.consumer(client, **EOF, **waits))
        given = {connection.topic(topic): at for topic, at in (start or {}).items()}
        places = [
            TopicPartition(each.topic, each.partition, given.get(each.topic, 0))
            for topic in topics
            for each in _partitions(self._consumer, connection.topic(topic))
        ]
        if resume:
            found = _asked(self._consumer.committed, places)
            places = [TopicPartition(e.topic, e.partition, max(e.offset, 0)) for e in found]
        backs = {connection.topic(topic): count for topic, count in (back or {}).items()}
        for each in places:
            if each.topic in backs:
                low, high = _asked(self._consumer.get_watermark_offsets, each)
                each.offset = max(low, high - backs[each.topic])
        self._ended_at: dict[Place, int] = {}
        self._places = {(each.topic, each.partition) for each in places}
        self._consumer.assign(places)

    def poll(self, wait_s: float) -> list[Incoming]:
        """Return what has come, waiting up to ``wait_s`` for the first.

        Raises:
            Transient: The consumer failed.
        """
        first = self._consumer.poll(wait_s)
        if first is None:
            return []
        taken = [first, *self._consumer.consume(BATCH_MESSAGES_MAX, 0)]
        self._ended_at.update(
            (_place(each), int(each.offset() or 0)) for each in taken if at_end(each)
        )
        return [
            incoming(each, self._connection.plain(str(each.topic())))
            for each in taken
            if not at_end(each)
        ]

    def catch_up(self) -> list[Incoming]:
        """Return everything up to the end there is now.

        Raises:
            Transient: The broker fell silent.
        """
        found: list[Incoming] = []
        ends = {place: self._end(place) for place in self._places}
        give_up = time.monotonic() + STALL_S_MAX
        while any(self._ended_at.get(place, -1) < end for place, end in ends.items()):
            found.extend(self.poll(0.05))
            if time.monotonic() > give_up:
                raise Transient(f"expected the ends of {sorted(self._places)}, was silent")
        return found

    def end(self, topic: Topic) -> int:
        """Return the offset after the last one of a topic of one partition, markers among them.

        Raises:
            Transient: The broker does not say.
        """
        return self._end((self._connection.topic(topic), 0))

    def _end(self, place: Place) -> int:
        ends = _asked(self._consumer.get_watermark_offsets, TopicPartition(*place))
        return int(ends[1])

    def commit(self, positions: Mapping[Place, int]) -> None:
        """Note in the group how far everything is done; where to resume."""
        if positions:
            where = [TopicPartition(name, part, at) for (name, part), at in positions.items()]
            self._consumer.commit(offsets=where, asynchronous=True)

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


class View:
    """Answers questions about topics; shared by whoever asks, one question at a time.

    Args:
        connection: Where.
        serde: How events are read.
    """

    def __init__(self, connection: Connection, serde: Serde) -> None:
        self._connection, self._serde = connection, serde
        config = connection.consumer("view", **EOF, **{"fetch.wait.max.ms": 1})
        self._consumer = Consumer(config)
        self._lock = threading.Lock()
        self._folds: dict[str, tuple[Any, dict[int, int]]] = {}

    def fold(
        self, topic: Topic, start: Callable[[], Value], step: Callable[[Value, Any], Value]
    ) -> Value:
        """Fold a topic's events from its beginning; the next call reads only newer ones.

        Args:
            topic: What to read; watermarks and tombstones are passed over.
            start: Makes the value before the first event.
            step: A named function; it may change and return the value it is given.

        Raises:
            Transient: The broker fell silent.
            Poison: A record that no schema reads.
        """
        name = f"{topic.name} {step.__module__}.{step.__qualname__}"
        with self._lock:
            value, positions = self._folds.get(name) or (start(), {})
            wanted = self._places(topic, positions)
            for record in self._read(wanted):
                positions[record.partition] = record.offset + 1
                if record.value is not None:
                    value = step(value, self._serde.decode(topic, record.value))
            self._folds[name] = value, positions
        return value

    def newest(self, topic: Topic, back: int = NEWEST_BACK) -> dict[int, list[Incoming]]:
        """Return the last records of each partition, oldest first, watermarks among them.

        Raises:
            Transient: The broker fell silent.
        """
        with self._lock:
            wanted = []
            for each in self._places(topic, {}):
                low, high = _asked(self._consumer.get_watermark_offsets, each)
                wanted.append(TopicPartition(each.topic, each.partition, max(low, high - back)))
            found: dict[int, list[Incoming]] = {each.partition: [] for each in wanted}
            for record in self._read(wanted):
                found[record.partition].append(record)
        return found

    def time_of(self, topic: Topic) -> Micros | None:
        """Return how far a paced topic's slowest partition has come, None before it has begun.

        Its records and watermarks are in event time, so the newest of a partition say it.
        """
        marks = [
            max((each.timestamp_ms for each in records), default=None)
            for records in self.newest(topic).values()
        ]
        known = [mark for mark in marks if mark is not None]
        return Micros(min(known) * 1_000) if len(known) == len(marks) else None

    def last_event(self, topic: Topic) -> Any:
        """Return the newest event of a topic of one partition, None when its end holds none."""
        found = self.newest(topic, SINGLE_BACK)[0]
        values = [each.value for each in found if each.value is not None]
        return self._serde.decode(topic, values[-1]) if values else None

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._consumer.close()

    def _places(self, topic: Topic, positions: Mapping[int, int]) -> list[TopicPartition]:
        return [
            TopicPartition(each.topic, each.partition, positions.get(each.partition, 0))
            for each in _partitions(self._consumer, self._connection.topic(topic))
        ]

    def _read(self, wanted: list[TopicPartition]) -> Iterable[Incoming]:
        left = {(each.topic, each.partition) for each in wanted}
        self._consumer.assign(wanted)
        give_up = time.monotonic() + STALL_S_MAX
        try:
            while left:
                for message in self._consumer.consume(BATCH_MESSAGES_MAX, 0.005):
                    give_up = time.monotonic() + STALL_S_MAX
                    if at_end(message):
                        left.discard(_place(message))
                    else:
                        yield incoming(message, self._connection.plain(str(message.topic())))
                if time.monotonic() > give_up:
                    raise Transient(f"expected the ends of {sorted(left)}, was silent")
        finally:
            self._consumer.unassign()


def _partitions(consumer: Consumer, name: str) -> list[TopicPartition]:
    give_up = time.monotonic() + UNKNOWN_S_MAX
    while True:  # a topic just made is not known everywhere for a moment
        found = _asked(consumer.list_topics, name).topics[name]
        if found.error is None:
            break
        if time.monotonic() > give_up:
            raise Transient(f"expected the topic {name}, was {found.error.str()}")
        time.sleep(ASK_AGAIN_S)
    return [TopicPartition(name, partition) for partition in sorted(found.partitions)]


def _asked(ask: Callable[..., Any], what: Any) -> Any:
    """Ask the broker, again while leaders move: a topic just made has none for a moment."""
    give_up = time.monotonic() + STALL_S_MAX
    while True:
        try:
            return ask(what, timeout=STALL_S_MAX)
        except KafkaException as error:
            if time.monotonic() > give_up:
                raise Transient(f"expected an answer about {what}, was {error}") from error
            time.sleep(ASK_AGAIN_S)


def _place(message: Any) -> Place:
    return str(message.topic()), int(message.partition())
