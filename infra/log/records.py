"""Records byte for byte: read one partition, write one partition, nothing decoded.

``infra.reader`` gives a fold what it needs (text keys, headers as a mapping).  An export and a
redrive need what the broker holds: absent keys, tombstones, headers in order and more than once.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from infra.connection import Connection
from infra.publish import INIT_S_MAX, QUEUE_WAIT_S_MAX, TRANSACTION_MS_MAX
from infra.reader import END_WAIT_MS, LEADER_WAIT_S, STALL_S_MAX, at_end
from schemas.errors import Fatal, Fenced, Transient

Headers = tuple[tuple[str, bytes | None], ...]
FETCHED_MAX: Final = 2_000
"""Records taken from librdkafka at a time."""

FETCH_QUEUE_KIB: Final = 16_384
"""What librdkafka may hold ahead of us; its own default is 64 MiB."""

ENDS_S_MAX: Final = 10.0
"""How long a topic that was made this moment may be without a leader."""

FLUSH_S_MAX: Final = 60.0


class Raw(NamedTuple):
    """One record as the broker holds it.

    Attributes:
        offset: On the partition it was read from.
        timestamp_ms: Milliseconds UTC.
        key: None when there is none; an empty key is another thing.
        value: None for a tombstone or a watermark.
        headers: In order, names may repeat.
    """

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Source:
    """Reads committed records of partitions by their full names."""

    def __init__(self, connection: Connection) -> None:
        config = connection.consumer(
            "log",
            **{
                "enable.partition.eof": True,
                "fetch.wait.max.ms": END_WAIT_MS,
                "queued.max.messages.kbytes": FETCH_QUEUE_KIB,
            },
        )
        self._consumer = Consumer(config)

    def close(self) -> None:
        """Close the connections."""
        self._consumer.close()

    def partitions(self) -> dict[str, int]:
        """Return every topic of the cluster with its number of partitions."""
        found = self._consumer.list_topics(timeout=STALL_S_MAX).topics
        return {name: len(each.partitions) for name, each in found.items()}

    def ends(self, name: str, partition: int) -> tuple[int, int]:
        """Return the first offset, and the one after the last that is decided.

        Raises:
            Transient: The broker does not say.
        """
        place = TopicPartition(name, partition)
        give_up = time.monotonic() + ENDS_S_MAX
        while True:
            try:
                low, end = self._consumer.get_watermark_offsets(place, timeout=STALL_S_MAX)
            except KafkaException as error:
                if time.monotonic() > give_up:
                    raise Transient(
                        f"expected the ends of {name}/{partition}, was {error}; try again"
                    ) from error
                time.sleep(LEADER_WAIT_S)
            else:
                return int(low), int(end)

    def read(self, name: str, partition: int, start: int, end: int) -> Iterator[Raw]:
        """Yield what is committed in ``start <= offset < end``, in order.

        Raises:
            Transient: The broker does not answer.
        """
        if start >= end:
            return
        self._consumer.assign([TopicPartition(name, partition, start)])
        try:
            give_up = time.monotonic() + STALL_S_MAX
            while True:
                for each in self._consumer.consume(FETCHED_MAX, 0.05):
                    if at_end(each) or int(each.offset() or 0) >= end:
                        return
                    yield _raw(each)
                    give_up = time.monotonic() + STALL_S_MAX
                if time.monotonic() > give_up:
                    raise Transient(f"expected {name}/{partition} up to {end}, was silent")
        finally:
            self._consumer.unassign()

    def at(self, name: str, partition: int, offset: int) -> Raw | None:
        """Return the record at an offset; None when the broker no longer has it."""
        low, end = self.ends(name, partition)
        if not low <= offset < end:
            return None
        found = next(self.read(name, partition, offset, offset + 1), None)
        return found if found is not None and found.offset == offset else None


class Sink:
    """Writes records as they are, to the partition that is named.

    With ``transactional_id`` what is written counts when ``commit`` returns; making one fences
    the one before, so what is read after that holds everything it committed.

    Raises:
        Transient: Not delivered, or nobody knows.
        Fenced: Another writer has taken over.
    """

    def __init__(self, connection: Connection, transactional_id: str | None = None) -> None:
        config: dict[str, Any] = {
            **connection.client("log"),
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": connection.settings.kafka.linger_ms,
            "compression.type": "lz4",
            "message.max.bytes": 1_048_576,
            "queue.buffering.max.kbytes": FETCH_QUEUE_KIB,
        }
        if transactional_id is not None:
            config["transactional.id"] = connection.transactional_id(transactional_id)
            config["transaction.timeout.ms"] = TRANSACTION_MS_MAX
        self._producer = Producer(config)
        self._failed: list[str] = []
        if transactional_id is not None:
            _guarded(lambda: self._producer.init_transactions(INIT_S_MAX))

    def write(
        self,
        name: str,
        partition: int,
        record: Raw,
        landed: Callable[[int], None] | None = None,
    ) -> None:
        """Queue a record; ``landed`` is told the offset it got.

        Raises:
            Fatal: Its timestamp is one that librdkafka would replace by the wall clock.
        """
        if record.timestamp_ms <= 0:
            raise Fatal(
                f"{name}/{partition}: expected a timestamp after 1970, was {record.timestamp_ms} "
                f"at offset {record.offset}; the client would write the wall clock instead"
            )

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                self._failed.append(f"{name}/{partition}: {error.str()}")
            elif landed is not None:
                landed(int(message.offset() or 0))

        give_up = time.monotonic() + QUEUE_WAIT_S_MAX
        while True:
            try:
                self._producer.produce(
                    name,
                    record.value,
                    record.key,
                    partition=partition,
                    timestamp=record.timestamp_ms,
                    headers=list(record.headers),
                    on_delivery=delivered,
                )
            except BufferError as error:
                if time.monotonic() > give_up:
                    raise Transient(
                        "expected room to write, was full; does Kafka answer?"
                    ) from error
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def begin(self) -> None:
        """Begin a transaction."""
        _guarded(self._producer.begin_transaction)

    def commit(self) -> None:
        """Commit; without a timeout of our own, see ``infra.publish``."""
        _guarded(self._producer.commit_transaction)
        self._check()

    def flush(self) -> None:
        """Wait until everything queued is on the broker."""
        left = self._producer.flush(FLUSH_S_MAX)
        if left:
            raise Transient(f"expected every record delivered in {FLUSH_S_MAX} s, was {left} short")
        self._check()

    def close(self) -> None:
        """Throw the producer away, without waiting for what is queued."""
        self._producer.purge()
        self._producer.poll(0)

    def _check(self) -> None:
        if self._failed:
            raise Transient(
                f"expected every record delivered, was {len(self._failed)} failed, "
                f"the first: {self._failed[0]}"
            )


def _guarded(call: Callable[[], Any]) -> None:
    try:
        call()
    except KafkaException as error:
        what = error.args[0]
        if what.code() in {
            KafkaError._FENCED,  # noqa: SLF001 -- the library's public constant
            KafkaError.PRODUCER_FENCED,
            KafkaError.INVALID_PRODUCER_EPOCH,
        }:
            raise Fenced(
                "expected to be the only one who writes, was another; see what it did"
            ) from error
        raise Transient(f"expected the transaction to go on, was {what}; try again") from error


def _raw(message: Message) -> Raw:
    error = message.error()
    if error is not None:
        raise Transient(f"expected a record, was {error.str()}")
    return Raw(
        int(message.offset() or 0),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(message.headers() or ()),  # type: ignore[arg-type] # values are bytes or None
    )
