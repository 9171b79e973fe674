"""The shell of the store: read committed topics, write rows, note the offsets beside them.

The database holds the places, so a row and its place are durable together; the group's offsets
in Kafka only show others how far we are.
"""

import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from prometheus_client import Counter

from consumers.store.projection import Place, Projection
from consumers.store.tables import tables
from infra.host import Context
from infra.publish import Publisher
from schemas.errors import Fatal, Poison, Transient
from schemas.ops import DeadLettered
from schemas.topics import BY_NAME, DEAD_LETTERS
from schemas.units import Micros

NAME: Final = "store"
POLL_S: Final = 0.2
BATCH_MESSAGES_MAX: Final = 2_000
BATCH_S: Final = 0.5
FAILURES_MAX: Final = 20
RETRY_S: Final = 1.0


def run(context: Context) -> None:
    """Project topics into PostgreSQL until told to stop; ``aegis.services: store``."""
    log = structlog.get_logger(NAME)
    rows = _counter(context)
    failures = 0
    while not context.stopping.is_set():
        try:
            _session(context, rows)
        except (psycopg.OperationalError, KafkaException, Transient) as error:
            failures += 1
            if failures > FAILURES_MAX:
                raise Fatal(f"store: expected to go on, failed {failures} times") from error
            log.warning("started_over", reason=str(error))
            context.stopping.wait(RETRY_S)


def rebuild(context: Context) -> None:
    """Drop every row and place; the next run reads the log from its beginning."""
    with _connect(context) as connection:
        Projection(connection, context.connection.pg_schema).drop()


def _session(context: Context, rows: Counter) -> None:
    with _connect(context) as connection:
        projection = Projection(connection, context.connection.pg_schema)
        projection.prepare()
        reader = _Reader(context, projection.places())
        try:
            while not context.stopping.is_set():
                events, places = reader.read()
                if places:
                    projection.write(events, places)
                    reader.passed(places)
                    rows.inc(sum(map(len, events.values())))
        finally:
            reader.close()


class _Reader:
    """Messages as events, by topic, with the places they lead to."""

    def __init__(self, context: Context, places: dict[Place, int]) -> None:
        self._context = context
        self._consumer = Consumer(context.connection.consumer(NAME))
        self._publisher = Publisher(context.connection, context.serde, client=NAME)
        self._consumer.assign([
            TopicPartition(
                context.connection.topic(each.topic),
                partition,
                places.get((each.topic.name, partition), 0),
            )
            for each in tables()
            for partition in range(context.topology.partitions(each.topic))
        ])  # fmt: skip

    def read(self) -> tuple[dict[str, list[Any]], dict[Place, int]]:
        """Return what came within half a second, at most 2,000 messages."""
        events: dict[str, list[Any]] = {}
        places: dict[Place, int] = {}
        give_up = time.monotonic() + BATCH_S
        taken = 0
        while taken < BATCH_MESSAGES_MAX and time.monotonic() < give_up:
            messages = self._consumer.consume(BATCH_MESSAGES_MAX - taken, POLL_S)
            taken += len(messages)
            self._take(messages, events, places)
            if not messages:
                break
        self._publisher.flush()
        return events, places

    def passed(self, places: dict[Place, int]) -> None:
        """Show in Kafka how far the rows have come."""
        self._consumer.commit(
            offsets=[
                TopicPartition(self._context.connection.topic(BY_NAME[topic]), partition, offset)
                for (topic, partition), offset in places.items()
            ],
            asynchronous=True,
        )

    def close(self) -> None:
        self._publisher.flush()
        self._publisher.close()
        self._consumer.close()

    def _take(
        self,
        messages: Sequence[Message],
        events: dict[str, list[Any]],
        places: dict[Place, int],
    ) -> None:
        for each in messages:
            error = each.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 -- its only name
                continue
            if error is not None:
                raise Transient(f"expected a record, was {error.str()}")
            topic = self._context.connection.plain(str(each.topic()))
            place = (topic, int(each.partition() or 0))
            places[place] = int(each.offset() or 0) + 1
            value = each.value()
            if value is None:
                continue
            try:
                event = self._context.serde.decode(BY_NAME[topic], value)
            except Poison as error_:
                self._dead_letter(each, topic, error_)
            else:
                events.setdefault(topic, []).append(event)

    def _dead_letter(self, message: Message, topic: str, error: Poison) -> None:
        at = Micros(message.timestamp()[1] * 1_000)
        origin = f"{topic}/{message.partition()}/{message.offset()}"
        self._publisher.send(
            DEAD_LETTERS,
            origin,
            DeadLettered(
                ts_event=at,
                ts_ingest=at,
                origin=origin,
                role=NAME,
                error=type(error).__name__,
                reason=str(error),
                attempt=1,
                payload=message.value() or b"",
            ),
        )


def _connect(context: Context) -> psycopg.Connection[Any]:
    return psycopg.connect(
        context.connection.endpoints.postgres_dsn, autocommit=True, connect_timeout=10
    )


def _counter(context: Context) -> Counter:
    if NAME not in context.meters:
        context.meters[NAME] = Counter(
            "aegis_store_rows", "Rows written.", registry=context.metrics
        )
    found: Counter = context.meters[NAME]
    return found
