"""Where everything is, and what our names are there.

A namespace prefixes topics, groups, transactional ids, Redis keys and the database schema;
``live`` has no prefix.  A replay can therefore never touch the live stream by accident.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from infra.settings import Settings
from infra.stack.endpoints import Endpoints
from schemas.errors import Misconfigured
from schemas.topics import Topic

LIVE: Final = "live"
_NAMESPACE: Final = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9-]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Settings, addresses and names of one namespace."""

    settings: Settings
    endpoints: Endpoints
    namespace: str

    def __post_init__(self) -> None:
        if not _NAMESPACE.fullmatch(self.namespace):
            raise Misconfigured(
                f"AEGIS_NAMESPACE: expected lower-case words with dots, was {self.namespace!r}"
            )

    @property
    def prefix(self) -> str:
        """What stands before every name."""
        return "" if self.namespace == LIVE else f"{self.namespace}."

    def topic(self, topic: Topic) -> str:
        """Return a topic's name in this namespace."""
        return self.prefix + topic.name

    def plain(self, name: str) -> str:
        """Return the catalogue's name of a topic of this namespace."""
        if not name.startswith(self.prefix):
            raise Misconfigured(f"expected a topic of {self.namespace}, was {name}")
        return name.removeprefix(self.prefix)

    def group(self, name: str) -> str:
        """Return a consumer group's name."""
        return f"{self.prefix}aegis.{name}"

    def transactional_id(self, name: str) -> str:
        """Return a producer's transactional id: one writer per name and namespace."""
        return f"{self.prefix}aegis.{name}"

    @property
    def redis_prefix(self) -> str:
        """What stands before every Redis key."""
        return f"aegis:{self.namespace}:"

    @property
    def pg_schema(self) -> str:
        """The database schema of this namespace."""
        return "aegis_" + re.sub(r"[^a-z0-9]", "_", self.namespace)

    def client(self, name: str) -> dict[str, Any]:
        """Return what every Kafka client of ours is configured with."""
        kafka = self.settings.kafka
        config: dict[str, Any] = {
            "bootstrap.servers": self.endpoints.kafka_bootstrap,
            "client.id": name,
            "socket.nagle.disable": True,
            "log.connection.close": False,
        }
        if kafka.sasl_username is not None and kafka.sasl_password is not None:
            config["security.protocol"] = kafka.security_protocol or "SASL_SSL"
            config["sasl.mechanisms"] = kafka.sasl_mechanism
            config["sasl.username"] = kafka.sasl_username
            config["sasl.password"] = kafka.sasl_password.get_secret_value()
        if kafka.ssl_ca_location is not None:
            config["ssl.ca.location"] = str(kafka.ssl_ca_location)
        return config

    def consumer(self, group: str, **extra: Any) -> dict[str, Any]:
        """Return a consumer's configuration: committed input only, offsets committed by us."""
        return {
            **self.client(group),
            "group.id": self.group(group),
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 500,
            "fetch.queue.backoff.ms": 5,
            **extra,
        }
