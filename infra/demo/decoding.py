"""Every value of a run, decoded twice over: by us and by PyPI ``avro``.

Our codec reads every value.  PyPI ``avro``, an independent implementation, reads every value of
the topics with few records and one in ``SAMPLED`` of the others (all of them when asked), and
has to agree.
"""

import io
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final, NamedTuple

import avro.errors
import avro.io
import avro.schema

from infra.admin import topics_of
from infra.audit import Origin, origins
from infra.connection import Connection
from infra.log_model import digest, effective
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.runner import Incoming, Wire
from infra.topology import Topology
from schemas.codec import codec_of, unframe
from schemas.errors import Poison
from schemas.topics import RAW_KIS, Topic

FEW: Final = 500
SAMPLED: Final = 100
KEPT_MAX: Final = 20_000
"""Events of a raw or symbol topic that are handed over; of a hotter one only its figures are.

What the checks read is on other topics and always whole: an audit of half a day is none.
"""

PROCESSES: Final = 2


class TopicRead(NamedTuple):
    """One topic of a run, read and decoded.

    Attributes:
        topic: Its name.
        records: Events that a reader keeps.
        origins: What the audit says of its origins.
        undecodable: Values that either implementation could not read, or read differently.
        compared: Values read by both.
        digest: SHA-256 as ``aegis verify`` compares it.
        events: (key, event) of what a reader keeps, None for a hot topic.
    """

    topic: str
    records: int
    origins: Origin
    undecodable: int
    compared: int
    digest: str
    events: list[tuple[str, Any]] | None


def read_run(connection: Connection, topology: Topology, *, every: bool = False) -> list[TopicRead]:
    """Read and decode every topic of a namespace, in two processes.

    Args:
        connection: Where.
        topology: Names the topics.
        every: Let PyPI ``avro`` read every value, not a sample of the hot topics.
    """
    found = topics_of(topology)
    hot_first = sorted(found, key=lambda each: (each.spread != "symbol", each is not RAW_KIS))
    step = 1 if every else SAMPLED
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        work = [pool.submit(read_topic, connection, each, step) for each in hot_first]
        return [each.result() for each in work]


def read_topic(connection: Connection, topic: Topic, step: int) -> TopicRead:
    """Read and decode one topic; PyPI ``avro`` reads one value in ``step`` of a topic with many."""
    registry = Registry(connection.endpoints.registry_url)
    records = list(read_all(connection, topic))
    found = decoded(topic, records, Serde(registry), registry.schema, step)
    registry.close()
    return found


def decoded(
    topic: Topic,
    records: Sequence[Incoming],
    wire: Wire,
    schema_of: Callable[[int], str | None],
    step: int,
) -> TopicRead:
    """Decode a topic's records.

    Args:
        topic: Which.
        records: As they are on the log.
        wire: Our codec.
        schema_of: The registry's schema of an id, None when it knows none.
        step: As in ``read_topic``.
    """
    other = _Other(schema_of)
    kept = effective(records)
    step = 1 if len(kept) <= FEW else step
    whole = len(kept) <= KEPT_MAX or not (topic.spread == "symbol" or topic.self_timed)
    wrong = compared = 0
    events: list[tuple[str, Any]] = []
    for index, each in enumerate(kept):
        value = each.value or b""
        try:
            event = wire.decode(topic, value)
            if index % step == 0:
                compared += 1
                wrong += codec_of(topic).plain(event) != other.decode(value)
        except (Poison, avro.errors.AvroException):
            wrong += 1  # the count is the finding; 'aegis schemas check' says which schema
            continue
        if whole:
            events.append((each.key, event))
    return TopicRead(
        topic=topic.name,
        records=len(kept),
        origins=origins(records),
        undecodable=wrong,
        compared=compared,
        digest=digest(records)[0],
        events=events if whole else None,
    )


class _Other:
    """PyPI ``avro`` with the schema the registry has."""

    def __init__(self, schema_of: Callable[[int], str | None]) -> None:
        self._schema_of = schema_of
        self._readers: dict[int, Any] = {}

    def decode(self, value: bytes) -> Any:
        schema_id, body = unframe(value)
        if schema_id not in self._readers:
            text = self._schema_of(schema_id)
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
