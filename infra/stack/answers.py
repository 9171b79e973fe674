"""Ask each part something that only the right one can answer, with the clients we use anyway.

Each function returns what it found in a few words, or raises what its client raises.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from infra.settings import Settings
from infra.stack import endpoints
from infra.stack.endpoints import Endpoints
from schemas.errors import Misconfigured

ANSWER_S_MAX = 5
Ask = Callable[[str], str]


def ask(part: str, settings: Settings, there: Endpoints) -> str:
    """Return what a part of the stack answers, in a few words.

    Raises:
        Misconfigured: It does not answer; the sentence names its setting.
    """
    asked: dict[str, tuple[Ask, str]] = {
        endpoints.KAFKA: (partial(kafka, settings), there.kafka_bootstrap),
        endpoints.REGISTRY: (registry, there.registry_url),
        endpoints.POSTGRES: (postgres, there.postgres_dsn),
        endpoints.REDIS: (redis, there.redis_url),
    }
    question, address = asked[part]
    try:
        return question(address)
    except Exception as error:  # four clients, four families of errors
        said = " ".join(str(error).split()) or type(error).__name__
        raise Misconfigured(
            f"{part}: expected an answer at {endpoints.masked(address)}, was "
            f"'{endpoints.masked(said)}'; start it there or correct {endpoints.SETTING[part]} "
            "(unset: the local stack runs one)"
        ) from error


def kafka(settings: Settings, bootstrap: str) -> str:
    """Return how many brokers and topics a cluster has."""
    from confluent_kafka import KafkaException  # noqa: PLC0415 -- only who asks pays
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 -- same

    errors: list[str] = []
    configuration: dict[str, Any] = {
        **endpoints.kafka_client(settings, bootstrap),
        "error_cb": lambda error: errors.append(str(error)),
    }
    client = AdminClient(configuration, logger=_quiet())
    try:
        answer = client.list_topics(timeout=ANSWER_S_MAX)
    except KafkaException as error:
        raise ConnectionError(errors[0] if errors else str(error)) from error
    return f"{len(answer.brokers)} brokers, {len(answer.topics)} topics"


def registry(url: str) -> str:
    """Return a registry's global compatibility level."""
    import httpx  # noqa: PLC0415 -- only who asks pays

    answer = httpx.get(f"{url}/config", timeout=ANSWER_S_MAX).raise_for_status()
    return str(answer.json()["compatibilityLevel"])


def postgres(dsn: str) -> str:
    """Return a database server's version."""
    import psycopg  # noqa: PLC0415 -- only who asks pays

    with psycopg.connect(dsn, connect_timeout=ANSWER_S_MAX) as connection:
        row = connection.execute("SELECT current_setting('server_version')").fetchone()
    return "" if row is None else f"PostgreSQL {row[0]}"


def redis(url: str) -> str:
    """Return a cache's version."""
    import redis as client  # noqa: PLC0415 -- only who asks pays

    with client.Redis.from_url(url, socket_timeout=ANSWER_S_MAX) as connection:
        info: Any = connection.info("server")
    return f"Redis {info['redis_version']}"


def _quiet() -> logging.Logger:
    logger = logging.getLogger("aegis.stack.kafka")  # librdkafka would repeat what we say once
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
