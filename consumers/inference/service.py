"""The inference service: a stateless consumer group over ``features.snapshots``.

A snapshot's answer and the offset behind it are one transaction, so there is exactly one
``scores.ai`` record per snapshot: a crash before the commit leaves none and the snapshot is
answered again.  After an error nobody can name the outcome of, producer and consumer are thrown
away and made anew; ``init_transactions`` settles what was open.

Several instances share the work: give each its own ``worker`` number, which names its
transactional id and its seat in the group.
"""

import time
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from consumers.inference import metrics as measures
from consumers.inference import registry
from consumers.inference.serving import Serving
from infra import failpoint
from infra.host import Context
from infra.publish import Publisher
from infra.reader import at_end
from schemas import topics
from schemas.errors import Fatal, Poison, Transient
from schemas.learning import ModelDeployed  # noqa: TC001 -- no second block for one name
from schemas.model_features import MODEL
from schemas.ops import DeadLettered
from schemas.role import ORIGIN_HEADER
from schemas.scores import AiScored
from schemas.units import Micros

NAME: Final = "inference"
UNIVERSE: Final = "universe"
GROUP: Final = "consumers.inference"
MODELS_GROUP: Final = "consumers.inference.models"
VERSION: Final = 1

POLL_S: Final = 0.02
MODELS_S_MAX: Final = 30.0
MODELS_RECORDS_MAX: Final = 1_000
RESTARTS_MAX: Final = 5
RESTART_WAIT_S: Final = 0.5
STEADY_S: Final = 120.0


def run(context: Context) -> None:
    """Answer snapshots until ``context.stopping`` is set."""
    serve(context)


def serve(context: Context, *, worker: int = 0, pacing: str | None = None) -> None:
    """Answer snapshots as one instance of the group.

    Args:
        context: The service's context.
        worker: Number of this instance.
        pacing: The name under which an accelerated day waits for this service, if it does.

    Raises:
        Fatal: Another instance has this number, or Kafka did not get going again.
    """
    log = structlog.get_logger(NAME)
    if NAME not in context.meters:
        context.meters[NAME] = measures.make(context.metrics)
    bundled = Serving(
        registry.bundled(), now=context.clock.now, metrics=context.meters[NAME], log=log
    )
    bundled.warm()
    failures = 0
    try:
        while not context.stopping.is_set():
            began = time.monotonic()
            loop = None
            try:
                loop = _Loop(context, bundled, worker=worker, pacing=pacing)
                loop.run()
            except (Transient, KafkaException) as error:
                failures = failures + 1 if time.monotonic() - began < STEADY_S else 1
                if failures > RESTARTS_MAX:
                    raise Fatal(f"{NAME}: expected to go on, failed {failures} times") from error
                log.warning("started_over", reason=str(error))
                context.stopping.wait(RESTART_WAIT_S)
            finally:
                if loop is not None:
                    loop.close()
    finally:
        bundled.close()


class _Loop:
    def __init__(
        self, context: Context, serving: Serving, *, worker: int, pacing: str | None
    ) -> None:
        self._context, self._serving, self._pacing = context, serving, pacing
        self._nobody = Serving(
            None,
            now=context.clock.now,
            metrics=context.meters[NAME],
            log=structlog.get_logger(NAME),
        )
        connection = context.connection
        seat = f"{NAME}.{worker}"
        self._publisher = Publisher(
            connection,
            context.serde,
            client=seat,
            transactional_id=seat,
            symbol_partitions=context.topology.symbol_partitions,
        )
        self._models = Consumer(connection.consumer(MODELS_GROUP, **{"enable.partition.eof": True}))
        self._consumer = Consumer(connection.consumer(GROUP, **{"group.instance.id": seat}))
        self._deployments: list[ModelDeployed] = []

    def run(self) -> None:
        self._publisher.bury((topics.AI, topics.MODELS, topics.DEAD_LETTERS), group=GROUP)
        self._read_models()
        self._consumer.subscribe([self._context.connection.topic(topics.SNAPSHOTS)])
        while not self._context.stopping.is_set():
            before = self._context.clock.now()
            message = self._consumer.poll(POLL_S)
            if message is not None:
                self._turn(message)
            elif self._pacing is not None:
                self._context.clock.report(self._pacing, before)

    def close(self) -> None:
        self._consumer.close()
        self._models.close()
        self._publisher.close()

    def _turn(self, message: Message) -> None:
        _refuse(message)
        if message.value() is None:
            return
        self._follow(self._models.consume(MODELS_RECORDS_MAX, 0))
        place = (str(message.topic()), int(message.partition() or 0))
        offset = int(message.offset() or 0)
        answer = self._answer(message)
        self._publisher.begin()
        if isinstance(answer, DeadLettered):
            self._publisher.send(
                topics.DEAD_LETTERS, answer.origin, answer, headers=_origin(place[1], offset)
            )
        else:
            self._publisher.send(topics.AI, UNIVERSE, answer, headers=_origin(place[1], offset))
        failpoint.hit(failpoint.PRODUCED)
        self._publisher.offsets({place: offset + 1}, self._consumer.consumer_group_metadata())
        self._publisher.commit()

    def _answer(self, message: Message) -> AiScored | DeadLettered:
        try:
            snapshot = self._context.serde.decode(topics.SNAPSHOTS, message.value() or b"")
        except Poison as error:
            return _dead_letter(message, error)
        if snapshot.model != MODEL:
            return self._nobody.answer(snapshot)
        self._serving.follow(self._deployments, MODEL, snapshot.ts_event)
        return self._serving.answer(snapshot)

    def _read_models(self) -> None:
        """Read ``learning.models`` to its end; say there what serves when nobody has."""
        name = self._context.connection.topic(topics.MODELS)
        self._models.assign([TopicPartition(name, 0, 0)])
        give_up = time.monotonic() + MODELS_S_MAX
        while not self._follow(self._models.consume(MODELS_RECORDS_MAX, 0.1)):
            if self._context.stopping.is_set():
                return
            if time.monotonic() > give_up:
                raise Transient(f"expected to read {topics.MODELS.name} in {MODELS_S_MAX} s")
        if not any(each.model == MODEL for each in self._deployments):
            deployment = registry.bundled_deployment(self._context.clock.now())
            self._publisher.begin()
            self._publisher.send(topics.MODELS, MODEL, deployment)
            self._publisher.commit()

    def _follow(self, messages: list[Message]) -> bool:
        """Take deployments; return whether the end of the topic was reached."""
        ended = False
        for each in messages:
            if at_end(each):
                ended = True
                continue
            _refuse(each)
            value = each.value()
            if value is None:
                continue
            try:
                self._deployments.append(self._context.serde.decode(topics.MODELS, value))
            except Poison as error:
                structlog.get_logger(NAME).error("deployment_unreadable", reason=str(error))
        return ended


def _refuse(message: Message) -> None:
    error = message.error()
    if error is not None:
        raise Transient(f"expected a record, was {error.str()}")


def _origin(partition: int, offset: int) -> list[tuple[str, bytes]]:
    return [(ORIGIN_HEADER, f"{NAME}@{VERSION}/{partition}:{offset}".encode())]


def _dead_letter(message: Message, error: Poison) -> DeadLettered:
    at = Micros(message.timestamp()[1] * 1_000)
    return DeadLettered(
        ts_event=at,
        ts_ingest=at,
        origin=f"{topics.SNAPSHOTS.name}/{message.partition()}/{message.offset()}",
        role=NAME,
        error=type(error).__name__,
        reason=str(error),
        attempt=1,
        payload=message.value() or b"",
    )
