"""Partitions as Parquet files: written and read a row group at a time, so memory is bounded.

Columns: ``offset`` and ``timestamp_ms`` int64, ``key`` and ``value`` binary or null, ``headers``
a list of (name, value or null) in order.  Compression is zstd.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from infra.log.records import Raw
from infra.log.seal import Digest, Manifest, Partition, Schema, fingerprint, opened, topic_of
from infra.registry import subject_of
from schemas.errors import Misconfigured

MANIFEST: Final = "manifest.json"
ROW_GROUP_RECORDS_MAX: Final = 8_192
ROW_GROUP_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of keys and values; whichever limit comes first ends a row group."""

_HASHED_AT_A_TIME: Final = 1024 * 1024
_HEADER: Final = pa.struct([
    pa.field("name", pa.string(), nullable=False), pa.field("value", pa.binary())
])  # fmt: skip
COLUMNS: Final = pa.schema([
    pa.field("offset", pa.int64(), nullable=False),
    pa.field("timestamp_ms", pa.int64(), nullable=False),
    pa.field("key", pa.binary()),
    pa.field("value", pa.binary()),
    pa.field("headers", pa.list_(pa.field("header", _HEADER, nullable=False)), nullable=False),
])  # fmt: skip


class Writer:
    """Writes one partition; use it as a context."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetWriter(path, COLUMNS, compression="zstd")
        self._held: list[Raw] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is held, unless something failed, and close the file."""
        if kind is None:
            self._flush()
        self._file.close()

    def add(self, record: Raw) -> None:
        """Add the next record."""
        self._held.append(record)
        self._bytes += len(record.key or b"") + len(record.value or b"")
        if len(self._held) >= ROW_GROUP_RECORDS_MAX or self._bytes >= ROW_GROUP_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        rows = [
            {**each._asdict(), "headers": [{"name": n, "value": v} for n, v in each.headers]}
            for each in self._held
        ]
        self._file.write_table(pa.Table.from_pylist(rows, schema=COLUMNS))
        self._held, self._bytes = [], 0


def read(path: Path) -> Iterator[Raw]:
    """Yield a file's records in order.

    Raises:
        Misconfigured: It is no file of ours.
    """
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(COLUMNS):
                raise Misconfigured(f"{path}: expected the columns of an export, was others")
            for group in range(file.num_row_groups):
                for row in file.read_row_group(group).to_pylist():
                    yield _record(row)
    except (OSError, pa.ArrowException) as error:
        raise Misconfigured(f"{path}: expected a Parquet file, was {error}") from error


def file_digest(path: Path) -> str:
    """Return SHA-256 of a file's bytes.

    Raises:
        Misconfigured: It cannot be read.
    """
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_HASHED_AT_A_TIME):
                total.update(piece)
    except OSError as error:
        raise Misconfigured(f"{path}: expected a file of the export, was {error}") from error
    return total.hexdigest()


def check(folder: Path, seal: str | None = None) -> tuple[Manifest, dict[int, str]]:
    """Check a whole export: its manifest's seal, every file's bytes, every partition's records.

    Args:
        folder: Of the export.
        seal: What its maker published, if it is at hand.

    Returns:
        The manifest, and the schemas' texts by id.

    Raises:
        Misconfigured: Something is not what was sealed; the file and partition are named.
    """
    manifest = _manifest(folder, seal)
    texts = {each.id: _text(folder, each) for each in manifest.schemas}
    for each in manifest.partitions:
        _check_partition(folder, each, manifest.fingerprints(subject_of(topic_of(each.topic))))
    return manifest, texts


def _manifest(folder: Path, seal: str | None) -> Manifest:
    path = folder / MANIFEST
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: expected the manifest of an export, was {error}") from error
    return opened(text, str(path), seal)


def _text(folder: Path, schema: Schema) -> str:
    path = folder / schema.path
    was = file_digest(path)
    if was != schema.digest:
        raise Misconfigured(f"{path}: expected SHA-256 {schema.digest}, was {was}")
    text = path.read_text("utf-8")
    if fingerprint(text) != schema.fingerprint:
        raise Misconfigured(f"{path}: expected the fingerprint {schema.fingerprint}, was another")
    return text


def _check_partition(folder: Path, each: Partition, fingerprints: dict[int, str]) -> None:
    path = folder / each.path
    where = f"{path} ({each.topic}/{each.partition})"
    was = file_digest(path)
    if was != each.file_digest:
        raise Misconfigured(f"{where}: expected SHA-256 {each.file_digest} of the file, was {was}")
    digest = Digest(fingerprints)
    for record in read(path):
        digest.add(record.timestamp_ms, record.key, record.value, record.headers)
    if digest.records != each.records:
        raise Misconfigured(f"{where}: expected {each.records} records, was {digest.records}")
    if digest.hexdigest() != each.digest:
        raise Misconfigured(
            f"{where}: expected records of digest {each.digest}, was {digest.hexdigest()}"
        )


def _record(row: dict[str, Any]) -> Raw:
    headers = tuple((each["name"], each["value"]) for each in row["headers"])
    return Raw(row["offset"], row["timestamp_ms"], row["key"], row["value"], headers)
