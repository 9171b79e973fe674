"""The Faust worker: the driver for roles of key scope without effects.

One app = one process = one consumer group; its roles are a fixed, named worker group.  A fetch
is fed as it comes; it is acknowledged only when the state that covers it is saved, so what Faust
commits never runs ahead of what a restart can restore.  Records that a restored state already
covers are skipped; outputs written twice carry the same origin and are dropped by their readers.

An exception ends the process: in Faust an agent that raises has acknowledged and lost its event.
"""

import asyncio
import os
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import faust
import structlog
from faust.types import EventT

from infra import failpoint, states
from infra.clock import wall_now
from infra.host import FAILED, Context
from infra.publish import Publisher
from infra.runner import Fed, Incoming, Instance, Wire
from schemas.errors import Misconfigured
from schemas.role import Role
from schemas.topics import Topic
from schemas.units import Micros

SESSION_S: Final = 10.0
HEARTBEAT_S: Final = 3.0
COMMIT_S: Final = 0.5
IDLE_SAVE_S: Final = 2.0
REMEMBERED_MAX: Final = 20_000
"""Decoded values kept for the worker's other roles: a few fetches."""


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
        web_enabled=False,
        table_standby_replicas=1,
        stream_wait_empty=False,
    )
    driver = Driver(context, group, roles, pacing)
    for role in roles:
        names = [context.connection.topic(each.topic) for each in role.inputs]
        topic = app.topic(*names, schema=Whole())
        app.agent(topic, name=f"aegis.{group}.{role.name}")(driver.agent(role))

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
        self._roles = {role.name: role for role in roles}
        self._log = structlog.get_logger(group)
        self._publisher = Publisher(
            context.connection,
            context.serde,
            client=f"aegis.{group}",
            symbol_partitions=context.topology.symbol_partitions,
        )
        self._wire = Once(context.serde)
        self._instances: dict[tuple[str, int], Instance] = {}
        self._saves: dict[tuple[str, int], int] = {}
        self._open: defaultdict[tuple[str, int], list[EventT[Any]]] = defaultdict(list)
        self._fed_at: dict[tuple[str, int], float] = {}
        self._meters = context.role_meters

    def agent(self, role: Role) -> Any:
        """Return the agent function of a role."""

        async def take(stream: Any) -> AsyncIterator[None]:
            async for event in stream.noack().events():
                try:
                    self.take(role, event)
                except Exception:  # noqa: BLE001 -- the last resort: logged whole, process ends
                    self._log.exception("role_failed", role=role.name)
                    os._exit(FAILED)
                await asyncio.sleep(0)
                yield None

        return take

    def take(self, role: Role, event: EventT[Any]) -> None:
        """Feed a fetch, write what came of it, save when it is time."""
        message = event.message
        place = (role.name, message.partition)
        instance = self._instance(place)
        began = time.perf_counter()
        fed = instance.feed(self._incoming(event.value))
        if fed.outputs:
            self._meters.step.labels(role.name).observe(time.perf_counter() - began)
        self._open[place].append(event)
        self._fed_at[place] = time.monotonic()
        self._meters.records.labels(role.name).inc(len(event.value))
        self._write(role, fed)
        if instance.save_due():
            self.save(list(self._open))  # two flushes for everybody cost as much as for one
        self._pace(role)

    def save(self, places: Sequence[tuple[str, int]]) -> None:
        """Make outputs durable, then the states that cover them, then acknowledge."""
        if not places:
            return
        self._publisher.flush()
        failpoint.hit(failpoint.PRODUCED)
        for place in places:
            instance = self._instances[place]
            self._saves[place] += 1
            states.save(self._publisher, instance, instance.save(), self._saves[place])
        self._publisher.flush()
        failpoint.hit(failpoint.SAVED)
        for place in places:
            for event in self._open.pop(place, []):
                event.ack()

    def save_idle(self) -> None:
        """Save what has been fed and then left alone for a while."""
        self._publisher.poll()
        now = time.monotonic()
        self.save([each for each in self._open if now - self._fed_at[each] > IDLE_SAVE_S])

    def forget(self) -> None:
        """Save and drop every instance: partitions are about to move."""
        self.save(list(self._open))
        self._instances.clear()

    def _instance(self, place: tuple[str, int]) -> Instance:
        if place in self._instances:
            return self._instances[place]
        role = self._roles[place[0]]
        context = self._context
        instance = Instance(role, str(place[1]), context.topology, self._wire)
        found = states.load(context.connection, context.serde, role, instance.name)
        self._saves[place] = 0
        if found is not None:
            body, self._saves[place] = found
            instance.restore(body)
        self._log.info(
            "restored",
            role=role.name,
            partition=place[1],
            restored_offset=sum(instance.offsets.values()),
        )
        self._instances[place] = instance
        return instance

    def _incoming(self, records: Sequence[Any]) -> list[Incoming]:
        plain = self._context.connection.plain
        names: dict[str, str] = {}
        return [
            Incoming(
                names.get(each.topic) or names.setdefault(each.topic, plain(each.topic)),
                each.partition,
                each.offset,
                each.timestamp,
                (each.key or b"").decode(),
                each.value,
                dict(each.headers),
            )
            for each in records
        ]

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
        name = self._pacing.get(role.name)
        names = self._context.topology.instances(role)
        mine = [self._instances.get((role.name, int(each))) for each in names]
        reached = min((each.watermark for each in mine if each is not None), default=Micros(0))
        self._meters.watermark.labels(role.name).set(reached / 1e6)
        if name is not None and all(each is not None for each in mine):
            self._context.clock.report(name, reached)


def run(app: faust.App) -> int:
    """Run a worker until it is told to stop; nothing listens on a port."""
    worker = faust.Worker(app, loglevel="WARNING", redirect_stdouts=False, quiet=True)
    try:
        worker.execute_from_commandline()
    except SystemExit as error:
        return int(error.code or 0)
    return 0
