"""What a worker hands to a job's process: one JSON file in its folder, and its environment."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from infra.connection import Connection
from infra.jobs.targets import Target
from infra.settings import Settings
from schemas.control import JobTriggered

ATTEMPT_FILE: Final = "attempt.json"
OUTPUT_FILE: Final = "output.log"
EVENTS_FILE: Final = "events.jsonl"
RESULT_FILE: Final = "result.json"
PROGRESS_FILE: Final = "progress"

FOLDER: Final = "jobs"
PUBLISHED: Final = ("reports", "targets")
"""Folders of the deployment that our own handlers write into."""

LEASE_SHARE: Final = 0.8
"""Of the silence after which an attempt is taken over: then its process has stopped itself."""

MIB: Final = 1 << 20
_PLAIN: Final = ("PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "LANG", "LC_ALL", "TZ")
_STREAMS: Final = ("AEGIS_KAFKA__", "AEGIS_REGISTRY__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a job's process is to do, and within which limits.

    Attributes:
        trigger: The fields of its JobTriggered.
        kind: handler, command or http.
        words: The handler's name, the command's words or the url.
        writes: Folders that it may change, its own first.
        private: The deployment's folder; nothing else in it can be read.
        allow: Distributions whose handlers may be loaded, beside our own.
        lease_s: Seconds without a word of the worker after which it stops itself.
        cpu_s: CPU seconds.
        memory_bytes: Address space.
        open_files: Files open at once.
        file_bytes: Size of one file.
        http_s: Seconds a url may take to answer.
    """

    trigger: dict[str, Any]
    kind: str
    words: tuple[str, ...]
    writes: tuple[str, ...]
    private: str
    allow: tuple[str, ...]
    lease_s: float
    cpu_s: int
    memory_bytes: int
    open_files: int
    file_bytes: int
    http_s: float

    @classmethod
    def of(cls, trigger: JobTriggered, target: Target, folder: Path, settings: Settings) -> Self:
        """Return the order of an attempt; makes the folders that our own handlers write into."""
        jobs, var = settings.jobs, settings.var_dir.resolve()
        shared = [var / each for each in PUBLISHED] if target.ours else []
        for each in shared:
            each.mkdir(parents=True, exist_ok=True)
        return cls(
            trigger=asdict(trigger),
            kind=target.kind,
            words=target.words,
            writes=tuple(str(each) for each in (folder, *shared)),
            private=str(var),
            allow=jobs.allow,
            lease_s=jobs.silent_s * LEASE_SHARE,
            cpu_s=jobs.cpu_s,
            memory_bytes=jobs.memory_mib * MIB,
            open_files=jobs.open_files,
            file_bytes=jobs.file_mib * MIB,
            http_s=jobs.http_s,
        )


def environment(
    trigger: JobTriggered,
    target: Target,
    folder: Path,
    connection: Connection,
    worker: Mapping[str, str],
) -> dict[str, str]:
    """Return all that a job's process is told by its environment.

    Every job: where programs and libraries are, the language, its own folder, one thread for
    linear algebra (more would be made before its walls stand, outside of them), and the variables
    that ``AEGIS_JOBS__ENVIRONMENT`` declares for it.  A handler: where Kafka and the registry
    are, and the clock.  A handler of ours: the database and Redis as well.  No keys of the
    brokerage and no secrets of other jobs.

    Args:
        trigger: Whose name the declaration has.
        target: What it runs.
        folder: Its home.
        connection: Where the log is.
        worker: The worker's own environment.
    """
    settings = connection.settings
    told = {name: worker[name] for name in _PLAIN if name in worker}
    told |= {"HOME": str(folder), "TMPDIR": str(folder), "OPENBLAS_NUM_THREADS": "1"}
    if target.kind == "handler":
        told |= _place(connection, worker)
        if target.ours:
            told["AEGIS_POSTGRES__DSN"] = connection.endpoints.postgres_dsn
            told["AEGIS_REDIS__URL"] = connection.endpoints.redis_url
    declared = settings.jobs.environment.get(trigger.job, ())
    return told | {name: worker[name] for name in declared if name in worker}


def _place(connection: Connection, worker: Mapping[str, str]) -> dict[str, str]:
    """Return where a handler finds the log and the time."""
    settings = connection.settings
    told = {name: value for name, value in worker.items() if name.startswith(_STREAMS)}
    told |= {
        "AEGIS_NAMESPACE": connection.namespace,
        "AEGIS_KAFKA__BOOTSTRAP": connection.endpoints.kafka_bootstrap,
        "AEGIS_REGISTRY__URL": connection.endpoints.registry_url,
        "AEGIS_CLOCK": settings.clock,
        "AEGIS_VAR_DIR": str(settings.var_dir.resolve()),
        "AEGIS_LOG_LEVEL": settings.log_level,
    }
    if settings.clock_url is not None:
        told["AEGIS_CLOCK_URL"] = settings.clock_url
    return told
