"""Avro on the wire: ``0x00``, the schema's id in four bytes, the body (Confluent's format).

``Codec`` turns one event class into bytes and back.  Instants stay integers: the logical types
are in the registered schema, and the parsed one used here leaves them out, because fastavro
would make a datetime of each.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from io import BytesIO
from operator import index
from typing import Any, Final

import fastavro

from schemas.errors import Poison
from schemas.topics import Topic

MAGIC: Final = b"\x00"
HEADER_BYTES: Final = 5


def schema_text(schema_name: str) -> str:
    """Return the ``.avsc`` as it is committed."""
    return (resources.files("schemas") / "avro" / f"{schema_name}.avsc").read_text("utf-8")


def plain(schema: Any) -> Any:
    """Return a schema without logical types and documentation, so that values stay integers."""
    if isinstance(schema, Mapping):
        return {
            name: plain(part) for name, part in schema.items() if name not in {"logicalType", "doc"}
        }
    if isinstance(schema, list):
        return [plain(part) for part in schema]
    return schema


def parse(text: str) -> Any:
    """Parse a schema for reading and writing."""
    return fastavro.parse_schema(plain(json.loads(text)))


class Codec:
    """One event class on the wire.

    ``encode`` gives the body without header.  ``decode`` reads a body written with any released
    schema of the topic and raises ``Poison`` when it cannot.
    """

    def __init__(self, record: type, text: str) -> None:
        self._record: Callable[..., Any] = record
        self._schema = parse(text)
        fields = json.loads(text)["fields"]
        self._names = tuple(each["name"] for each in fields)
        self._arrays = tuple(
            each["name"]
            for each in fields
            if isinstance(each["type"], Mapping) and each["type"]["type"] == "array"
        )
        self._whole = {each["name"]: shape for each in fields if (shape := _whole(each["type"]))}
        self._writers: dict[str, Any] = {text: None}

    def encode(self, event: Any) -> bytes:
        """Return the Avro body of an event.

        Raises:
            Poison: A field does not fit the schema.
        """
        out = BytesIO()
        try:
            values = {name: getattr(event, name) for name in self._names}
            self._refuse_fractions(values)
            fastavro.schemaless_writer(out, self._schema, values)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise Poison(f"expected {self._record.__name__} fields, was {error}") from error
        return out.getvalue()

    def plain(self, event: Any) -> dict[str, Any]:
        """Return an event as Avro's own values: a dict, with lists for arrays."""
        values = {name: getattr(event, name) for name in self._names}
        return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}

    def decode(self, body: bytes, writer_text: str | None = None) -> Any:
        """Return the event in a body that was written with ``writer_text`` (ours when None).

        Raises:
            Poison: The body is torn, has bytes left over, or does not fit.
        """
        source = BytesIO(body)
        try:
            if writer_text is None or self._writer(writer_text) is None:
                value: Any = fastavro.schemaless_reader(source, self._schema, None)
            else:
                value = fastavro.schemaless_reader(source, self._writers[writer_text], self._schema)
        except (EOFError, IndexError, ValueError, TypeError, OverflowError, MemoryError) as error:
            raise Poison(
                f"expected an Avro {self._record.__name__}, was {len(body)} bytes: {error!r}"
            ) from error
        if source.tell() != len(body):
            raise Poison(
                f"expected {source.tell()} bytes of {self._record.__name__}, was {len(body)}"
            )
        for name in self._arrays:
            value[name] = tuple(value[name])
        return self._record(**value)

    def _refuse_fractions(self, values: Mapping[str, Any]) -> None:
        """Raise TypeError on a float where the schema says long: fastavro would cut it off."""
        for name, shape in self._whole.items():
            value = values[name]
            if shape == "one":
                index(value)
            elif value is not None:
                for each in (value,) if shape == "optional" else _held(value):
                    index(each)

    def _writer(self, text: str) -> Any:
        if text not in self._writers:
            same = plain(json.loads(text)) == plain(json.loads(next(iter(self._writers))))
            self._writers[text] = None if same else parse(text)
        return self._writers[text]


def _whole(kind: Any) -> str:
    """Say how a type holds longs: one, optional, many, or not at all (empty)."""
    if isinstance(kind, list):
        return "optional" if _whole(kind[1]) else ""
    if isinstance(kind, Mapping):
        held = kind.get("items", kind.get("values"))
        return "one" if kind["type"] == "long" else "many" if held == "long" else ""
    return "one" if kind == "long" else ""


def _held(value: Any) -> Any:
    return value.values() if isinstance(value, Mapping) else value


@cache
def codec_of(topic: Topic) -> Codec:
    """The codec of a topic's record."""
    return Codec(topic.record, schema_text(topic.schema_name))


def frame(schema_id: int, body: bytes) -> bytes:
    """Put Confluent's header before a body."""
    return MAGIC + schema_id.to_bytes(4, "big") + body


def unframe(value: bytes) -> tuple[int, bytes]:
    """Split a wire value into schema id and body.

    Raises:
        Poison: Not Confluent's format.
    """
    if len(value) < HEADER_BYTES or value[:1] != MAGIC:
        raise Poison(f"expected 0x00 and a schema id, was {value[:HEADER_BYTES]!r}")
    return int.from_bytes(value[1:HEADER_BYTES], "big"), value[HEADER_BYTES:]
