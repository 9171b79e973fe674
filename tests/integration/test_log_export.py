"""An export is what the broker holds, sealed; an import holds what was exported.

One namespace is filled by hand with what a log can hold at its worst; the round trip of a part
of a day is last.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from infra.admin import create_topics, delete_namespace
from infra.connection import Connection
from infra.deploy import register_all
from infra.log import files, seal
from infra.log.export import export
from infra.log.load import load, renumbered
from infra.log.progress import Progress
from infra.log.records import Raw, Source
from infra.publish import Publisher
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.topology import Topology
from schemas.errors import Misconfigured
from schemas.testing import trade
from schemas.topics import MODE, ORDERS, TRADES

pytestmark = pytest.mark.stack

ODD: tuple[Raw, ...] = (
    Raw(0, 1_000, b"k", b"\x00\x7f\xff\xff\xff poison", ()),
    Raw(1, 999, b"k", None, (("a", b"1"), ("b", b""), ("a", b"2"), ("none", None))),
    Raw(2, 1_001, b"", b"", ()),
    Raw(3, 1_001, None, b"\x00", (("a", b"\xff\x00"),)),
)
"""A poison record, a tombstone with repeated headers, an empty key and value, no key."""


class Place(NamedTuple):
    connection: Connection
    registry: Registry
    publisher: Publisher

    def named(self, name: str) -> Connection:
        where = self.connection
        return Connection(settings=where.settings, endpoints=where.endpoints, namespace=name)

    def plant(self, topic: Any, records: tuple[Raw, ...]) -> None:
        producer = Producer(self.connection.client("test"))
        for each in records:
            producer.produce(
                self.connection.topic(topic), each.value, each.key, partition=0,
                timestamp=each.timestamp_ms, headers=list(each.headers),
            )  # fmt: skip
        assert producer.flush(10) == 0

    def export(self, folder: Path, *topics: str) -> tuple[seal.Manifest, str]:
        with Progress("exporting") as progress:
            return export(self.connection, self.registry, folder, progress, topics)

    def load(self, folder: Path, name: str, expected: str | None = None) -> Any:
        with Progress("importing") as progress:
            return load(self.named(name), self.registry, folder, progress, expected)


@pytest.fixture
def place(stack: Any) -> Iterator[Place]:
    namespace = f"test.log-{os.getpid()}-{time.monotonic_ns()}"
    connection = Connection(settings=Settings(), endpoints=stack, namespace=namespace)
    registry = Registry(stack.registry_url)
    register_all(registry)
    create_topics(connection, Topology((), ("kis.ws.0",)))
    publisher = Publisher(connection, Serde(registry), client="test")
    yield Place(connection, registry, publisher)
    publisher.close()
    registry.close()
    for each in (namespace, f"{namespace}.copy"):
        delete_namespace(connection, each)


def held(connection: Connection, topic: Any) -> list[tuple[Any, ...]]:
    """Return what every partition holds, without offsets and schema headers."""
    with closing(Source(connection)) as source:
        name = connection.topic(topic)
        return [
            (partition, each.timestamp_ms, each.key, body(each.value), each.headers)
            for partition in range(source.partitions()[name])
            for each in source.read(name, partition, *source.ends(name, partition))
        ]


def body(value: bytes | None) -> bytes | None:
    return value if seal.schema_id(value) is None or value is None else value[5:]


def test_an_import_holds_the_same_records_in_the_same_order(place: Place, tmp_path: Path) -> None:
    place.plant(MODE, ODD)
    for number in range(3_000):
        place.publisher.send(TRADES, f"00{number % 7:04}", trade(100 + number, seconds=number))
    place.publisher.flush()

    manifest, sealed = place.export(tmp_path / "day")
    done = place.load(tmp_path / "day", f"{place.connection.namespace}.copy", sealed)

    copy = place.named(f"{place.connection.namespace}.copy")
    for topic in (MODE, TRADES):
        assert held(copy, topic) == held(place.connection, topic)
    assert [each[1:] for each in held(copy, MODE)] == [
        (each.timestamp_ms, each.key, body(each.value), each.headers) for each in ODD
    ]
    assert (done.records, done.moved) == (3_004, [])
    assert {each.subject for each in manifest.schemas} == {"market.trades-value"}


def test_what_was_aborted_is_not_exported(place: Place, tmp_path: Path) -> None:
    writer = Producer({**place.connection.client("test"), "transactional.id": str(tmp_path)})
    writer.init_transactions(10)
    name = place.connection.topic(ORDERS)
    for value, end in (
        (b"first", writer.commit_transaction),
        (b"never", writer.abort_transaction),
        (b"last", writer.commit_transaction),
    ):
        writer.begin_transaction()
        writer.produce(name, value, b"k", partition=0, timestamp=1_000)
        writer.flush()
        end()

    manifest, _ = place.export(tmp_path / "day", ORDERS.name)

    [part] = manifest.partitions
    rows = list(files.read(tmp_path / "day" / part.path))
    assert [(each.offset, each.value) for each in rows] == [(0, b"first"), (4, b"last")]
    assert not part.keeps_offsets


def _empty(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "value": b""}


def _rewrite(folder: Path, change: Callable[[list[Any]], list[Any]]) -> None:
    """Change a partition's rows and forge its file's digest and the seal, not its own digest."""
    path = folder / "topics" / MODE.name / "0.parquet"
    rows = pq.read_table(path).to_pylist()
    with pq.ParquetWriter(path, files.COLUMNS) as file:
        file.write_table(pa.Table.from_pylist(change(rows), schema=files.COLUMNS), row_group_size=2)
    where = folder / files.MANIFEST
    told = json.loads(where.read_text("utf-8"))
    told["partitions"][0]["file_digest"] = files.file_digest(path)
    del told["seal"]
    told["seal"] = seal._seal(told)
    where.write_text(json.dumps(told), "utf-8")


def flipped(folder: Path) -> None:
    path = folder / "topics" / MODE.name / "0.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def changed(folder: Path) -> None:
    where = folder / files.MANIFEST
    where.write_text(where.read_text("utf-8").replace('"records": 4', '"records": 5'), "utf-8")


def missing(folder: Path) -> None:
    (folder / "topics" / MODE.name / "0.parquet").unlink()


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (flipped, r"0\.parquet \(ops\.mode/0\): expected SHA-256 .* of the file"),
        (changed, r"manifest\.json: expected seal .*: the manifest was changed"),
        (missing, r"0\.parquet: expected a file of the export"),
        (lambda folder: _rewrite(folder, lambda rows: rows[:2]),
         r"\(ops\.mode/0\): expected 4 records, was 2"),
        (lambda folder: _rewrite(folder, lambda rows: [rows[1], rows[0], *rows[2:]]),
         r"\(ops\.mode/0\): expected records of digest"),
        (lambda folder: _rewrite(folder, lambda rows: [*rows[:1], _empty(rows[1]), *rows[2:]]),
         r"\(ops\.mode/0\): expected records of digest"),
    ],
    ids=["flipped byte", "changed manifest", "missing file", "missing row group", "swapped pair",
         "tombstone made empty"],
)  # fmt: skip
def test_a_folder_that_is_not_what_was_sealed_is_refused_by_name(
    place: Place, tmp_path: Path, plant: Callable[[Path], None], says: str
) -> None:
    place.plant(MODE, ODD)
    place.export(tmp_path / "day", MODE.name)
    files.check(tmp_path / "day")

    plant(tmp_path / "day")

    with pytest.raises(Misconfigured, match=says):
        place.load(tmp_path / "day", f"{place.connection.namespace}.copy")


def test_a_forged_export_does_not_bear_the_seal_its_maker_published(
    place: Place, tmp_path: Path
) -> None:
    place.plant(MODE, ODD)
    _, sealed = place.export(tmp_path / "day", MODE.name)
    place.plant(MODE, ODD)
    place.export(tmp_path / "other", MODE.name)

    with pytest.raises(Misconfigured, match=f"expected seal {sealed}.*another export"):
        files.check(tmp_path / "other", sealed)


def test_a_namespace_that_holds_a_record_is_refused(place: Place, tmp_path: Path) -> None:
    place.plant(MODE, ODD)
    place.export(tmp_path / "day", MODE.name)

    with pytest.raises(Misconfigured, match=r"never held a record, was 4 offsets in .*ops\.mode/0"):
        place.load(tmp_path / "day", place.connection.namespace)


def test_unknown_topics_are_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"expected topic market\.nothing in"):
        place.export(tmp_path / "day", "market.nothing")
    place.export(tmp_path / "day", MODE.name)
    where = tmp_path / "day" / files.MANIFEST
    told = json.loads(where.read_text("utf-8"))
    told["partitions"][0]["topic"] = "../elsewhere"
    del told["seal"]
    where.write_text(json.dumps({**told, "seal": seal._seal(told)}), "utf-8")

    with pytest.raises(Misconfigured, match=r"expected a topic of the catalogue .* '../elsewhere'"):
        files.check(tmp_path / "day")


def test_an_interrupted_export_leaves_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    place.plant(MODE, ODD)
    monkeypatch.setattr(Progress, "topic", interrupt)

    with pytest.raises(KeyboardInterrupt):
        place.export(tmp_path / "day", MODE.name)

    assert list(tmp_path.iterdir()) == []


def test_another_registrys_id_stands_before_the_same_body() -> None:
    record = Raw(0, 1, b"k", b"\x00\x00\x00\x00\x07body", ())

    again = renumbered(record, {7: 260})

    assert again == record._replace(value=b"\x00\x00\x00\x01\x04body")
    assert renumbered(record, {8: 9}) == record
    before, after = seal.Digest({7: "f"}), seal.Digest({260: "f"})
    before.add(1, b"k", record.value, ())
    after.add(1, b"k", again.value, ())
    assert before.hexdigest() == after.hexdigest()


KINDS = (
    "market.books",
    "market.trades",
    "scores.final",
    "orders.events",
    "control.runs",
    "state.portfolio",
)
"""Of a day: a hot topic, big values, transactions, none, a compacted one."""


def test_a_part_of_a_day_comes_back_byte_for_byte(
    part_of_a_day: tuple[Path, int, dict[str, Any]], place: Place, tmp_path: Path
) -> None:
    _, _, day = part_of_a_day
    run = place.named(day["namespace"])

    with Progress("exporting") as progress:
        manifest, sealed = export(run, place.registry, tmp_path / "day", progress, KINDS)
    done = place.load(tmp_path / "day", f"{place.connection.namespace}.copy", sealed)

    copy = place.named(f"{place.connection.namespace}.copy")
    names = sorted({each.topic for each in manifest.partitions})
    assert done.records > 10_000
    assert any(name.startswith("state.") for name in names)
    for name in names:
        assert held(copy, seal.topic_of(name)) == held(run, seal.topic_of(name)), name
    shutil.rmtree(tmp_path / "day")
