"""A job's process: ``python -m infra.jobs.child``, started in the attempt's folder by a worker.

It lowers its limits, builds its walls (``infra.jobs.confine``), does what ``attempt.json`` says,
and leaves ``result.json``.  Standard output and error are ``output.log``, structured log events
``events.jsonl``; what it writes into ``progress`` rides on the worker's heartbeats.

Isolated from other jobs: memory; files (Landlock; without it, on an old kernel, modes alone, and
those do not hold between jobs of one user); environment, also through ``/proc``; signals; limits.
Not isolated: the network; Kafka, whose rights are the worker's for a handler that was given its
address; the machine's CPU.  A database's tables are closed to a user's job for want of an
address, not by rights of its own.  A program that leaves the process group may outlive its job.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import structlog

from infra.host import configure_logs, die_with_parent, make_clock
from infra.jobs.attempt import checked
from infra.jobs.confine import confine, limit
from infra.jobs.contract import JobContext, Result, Stopped, failed
from infra.jobs.order import ATTEMPT_FILE, EVENTS_FILE, PROGRESS_FILE, RESULT_FILE, Order
from infra.jobs.targets import handler
from schemas.control import JobTriggered

ANSWER_CHARS: Final = 200


def main() -> int:
    """Do one attempt in the current folder; return 0 when its result is written."""
    die_with_parent()
    folder = Path.cwd()
    order = Order(**json.loads((folder / ATTEMPT_FILE).read_text("utf-8")))
    try:
        log = _log_to(folder / EVENTS_FILE)
        limit(order.cpu_s, order.memory_bytes, order.open_files, order.file_bytes)
        walled = confine(
            [Path(each) for each in order.writes], _programs(order), Path(order.private)
        )
        _keep_lease(order.lease_s, folder)  # a thread keeps the walls of the thread that starts it
        log.info("began", landlock=walled, job=order.trigger["job"])
        result = checked(_run(order, folder))
    except Stopped:
        result = Result("failed", "gave up")
    except Exception as error:  # noqa: BLE001 -- whatever it raised is the result
        structlog.get_logger().exception("job_failed")
        result = failed(error)
    _write(folder / RESULT_FILE, result)
    return 0


def _run(order: Order, folder: Path) -> Result:
    if order.kind == "command":
        return _command(list(order.words))
    if order.kind == "http":
        return _post(order.words[0], order)
    return _handle(order, folder)


def _handle(order: Order, folder: Path) -> Result:
    from infra.connection import Connection  # noqa: PLC0415 -- a command needs none of these
    from infra.registry import Registry, Serde  # noqa: PLC0415
    from infra.settings import Settings  # noqa: PLC0415
    from infra.stack.endpoints import Endpoints  # noqa: PLC0415
    from infra.tail import View  # noqa: PLC0415

    settings = Settings()
    database = settings.postgres.dsn
    dsn = "" if database is None else database.get_secret_value()
    where = Endpoints(
        kafka_bootstrap=settings.kafka.bootstrap or "",
        registry_url=settings.registry.url or "",
        postgres_dsn=dsn,
        redis_url=settings.redis.url or "",
    )
    connection = Connection(settings=settings, endpoints=where, namespace=settings.namespace)
    serde = Serde(Registry(where.registry_url))
    trigger = JobTriggered(**order.trigger)
    context = JobContext(
        connection=connection,
        serde=serde,
        clock=make_clock(settings),
        settings=settings,
        trigger=trigger,
        view=View(connection, serde),
        postgres_dsn=dsn,
        stopping=threading.Event(),
        log=structlog.get_logger(trigger.job),
        progress=lambda text: _replace(folder / PROGRESS_FILE, text),
    )
    try:
        return handler(order.words[0], tuple(order.allow))(context)
    finally:
        context.view.close()
        context.clock.close()


def _command(words: list[str]) -> Result:
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
        check=False,
    )
    return Result("failed" if done.returncode else "succeeded", f"exit status {done.returncode}")


def _post(url: str, order: Order) -> Result:
    import httpx  # noqa: PLC0415 -- only here

    answer = httpx.post(url, json=order.trigger, timeout=order.http_s)
    told = f"{answer.status_code} {answer.reason_phrase}: {answer.text[:ANSWER_CHARS]}".strip(": ")
    if answer.is_success:
        return Result("succeeded", told)
    return Result("failed", f"expected 2xx of {url}, was {told}")


def _programs(order: Order) -> list[Path]:
    """Return the folder of a command's program, wherever it is installed."""
    found = shutil.which(order.words[0]) if order.kind == "command" else None
    return [] if found is None else [Path(found).resolve().parent]


def _keep_lease(lease_s: float, folder: Path) -> None:
    """Stop this whole process group when the worker is silent for too long, or gone."""
    lease = os.dup(0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)

    def watch() -> None:
        while select.select([lease], [], [], lease_s)[0]:
            if not os.read(lease, 1_024):
                break
        _write(folder / RESULT_FILE, Result("failed", f"worker silent for {lease_s:.1f} s"))
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="lease", daemon=True).start()


def _log_to(path: Path) -> structlog.typing.FilteringBoundLogger:
    configure_logs(os.environ.get("AEGIS_LOG_LEVEL", "INFO"))
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(path.open("a", encoding="utf-8"))
    )
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


def _write(path: Path, result: Result) -> None:
    _replace(path, json.dumps(result._asdict()))


def _replace(path: Path, text: str) -> None:
    """Replace a file whole, so that nobody reads half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main())
