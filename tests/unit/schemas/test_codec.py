"""Events on the wire: back unchanged, the same to another library, readable for ever."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import avro.io
import avro.schema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import topics
from schemas.codec import Codec, codec_of, frame, plain, schema_text, unframe
from schemas.errors import Poison
from schemas.fingerprints import HERE, golden_bytes, read_lock, subjects
from schemas.testing import build
from schemas.topics import Topic

TOPICS = [pytest.param(topic, id=name) for name, topic in sorted(subjects().items())]
RELEASED = [
    pytest.param(subjects()[name], entry["version"], id=f"{name}.v{entry['version']}")
    for name, entries in sorted(read_lock().items())
    if name in subjects()
    for entry in entries
]
LONG = 2**63
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "long": st.integers(-LONG, LONG - 1),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "bytes": st.binary(max_size=40),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    "null": st.none(),
}
QUICK = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return every value an Avro type may hold, as our events hold it."""
    if isinstance(kind, list):
        return st.one_of(*map(values, kind))
    if isinstance(kind, str):
        return VALUES[kind]
    if kind["type"] == "array":
        return st.lists(values(kind["items"]), max_size=3).map(tuple)
    if kind["type"] == "map":
        return st.dictionaries(VALUES["string"], values(kind["values"]), max_size=3)
    return VALUES[kind["type"]]


def events(topic: Topic) -> st.SearchStrategy[Any]:
    """Return every event a topic may hold."""
    fields = json.loads(schema_text(topic.schema_name))["fields"]
    return st.builds(topic.record, **{each["name"]: values(each["type"]) for each in fields})


def read_with_avro(body: bytes, text: str) -> Any:
    """Return what the Apache library reads with a schema (logical types left out)."""
    schema = avro.schema.parse(json.dumps(plain(json.loads(text))))
    source = BytesIO(body)
    found = avro.io.DatumReader(schema).read(avro.io.BinaryDecoder(source))
    assert source.tell() == len(body)
    return found


def as_avro(event: Any, names: list[str]) -> Any:
    found = {name: getattr(event, name) for name in names}
    return {name: list(each) if isinstance(each, tuple) else each for name, each in found.items()}


def names_in(text: str) -> list[str]:
    return [each["name"] for each in json.loads(text)["fields"]]


@pytest.mark.parametrize("topic", TOPICS)
@QUICK
@given(data=st.data())
def test_an_event_comes_back_and_another_library_reads_the_same(
    topic: Topic, data: st.DataObject
) -> None:
    event, text = data.draw(events(topic)), schema_text(topic.schema_name)

    body = codec_of(topic).encode(event)

    assert codec_of(topic).decode(body) == event
    assert read_with_avro(body, text) == as_avro(event, names_in(text))


@pytest.mark.parametrize("topic", TOPICS)
def test_a_built_event_has_every_field_filled_and_may_be_changed(topic: Topic) -> None:
    event = build(topic)

    changed = build(topic, ts_ingest=7)

    assert None not in as_avro(event, names_in(schema_text(topic.schema_name))).values()
    assert (changed.ts_event, changed.ts_ingest) == (event.ts_event, 7)
    with pytest.raises(TypeError, match="unexpected keyword"):
        build(topic, no_such_field=1)


@pytest.mark.parametrize(("topic", "version"), RELEASED)
def test_golden_bytes_decode_for_ever(topic: Topic, version: int) -> None:
    name = topic.schema_name
    body = HERE.golden(name, version).read_bytes()
    writer = HERE.released(name, version).read_text("utf-8")
    written = read_with_avro(body, writer)

    event = codec_of(topic).decode(body, writer)

    ours = json.loads(schema_text(name))["fields"]
    defaults = {each["name"]: each["default"] for each in ours if "default" in each}
    kept = {key: value for key, value in written.items() if key in names_in(schema_text(name))}
    assert as_avro(event, names_in(schema_text(name))) == defaults | kept


@pytest.mark.parametrize(("topic", "version"), RELEASED)
def test_released_readers_read_the_bytes_of_today(topic: Topic, version: int) -> None:
    today = schema_text(topic.schema_name)
    reader = HERE.released(topic.schema_name, version).read_text("utf-8")
    schemas = [avro.schema.parse(json.dumps(plain(json.loads(each)))) for each in (today, reader)]

    found: Any = avro.io.DatumReader(*schemas).read(
        avro.io.BinaryDecoder(BytesIO(golden_bytes(topic)))
    )

    shared = [name for name in names_in(reader) if name in names_in(today)]
    expected = as_avro(build(topic), shared)
    assert {name: found[name] for name in shared} == expected


@pytest.mark.parametrize("topic", TOPICS)
def test_the_newest_golden_bytes_are_what_the_codec_writes(topic: Topic) -> None:
    newest = len(read_lock()[topic.schema_name])
    golden = HERE.golden(topic.schema_name, newest).read_bytes()

    assert codec_of(topic).encode(codec_of(topic).decode(golden)) == golden


def test_an_older_writers_event_gets_the_default_of_a_new_field() -> None:
    old = schema_text("market.trades")
    schema = json.loads(old)
    schema["fields"] = [each for each in schema["fields"] if each["name"] != "vi_base"]
    older = json.dumps(schema)
    body = Codec(topics.TRADES.record, older).encode(build(topics.TRADES))
    schema["fields"].append({"name": "vi_base", "type": "long", "default": 5, "doc": "D"})
    newer = json.dumps(schema)

    event = Codec(topics.TRADES.record, newer).decode(body, older)

    assert event == build(topics.TRADES, vi_base=5)


@pytest.mark.parametrize("wrong", ["1", 2**63, -(2**63) - 1, None, b"1"])
def test_a_value_that_does_not_fit_is_poison(wrong: Any) -> None:
    with pytest.raises(Poison, match="expected Trade fields"):
        codec_of(topics.TRADES).encode(build(topics.TRADES, price=wrong))


@pytest.mark.parametrize("wrong", [1.0, 50_000.5, float("nan")])
def test_a_float_is_never_money(wrong: float) -> None:
    with pytest.raises(Poison, match="expected Trade fields"):
        codec_of(topics.TRADES).encode(build(topics.TRADES, price=wrong))
    with pytest.raises(Poison, match="expected Book fields"):
        codec_of(topics.BOOKS).encode(build(topics.BOOKS, ask_prices=(1, wrong)))
    with pytest.raises(Poison, match="expected Window fields"):
        codec_of(topics.WINDOWS).encode(build(topics.WINDOWS, bid=wrong))


def test_torn_and_overlong_bodies_are_poison() -> None:
    body = golden_bytes(topics.TRADES)

    for torn in (b"", body[:-1], body[:10], body + b"\x00"):
        with pytest.raises(Poison, match=r"expected"):
            codec_of(topics.TRADES).decode(torn)


@given(schema_id=st.integers(0, 2**32 - 1), body=st.binary(max_size=20))
def test_the_header_comes_back(schema_id: int, body: bytes) -> None:
    assert unframe(frame(schema_id, body)) == (schema_id, body)


@pytest.mark.parametrize("value", [b"", b"\x00\x00\x00\x01", b"\x01\x00\x00\x00\x01abc"])
def test_a_value_without_confluents_header_is_poison(value: bytes) -> None:
    with pytest.raises(Poison, match="expected 0x00 and a schema id"):
        unframe(value)
