"""Brokers of the drill's own, which it may kill: one behind proxies, or three.

They live in the drill's folder beside whatever stack runs, borrow its registry, and end with us.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from infra.admin import create_topics, topics_of
from infra.connection import Connection
from infra.settings import Kafka, Postgres, Redis, Registry, Settings
from infra.stack import ports, stack
from infra.stack.endpoints import Endpoints
from infra.topology import Topology
from scheduler.drill_proxy import HOST, Proxy
from schemas.errors import Fatal

TRANSACTIONS: Final = "__transaction_state"
ANSWER_S_MAX: Final = 10.0
HEAL_S_MAX: Final = 120.0
LOOK_S: Final = 0.1
GONE_LOOK_S: Final = 0.002


@dataclass(slots=True, kw_only=True)
class Brokers:
    """A cluster to break.

    Attributes:
        settings: Of its own small stack.
        endpoints: Straight to it, around the proxies.
        proxies: One for each instance, in front of a single broker; none before three.
    """

    settings: Settings
    endpoints: Endpoints
    proxies: tuple[Proxy, ...]
    healers: ThreadPoolExecutor

    def bootstrap(self, place: int) -> str:
        """Return where an instance finds Kafka."""
        if not self.proxies:
            return self.endpoints.kafka_bootstrap
        return f"{HOST}:{self.proxies[place].port}"

    def make_topics(self, connection: Connection) -> None:
        """Make a namespace's topics, and wait until every node knows them, not only one."""
        nothing = Topology((), ())
        create_topics(connection, nothing)
        names = {connection.topic(each) for each in topics_of(nothing)}
        for node in self.endpoints.kafka_bootstrap.split(","):
            give_up = time.monotonic() + HEAL_S_MAX
            while not names <= _known(node):
                if time.monotonic() > give_up:
                    raise Fatal(f"drill: expected the topics at {node} within {HEAL_S_MAX} s")
                time.sleep(LOOK_S)

    def kill(self, connection: Connection, topic: str) -> None:
        """SIGKILL the node that leads a topic's only partition."""
        admin = AdminClient(connection.client("drill.brokers"))
        leader = admin.list_topics(topic, timeout=ANSWER_S_MAX).topics[topic].partitions[0].leader
        nodes = stack.status(self.settings).children
        found = nodes.get("kafka") or nodes.get(f"kafka-{leader}")
        if found is None or found.living() is None:
            raise Fatal(f"drill: expected node {leader} to lead {topic} and live, was dead")
        os.kill(found.pid, signal.SIGKILL)
        while found.living() is not None:
            time.sleep(GONE_LOOK_S)

    def heal(self, connection: Connection, after_s: float) -> "Future[None]":
        """Start again what was killed; done when every copy of every partition is in sync."""
        return self.healers.submit(self._heal, connection, after_s)

    def _heal(self, connection: Connection, after_s: float) -> None:
        time.sleep(after_s)
        stack.mend(self.settings)
        admin = AdminClient(connection.client("drill.brokers"))
        give_up = time.monotonic() + HEAL_S_MAX
        while behind := _behind(admin):
            if time.monotonic() > give_up:
                raise Fatal(f"drill: expected every copy in sync within {HEAL_S_MAX} s: {behind}")
            time.sleep(LOOK_S)


@contextlib.contextmanager
def brokers(
    settings: Settings, there: Endpoints, folder: Path, *, size: int, proxies: int
) -> Iterator[Brokers]:
    """Yield a cluster that lives as long as the block."""
    own = settings.model_copy(
        update={
            "var_dir": folder,
            "kafka": Kafka(linger_ms=settings.kafka.linger_ms),
            "registry": Registry(url=there.registry_url),
            "postgres": Postgres(dsn=SecretStr(there.postgres_dsn)),
            "redis": Redis(url=there.redis_url),
            "stack": settings.stack.model_copy(update={"kafka_port": None}),
        }
    )
    between = tuple(Proxy() for _ in range(proxies))
    behind = [each.port for each in between]
    try:
        with (
            ThreadPoolExecutor(1) as healers,
            stack.running(own, brokers=size, behind=behind) as endpoints,
        ):
            listening = stack.status(own).ports
            for place, proxy in enumerate(between):
                proxy.start(listening[ports.proxied(place)])
            yield Brokers(settings=own, endpoints=endpoints, proxies=between, healers=healers)
    finally:
        for proxy in between:
            proxy.close()


def _known(node: str) -> set[str]:
    """Return the topics that a node knows: a client's first question goes to where it came in."""
    admin = AdminClient({"bootstrap.servers": node, "client.id": "drill.brokers"})
    return set(admin.list_topics(timeout=ANSWER_S_MAX).topics)


def _behind(admin: AdminClient) -> list[str]:
    """Return the topics that have a partition with fewer copies in sync than there are."""
    return [
        name
        for name, topic in admin.list_topics(timeout=ANSWER_S_MAX).topics.items()
        if any(len(each.isrs) < len(each.replicas) for each in topic.partitions.values())
    ]
