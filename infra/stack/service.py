"""What every service of the stack is to its keeper: data to launch, one probe, one settling."""

import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from infra.stack.endpoints import KAFKA
from infra.stack.paths import Paths


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One process to start.

    Attributes:
        argv: Absolute path of the program, and its arguments; never a secret.
        env: Added to the keeper's own environment; secrets go here.
        user: ``(uid, gid)`` to become; None to stay.
        death_signal: What the kernel sends it when the keeper dies.
        stop_signal: What we send it to stop.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    user: tuple[int, int] | None = None
    death_signal: int = signal.SIGKILL
    stop_signal: int = signal.SIGTERM


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one keeper is told: enough to start everything without settings.

    Attributes:
        parts: The services to run.
        ports: By the names of ``ports.names``.
        jars: Folder of the broker's jars.
        registry_app: Folder of the registry's unpacked tarball.
        password: Of the local PostgreSQL.
        ready_s_max: Seconds that a service may take until it answers.
        stop_s_max: Seconds that it may take to stop before it is killed.
        owner: ``(pid, born)`` of the process with which the stack ends.
        brokers: How many there are: one or three.
        cluster: The id they share, for the folders that have none yet.
        behind: Ports of proxies before a single broker: for each it opens one more listener,
            and tells who comes that way to come that way again.
    """

    root: Path
    parts: tuple[str, ...]
    ports: Mapping[str, int]
    jars: Path
    registry_app: Path
    password: str = field(repr=False)
    ready_s_max: float
    stop_s_max: float
    owner: tuple[int, float] | None
    brokers: int = 1
    cluster: str = ""
    behind: tuple[int, ...] = ()

    @property
    def services(self) -> tuple[str, ...]:
        """Return the names of what is to run: the parts, each broker by its own."""
        return services(self.parts, self.brokers)

    @property
    def paths(self) -> Paths:
        """Return where this stack keeps things."""
        return Paths(self.root)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> "Plan":
        """Return the plan that ``json.loads`` gave back."""
        places = {key: Path(raw[key]) for key in ("root", "jars", "registry_app")}
        owner = None if raw["owner"] is None else (raw["owner"][0], raw["owner"][1])
        lists = {key: tuple(raw[key]) for key in ("parts", "behind")}
        return cls(**{**raw, **places, **lists, "owner": owner})


def services(parts: Iterable[str], brokers: int) -> tuple[str, ...]:
    """Return parts by the names of their processes: with three brokers ``kafka-1`` and so on."""
    nodes = tuple(f"{KAFKA}-{node}" for node in range(1, brokers + 1))
    several = {KAFKA: nodes} if brokers > 1 else {}
    return tuple(name for part in parts for name in several.get(part, (part,)))


def part_of(service: str) -> str:
    """Return the part that a process belongs to."""
    return service.partition("-")[0]


class Service(Protocol):
    """One service.  Only ``probe`` and ``settle`` talk to it, and they block."""

    @property
    def name(self) -> str:
        """Return its name, one of ``services``."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the services that must be ready before it starts."""
        ...

    def prepare(self) -> list[Launch]:
        """Write its configuration; return the commands to run to their end first."""
        ...

    def process(self) -> Launch:
        """Return the process that is the service."""
        ...

    def probe(self) -> str | None:
        """Return None once it answers, else what it said instead."""
        ...

    def settle(self) -> None:
        """Put in place what every client expects, once it answers."""
        ...
