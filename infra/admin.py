"""Topics of a namespace: made, checked, deleted.

Topics in exchange time keep everything and accept any timestamp: with Kafka's defaults a
replayed day is deleted by its old timestamps within the minute (DESIGN 3).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.connection import Connection
from infra.topology import Topology
from schemas.errors import Fatal
from schemas.topics import CATALOGUE, SCHEDULER_STATE, Topic, state_topic

WAIT_S_MAX: Final = 30.0
FOREVER_MS: Final = 2**63 - 1
AS_CLUSTER: Final = -1
"""As many copies as the cluster makes by default: three with three brokers of ours."""


def topics_of(topology: Topology) -> tuple[Topic, ...]:
    """Return the catalogue and one state topic per role, and the scheduler's."""
    return (*CATALOGUE, SCHEDULER_STATE, *(state_topic(role.name) for role in topology.roles))


def config_of(topic: Topic) -> dict[str, str]:
    """Return a topic's broker configuration."""
    config = {
        "cleanup.policy": topic.policy,
        "retention.ms": "-1",
        "message.timestamp.type": "CreateTime",
        "message.timestamp.after.max.ms": str(FOREVER_MS),
        "message.timestamp.before.max.ms": str(FOREVER_MS),
    }
    if topic.name.startswith("orders."):
        config["flush.messages"] = "1"
    return config


def create_topics(connection: Connection, topology: Topology, replicas: int = AS_CLUSTER) -> None:
    """Make every topic of the namespace that is not there yet.

    Raises:
        Fatal: The cluster refused.
    """
    admin = AdminClient(connection.client("aegis.admin"))
    have = set(admin.list_topics(timeout=WAIT_S_MAX).topics)
    wanted = [
        NewTopic(
            connection.topic(topic),
            num_partitions=topology.partitions(topic),
            replication_factor=replicas,
            config=config_of(topic),
        )
        for topic in topics_of(topology)
        if connection.topic(topic) not in have
    ]
    if not wanted:
        return
    for name, future in admin.create_topics(wanted, operation_timeout=WAIT_S_MAX).items():
        try:
            future.result(WAIT_S_MAX)
        except KafkaException as error:
            raise Fatal(f"expected to create {name}, was {error}") from error


def namespaces(connection: Connection) -> list[str]:
    """Return the namespaces that have topics on the cluster, ``live`` left out."""
    admin = AdminClient(connection.client("aegis.admin"))
    names = admin.list_topics(timeout=WAIT_S_MAX).topics
    tail = ".raw.kis"
    return sorted(name.removesuffix(tail) for name in names if name.endswith(tail))


def delete_namespace(connection: Connection, namespace: str) -> None:
    """Delete every topic of a namespace; never of ``live``."""
    if not namespace or namespace == "live":
        raise Fatal(f"expected a demo or a replay to delete, was {namespace!r}")
    admin = AdminClient(connection.client("aegis.admin"))
    doomed = [name for name in admin.list_topics().topics if name.startswith(f"{namespace}.")]
    _wait(admin.delete_topics(doomed, operation_timeout=WAIT_S_MAX).values() if doomed else ())


def _wait(futures: Iterable[object] | Sequence[object]) -> None:
    for future in futures:
        future.result(WAIT_S_MAX)  # type: ignore[attr-defined] # a concurrent Future, untyped there
