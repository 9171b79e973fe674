"""Jobs on the system itself: is every part there, and how did the day's jobs end."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from infra.jobs import JobContext, Result
from infra.registry import Registry
from schemas.control import RunReported
from schemas.krx.sessions import kst_date
from schemas.topics import RUNS

ANSWER_S_MAX: Final = 10
RUNNING: Final = "running"


def system_check(context: JobContext) -> Result:
    """Ask Kafka, the registry, PostgreSQL and Redis; fails naming the dead ones."""
    said, dead = [], []
    for name, ask in PARTS.items():
        began = time.monotonic()
        try:
            ask(context)
        except Exception as error:  # noqa: BLE001 -- whatever a dead part raises is the finding
            dead.append(f"{name} is dead: {type(error).__name__} {error}")
        else:
            said.append(f"{name} {1e3 * (time.monotonic() - began):.0f} ms")
    return Result("failed" if dead else "succeeded", "; ".join([*dead, *said]))


def day_tidy(context: JobContext) -> Result:
    """Close the day's jobs: how many ended how, by the last report of each fire.

    Thin: nothing is moved; records after this one are amendments by their time alone.
    """
    today = kst_date(context.trigger.slot)
    runs = context.view.fold(RUNS, dict[str, RunReported], newest)
    day = [each for each in runs.values() if kst_date(each.slot) == today]
    others = [each for each in day if each.fire_id != context.trigger.fire_id]
    counts = Counter(each.state for each in others)
    failed = sorted({each.job for each in others if each.state == "failed"})
    told = ", ".join(f"{counts[state]} {state}" for state in sorted(counts)) or "no runs"
    whose = f"; failed: {', '.join(failed)}" if failed else ""
    clean = not failed and not counts[RUNNING] and bool(others)
    return Result("succeeded" if clean else "degraded", f"{told} on {today}{whose}")


def newest(runs: dict[str, RunReported], event: RunReported) -> dict[str, RunReported]:
    """Keep each fire's newest report; an end stays until a later attempt."""
    had = runs.get(event.fire_id)
    if had is None or had.state == RUNNING or event.attempt > had.attempt:
        runs[event.fire_id] = event
    return runs


def _kafka(context: JobContext) -> None:
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415 -- once a day

    AdminClient(context.connection.client("aegis.check")).list_topics(timeout=ANSWER_S_MAX)


def _registry(context: JobContext) -> None:
    registry = Registry(context.connection.endpoints.registry_url)
    try:
        registry.compatibility()
    finally:
        registry.close()


def _postgres(context: JobContext) -> None:
    import psycopg  # noqa: PLC0415 -- once a day

    with psycopg.connect(context.postgres_dsn, connect_timeout=ANSWER_S_MAX) as connection:
        connection.execute("select 1")


def _redis(context: JobContext) -> None:
    import redis  # noqa: PLC0415 -- once a day

    url = context.connection.endpoints.redis_url
    client: Any = redis.Redis.from_url(url, socket_timeout=ANSWER_S_MAX)
    try:
        client.ping()
    finally:
        client.close()


PARTS: Final[dict[str, Callable[[JobContext], None]]] = {
    "kafka": _kafka,
    "registry": _registry,
    "postgres": _postgres,
    "redis": _redis,
}
