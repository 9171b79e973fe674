"""Saved states on the log: compacted topics ``state.<role>``, each with parts and a head.

    instance:digest     a part of the bytes, written once for as long as a head names it
    instance            the head: which parts, in order, and the offsets they cover

Most of a state does not change between two saves (a year of bars, this morning's screen), and what
does not change is not written again.  Parts go before the head that names them and tombstones of
parts no longer named after it, all on one partition: whatever a crash leaves has a whole newest
head.
"""

import hashlib
from typing import Any, Final

import structlog

from infra.clock import wall_now
from infra.connection import Connection
from infra.publish import Publisher
from infra.reader import read_named
from infra.runner import Instance, Outgoing, Wire
from schemas.role import Role
from schemas.state import StateSaved
from schemas.topics import state_topic
from schemas.units import Micros

PART_BYTES: Final = 128 * 1024
_DIGEST_BYTES: Final = 32
_SHORT: Final = 32
"""Hex digits of a part's digest in its key."""


class Shelf:
    """What is on the log of one instance's states; there is one writer at a time.

    Args:
        role: The role.
        instance: The instance's name.

    Attributes:
        saved: Number of the newest save, 0 before the first.
    """

    def __init__(self, role: Role, instance: str) -> None:
        self.saved = 0
        self._role = role
        self._topic = state_topic(role.name)
        self._instance = instance
        self._parts: set[str] = set()

    def load(self, connection: Connection, wire: Wire) -> bytes | None:
        """Return the newest whole state, None when there is none.

        A state of another fold version is rebuilt, never loaded.
        """
        name, head, found = self._instance, None, dict[str, StateSaved]()
        for each in read_named(connection, connection.topic(self._topic), self._topic.name):
            if each.key != name and not each.key.startswith(f"{name}:"):
                continue
            if each.value is None:
                found.pop(each.key, None)
                continue
            event: Any = wire.decode(self._topic, each.value)
            if each.key == name:
                head = event
            else:
                found[each.key] = event
        self._parts = set(found)
        if head is None:
            return None
        self.saved = head.saved
        body = None
        if head.fold_version == self._role.version:
            body = _whole(head, [found.get(self._key(part)) for part in _named(head)])
        if body is None:
            self._say_unusable(head)
        return body

    def save(self, publisher: Publisher, instance: Instance, body: bytes) -> None:
        """Queue a state; it counts once the producer has flushed or committed."""
        self.saved += 1
        pieces = [body[at : at + PART_BYTES] for at in range(0, len(body), PART_BYTES)]
        digests = [hashlib.sha256(piece).digest() for piece in pieces]
        keys = [self._key(each) for each in digests]
        for index, (key, piece) in enumerate(zip(keys, pieces, strict=True), start=1):
            if key not in self._parts:
                part = self._event(instance, piece, chunk=index, of=len(pieces))
                publisher.send(self._topic, key, part)
                self._parts.add(key)
        head = self._event(instance, b"".join(digests), chunk=0, of=len(pieces))
        publisher.send(self._topic, self._instance, head)
        for key in sorted(self._parts.difference(keys)):
            publisher.write(Outgoing(self._topic, key, None, instance.watermark, ()))
            self._parts.remove(key)

    def _say_unusable(self, head: StateSaved) -> None:
        structlog.get_logger(self._role.name).warning(
            "state_not_usable",
            instance=self._instance,
            saved=head.saved,
            expected=f"all {head.of} parts of fold version {self._role.version}",
            was=f"fold version {head.fold_version}, {len(self._parts)} parts on the log",
            next="everything is folded again from the beginning of its inputs",
        )

    def _key(self, digest: bytes) -> str:
        return f"{self._instance}:{digest.hex()[:_SHORT]}"

    def _event(self, instance: Instance, body: bytes, *, chunk: int, of: int) -> StateSaved:
        return StateSaved(
            ts_event=Micros(instance.watermark),
            ts_ingest=wall_now(),
            role=self._role.name,
            fold_version=self._role.version,
            instance=self._instance,
            saved=self.saved,
            offsets=dict(instance.offsets) if chunk == 0 else {},
            chunk=chunk,
            of=of,
            digest=hashlib.sha256(body).hexdigest(),
            body=body,
        )


def _named(head: StateSaved) -> list[bytes]:
    return [head.body[at : at + _DIGEST_BYTES] for at in range(0, len(head.body), _DIGEST_BYTES)]


def _whole(head: StateSaved, parts: list[StateSaved | None]) -> bytes | None:
    """Join the parts a head names, None when one is missing or is not what it was."""
    if len(parts) != head.of:
        return None
    bodies = [b"" if each is None else each.body for each in parts]
    digests = [hashlib.sha256(each).digest() for each in bodies]
    return b"".join(bodies) if digests == _named(head) else None
