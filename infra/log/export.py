"""Topics to a folder: read committed, sealed, and whole or not there at all.

    DIR/manifest.json                       counts, digests, schemas, code, seal
    DIR/schemas/ID.avsc                     every schema a value was written with
    DIR/topics/TOPIC/PARTITION.parquet      the records in order

Everything is written to a folder beside DIR that is renamed at the end and removed on any
failure.  Ends are read once, at the start; a transaction open then is not in the export.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from infra.connection import Connection
from infra.log import files, seal
from infra.log.progress import Progress
from infra.log.records import Source
from infra.log.seal import Digest, Manifest, Partition, Schema
from infra.registry import Registry, subject_of
from schemas.errors import Misconfigured
from schemas.topics import Topic

TOLD_EVERY: Final = 5_000
"""Records between two steps of the progress bar."""


class Span(NamedTuple):
    """What is read of one partition: ``start <= offset < end``; ``name`` is the full one."""

    name: str
    topic: Topic
    partition: int
    start: int
    end: int


class Schemas:
    """The schemas seen so far, each asked for once.

    Attributes:
        fingerprints: By subject and id; what is none of the subject's has none.
    """

    def __init__(self, registry: Registry) -> None:
        self.fingerprints: dict[str, dict[int, str]] = {}
        self._registry = registry
        self._texts: dict[int, str | None] = {}
        self._asked: set[tuple[str, int]] = set()

    def see(self, topic: Topic, value: bytes | None) -> None:
        """Learn the schema of a value, if it is one of the topic's record."""
        number = seal.schema_id(value)
        subject = subject_of(topic)
        if number is None or (subject, number) in self._asked:
            return
        self._asked.add((subject, number))
        if number not in self._texts:
            self._texts[number] = self._registry.schema(number)
        text = self._texts[number]
        if text is not None and json.loads(text).get("name") == topic.record.__name__:
            self.of(subject)[number] = seal.fingerprint(text)

    def of(self, subject: str) -> dict[int, str]:
        """Return the fingerprints of a subject, a mapping that grows."""
        return self.fingerprints.setdefault(subject, {})

    def write(self, folder: Path) -> tuple[Schema, ...]:
        """Write the texts, and say what they are."""
        (folder / "schemas").mkdir()
        found = []
        for subject, known in sorted(self.fingerprints.items()):
            for number, fingerprint in sorted(known.items()):
                content = (self._texts[number] or "").encode()
                digest = hashlib.sha256(content).hexdigest()
                schema = Schema(id=number, subject=subject, fingerprint=fingerprint, digest=digest)
                (folder / schema.path).write_bytes(content)
                found.append(schema)
        return tuple(found)


def export(
    connection: Connection,
    registry: Registry,
    folder: Path,
    progress: Progress,
    topics: Sequence[str] = (),
) -> tuple[Manifest, str]:
    """Write topics of a namespace to a folder.

    Args:
        connection: Of the namespace.
        registry: That its values were written with.
        folder: Must not be there.
        progress: Told how far it is.
        topics: Names without namespace; none for all the namespace has.

    Returns:
        The manifest and its seal.

    Raises:
        Misconfigured: The folder is there, or a topic is not.
        Transient: The broker or the registry does not answer.
    """
    if folder.exists():
        raise Misconfigured(f"{folder}: expected a folder that is not there yet, was there")
    with closing(Source(connection)) as source, _whole_or_gone(folder) as part:
        spans = _spans(connection, source, topics)
        progress.total(sum(each.end - each.start for each in spans))
        schemas = Schemas(registry)
        partitions = [_partition(source, each, part, schemas, progress) for each in spans]
        version, code = seal.code()
        manifest = Manifest(
            namespace=connection.namespace,
            version=version,
            code=code,
            partitions=tuple(partitions),
            schemas=schemas.write(part),
        )
        text, sealed = manifest.sealed()
        (part / files.MANIFEST).write_text(text, "utf-8")
    return manifest, sealed


@contextmanager
def _whole_or_gone(folder: Path) -> Iterator[Path]:
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        part.mkdir(parents=True)
        yield part
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _spans(connection: Connection, source: Source, topics: Sequence[str]) -> list[Span]:
    there = source.partitions()
    ours = {
        connection.plain(name): count
        for name, count in there.items()
        if name.startswith(connection.prefix) and seal.is_ours(connection.plain(name))
    }
    for name in topics:
        if name not in ours:
            raise Misconfigured(
                f"expected topic {name} in {connection.namespace}, was none of its {len(ours)}; "
                f"see 'aegis topics'"
            )
    if not ours:
        raise Misconfigured(f"expected topics in {connection.namespace}, was none")
    return [
        Span(full, topic, partition, *source.ends(full, partition))
        for name in sorted(topics or ours)
        for topic in (seal.topic_of(name),)
        for full in (connection.topic(topic),)
        for partition in range(ours[name])
    ]


def _partition(
    source: Source, span: Span, folder: Path, schemas: Schemas, progress: Progress
) -> Partition:
    topic = span.topic
    path = folder / "topics" / topic.name / f"{span.partition}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = Digest(schemas.of(subject_of(topic)))
    with files.Writer(path) as writer:
        for each in source.read(span.name, span.partition, span.start, span.end):
            schemas.see(topic, each.value)
            digest.add(each.timestamp_ms, each.key, each.value, each.headers)
            writer.add(each)
            if digest.records % TOLD_EVERY == 0:
                progress.add(TOLD_EVERY)
    progress.add(digest.records % TOLD_EVERY)
    progress.topic(f"{topic.name}/{span.partition}", digest.records)
    return Partition(
        topic=topic.name,
        partition=span.partition,
        records=digest.records,
        first_offset=span.start,
        next_offset=span.end,
        digest=digest.hexdigest(),
        file_digest=files.file_digest(path),
    )
