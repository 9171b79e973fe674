"""Reading topics whole, without a group: for audits, replays and tests."""

import time
from collections.abc import Iterator
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from infra.connection import Connection
from infra.runner import Incoming
from schemas.errors import Transient
from schemas.topics import Topic

STALL_S_MAX: Final = 30.0
END_WAIT_MS: Final = 10
"""The broker holds back for so long that a partition is at its end: once for each partition."""

LEADER_WAIT_S: Final = 0.1
_NO_LEADER: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 -- the library's public constant
    }
)


def read_all(
    connection: Connection, topic: Topic, *, isolation: str = "read_committed"
) -> Iterator[Incoming]:
    """Yield every record of a topic up to the end it has now, partition by partition."""
    yield from read_named(connection, connection.topic(topic), topic.name, isolation=isolation)


def read_named(
    connection: Connection, name: str, plain: str, *, isolation: str = "read_committed"
) -> Iterator[Incoming]:
    """Yield every record of a topic by its full name.

    Raises:
        Transient: The broker does not answer.
    """
    config = connection.consumer(
        "reader",
        **{
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": END_WAIT_MS,
        },
    )
    consumer = Consumer({**config, "group.id": f"{config['group.id']}.{name}"})
    try:
        found = consumer.list_topics(name, timeout=STALL_S_MAX).topics[name]
        for partition in sorted(found.partitions):
            yield from _partition(consumer, name, plain, partition)
    finally:
        consumer.close()


def _partition(consumer: Consumer, name: str, plain: str, partition: int) -> Iterator[Incoming]:
    place = TopicPartition(name, partition, 0)
    low, end = _ends(consumer, place)
    if low == end:
        return
    consumer.assign([TopicPartition(name, partition, low)])
    give_up = time.monotonic() + STALL_S_MAX
    while True:
        for message in consumer.consume(5_000, 0.02):
            if at_end(message) or int(message.offset() or 0) >= end:
                consumer.unassign()
                return
            yield incoming(message, plain)
            give_up = time.monotonic() + STALL_S_MAX
        if time.monotonic() > give_up:
            raise Transient(f"expected {name}/{partition} up to {end}, was silent")


def _ends(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    """Return a partition's first and next offset; a new topic may have no leader for a moment."""
    give_up = time.monotonic() + STALL_S_MAX
    while True:
        try:
            low, end = consumer.get_watermark_offsets(place, timeout=STALL_S_MAX)
        except KafkaException as error:
            what = error.args[0]
            if not what.retriable() and what.code() not in _NO_LEADER:
                raise
            if time.monotonic() > give_up:
                raise Transient(f"expected the ends of {place.topic}, was {what.str()}") from error
            time.sleep(LEADER_WAIT_S)
        else:
            return int(low), int(end)


def at_end(message: Message) -> bool:
    """Whether a message only says that its partition has been read to the end."""
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 -- public


def incoming(message: Message, plain: str) -> Incoming:
    """Return a consumed message as the log's record.

    Raises:
        Transient: It is an error of the consumer.
    """
    error = message.error()
    if error is not None:
        raise Transient(f"expected a record, was {error.str()}")
    return Incoming(
        plain,
        int(message.partition() or 0),
        int(message.offset() or 0),
        message.timestamp()[1],
        (message.key() or b"").decode(),
        message.value(),
        dict(message.headers() or ()),  # type: ignore[arg-type] # ours are all bytes
    )
