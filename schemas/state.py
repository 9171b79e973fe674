"""Saved fold states."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.units import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSaved:
    """A part of a fold's saved state, or the head that names its parts and the offsets it covers.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        role: Name.
        fold_version: Of the fold.
        instance: Partition; also the key's beginning.
        saved: Running number of the save; of a part the one that wrote it.
        offsets: topic/partition to the next offset to read; of a part nothing.
        chunk: 0 is the head, parts count from 1.
        of: Parts.
        digest: SHA-256 of the body.
        body: Of the head the parts' SHA-256 in order; the parts joined are infra.snapshot's bytes.
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
