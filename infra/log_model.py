"""The log as a value: topics, partitions, records in order.

The in-process engine runs on it, and so do seeded simulations; the conformance suite holds it
to the real broker.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence

from infra.runner import Incoming
from schemas.role import ORIGIN_HEADER


class LogModel:
    """An append-only log in memory."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, int], list[Incoming]] = defaultdict(list)

    def append(
        self,
        topic: str,
        partition: int,
        *,
        key: str,
        value: bytes | None,
        timestamp_ms: int,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> int:
        """Append a record and return its offset."""
        place = self._records[topic, partition]
        place.append(
            Incoming(topic, partition, len(place), timestamp_ms, key, value, dict(headers))
        )
        return len(place) - 1

    def read(self, topic: str, partition: int, start: int, limit: int) -> list[Incoming]:
        """Return up to ``limit`` records from offset ``start`` on."""
        return self._records[topic, partition][start : start + limit]

    def end(self, topic: str, partition: int) -> int:
        """Return the offset after the last record."""
        return len(self._records[topic, partition])

    def topics(self) -> list[str]:
        """Return the names of the topics that hold records."""
        return sorted({topic for topic, _ in self._records})

    def records(self, topic: str) -> Iterable[Incoming]:
        """Return all records of a topic, partition by partition."""
        for (name, _), records in sorted(self._records.items()):
            if name == topic:
                yield from records


def effective(records: Iterable[Incoming]) -> list[Incoming]:
    """Return what a reader keeps: no watermarks, and no origin it has passed."""
    passed: dict[tuple[int, str], int] = {}
    kept = []
    for each in records:
        if each.value is None:
            continue
        origin = each.headers.get(ORIGIN_HEADER)
        if origin is not None:
            source, _, ordinal = origin.decode().rpartition(":")
            if int(ordinal) <= passed.get((each.partition, source), -1):
                continue
            passed[each.partition, source] = int(ordinal)
        kept.append(each)
    return kept


def digest(records: Iterable[Incoming], header_bytes: int = 5) -> tuple[str, int]:
    """Return SHA-256 over keys sorted, each key's (timestamp, body) in order, and the count."""
    by_key: dict[str, list[Incoming]] = defaultdict(list)
    for each in effective(records):
        by_key[each.key].append(each)
    total = hashlib.sha256()
    count = 0
    for key in sorted(by_key):
        total.update(key.encode() + b"\0")
        for each in by_key[key]:
            body = (each.value or b"")[header_bytes:]
            total.update(each.timestamp_ms.to_bytes(8, "big") + len(body).to_bytes(4, "big") + body)
            count += 1
    return total.hexdigest(), count
