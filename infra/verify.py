"""``aegis verify``: make every decision of a run again, and compare the bytes.

The run's inputs (raw frames, daily data, triggers, AI scores, weights) are read from the log;
the roles run in process, with other partition and batch sizes; nothing they wrote in the run is
used.  Equal digests mean the same keys, timestamps and bodies in the same order per key.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from infra.connection import Connection
from infra.engine import Engine
from infra.log_model import LogModel, digest, effective
from infra.reader import read_all
from infra.runner import Incoming, Wire
from infra.topology import Topology
from schemas.partition import partition_of
from schemas.role import Role
from schemas.topics import (
    AI,
    FINAL,
    MODELS,
    QUANT,
    RAW_DART,
    RAW_KIS,
    RAW_KRX,
    SCREEN,
    SIGNALS,
    SNAPSHOTS,
    TRIGGERS,
    WEIGHTS,
    WINDOWS,
    Topic,
)

COMPARED: Final = (WINDOWS, SCREEN, QUANT, SNAPSHOTS, FINAL, SIGNALS)
GIVEN: Final = (RAW_KIS, RAW_KRX, RAW_DART, TRIGGERS, AI, WEIGHTS, MODELS)
"""What the world, time and people said: a run's inputs."""

REMADE: Final = frozenset(
    {
        "market.daily", "market.decode", "features.windows", "scores.screen", "scores.quant",
        "features.snapshots", "scores.final", "signals",
    }
)  # fmt: skip
"""Roles whose outputs are compared, and those they read."""


class Compared(NamedTuple):
    """One topic, as the run has it and as it was made again.

    Attributes:
        records: In the run, after the reader's dedup.
        digest: SHA-256 of the run's records.
        again: SHA-256 of what was made again.
        first: The first event that differs, None when none does.
    """

    topic: str
    records: int
    digest: str
    again: str
    first: dict[str, Any] | None

    @property
    def same(self) -> bool:
        """Whether the bytes are equal, and there are any."""
        return self.records > 0 and self.digest == self.again


def given(connection: Connection, topics: Iterable[Topic] = GIVEN) -> dict[str, list[Incoming]]:
    """Return a run's inputs, watermarks included, in log order."""
    return {topic.name: list(read_all(connection, topic)) for topic in topics}


def remake(
    inputs: dict[str, list[Incoming]],
    roles: Sequence[Role],
    topology: Topology,
    wire: Wire,
    *,
    chunk: int,
) -> LogModel:
    """Run the roles over a run's inputs in a fresh log."""
    log = LogModel()
    spread = {each.topic.name: each.topic for role in roles for each in role.inputs}
    for name, records in inputs.items():
        topic = spread.get(name)
        count = 1 if topic is None else topology.partitions(topic)
        for each in records:
            partition = each.partition if count == 1 else partition_of(each.key, count)
            log.append(
                name,
                partition,
                key=each.key,
                value=each.value,
                timestamp_ms=each.timestamp_ms,
                headers=tuple(each.headers.items()),
            )
    Engine(roles, topology, log, wire, chunk=chunk).run()
    return log


def compare(
    run: dict[str, list[Incoming]], again: LogModel, wire: Wire, topics: Sequence[Topic] = COMPARED
) -> list[Compared]:
    """Compare a run's outputs with what was made again."""
    found = []
    for topic in topics:
        mine, count = digest(run[topic.name])
        theirs, _ = digest(again.records(topic.name))
        first = None
        if mine != theirs:
            first = first_difference(run[topic.name], list(again.records(topic.name)), topic, wire)
        found.append(Compared(topic.name, count, mine, theirs, first))
    return found


def first_difference(
    run: Iterable[Incoming], again: Iterable[Incoming], topic: Topic, wire: Wire
) -> dict[str, Any]:
    """Return the earliest event, by time and key, that is not the same on both sides."""
    left, right = _by_key(run), _by_key(again)
    candidates = []
    for key in left.keys() | right.keys():
        mine, theirs = left.get(key, []), right.get(key, [])
        for index in range(max(len(mine), len(theirs))):
            one = mine[index] if index < len(mine) else None
            two = theirs[index] if index < len(theirs) else None
            if _plain(one) != _plain(two):
                at = min(each.timestamp_ms for each in (one, two) if each is not None)
                candidates.append((at, key, index, one, two))
                break
    at, key, index, one, two = min(candidates, key=lambda each: each[:3])
    return {
        "topic": topic.name,
        "key": key,
        "timestamp_ms": at,
        "index": index,
        "differs": _fields(one, two, topic, wire),
    }


def _by_key(records: Iterable[Incoming]) -> dict[str, list[Incoming]]:
    found: defaultdict[str, list[Incoming]] = defaultdict(list)
    for each in effective(records):
        found[each.key].append(each)
    return found


def _plain(each: Incoming | None) -> tuple[int, bytes] | None:
    return None if each is None else (each.timestamp_ms, (each.value or b"")[5:])


def _fields(one: Incoming | None, two: Incoming | None, topic: Topic, wire: Wire) -> Any:
    if one is None or two is None:
        return "only in the run" if two is None else "only when made again"
    left, right = wire.decode(topic, one.value or b""), wire.decode(topic, two.value or b"")
    return {
        each.name: [_short(getattr(left, each.name)), _short(getattr(right, each.name))]
        for each in dataclasses.fields(left)
        if getattr(left, each.name) != getattr(right, each.name)
    }


def _short(value: Any) -> Any:
    text = repr(value)
    return value if len(text) < 200 else f"{text[:200]}…"  # noqa: PLR2004 -- fits a screen
