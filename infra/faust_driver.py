"""The Faust worker: the driver for roles of key scope without effects.

One app = one process = one consumer group = one agent; its roles are a fixed, named worker group.
The agent gives a fetch to every role that reads its topic, so that what Faust costs is paid once
for all of them.  A fetch is acknowledged only when the states that cover it are saved, so what
Faust commits never runs ahead of what a restart can restore.  Records that a restored state already
covers are skipped; outputs written twice carry the same origin and are dropped by their readers.

An exception ends the process: in Faust an agent that raises has acknowledged and lost its event.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import faust
import structlog
from confluent_kafka import Consumer, TopicPartition
from faust.types import EventT

from infra import failpoint
from infra.clock import wall_now
from infra.host import FAILED, Context
from infra.publish import Publisher
from infra.runner import Fed, Incoming, Instance, Wire
from infra.states import Shelf
from schemas.errors import Misconfigured
from schemas.role import Role
from schemas.topics import Topic
from schemas.units import Micros

SESSION_S: Final = 10.0
HEARTBEAT_S: Final = 3.0
COMMIT_S: Final = 0.5
IDLE_SAVE_S: Final = 2.0
OFFSETS_S_MAX: Final = 10.0
REMEMBERED_MAX: Final = 20_000
"""Decoded values kept for the worker's other roles: a few fetches."""


LOGGING: Final = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"errors": {"class": "logging.StreamHandler"}},
    "root": {"level": "WARNING", "handlers": ["errors"]},
}
"""Faust's own makes a log record of every step it takes, then drops it."""


class Whole(faust.Schema):  # type: ignore[type-arg] # generic in keys and values, we have neither
    """Hand a fetch through as it is."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> None:
        """A fetch has no key."""
        del app, message

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """Return the list of records."""
        del app
        return message.value


class Once:
    """Decodes a value once for all roles of a worker: they are handed the same bytes object."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._known: dict[int, tuple[bytes, Any]] = {}
        self._order: deque[int] = deque()

    def encode(self, topic: Topic, event: Any) -> bytes:
        """Return the wire value of an event."""
        return self._wire.encode(topic, event)

    def decode(self, topic: Topic, value: bytes) -> Any:
        """Return the event in a value, remembered while other roles may ask for it."""
        found = self._known.get(id(value))
        if found is not None and found[0] is value:
            return found[1]
        event = self._wire.decode(topic, value)
        self._known[id(value)] = value, event
        self._order.append(id(value))
        if len(self._order) > REMEMBERED_MAX:
            self._known.pop(self._order.popleft(), None)
        return event


def check(roles: Sequence[Role]) -> None:
    """Refuse roles this driver cannot honour.

    Raises:
        Misconfigured: A role compares everybody with everybody, or touches the world.
    """
    for role in roles:
        if role.scope != "key":
            raise Misconfigured(
                f"expected a role of key scope for Faust, was {role.name} ({role.scope}): "
                f"no instance would see all partitions; run it by the Kafka loop"
            )
        if role.effects:
            raise Misconfigured(
                f"expected a role without effects for Faust, was {role.name} "
                f"({', '.join(role.effects)}); run it by the Kafka loop"
            )


def make_app(
    context: Context, group: str, roles: Sequence[Role], pacing: Mapping[str, str]
) -> faust.App:
    """Build the app of a worker group.

    Args:
        context: The service's context.
        group: The group's name; the consumer group is named after it.
        roles: What the group runs, always the same.
        pacing: Role name to the name under which an accelerated day waits for it.
    """
    check(roles)
    settings = context.connection.settings
    if settings.kafka.sasl_username is not None:
        raise Misconfigured("expected a cluster without SASL for Faust workers in this release")
    (settings.var_dir / "faust").mkdir(parents=True, exist_ok=True)
    app = faust.App(
        context.connection.group(group),
        broker=f"aegis://{context.connection.endpoints.kafka_bootstrap}",
        store="memory://",
        datadir=str(settings.var_dir / "faust"),
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{context.connection.group(group)}.{os.getpid()}",
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=HEARTBEAT_S,
        broker_commit_interval=COMMIT_S,
        topic_disable_leader=True,
        topic_allow_declare=False,
        worker_redirect_stdouts=False,
        logging_config=LOGGING,
        web_enabled=False,
        table_standby_replicas=1,
        stream_wait_empty=False,
    )
    driver = Driver(context, group, roles, pacing)
    names = sorted({context.connection.topic(i.topic) for role in roles for i in role.inputs})
    app.agent(app.topic(*names, schema=Whole()), name=f"aegis.{group}")(driver.agent)

    @app.timer(interval=IDLE_SAVE_S / 2)  # type: ignore[untyped-decorator] # Faust's is untyped
    async def save_when_idle() -> None:
        driver.save_idle()

    @app.on_partitions_revoked.connect
    async def leave(*_: Any, **__: Any) -> None:
        driver.forget()

    return app


