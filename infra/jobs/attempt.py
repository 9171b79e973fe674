"""An attempt under way: on a thread of the worker, or in a process of its own.

Both are asked by the worker's loop, which never waits for them: ``poll`` for the end, ``words``
for how far it is, ``renew`` when the log has confirmed that the worker still holds it, ``stop``
when nobody wants it any more, ``leave`` when the worker itself goes.
"""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, Protocol

import structlog

from infra.jobs.claims import ENDS
from infra.jobs.contract import DETAIL_CHARS_MAX, Handler, JobContext, Result, Stopped, failed
from infra.jobs.order import (
    ATTEMPT_FILE,
    EVENTS_FILE,
    FOLDER,
    OUTPUT_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    Order,
)
from schemas.errors import Misconfigured

SAID_BYTES_MAX: Final = 16_384
"""Of a file that a job wrote and the worker reads."""

KILL_S_MAX: Final = 10.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_NO_LINK: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Attempt(Protocol):
    """What the worker's loop asks of an attempt under way."""

    def poll(self) -> Result | None:
        """Return how it ended, None while it runs."""
        ...

    def words(self) -> str:
        """Return how far it says it is; empty when it says nothing."""
        ...

    def kept(self) -> str:
        """Return where its output is; empty when it has none of its own."""
        ...

    def renew(self) -> None:
        """Hear that the worker still holds it."""
        ...

    def stop(self) -> None:
        """Stop it, as far as that is possible."""
        ...

    def leave(self) -> Result | None:
        """End it or wait for it; return its end, None if it gave up."""
        ...


