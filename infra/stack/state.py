"""What runs, as the keeper wrote it down: ``stack.json``, replaced whole each time.

A process is known by its id and its start, because ids are used again.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

BORN_S_MAX = 1.5
REAP_S_MAX = 5.0
START_FIELD = 19  # proc(5): starttime is field 22, and 3 is the first after the name

DOWN, STARTING, READY, STOPPING = "down", "starting", "ready", "stopping"


def start_of(pid: int) -> float:
    """Return when a process began: seconds since the boot on Linux, Unix seconds elsewhere.

    psutil adds the boot time, which Linux corrects as the clock is: after two hours the start of
    a living process had moved by seconds, and its stack was taken for dead.

    Raises:
        psutil.NoSuchProcess: It has gone.
    """
    if sys.platform != "linux":
        return psutil.Process(pid).create_time()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(pid) from error
    return int(fields[START_FIELD]) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One process, for ever: ``born`` is its start, in seconds that never move afterwards."""

    pid: int
    born: float

    @classmethod
    def of(cls, pid: int) -> "Process":
        """Return the process that has this id now; its birth is 0 if it has gone already."""
        try:
            return cls(pid, start_of(pid))
        except psutil.NoSuchProcess:
            return cls(pid, 0.0)

    def living(self) -> psutil.Process | None:
        """Return its handle, or None if it has gone (a zombie has)."""
        try:
            found = psutil.Process(self.pid)
            same = abs(start_of(self.pid) - self.born) < BORN_S_MAX
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return None  # gone, or another user's: not the one that we started


@dataclass(frozen=True)
class State:
    """One local stack.

    Attributes:
        phase: ``down``, ``starting``, ``ready`` or ``stopping``.
        ports: By the names of ``ports.names``; kept while the stack is down.
        owner: The process with which the stack ends, if any.
        children: The services by name.
    """

    phase: str = DOWN
    ports: dict[str, int] = field(default_factory=dict)
    keeper: Process | None = None
    owner: Process | None = None
    children: dict[str, Process] = field(default_factory=dict)

    def is_whole(self) -> bool:
        """Return whether the keeper and each of its services live and were ready once."""
        everyone = [self.keeper, *self.children.values()]
        return self.phase == READY and all(each and each.living() for each in everyone)


def read(file: Path) -> State:
    """Return what the file says; a stack that is down when there is none."""
    try:
        raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State()
    return State(
        phase=raw["phase"],
        ports=raw["ports"],
        keeper=None if raw["keeper"] is None else Process(**raw["keeper"]),
        owner=None if raw["owner"] is None else Process(**raw["owner"]),
        children={name: Process(**each) for name, each in raw["children"].items()},
    )


def write(file: Path, state: State) -> None:
    """Replace the file by an atomic rename."""
    scratch = file.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(asdict(state), indent=1), encoding="utf-8")
    scratch.replace(file)


def reap(processes: Iterable[Process]) -> None:
    """End what a dead keeper left behind: its children, and theirs."""
    living = [found for each in processes if (found := each.living())]
    tree = [*living, *(below for each in living for below in _children(each))]
    for each in tree:
        _signal(each, signal.SIGKILL)
    psutil.wait_procs(tree, timeout=REAP_S_MAX)


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return  # it went by itself, which is what we want
