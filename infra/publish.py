"""Writing to Kafka: idempotent, in event time, with every delivery accounted for."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from infra.connection import Connection
from infra.runner import Outgoing, Wire
from schemas.errors import Fenced, Transient
from schemas.role import WATERMARK_KEY
from schemas.topics import SYMBOL_PARTITIONS, Topic
from schemas.units import Micros

QUEUE_MESSAGES_MAX: Final = 500_000
QUEUE_WAIT_S_MAX: Final = 30.0
INIT_S_MAX: Final = 30.0
TRANSACTION_MS_MAX: Final = 10_000
FLUSH_POLL_S: Final = 0.05
BURIED_KEY: Final = "__buried__"


class Publisher:
    """A producer of ours.

    With ``transactional_id`` it is the only writer of that id: making it fences the one before.
    After any failed commit it must be thrown away (``close``) and made anew: librdkafka speaks
    the transaction protocol in which a late EndTxn can decide a later transaction (KAFKA-17754).
    """

    def __init__(
        self,
        connection: Connection,
        wire: Wire,
        *,
        client: str,
        transactional_id: str | None = None,
        symbol_partitions: int = SYMBOL_PARTITIONS,
    ) -> None:
        config: dict[str, Any] = {
            **connection.client(client),
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": connection.settings.kafka.linger_ms,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": QUEUE_MESSAGES_MAX,
            "message.max.bytes": 1_048_576,
        }
        if transactional_id is not None:
            config["transactional.id"] = connection.transactional_id(transactional_id)
            config["transaction.timeout.ms"] = TRANSACTION_MS_MAX
        self._producer = Producer(config)
        self._connection = connection
        self._wire = wire
        self._symbol_partitions = symbol_partitions
        self._transactional = transactional_id is not None
        self._failed: list[str] = []
        self._names: dict[str, str] = {}
        self.sent = 0
        if transactional_id is not None:
            self._guard(lambda: self._producer.init_transactions(INIT_S_MAX))

    def send(
        self,
        topic: Topic,
        key: str,
        event: Any,
        *,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> None:
        """Queue an event; its record timestamp is its ``ts_event``.

        Raises:
            Poison: The event does not fit its schema.
            Transient: The queue stayed full, or the broker's client refused it.
            Fenced: Another writer has taken over.
        """
        value = self._wire.encode(topic, event)
        self._produce(topic, key, value, event.ts_event, headers, partition)

    def write(self, out: Outgoing) -> None:
        """Queue what an instance gave."""
        value = None if out.value is None else self._wire.encode(out.topic, out.value)
        self._produce(out.topic, out.key, value, out.timestamp, out.headers, out.partition)

    def watermark(self, topic: Topic, source: str, micros: Micros) -> None:
        """Say on every partition of a topic that ``source`` has reached ``micros``."""
        count = self._symbol_partitions if topic.spread == "symbol" else 1
        headers = (("source", source.encode()), ("micros", str(micros).encode()))
        for partition in range(count):
            self._produce(topic, WATERMARK_KEY, None, micros, headers, partition)

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until everything queued is on the broker.

        Raises:
            Transient: Something was not delivered.
        """
        give_up = time.monotonic() + timeout_s
        while left := len(self._producer):  # its own flush() ends a fenced one in a SystemError
            self._guard(lambda: self._producer.poll(FLUSH_POLL_S))
            if time.monotonic() > give_up:
                raise Transient(f"expected all delivered in {timeout_s} s, was {left} short")
        self._check()

    def poll(self) -> None:
        """Take delivery reports without waiting."""
        self._producer.poll(0)
        self._check()

    def bury(self, written: Sequence[Topic], group: str | None = None) -> None:
        """Abort, wherever something is written under this id, what an earlier life left open.

        A broker that died while it ended a transaction may say that it is aborted and write no
        marker for it (KAFKA-20734, Kafka 4.3.1): its records then stay open, and the commit of the
        next transaction of the same id would publish them.  One that touches the same partitions
        and is aborted decides them; no reader has seen them.  Do it before the log is read, and
        before the group's offsets are.

        Args:
            written: Topics that are written under this id.
            group: The group whose offsets are committed under it, if one is.

        Raises:
            Transient: Not aborted, or nobody knows: throw this producer away.
            Fenced: Another writer has taken over.
        """
        self.begin()
        for topic in written:
            count = self._symbol_partitions if topic.spread == "symbol" else 1
            for partition in range(count):
                self._produce(topic, BURIED_KEY, None, Micros(0), (), partition)
        if group is not None:
            somebody = Consumer(self._connection.consumer(group))
            place = self._connection.topic(written[0]), 0
            self.offsets({place: 0}, somebody.consumer_group_metadata())
            somebody.close()
        self.flush()
        self._guard(self._producer.abort_transaction)

    def begin(self) -> None:
        """Begin a transaction."""
        self._guard(self._producer.begin_transaction)

    def offsets(self, positions: Mapping[tuple[str, int], int], group: Any) -> None:
        """Put a consumer's positions into the transaction."""
        where = [TopicPartition(topic, part, at) for (topic, part), at in positions.items()]
        self._guard(lambda: self._producer.send_offsets_to_transaction(where, group))

    def commit(self) -> None:
        """Commit, without a timeout of our own: another value can break librdkafka's state.

        Raises:
            Transient: Not committed, or nobody knows: throw this producer away.
            Fenced: Another writer has taken over.
        """
        self._guard(self._producer.commit_transaction)
        self._check()

    def close(self) -> None:
        """Throw the producer away, without waiting for what is queued."""
        self._producer.purge()
        with suppress(KafkaException):  # a fenced one says so once more; we are leaving anyway
            self._producer.poll(0)

    def _produce(  # noqa: PLR0917 -- one private call in the hottest path, keywords cost
        self,
        topic: Topic,
        key: str,
        value: bytes | None,
        at: Micros,
        headers: Sequence[tuple[str, bytes]],
        partition: int | None,
    ) -> None:
        name = self._names.get(topic.name)
        if name is None:
            name = self._names[topic.name] = self._connection.topic(topic)
        where: dict[str, Any] = {} if partition is None else {"partition": partition}
        give_up = time.monotonic() + QUEUE_WAIT_S_MAX
        while True:
            try:
                self._producer.produce(
                    name,
                    value,
                    key.encode(),
                    timestamp=at // 1_000,
                    headers=list(headers),
                    on_delivery=self._delivered,
                    **where,
                )
            except BufferError as error:
                if time.monotonic() > give_up:
                    raise Transient(
                        f"expected room in the queue of {QUEUE_MESSAGES_MAX} within "
                        f"{QUEUE_WAIT_S_MAX} s, was full; is Kafka answering?"
                    ) from error
                self._producer.poll(0.1)
            except KafkaException as error:
                if self._transactional:  # a producer that is lost for good says why when asked
                    self._guard(self._producer.abort_transaction)
                raise Transient(f"{name}: expected to be taken, was {error.args[0]}") from error
            else:
                self.sent += 1
                return

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append(f"{message.topic()}: {error.str()}")

    def _check(self) -> None:
        if self._failed:
            raise Transient(
                f"expected every record delivered, was {len(self._failed)} failed, "
                f"the first: {self._failed[0]}"
            )

    def _guard(self, call: Any) -> None:
        try:
            call()
        except KafkaException as error:
            what = error.args[0]
            if isinstance(what, KafkaError) and what.code() in {
                KafkaError._FENCED,  # noqa: SLF001 -- the library's public constant
                KafkaError.PRODUCER_FENCED,
                KafkaError.INVALID_PRODUCER_EPOCH,
            }:
                raise Fenced(f"fenced: another writer has taken over ({what.str()})") from error
            raise Transient(f"expected the transaction to go on, was {what}") from error
