"""The state now and then, so that nobody folds years of decisions: ``state.scheduler``, compacted.

A snapshot covers the decisions before an offset of ``control.schedule``.  The leader writes it in
a transaction of its own, with nothing else in flight: behind its fence nobody else has written, so
the end of the log as it then is, is where its state stands.  A leader that has been fenced may be
wrong about that, and cannot commit it.
"""

import hashlib
import json
from typing import Any, Final, NamedTuple

import structlog

from infra.clock import wall_now
from infra.connection import Connection
from infra.reader import read_all
from infra.registry import Serde
from infra.tail import decoded
from scheduler.state import Held, Running, State, Waiting, day_of, yyyymmdd
from scheduler.triggers import Slot
from schemas.state import StateSaved
from schemas.topics import SCHEDULE, SCHEDULER_STATE, TRIGGERS
from schemas.units import Micros

VERSION: Final = 1
"""Of ``scheduler.state``: a snapshot of another fold is passed over and everything read anew."""

SERVICE: Final = "scheduler"


class Snapshot(NamedTuple):
    """A state and what it covers.

    Attributes:
        said: How far the time of ``control.triggers`` had been said to have come.
        newest: The newest T of a trigger.
        schedule_next: The first offset of ``control.schedule`` that is not in the state.
        triggers_next: The first offset of ``control.triggers`` that is not in ``newest``.
    """

    state: State
    said: Micros
    newest: Micros
    schedule_next: int
    triggers_next: int


def event(taken: Snapshot, shard: str, number: int) -> StateSaved:
    """Return the record of a snapshot."""
    body = json.dumps(_plain(taken), separators=(",", ":")).encode()
    return StateSaved(
        ts_event=taken.state.clock,
        ts_ingest=wall_now(),
        role=SERVICE,
        fold_version=VERSION,
        instance=shard,
        saved=number,
        offsets={f"{SCHEDULE.name}/0": taken.schedule_next,
                 f"{TRIGGERS.name}/0": taken.triggers_next},
        chunk=0,
        of=0,
        digest=hashlib.sha256(body).hexdigest(),
        body=body,
    )  # fmt: skip


def newest(connection: Connection, serde: Serde, shard: str) -> Snapshot | None:
    """Return the newest snapshot that this code can read, None when there is none."""
    saved: list[StateSaved] = decoded(serde, SCHEDULER_STATE, read_all(connection, SCHEDULER_STATE))
    mine = [each for each in saved if each.instance == shard]
    if not mine:
        return None
    last = mine[-1]
    if last.fold_version != VERSION or hashlib.sha256(last.body).hexdigest() != last.digest:
        structlog.get_logger(SERVICE).warning(
            "snapshot_not_usable",
            expected=f"fold version {VERSION} and bytes of digest {last.digest}",
            was=f"fold version {last.fold_version}",
            next="everything is folded again from the beginning of control.schedule",
        )
        return None
    return read(last)


def read(saved: StateSaved) -> Snapshot:
    """Return the snapshot in a record."""
    plain = json.loads(saved.body)
    state = plain["state"]
    places = {
        name: {(job, Micros(at)): value for job, at, value in state[name]}
        for name in ("waiting", "status", "slots")
    }
    return Snapshot(
        State(
            Micros(state["clock"]),
            {
                place: Waiting(_slot(each[0]), *each[1:])
                for place, each in places["waiting"].items()
            },
            {name: Running(_slot(each[0]), *each[1:]) for name, each in state["running"]},
            places["status"],
            {key: tuple(each) for key, each in places["slots"].items()},
            dict(state["failures"]),
            {job: Held(*each) for job, each in state["held"]},
        ),
        Micros(plain["said"]),
        Micros(plain["newest"]),
        saved.offsets[f"{SCHEDULE.name}/0"],
        saved.offsets[f"{TRIGGERS.name}/0"],
    )


def _plain(taken: Snapshot) -> dict[str, Any]:
    state = taken.state
    return {
        "said": taken.said,
        "newest": taken.newest,
        "state": {
            "clock": state.clock,
            "waiting": [[*at, [_named(e.slot), *e[1:]]] for at, e in state.waiting.items()],
            "running": [[name, [_named(e.slot), *e[1:]]] for name, e in state.running.items()],
            "status": [[*at, status] for at, status in state.status.items()],
            "slots": [[*at, slots] for at, slots in state.slots.items()],
            "failures": list(state.failures.items()),
            "held": [[job, list(each)] for job, each in state.held.items()],
        },
    }


def _named(slot: Slot) -> list[Any]:
    return [slot.job, slot.at, yyyymmdd(slot.logical_date)]


def _slot(plain: list[Any]) -> Slot:
    job, at, logical = plain
    return Slot(job, Micros(at), day_of(logical))
