"""Where the four parts are: the user's own by settings, the local stack's otherwise."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.settings import Settings
from infra.stack import ports

CCOMPAT = "/apis/ccompat/v7"
KAFKA, REGISTRY, POSTGRES, REDIS = "kafka", "registry", "postgres", "redis"
PARTS = (KAFKA, REGISTRY, POSTGRES, REDIS)
SETTING = {
    KAFKA: "AEGIS_KAFKA__BOOTSTRAP",
    REGISTRY: "AEGIS_REGISTRY__URL",
    POSTGRES: "AEGIS_POSTGRES__DSN",
    REDIS: "AEGIS_REDIS__URL",
}
USER = "aegis"
_PASSWORD = re.compile(r"(?<=:)[^:/@\s]+(?=@)")


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Addresses of a whole stack.

    Attributes:
        kafka_bootstrap: ``host:port``, comma-separated.
        registry_url: Base of the Confluent REST API.
        postgres_dsn: A libpq URL with its password; not shown by ``repr``.
        redis_url: ``redis://…``; not shown by ``repr``, it may hold a password.
    """

    kafka_bootstrap: str
    registry_url: str
    postgres_dsn: str = field(repr=False)
    redis_url: str = field(repr=False)


def local_parts(settings: Settings) -> tuple[str, ...]:
    """Return the parts that the local stack must run: those the user has not set.

    A local registry keeps its schemas in the local PostgreSQL, even beside a database of the
    user's own.
    """
    own = _own(settings)
    parts = {part for part in PARTS if own[part] is None}
    if REGISTRY in parts:
        parts.add(POSTGRES)
    return tuple(part for part in PARTS if part in parts)


def merge(settings: Settings, local: Mapping[str, int], password: str) -> Endpoints:
    """Return the user's own addresses, and the local ones for the rest.

    Args:
        settings: What the user has of their own.
        local: Ports of the local stack, by the names of ``ports.names``.
        password: Of the local PostgreSQL.
    """
    own = _own(settings)
    there = {
        KAFKA: lambda: ports.bootstrap(local),
        REGISTRY: lambda: f"http://{ports.HOST}:{local[ports.REGISTRY]}{CCOMPAT}",
        POSTGRES: lambda: dsn(local[ports.POSTGRES], USER, password),
        REDIS: lambda: f"redis://{ports.HOST}:{local[ports.REDIS]}/0",
    }
    values = {part: own[part] or there[part]() for part in PARTS}
    return Endpoints(
        kafka_bootstrap=values[KAFKA],
        registry_url=values[REGISTRY],
        postgres_dsn=values[POSTGRES],
        redis_url=values[REDIS],
    )


def dsn(port: int, database: str, password: str) -> str:
    """Return the URL of a database of the local PostgreSQL."""
    return f"postgresql://{USER}:{password}@{ports.HOST}:{port}/{database}"


def masked(url: str) -> str:
    """Return a URL with its password replaced by stars."""
    return _PASSWORD.sub("***", url)


def kafka_client(settings: Settings, bootstrap: str) -> dict[str, str | int | float | bool]:
    """Return librdkafka's connection settings: address, and log-in where the user has one."""
    own = settings.kafka
    client: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap}
    if own.security_protocol is not None:
        client["security.protocol"] = own.security_protocol
    elif own.sasl_username is not None:
        client["security.protocol"] = "SASL_SSL"
    if own.sasl_username is not None and own.sasl_password is not None:
        client["sasl.mechanism"] = own.sasl_mechanism
        client["sasl.username"] = own.sasl_username
        client["sasl.password"] = own.sasl_password.get_secret_value()
    if own.ssl_ca_location is not None:
        client["ssl.ca.location"] = str(own.ssl_ca_location)
    return client


def _own(settings: Settings) -> dict[str, str | None]:
    database = settings.postgres.dsn
    return {
        KAFKA: settings.kafka.bootstrap,
        REGISTRY: settings.registry.url,
        POSTGRES: None if database is None else database.get_secret_value(),
        REDIS: settings.redis.url,
    }
