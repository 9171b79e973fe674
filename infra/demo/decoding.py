"""Every value of a run, decoded twice over: by us and by PyPI ``avro``.

Our codec reads every value.  PyPI ``avro``, an independent implementation, reads every value of
the topics with few records and every ``SAMPLED``-th of the others, and has to agree.
"""

import io
import json
from typing import Any, Final, NamedTuple

import avro.errors
import avro.io
import avro.schema

from infra.admin import topics_of
from infra.connection import Connection
from infra.log_model import effective
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.runner import Incoming
from infra.topology import Topology
from schemas.codec import codec_of, unframe
from schemas.errors import Poison
from schemas.topics import Topic

FEW: Final = 3_000
SAMPLED: Final = 50


class Decoded(NamedTuple):
    """A run in memory.

    Attributes:
        records: Topic to records as they are on the log.
        events: Topic to (key, event) of what a reader keeps.
        undecodable: Values that either implementation could not read, or read differently.
        compared_with_avro: Values read by both.
    """

    records: dict[str, list[Incoming]]
    events: dict[str, list[tuple[str, Any]]]
    undecodable: int
    compared_with_avro: int


def decode_topics(connection: Connection, registry: Registry, topology: Topology) -> Decoded:
    """Read and decode every topic of a namespace."""
    serde, other = Serde(registry), _Other(registry)
    found = Decoded({}, {}, 0, 0)
    for topic in topics_of(topology):
        records = list(read_all(connection, topic))
        wrong, compared = _check(topic, records, serde, other)
        kept = effective(records)
        events = []
        for each in kept:
            try:
                events.append((each.key, serde.decode(topic, each.value or b"")))
            except Poison:
                wrong += 1
        found.records[topic.name] = records
        found.events[topic.name] = events
        found = found._replace(
            undecodable=found.undecodable + wrong,
            compared_with_avro=found.compared_with_avro + compared,
        )
    return found


def _check(topic: Topic, records: list[Incoming], serde: Serde, other: "_Other") -> tuple[int, int]:
    values = [each.value for each in records if each.value is not None]
    step = 1 if len(values) <= FEW else SAMPLED
    wrong = 0
    for value in values[::step]:
        try:
            mine = codec_of(topic).plain(serde.decode(topic, value))
            wrong += mine != other.decode(value)
        except (Poison, avro.errors.AvroException) as error:
            del error  # counted: the audit prints how many, `aegis schemas check` says which
            wrong += 1
    return wrong, len(values[::step])


class _Other:
    """PyPI ``avro`` with the schema the registry has."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._readers: dict[int, Any] = {}

    def decode(self, value: bytes) -> Any:
        schema_id, body = unframe(value)
        if schema_id not in self._readers:
            text = self._registry.schema(schema_id)
            if text is None:
                raise Poison(f"expected schema {schema_id} in the registry, was unknown")
            schema = avro.schema.parse(json.dumps(_untyped(json.loads(text))))
            self._readers[schema_id] = avro.io.DatumReader(schema)
        return self._readers[schema_id].read(avro.io.BinaryDecoder(io.BytesIO(body)))


def _untyped(schema: Any) -> Any:
    """Leave out logical types, so that instants are compared as the integers they are."""
    if isinstance(schema, dict):
        return {k: _untyped(v) for k, v in schema.items() if k != "logicalType"}
    return [_untyped(each) for each in schema] if isinstance(schema, list) else schema
