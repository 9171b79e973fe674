"""The processes of a drill: each an instance of the scheduler, with a fate."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.connection import Connection
from scheduler.drill_count import Strike
from scheduler.drill_plan import LEASE_S, POINTS, TIMETABLE, Drill

TABLE: Final = "timetable.toml"


@dataclass(slots=True)
class Life:
    """A process of one instance, and what is to become of it when it leads.

    Attributes:
        place: Which instance, from 0.
        strike_after_s: Wall seconds it may lead until its fate comes.
        stopped: The strike that stopped it, while it stands still.
        armed: Its proxy waits for the next EndTxn.
    """

    node: str
    place: int
    fate: str
    process: subprocess.Popen[bytes]
    strike_after_s: float
    leads_since_s: float | None = None
    stopped: Strike | None = None
    armed: bool = False


def prepare(drill: Drill) -> None:
    """Make the folder of logs and death lists, and write the timetable."""
    drill.folder.mkdir(parents=True, exist_ok=True)
    (drill.folder / TABLE).write_text(TIMETABLE, "utf-8")


def start(
    drill: Drill, place: int, fate: str, clock_url: str, *, passes: int, strike_after_s: float
) -> Life:
    """Start an instance; with a fate at a point of the protocol it dies at the n-th pass."""
    node = f"instance-{place}"
    told = {
        **environment(drill.connection, drill.folder),
        "AEGIS_KAFKA__BOOTSTRAP": drill.brokers.bootstrap(place),
        "AEGIS_CLOCK": "exchange",
        "AEGIS_CLOCK_URL": clock_url,
        "AEGIS_SCHEDULER__NODE": node,
        "AEGIS_SCHEDULER__LEASE_S": str(LEASE_S),
        "AEGIS_SCHEDULER__TIMETABLE": str(drill.folder / TABLE),
    }
    if fate in POINTS:
        told["AEGIS_FAILPOINT"] = f"{POINTS[fate]}:{passes}"
        told["AEGIS_FAILPOINT_DEATHS"] = str(_unused(drill.folder))
    with (drill.folder / f"{node}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.host", "scheduler"],
            env=told,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    return Life(node, place, fate, process, strike_after_s)


def _unused(folder: Path) -> Path:
    """Return a list of deaths that no process has used."""
    taken = len(list(folder.glob("deaths-*")))
    path = folder / f"deaths-{taken}"
    path.touch()
    return path


def environment(connection: Connection, folder: Path) -> dict[str, str]:
    """Return what an instance of this namespace is told beyond its own name and time."""
    endpoints = connection.endpoints
    return {
        **os.environ,
        "AEGIS_NAMESPACE": connection.namespace,
        "AEGIS_KAFKA__BOOTSTRAP": endpoints.kafka_bootstrap,
        "AEGIS_REGISTRY__URL": endpoints.registry_url,
        "AEGIS_POSTGRES__DSN": endpoints.postgres_dsn,
        "AEGIS_REDIS__URL": endpoints.redis_url,
        "AEGIS_VAR_DIR": str(folder),
    }
