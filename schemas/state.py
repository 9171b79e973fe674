"""Saved fold states."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.units import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSaved:
    """A chunk of a fold's saved state and the offsets it covers.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        role: Name.
        fold_version: Of the fold.
        instance: Partition; also the key's head.
        saved: Running number of the save.
        offsets: topic/partition to the next offset to read.
        chunk: From 0.
        of: Chunks.
        digest: SHA-256 of the whole.
        body: msgpack of infra.snapshot.
    """

    ts_event: Micros
    ts_ingest: Micros
    role: str
    fold_version: int
    instance: str
    saved: int
    offsets: Mapping[str, int]
    chunk: int
    of: int
    digest: str
    body: bytes
