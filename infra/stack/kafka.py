"""Apache Kafka 4.3.1: one KRaft node, broker and controller in one process.

It keeps records whatever date they carry (an accelerated day writes past and future ones) and
makes no topic by itself.  Small and quick to start, so not for throughput figures of a broker.
"""

import base64
import socket
import struct
import uuid
from pathlib import Path

from infra.stack import java, ports
from infra.stack.service import Launch, Plan

HEAP_MB = 512
NODE = 1
PROBE_S_MAX = 1.0
_METADATA_KEY, _METADATA_VERSION, _CORRELATION = 3, 0, 7
FOREVER_MS = 2**63 - 1
YEAR_MINUTES = 365 * 24 * 60

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
"""


class Kafka:
    """The broker."""

    name = "kafka"
    needs: tuple[str, ...] = ()

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._home = plan.paths.service(self.name)
        self._port = plan.ports[ports.KAFKA]

    def prepare(self) -> list[Launch]:
        """Write the configuration; format the log folder the first time."""
        self._home.mkdir(parents=True, exist_ok=True)
        data = self._home / "data"
        properties = self._home / "server.properties"
        controller = self._plan.ports[ports.CONTROLLER]
        properties.write_text(render(data, self._port, controller), encoding="utf-8")
        (self._home / "log4j2.properties").write_text(_LOG4J, encoding="utf-8")
        if (data / "meta.properties").exists():
            return []
        tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted")
        return [Launch(argv=self._java(*tool, "-t", cluster_id(), "-c", str(properties)))]

    def process(self) -> Launch:
        """Return the broker."""
        return Launch(argv=self._java("kafka.Kafka", str(self._home / "server.properties")))

    def probe(self) -> str | None:
        """Ask for metadata until it names a broker: then clients are served."""
        try:
            brokers = brokers_known(self._port)
        except OSError as error:
            return f"port {self._port}: {error}"
        return None if brokers > 0 else "no broker has joined yet"

    def settle(self) -> None:
        """Need nothing: topics belong to their catalogue."""

    def _java(self, *command: str) -> tuple[str, ...]:
        log4j = f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}"
        classpath = str(self._plan.jars / "*")
        return java.command(HEAP_MB, self._home / "tmp", log4j, "-cp", classpath, *command)


def render(data: Path, port: int, controller_port: int) -> str:
    """Return ``server.properties`` for one node whose records never age out by themselves."""
    listen = f"PLAINTEXT://{ports.HOST}:{port}"
    control = f"{ports.HOST}:{controller_port}"
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": NODE,
        "controller.quorum.voters": f"{NODE}@{control}",  # static: the port may change
        "listeners": f"{listen},CONTROLLER://{control}",
        "advertised.listeners": listen,
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "log.retention.ms": -1,
        "log.message.timestamp.before.max.ms": FOREVER_MS,
        "log.message.timestamp.after.max.ms": FOREVER_MS,
        "offsets.retention.minutes": YEAR_MINUTES,
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
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
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def cluster_id() -> str:
    """Return a fresh id: 22 characters of base64, the first not a dash (KAFKA-15754)."""
    encoded = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
    return cluster_id() if encoded.startswith("-") else encoded


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