class Driver:
    """What stands between Faust's events and the instances."""

    def __init__(
        self, context: Context, group: str, roles: Sequence[Role], pacing: Mapping[str, str]
    ) -> None:
        self._context, self._pacing = context, pacing
        self._readers: dict[str, list[Role]] = {}
        for role in roles:
            for each in role.inputs:
                self._readers.setdefault(each.topic.name, []).append(role)
        self._log = structlog.get_logger(group)
        self._publisher = Publisher(
            context.connection,
            context.serde,
            client=f"aegis.{group}",
            symbol_partitions=context.topology.symbol_partitions,
        )
        self._wire = Once(context.serde)
        self._instances: dict[tuple[str, int], Instance] = {}
        self._shelves: dict[tuple[str, int], Shelf] = {}
        self._open: list[EventT[Any]] = []
        self._fed: set[tuple[str, int]] = set()
        self._fed_at = 0.0
        self._reported: dict[str, Micros] = {}
        self._meters = context.role_meters

    async def agent(self, stream: Any) -> AsyncIterator[None]:
        """Take fetches as they come: the one agent of the worker, for all its roles."""
        async for event in stream.noack().events():
            try:
                self.take(event)
            except Exception:  # noqa: BLE001 -- the last resort: logged whole, process ends
                self._log.exception("worker_failed", topic=event.message.topic)
                os._exit(FAILED)
            await asyncio.sleep(0)
            yield None

    def take(self, event: EventT[Any]) -> None:
        """Give a fetch to every role that reads it, write what came of it, save when it is time."""
        topic = self._context.connection.plain(event.message.topic)
        records = _incoming(topic, event.value)
        due = False
        for role in self._readers[topic]:
            place = (role.name, event.message.partition)
            instance = self._instance(role, place)
            began = time.perf_counter()
            fed = instance.feed(records)
            if fed.outputs:
                self._meters.step.labels(role.name).observe(time.perf_counter() - began)
            self._fed.add(place)
            self._meters.records.labels(role.name).inc(len(records))
            self._write(role, fed)
            due = due or instance.save_due()
            self._pace(role)
        self._open.append(event)
        self._fed_at = time.monotonic()
        if due:
            self.save()

    def save(self) -> None:
        """Make outputs durable, then the states that cover them, then acknowledge."""
        if not self._open:
            return
        self._publisher.flush()
        failpoint.hit(failpoint.PRODUCED)
        for place in sorted(self._fed):
            instance = self._instances[place]
            self._shelves[place].save(self._publisher, instance, instance.save())
        self._publisher.flush()
        failpoint.hit(failpoint.SAVED)
        for event in self._open:
            event.ack()
        self._open.clear()
        self._fed.clear()

    def save_idle(self) -> None:
        """Save what has been fed and then left alone for a while."""
        self._publisher.poll()
        if time.monotonic() - self._fed_at > IDLE_SAVE_S:
            self.save()

    def forget(self) -> None:
        """Save and drop every instance: partitions are about to move."""
        self.save()
        self._instances.clear()

    def _instance(self, role: Role, place: tuple[str, int]) -> Instance:
        if place in self._instances:
            return self._instances[place]
        context = self._context
        instance = Instance(role, str(place[1]), context.topology, self._wire)
        shelf = self._shelves[place] = Shelf(role, instance.name)
        body = shelf.load(context.connection, context.serde)
        if body is not None:
            instance.restore(body)
        self._log.info(
            "restored",
            role=role.name,
            partition=place[1],
            restored_offset=sum(instance.offsets.values()),
            records_replayed=self._ahead(instance) if body is not None else 0,
        )
        self._instances[place] = instance
        return instance

    def _ahead(self, instance: Instance) -> int:
        """Return how many records stand on the log after a restored state.

        No more than these can have been fed before and be fed again.
        """
        connection = self._context.connection
        consumer = Consumer(connection.consumer("offsets"))
        try:
            return sum(
                consumer.get_watermark_offsets(
                    TopicPartition(connection.topic(each.topic), int(instance.name)),
                    timeout=OFFSETS_S_MAX,
                )[1]
                - instance.offsets.get(f"{each.topic.name}/{instance.name}", 0)
                for each in instance.role.inputs
            )
        finally:
            consumer.close()

    def _write(self, role: Role, fed: Fed) -> None:
        for out in fed.outputs:
            self._publisher.write(out)
        for out in fed.watermarks:
            self._publisher.write(out)
        self._publisher.poll()
        if fed.outputs:
            seen = fed.outputs[-1].value.ts_ingest
            self._meters.age.labels(role.name).observe(max(wall_now() - seen, 0) / 1e6)

    def _pace(self, role: Role) -> None:
        names = self._context.topology.instances(role)
        mine = [self._instances.get((role.name, int(each))) for each in names]
        reached = min((each.watermark for each in mine if each is not None), default=Micros(0))
        self._meters.watermark.labels(role.name).set(reached / 1e6)
        name = self._pacing.get(role.name)
        if name is None or None in mine or reached == self._reported.get(name):
            return
        self._reported[name] = reached
        self._context.clock.report(name, reached)


def _incoming(topic: str, records: Sequence[Any]) -> list[Incoming]:
    return [
        Incoming(
            topic,
            each.partition,
            each.offset,
            each.timestamp,
            (each.key or b"").decode(),
            each.value,
            dict(each.headers),
        )
        for each in records
    ]


def run(app: faust.App) -> int:
    """Run a worker until it is told to stop; nothing listens on a port."""
    worker = faust.Worker(app, loglevel="WARNING", redirect_stdouts=False, quiet=True)
    worker.spinner = None  # it would set the root logger to DEBUG, to turn at every log record
    try:
        worker.execute_from_commandline()
    except SystemExit as error:
        return int(error.code or 0)
    return 0
