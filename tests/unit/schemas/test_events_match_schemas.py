"""An event class and its schema say the same: names, order, types, units, absence, words."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from schemas.codec import schema_text
from schemas.fingerprints import HOME, subjects
from schemas.topics import Topic
from schemas.units import Micros, Shares, Symbol, Won

INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
MEANS: Mapping[Any, set[tuple[str, str | None]]] = {
    Micros: {(json.dumps(INSTANT), None), ('"long"', "micros")},
    Won: {('"long"', "won")},
    Shares: {('"long"', "shares")},
    Symbol: {('"string"', "symbol")},
    int: {('"long"', "1"), ('"long"', "yyyymmdd")},
    float: {('"double"', "1")},
    str: {('"string"', None)},
    bool: {('"boolean"', None)},
    bytes: {('"bytes"', None)},
}
"""What each Python type is on the wire: its Avro type and its unit."""

TOPICS = [pytest.param(topic, id=name) for name, topic in sorted(subjects().items())]


def schema_of(topic: Topic) -> Any:
    return json.loads(schema_text(topic.schema_name))


def says(hint: Any, field: Mapping[str, Any]) -> bool:
    """Whether a type hint and an Avro field mean the same values."""
    kind, unit = field["type"], field.get("unit")
    if get_origin(hint) in {Union, UnionType}:
        [inner] = [each for each in get_args(hint) if each is not NoneType]
        optional = isinstance(kind, list) and kind[0] == "null"
        return optional and says(inner, {"type": kind[1], "unit": unit})
    if get_origin(hint) is tuple:
        item, more = get_args(hint)
        return bool(
            more is Ellipsis
            and isinstance(kind, dict)
            and kind["type"] == "array"
            and says(item, {"type": kind["items"], "unit": unit})
        )
    if get_origin(hint) is Mapping:
        key, item = get_args(hint)
        return bool(
            key is str
            and isinstance(kind, dict)
            and kind["type"] == "map"
            and says(item, {"type": kind["values"], "unit": unit})
        )
    return (json.dumps(kind), unit) in MEANS[hint]


@pytest.mark.parametrize("topic", TOPICS)
def test_names_and_order_are_the_schemas(topic: Topic) -> None:
    assert [each.name for each in fields(topic.record)] == [
        each["name"] for each in schema_of(topic)["fields"]
    ]


@pytest.mark.parametrize("topic", TOPICS)
def test_types_and_units_are_the_schemas(topic: Topic) -> None:
    hints = get_type_hints(topic.record)

    assert [
        each["name"] for each in schema_of(topic)["fields"] if not says(hints[each["name"]], each)
    ] == []


@pytest.mark.parametrize("topic", TOPICS)
def test_defaults_are_the_schemas(topic: Topic) -> None:
    ours = {each.name: each.default for each in fields(topic.record)}

    assert {name: value for name, value in ours.items() if value is not MISSING} == {
        each["name"]: each["default"] for each in schema_of(topic)["fields"] if "default" in each
    }


@pytest.mark.parametrize("topic", TOPICS)
def test_record_is_named_after_its_class_and_module(topic: Topic) -> None:
    schema = schema_of(topic)

    assert schema["name"] == topic.record.__name__
    assert schema["namespace"] == topic.record.__module__.replace("schemas.", "aegis.")


@pytest.mark.parametrize("topic", TOPICS)
def test_words_are_the_schemas(topic: Topic) -> None:
    schema, words = schema_of(topic), " ".join((topic.record.__doc__ or "").split())

    assert words.startswith(schema["doc"])
    for each in schema["fields"]:
        assert f"{each['name']}: {each['doc']}" in words


@pytest.mark.parametrize("topic", TOPICS)
def test_an_event_is_frozen_slotted_and_said_by_name(topic: Topic) -> None:
    assert is_dataclass(topic.record)
    settings: Any = topic.record.__dataclass_params__  # type: ignore[attr-defined] # typeshed leaves it out
    assert settings.frozen
    assert "__slots__" in vars(topic.record)
    assert all(each.kw_only for each in fields(topic.record))


def test_every_schema_has_a_topic_and_every_topic_a_schema() -> None:
    files = {path.name.removesuffix(".avsc") for path in (HOME / "avro").glob("*.avsc")}

    assert files == set(subjects())
