"""The processes of a day: started in order, watched, restarted, stopped.

Children die with us (``PR_SET_PDEATHSIG``) and are stopped in reverse order.  A child that ends
by itself is started again, at most ``RESTARTS_MAX`` times, with a growing wait.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from schemas.errors import Fatal

RESTARTS_MAX: Final = 10
WAIT_S: Final = 0.5
WAIT_S_MAX: Final = 8.0
STOP_S_MAX: Final = 20.0
READY_S_MAX: Final = 120.0


@dataclass(slots=True, kw_only=True)
class Child:
    """One process of the day.

    Attributes:
        name: What it is called on screens and in logs.
        arguments: After ``python -m``.
        restart: Whether it is started again when it ends by itself.
        environment: What this one is told beyond the others.
        metrics_port: Where it serves ``/metrics``.
    """

    name: str
    arguments: Sequence[str]
    restart: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    metrics_port: int = 0
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    failed_at: float = 0.0


@dataclass(slots=True, kw_only=True)
class Children:
    """All processes of a day."""

    environment: Mapping[str, str]
    logs: Path
    members: list[Child] = field(default_factory=list)

    def start(self, child: Child) -> None:
        """Start a child; its output goes to its log."""
        self.logs.mkdir(parents=True, exist_ok=True)
        child.metrics_port = child.metrics_port or free_port()
        port = {"AEGIS_METRICS_PORT": str(child.metrics_port)}
        with (self.logs / f"{child.name}.log").open("ab") as sink:
            child.process = subprocess.Popen(
                [sys.executable, "-m", *child.arguments],
                env={**self.environment, **child.environment, **port},
                stdout=sink,
                stderr=sink,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        if child not in self.members:
            self.members.append(child)

    def start_and_hear(self, child: Child) -> dict[str, Any]:
        """Start a child that says where it is in one JSON line on its standard output.

        Raises:
            Fatal: It ended or stayed silent.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{child.name}.log"
        with log.open("ab") as sink:
            child.process = subprocess.Popen(
                [sys.executable, "-m", *child.arguments],
                env={**self.environment, **child.environment},
                stdout=subprocess.PIPE,
                stderr=sink,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.members.append(child)
        pipe = child.process.stdout
        assert pipe is not None
        if select.select([pipe], [], [], READY_S_MAX)[0]:
            line = pipe.readline()
            if line:
                ready: dict[str, Any] = json.loads(line)
                return ready
        raise Fatal(
            f"{child.name}: expected one line within {READY_S_MAX} s, was nothing: {_tail(log)}"
        )

    def watch(self) -> list[str]:
        """Start again what has ended; return the names.

        Raises:
            Fatal: One ended too often, or may not be restarted.
        """
        again = []
        for child in self.members:
            if child.process is None or child.process.poll() is None:
                continue
            if not child.restart or child.restarts >= RESTARTS_MAX:
                log = self.logs / f"{child.name}.log"
                raise Fatal(
                    f"{child.name}: expected to run, ended with {child.process.returncode} "
                    f"after {child.restarts} restarts: {_tail(log)}"
                )
            now = time.monotonic()
            if child.failed_at == 0.0:
                child.failed_at = now
            if now - child.failed_at < min(WAIT_S * 2**child.restarts, WAIT_S_MAX):
                continue
            child.restarts += 1
            child.failed_at = 0.0
            self.start(child)
            again.append(child.name)
        return again

    def wait(self, child: Child, timeout_s: float) -> None:
        """Wait until a child that is to end has ended well.

        Raises:
            Fatal: It failed or did not end.
        """
        assert child.process is not None
        try:
            status = child.process.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise Fatal(f"{child.name}: expected an end within {timeout_s} s, was none") from error
        self.members.remove(child)
        if status:
            raise Fatal(
                f"{child.name}: expected success, was {status}: "
                f"{_tail(self.logs / f'{child.name}.log')}"
            )

    def stop(self) -> None:
        """Stop everything, the last started first; kill what does not go."""
        living = [c for c in reversed(self.members) if c.process and c.process.poll() is None]
        for child in living:
            _signal(child, signal.SIGTERM)
        give_up = time.monotonic() + STOP_S_MAX
        for child in living:
            assert child.process is not None
            try:
                child.process.wait(max(give_up - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.process.wait(STOP_S_MAX)
        for child in self.members:
            if child.process is not None and child.process.stdout is not None:
                child.process.stdout.close()
        self.members.clear()


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _signal(child: Child, number: int) -> None:
    assert child.process is not None
    try:
        os.killpg(child.process.pid, number)
    except ProcessLookupError:
        return


def _tail(log: Path, size: int = 1_500) -> str:
    return log.read_text("utf-8", "replace")[-size:] if log.exists() else "no log"
