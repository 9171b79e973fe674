"""Apache Kafka 4.3.1: KRaft nodes, each a broker and a controller in one process.

One node, or three that keep three copies of each record and acknowledge it when two have it.
They keep records whatever date they carry (an accelerated day writes past and future ones) and
make no topic by themselves.  Small and quick to start, so not for throughput figures of a broker.
"""

import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from infra.stack import java, ports
from infra.stack.endpoints import KAFKA
from infra.stack.service import Launch, Plan

HEAP_MB = 512
HEAP_OF_THREE_MB = 256
PROBE_S_MAX = 1.0
_METADATA_KEY, _METADATA_VERSION, _CORRELATION = 3, 0, 7
FOREVER_MS = 2**63 - 1
YEAR_MINUTES = 365 * 24 * 60
_AMONG_OTHERS: dict[str, object] = {
    # Who is silent for so long has left: Kafka's 9 s would be the length of every failover.
    "broker.session.timeout.ms": 3_000,
    "broker.heartbeat.interval.ms": 500,
    # All stop together: the last one would wait for a quorum to hand its partitions over.
    "controlled.shutdown.enable": "false",
}

_LOG4J = """\
status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
logger.group.name=org.apache.kafka.coordinator.group
logger.group.level=info
logger.transaction.name=kafka.coordinator.transaction
logger.transaction.level=info
"""


class Node(NamedTuple):
    """Where a broker listens.

    Attributes:
        behind: Of each proxy before it the port where it hears it, and the one clients come by.
    """

    id: int
    port: int
    controller: int
    behind: tuple[tuple[int, int], ...] = ()


class Kafka:
    """A broker.

    Args:
        plan: What its keeper was told.
        node: Which of several, from 1; None for a single one.
    """

    needs: tuple[str, ...] = ()

    def __init__(self, plan: Plan, node: int | None = None) -> None:
        self.name = KAFKA if node is None else f"{KAFKA}-{node}"
        self._plan = plan
        self._home = plan.paths.service(self.name)
        self._nodes = nodes(plan)
        self._node = self._nodes[(node or 1) - 1]

    def prepare(self) -> list[Launch]:
        """Write the configuration; format the log folder the first time."""
        self._home.mkdir(parents=True, exist_ok=True)
        data = self._home / "data"
        properties = self._home / "server.properties"
        properties.write_text(render(data, self._node, self._nodes), encoding="utf-8")
        (self._home / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")
        if (data / "meta.properties").exists():
            return []
        tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted")
        return [Launch(argv=self._java(*tool, "-t", self._plan.cluster, "-c", str(properties)))]

    def process(self) -> Launch:
        """Return the broker."""
        return Launch(argv=self._java("kafka.Kafka", str(self._home / "server.properties")))

    def probe(self) -> str | None:
        """Ask for metadata until it names every broker: then clients are served."""
        try:
            known = brokers_known(self._node.port)
        except OSError as error:
            return f"port {self._node.port}: {error}"
        whole = len(self._nodes)
        return None if known >= whole else f"{known} of {whole} brokers have joined"

    def settle(self) -> None:
        """Need nothing: topics belong to their catalogue."""

    def _java(self, *command: str) -> tuple[str, ...]:
        log4j = f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}"
        classpath = str(self._plan.jars / "*")
        heap_mb = HEAP_MB if len(self._nodes) == 1 else HEAP_OF_THREE_MB
        return java.command(heap_mb, self._home / "tmp", log4j, "-cp", classpath, *command)


def nodes(plan: Plan) -> tuple[Node, ...]:
    """Return the brokers of a plan."""
    heard = [plan.ports[ports.proxied(place)] for place in range(len(plan.behind))]
    first = tuple(zip(heard, plan.behind, strict=True))
    return tuple(
        Node(
            node,
            plan.ports[ports.broker(node)],
            plan.ports[ports.controller(node)],
            first if node == 1 else (),
        )
        for node in range(1, plan.brokers + 1)
    )


def render(data: Path, node: Node, everyone: Sequence[Node]) -> str:
    """Return ``server.properties`` of a node whose records never age out by themselves."""
    copies = len(everyone)
    acknowledging = (copies + 1) // 2
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "controller.quorum.voters": ",".join(  # static: the ports may change
            f"{each.id}@{ports.HOST}:{each.controller}" for each in everyone
        ),
        **_listeners(node),
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "log.retention.ms": -1,
        "log.message.timestamp.before.max.ms": FOREVER_MS,
        "log.message.timestamp.after.max.ms": FOREVER_MS,
        "offsets.retention.minutes": YEAR_MINUTES,
        "default.replication.factor": copies,
        "min.insync.replicas": acknowledging,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": acknowledging,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": acknowledging,
        "share.coordinator.state.topic.num.partitions": 1,
        # Longer than a start: an abort that is due before the node has registered again is taken
        # for done without a marker, and the next commit publishes its records (KAFKA-20734).
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 30_000,
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        "group.consumer.min.session.timeout.ms": 5_000,
        "group.consumer.session.timeout.ms": 6_000,
        "group.consumer.heartbeat.interval.ms": 1_000,
        "group.consumer.min.heartbeat.interval.ms": 500,
        "num.network.threads": 1,
        "num.io.threads": 2,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 2 * 1024 * 1024,
        "log.segment.bytes": 16 * 1024 * 1024,
        **(_AMONG_OTHERS if copies > 1 else {}),
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _listeners(node: Node) -> dict[str, object]:
    """Return where a node hears clients, controllers and proxies, and where it says it is."""
    heard = {"PLAINTEXT": node.port}
    heard |= {f"BEHIND_{place}": port for place, (port, _) in enumerate(node.behind)}
    told = {"PLAINTEXT": node.port}
    told |= {f"BEHIND_{place}": port for place, (_, port) in enumerate(node.behind)}
    return {
        "listeners": _addresses({**heard, "CONTROLLER": node.controller}),
        "advertised.listeners": _addresses(told),
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": ",".join(
            f"{name}:PLAINTEXT" for name in ("CONTROLLER", *heard)
        ),
    }


def _addresses(listeners: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{ports.HOST}:{port}" for name, port in listeners.items())


def brokers_known(port: int) -> int:
    """Return how many brokers a Metadata request (version 0) names.

    Raises:
        OSError: Nothing listens, or it hung up.
    """
    client = b"aegis"
    head = struct.pack(">hhih", _METADATA_KEY, _METADATA_VERSION, _CORRELATION, len(client))
    body = head + client + struct.pack(">i1h", 1, 0)  # one topic with an empty name: none exists
    with socket.create_connection((ports.HOST, port), PROBE_S_MAX) as connection:
        connection.sendall(struct.pack(">i", len(body)) + body)
        reply = _exactly(connection, 12)
    _size, correlation, brokers = struct.unpack(">iii", reply)
    if correlation != _CORRELATION:
        raise OSError(f"expected a Kafka answer, was {reply!r}")
    return int(brokers)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionResetError("it hung up")
        data += more
    return data