class Ended:
    """An attempt that could not begin."""

    def __init__(self, result: Result) -> None:
        self._result = result

    def poll(self) -> Result:
        """Return why."""
        return self._result

    def words(self) -> str:
        """Return nothing."""
        return ""

    def kept(self) -> str:
        """Return nothing."""
        return ""

    def renew(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""

    def leave(self) -> Result:
        """Return why."""
        return self._result


class Inline:
    """A handler on a thread of the worker's process.

    It shares the process's memory, environment and limits, and nothing can stop it but itself,
    when it looks at ``context.cancelled`` and ``context.stopping``.
    """

    def __init__(self, run: Handler, context: JobContext) -> None:
        self._words = ""
        self._context = replace(context, progress=self._say)
        self._result: Result | None = None
        self._run = run
        self._thread = threading.Thread(
            target=self._go, name=f"job {context.trigger.job}", daemon=True
        )
        self._thread.start()

    def poll(self) -> Result | None:
        """Return how it ended; one that gave up because it was stopped has failed."""
        if self._thread.is_alive():
            return None
        return self._result or Result("failed", "gave up")

    def words(self) -> str:
        """Return what it last said."""
        return self._words

    def kept(self) -> str:
        """Return nothing: it speaks into the worker's own log."""
        return ""

    def renew(self) -> None:
        """Do nothing: a thread stands still when its worker does."""

    def stop(self) -> None:
        """Ask it to give up."""
        self._context.cancelled.set()

    def leave(self) -> Result | None:
        """Wait for it; return its end, None if it gave up."""
        self._thread.join()
        return self._result

    def _say(self, text: str) -> None:
        self._words = text

    def _go(self) -> None:
        trigger = self._context.trigger
        try:
            self._result = checked(self._run(self._context))
        except Stopped:
            self._result = None
        except Exception as error:  # noqa: BLE001 -- whatever a handler raises is its result
            if not self._context.stopping.is_set():
                structlog.get_logger("jobs").exception(
                    "job_failed", job=trigger.job, fire_id=trigger.fire_id, attempt=trigger.attempt
                )
                self._result = failed(error)


class Isolated:
    """A job in a process of its own, in a session and a folder of its own.

    The process dies with the worker, and stops itself when it has not heard of the worker for
    ``Order.lease_s``: before anybody else may take the attempt over.

    Args:
        folder: The attempt's, not there yet.
        order: What it is to do.
        environment: All it is told.

    Raises:
        OSError: The folder or the process could not be made.
    """

    def __init__(self, folder: Path, order: Order, environment: Mapping[str, str]) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700)
        (folder / ATTEMPT_FILE).write_text(json.dumps(asdict(order)), "utf-8")
        with (folder / OUTPUT_FILE).open("xb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "infra.jobs.child"],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        assert self._process.stdin is not None
        self._lease = self._process.stdin.fileno()
        os.set_blocking(self._lease, False)

    def poll(self) -> Result | None:
        """Return how it ended."""
        if self._process.poll() is None:
            return None
        self._end()
        status = self._process.returncode
        return self._said() or Result(
            "failed", f"expected a result, was the end {status} without one"
        )

    def words(self) -> str:
        """Return what it last wrote into its file ``progress``."""
        return _read(self._folder / PROGRESS_FILE).decode("utf-8", "replace").strip()

    def kept(self) -> str:
        """Return its folder, below the deployment's, and the files of its output and its log."""
        return f"{FOLDER}/{self._folder.name}: {OUTPUT_FILE}, {EVENTS_FILE}"

    def renew(self) -> None:
        """Tell it that the worker still holds it."""
        if self._process.poll() is None:
            with suppress(BrokenPipeError, BlockingIOError):  # it has ended, or does not listen
                os.write(self._lease, b".")

    def stop(self) -> None:
        """Kill it and everything of its process group."""
        if self._process.poll() is None:
            self._kill()

    def leave(self) -> Result | None:
        """Kill it; return its end if it had one."""
        self.stop()
        self._process.wait(KILL_S_MAX)
        self._end()
        return self._said()

    def _end(self) -> None:
        """Kill what it started and left behind, once: its number may be another's later."""
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            self._kill()
            self._process.stdin.close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):  # nobody of the group lives
            os.killpg(self._process.pid, signal.SIGKILL)

    def _said(self) -> Result | None:
        raw = _read(self._folder / RESULT_FILE)
        if not raw:
            return None
        try:
            told: dict[str, Any] = json.loads(raw)
            return checked(Result(str(told["state"]), str(told["detail"])))
        except (ValueError, KeyError, TypeError):
            return Result("failed", f"expected a result in {RESULT_FILE}, was unreadable")


def checked(result: Result) -> Result:
    """Return a result whose state is an end, and whose words fit."""
    if result.state not in ENDS:
        return Result("failed", f"expected an end of {sorted(ENDS)}, was {result.state!r}")
    return result._replace(detail=result.detail[:DETAIL_CHARS_MAX])


def room_for(jobs: Path, name: str) -> Path:
    """Return the folder of an attempt, not there yet; one of an earlier life is moved aside.

    Raises:
        Misconfigured: The folder of all attempts is not ours alone, or the name is none of one.
    """
    if not _NAME.fullmatch(name):
        raise Misconfigured(f"expected a fire id of letters, digits and .-_, was {name!r}")
    jobs.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = jobs.stat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise Misconfigured(
            f"expected {jobs} to belong to this worker alone, was mode "
            f"{stat.S_IMODE(found.st_mode):o} of user {found.st_uid}; chmod 700 it"
        )
    folder = jobs / name
    if folder.exists():
        life = 1
        while (jobs / f"{name}.life-{life}").exists():
            life += 1
        folder.rename(jobs / f"{name}.life-{life}")
    return folder


def _read(path: Path) -> bytes:
    """Return the beginning of a plain file that a job may have written; a link is no file."""
    try:
        place = os.open(path, os.O_RDONLY | _NO_LINK)
    except OSError:
        return b""
    try:
        plain = stat.S_ISREG(os.fstat(place).st_mode)
        return os.read(place, SAID_BYTES_MAX) if plain else b""
    finally:
        os.close(place)
