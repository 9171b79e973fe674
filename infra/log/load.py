"""A sealed folder back to topics, in a namespace of its own.

Schemas are registered again; where the registry gives one another id, the five bytes before the
body say the new id, and the digest, which is over fingerprint and body, stays.  Ids inside a
body (a dead letter's payload, a saved state) are content and stay as they were.

Offsets are given by the broker: a partition that had holes (transaction markers, compaction)
gets others, and what names them (saved states, lineage) then names the exported log's.  The
result lists such partitions; a worker must not go on from a saved state over them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.admin import WAIT_S_MAX, config_of
from infra.connection import LIVE, Connection
from infra.log import files
from infra.log.progress import Progress
from infra.log.records import Raw, Sink, Source
from infra.log.seal import Digest, Manifest, Partition, schema_id, topic_of
from infra.registry import Registry, subject_of
from schemas.codec import HEADER_BYTES, frame
from schemas.errors import Fatal, Misconfigured

TOLD_EVERY: Final = 5_000
Ids = dict[str, dict[int, int]]
"""By subject: the export's schema id to this registry's."""


class Loaded(NamedTuple):
    """What an import did.

    Attributes:
        records: Written.
        topics: How many.
        ids: By subject, schema ids that are others here.
        moved: ``topic/partition`` whose records have other offsets than they had.
    """

    records: int
    topics: int
    ids: Ids
    moved: list[str]


def load(
    connection: Connection,
    registry: Registry,
    folder: Path,
    progress: Progress,
    expected: str | None = None,
) -> Loaded:
    """Check a folder, write its records to a namespace, read them back and compare digests.

    Args:
        connection: Of the namespace, which must hold no record.
        registry: Gets the schemas.
        folder: Of an export.
        progress: Told how far it is.
        expected: The seal its maker published, if it is at hand.

    Raises:
        Misconfigured: The folder is not what was sealed, or the namespace is not empty.
        Incompatible: The registry refuses a schema.
        Fatal: The broker holds something else than what was written.
        Transient: The broker or the registry does not answer; topics made here are deleted.
    """
    manifest, texts = files.check(folder, expected)
    with closing(Source(connection)) as source, closing(Sink(connection)) as sink:
        _refuse_used(connection, source)
        ids: Ids = defaultdict(dict)
        for each in manifest.schemas:
            ids[each.subject][each.id] = registry.register(each.subject, texts[each.id])
        made = _create(connection, source, manifest)
        try:
            progress.total(2 * sum(each.records for each in manifest.partitions))
            for part in manifest.partitions:
                known = ids[subject_of(topic_of(part.topic))]
                records = (renumbered(each, known) for each in files.read(folder / part.path))
                _write(connection, sink, part, records, progress)
            sink.flush()
            for part in manifest.partitions:
                subject = subject_of(topic_of(part.topic))
                before = manifest.fingerprints(subject)
                after = {ids[subject][old]: each for old, each in before.items()}
                _compare(connection, source, part, Digest(after))
                progress.add(part.records)
        except BaseException:
            _delete(connection, made)
            raise
    others = {
        subject: {old: new for old, new in known.items() if old != new}
        for subject, known in ids.items()
    }
    return Loaded(
        sum(each.records for each in manifest.partitions),
        len({each.topic for each in manifest.partitions}),
        {subject: known for subject, known in others.items() if known},
        [f"{e.topic}/{e.partition}" for e in manifest.partitions if not e.keeps_offsets],
    )


def renumbered(record: Raw, ids: dict[int, int]) -> Raw:
    """Return a record whose schema id is this registry's."""
    number = schema_id(record.value)
    if record.value is None or number is None or ids.get(number, number) == number:
        return record
    return record._replace(value=frame(ids[number], record.value[HEADER_BYTES:]))


def _refuse_used(connection: Connection, source: Source) -> None:
    if connection.namespace == LIVE:
        raise Misconfigured("expected a namespace of its own, was live; say --under import.NAME")
    for name, count in sorted(source.partitions().items()):
        if not name.startswith(connection.prefix):
            continue
        for partition in range(count):
            _, end = source.ends(name, partition)
            if end > 0:
                raise Misconfigured(
                    f"{connection.namespace}: expected a namespace that never held a record, was "
                    f"{end} offsets in {name}/{partition}; say another one with --under"
                )


def _create(connection: Connection, source: Source, manifest: Manifest) -> list[str]:
    there = source.partitions()
    counts: dict[str, int] = defaultdict(int)
    for each in manifest.partitions:
        counts[each.topic] = max(counts[each.topic], each.partition + 1)
    wanted = []
    for plain, count in counts.items():
        name = connection.topic(topic_of(plain))
        if there.get(name, count) != count:
            raise Misconfigured(f"{name}: expected {count} partitions, was {there[name]}")
        if name not in there:
            wanted.append(NewTopic(name, num_partitions=count, config=config_of(topic_of(plain))))
    if not wanted:
        return []
    admin = AdminClient(connection.client("aegis.admin"))
    for name, future in admin.create_topics(wanted, operation_timeout=WAIT_S_MAX).items():
        try:
            future.result(WAIT_S_MAX)
        except KafkaException as error:
            raise Fatal(f"expected to create {name}, was {error}") from error
    return [str(each.topic) for each in wanted]


def _delete(connection: Connection, names: Sequence[str]) -> None:
    if not names:
        return
    admin = AdminClient(connection.client("aegis.admin"))
    for future in admin.delete_topics(list(names), operation_timeout=WAIT_S_MAX).values():
        future.result(WAIT_S_MAX)


def _write(
    connection: Connection,
    sink: Sink,
    part: Partition,
    records: Iterable[Raw],
    progress: Progress,
) -> None:
    name = connection.topic(topic_of(part.topic))
    for count, each in enumerate(records, start=1):
        sink.write(name, part.partition, each)
        if count % TOLD_EVERY == 0:
            progress.add(TOLD_EVERY)
    progress.add(part.records % TOLD_EVERY)
    progress.topic(f"{part.topic}/{part.partition}", part.records)


def _compare(connection: Connection, source: Source, part: Partition, digest: Digest) -> None:
    name = connection.topic(topic_of(part.topic))
    for each in source.read(name, part.partition, *source.ends(name, part.partition)):
        digest.add(each.timestamp_ms, each.key, each.value, each.headers)
    if (digest.records, digest.hexdigest()) != (part.records, part.digest):
        raise Fatal(
            f"{name}/{part.partition}: expected {part.records} records of digest {part.digest} "
            f"on the broker, was {digest.records} of {digest.hexdigest()}"
        )
