"""Saved states on the log: compacted topics ``state.<role>``, in chunks under Kafka's limit."""

import hashlib
from typing import Any, Final

from infra.clock import wall_now
from infra.connection import Connection
from infra.publish import Publisher
from infra.reader import read_named
from infra.runner import Instance, Wire
from schemas.role import Role
from schemas.state import StateSaved
from schemas.topics import state_topic

CHUNK_BYTES: Final = 900_000


def save(publisher: Publisher, instance: Instance, body: bytes, number: int) -> None:
    """Queue an instance's state; it counts once the producer has flushed or committed."""
    role = instance.role
    topic = state_topic(role.name)
    parts = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)] or [b""]
    digest = hashlib.sha256(body).hexdigest()
    for index, part in enumerate(parts):
        event = StateSaved(
            ts_event=instance.watermark,
            ts_ingest=wall_now(),
            role=role.name,
            fold_version=role.version,
            instance=instance.name,
            saved=number,
            offsets=dict(instance.offsets),
            chunk=index,
            of=len(parts),
            digest=digest,
            body=part,
        )
        publisher.send(topic, f"{instance.name}:{index}", event)


def load(connection: Connection, wire: Wire, role: Role, name: str) -> tuple[bytes, int] | None:
    """Return an instance's newest whole state and its number, None when there is none.

    A state of another fold version is rebuilt, never loaded.
    """
    topic = state_topic(role.name)
    newest: dict[int, dict[int, StateSaved]] = {}
    for value in _read(connection, connection.topic(topic), f"{name}:"):
        event: Any = wire.decode(topic, value)
        if event.fold_version == role.version and event.instance == name:
            newest.setdefault(event.saved, {})[event.chunk] = event
    for number in sorted(newest, reverse=True):
        chunks = newest[number]
        if len(chunks) != next(iter(chunks.values())).of:
            continue
        body = b"".join(chunks[index].body for index in range(len(chunks)))
        if hashlib.sha256(body).hexdigest() == chunks[0].digest:
            return body, number
    return None


def _read(connection: Connection, topic: str, prefix: str) -> list[bytes]:
    return [
        each.value
        for each in read_named(connection, topic, topic)
        if each.value is not None and each.key.startswith(prefix)
    ]
