"""Reading what is already on the log: where a source left off, and who should be streamed.

Throwaway consumers by ``assign``: no group, nothing committed.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from infra.connection import Connection
from infra.reader import at_end, incoming
from infra.registry import Serde
from schemas.errors import Poison, Transient
from schemas.role import WATERMARK_KEY
from schemas.topics import RAW_KIS, Topic
from schemas.units import MINUTE, Micros

TAIL_RECORDS_MAX: Final = 5_000
"""Records looked back at: a connection writes far more before it is replaced."""

ANSWER_S_MAX: Final = 30.0
ASK_AGAIN_S: Final = 0.1
EPOCH_ORIGIN: Final = Micros(1_767_225_600_000_000)
"""2026-01-01 in UTC: the first epoch of a source counts minutes from here, 15 years in 23 bits."""

EPOCH_SHIFT: Final = 40


class LeftOff(NamedTuple):
    """Where the sources of ``raw.kis`` left off.

    Attributes:
        epoch: The highest epoch used, -1 when none is found.
        reached: Each source's newest instant.
    """

    epoch: int
    reached: dict[str, Micros]


def first_epoch(found: LeftOff, wall: Micros) -> int:
    """Return an epoch above every one used before."""
    return max(found.epoch + 1, (wall - EPOCH_ORIGIN) // MINUTE)


def left_off(connection: Connection, serde: Serde) -> LeftOff:
    """Read the end of ``raw.kis``.

    Raises:
        Transient: The broker does not answer.
    """
    name = connection.topic(RAW_KIS)
    consumer = Consumer(_config(connection, "kis.left-off"))
    epoch, reached = -1, dict[str, Micros]()
    try:
        for partition in consumer.list_topics(name, timeout=ANSWER_S_MAX).topics[name].partitions:
            place = TopicPartition(name, partition)
            low, end = _ends(consumer, place)
            if low == end:
                continue
            place.offset = max(low, end - TAIL_RECORDS_MAX)
            consumer.assign([place])
            for each in _until_end(consumer, RAW_KIS.name):
                source, instant = each.key, Micros(each.timestamp_ms * 1_000)
                if each.key == WATERMARK_KEY:
                    source = each.headers["source"].decode()
                    instant = Micros(int(each.headers["micros"]))
                elif each.value is not None:
                    epoch = max(epoch, serde.decode(RAW_KIS, each.value).seq >> EPOCH_SHIFT)
                reached[source] = max(reached.get(source, instant), instant)
    finally:
        consumer.close()
    return LeftOff(epoch, reached)


class Tail:
    """Events of whole topics as they come, the old ones first.

    Args:
        connection: Where.
        serde: How values are read.
        topics: Which.
    """

    def __init__(self, connection: Connection, serde: Serde, topics: Sequence[Topic]) -> None:
        self._serde = serde
        self._topics = {connection.topic(each): each for each in topics}
        self._consumer = Consumer(_config(connection, "kis.tail"))
        self._using = threading.Lock()  # a cancelled task leaves its thread reading
        self._unread: set[tuple[str, int]] = set()
        places = []
        for name in self._topics:
            for partition in (
                self._consumer.list_topics(name, timeout=ANSWER_S_MAX).topics[name].partitions
            ):
                places.append(TopicPartition(name, partition, 0))
                self._unread.add((name, partition))
        self._consumer.assign(places)

    @property
    def caught_up(self) -> bool:
        """Whether all that was there at the start has been read."""
        return not self._unread

    def read(self, wait_s: float) -> list[Any]:
        """Return the next events, waiting at most ``wait_s``; what cannot be read is left out.

        Raises:
            Transient: The broker does not answer.
        """
        with self._using:
            messages = self._consumer.consume(1_000, wait_s)
        events = []
        for message in messages:
            name = message.topic() or ""
            if at_end(message):
                self._unread.discard((name, int(message.partition() or 0)))
                continue
            record = incoming(message, self._topics[name].name)
            if record.value is None:
                continue
            try:
                events.append(self._serde.decode(self._topics[name], record.value))
            except Poison:
                continue  # the roles that read this topic make it a dead letter
        return events

    def close(self) -> None:
        """Let go of the consumer."""
        with self._using:
            self._consumer.close()


def _ends(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """Return a partition's first and next offset; a topic just made has no leader for a moment."""
    give_up = time.monotonic() + ANSWER_S_MAX
    while True:
        try:
            low, end = consumer.get_watermark_offsets(place, timeout=ANSWER_S_MAX)
        except KafkaException as error:
            if time.monotonic() > give_up:
                raise Transient(
                    f"expected the ends of {place.topic}/{place.partition} within "
                    f"{ANSWER_S_MAX} s, was {error.args[0]}; is Kafka up?"
                ) from error
            time.sleep(ASK_AGAIN_S)
        else:
            return int(low), int(end)


def _until_end(consumer: Consumer, plain: str) -> Any:
    give_up = time.monotonic() + ANSWER_S_MAX
    while True:
        for message in consumer.consume(1_000, 0.1):
            if at_end(message):
                return
            yield incoming(message, plain)
            give_up = time.monotonic() + ANSWER_S_MAX
        if time.monotonic() > give_up:
            raise Transient(f"expected the end of {plain} within {ANSWER_S_MAX} s, was silence")


def _config(connection: Connection, name: str) -> dict[str, Any]:
    return connection.consumer(name, **{"enable.partition.eof": True})
