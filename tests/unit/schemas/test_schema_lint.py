"""The lint says what a registry lets pass: units, logical types, defaults, names, order."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from schemas.codec import schema_text
from schemas.fingerprints import subjects
from schemas.lint import changes, problems

OLD = schema_text("market.trades")
OPTIONAL = schema_text("market.disclosures")
Plant = Callable[[dict[str, Any]], object]


def planted(plant: Plant, text: str = OLD) -> str:
    """Return a schema after ``plant`` has changed it; fields are reached as ``s[name]``."""
    schema = copy.deepcopy(json.loads(text))
    view: dict[str, Any] = {each["name"]: each for each in schema["fields"]}
    plant({**view, "": schema, "fields": schema["fields"]})
    return json.dumps(schema)


def added(**field: Any) -> Plant:
    """Plant a documented field at the end."""
    return lambda s: s["fields"].append({"doc": "New.", **field})


@pytest.mark.parametrize("name", sorted(subjects()))
def test_every_schema_of_ours_keeps_the_rules(name: str) -> None:
    assert problems(schema_text(name)) == []


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (lambda s: s["price"].pop("doc"), "price: expected a doc"),
        (lambda s: s["price"].pop("unit"), "price: expected a unit on a long"),
        (lambda s: s["price"].update(unit="jeon"), "price: expected a unit of won"),
        (lambda s: s["price"].update(type="double"), "price: expected long for won"),
        (lambda s: s["qty"].update(type="double"), "qty: expected long for shares"),
        (lambda s: s["qty"].update(type="string"), "qty: expected long for shares"),
        (lambda s: s["qty"].update(type="int"), "qty: expected one of long"),
        (lambda s: s["qty"].update(type="float"), "qty: expected one of long"),
        (lambda s: s["ts_event"].update(type="long", unit="micros"), "ts_event: expected a times"),
        (
            lambda s: s["ts_event"]["type"].update(logicalType="timestamp-millis"),
            "ts_event: expected long timestamp-micros",
        ),
        (lambda s: s["ts_event"].update(unit="micros"), "ts_event: expected no unit"),
        (lambda s: s["kind"].update(name="tradeKind"), "tradeKind: expected a snake_case name"),
        (lambda s: s["kind"].update(name="kind_"), "kind_: expected a snake_case name"),
        (
            lambda s: s["kind"].update(type={"type": "enum", "name": "K", "symbols": ["a"]}),
            "kind: expected a string: an unknown enum symbol",
        ),
        (lambda s: s["kind"].update(aliases=["what"]), "kind: expected only default"),
        (lambda s: s["kind"].update(type=["string", "null"]), 'kind: expected ["null", T]'),
        (lambda s: s["kind"].update(type=["null", "string"]), "kind: expected the default null"),
        (lambda s: s["qty"].update(default="0"), "qty: expected a default that is a"),
        (lambda s: s["qty"].update(default=False), "qty: expected a default that is a"),
        (lambda s: s[""].update(name="trade"), "expected a record name like Trade"),
        (lambda s: s[""].update(namespace="market"), "expected a namespace aegis.<module>"),
        (lambda s: s[""].pop("doc"), "expected a doc that says"),
        (lambda s: s["fields"].reverse(), "expected to begin with ts_event, ts_ingest"),
        (added(name="qty", type="long", unit="shares"), "qty: expected once"),
        (
            added(name="xs", type={"type": "array", "items": "long"}),
            "xs: expected a unit on a long",
        ),
        (
            added(name="xs", type={"type": "map", "values": "float"}, unit="1"),
            "xs: expected values of long",
        ),
        (
            added(name="xs", type=["null", {"type": "map", "values": "string"}], default=None),
            "xs: expected an empty array or map",
        ),
    ],
)
def test_a_broken_rule_is_named_with_its_field(plant: Plant, says: str) -> None:
    found = problems(planted(plant))

    assert any(each.startswith(says) for each in found), found


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "enum"}'])
def test_what_is_no_record_is_said_so(text: str) -> None:
    [found] = problems(text)

    assert found.startswith("expected ")


def test_a_python_word_may_end_with_an_underscore() -> None:
    assert problems(planted(added(name="return_", type="double", unit="1"))) == []


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (lambda s: s["price"].update(unit="shares"), "price: expected unit 'won'"),
        (lambda s: s["price"].pop("unit"), "price: expected unit 'won', was no unit"),
        (lambda s: s["ts_event"].update(type="long"), "ts_event: expected the logical type"),
        (
            lambda s: s["ts_event"]["type"].update(logicalType="timestamp-millis"),
            "ts_event: expected the logical type",
        ),
        (
            lambda s: s["ts_event"]["type"].update(precision=3),
            "ts_event: expected the logical type and precision",
        ),
        (lambda s: s["price"].update(type="double"), 'price: expected the type "long"'),
        (lambda s: s["price"].update(default=0), "price: expected no default, was default 0"),
        (lambda s: s["price"].update(name="cost"), "price: expected to stay"),
        (lambda s: s["price"].update(name="cost"), "cost: expected a default"),
        (lambda s: s["fields"].pop(), "vi_base: expected to stay"),
        (added(name="lot", type="long", unit="shares"), "lot: expected a default"),
        (lambda s: s["fields"].insert(2, s["fields"].pop(3)), "expected the order ts_event"),
        (
            lambda s: s["fields"].insert(
                2, {"name": "lot", "type": "long", "unit": "shares", "default": 1, "doc": "D"}
            ),
            "expected new fields after the released ones",
        ),
        (lambda s: s[""].update(name="Print"), "name: expected 'Trade' for ever"),
        (lambda s: s[""].update(namespace="aegis.raw"), "namespace: expected 'aegis.market'"),
    ],
)
def test_a_change_of_meaning_is_refused(plant: Plant, says: str) -> None:
    found = changes(OLD, planted(plant))

    assert any(each.startswith(says) for each in found), found


def test_a_changed_default_is_refused() -> None:
    new = planted(lambda s: s["symbol"].update(default=""), OPTIONAL)

    assert changes(OPTIONAL, new) == ["symbol: expected default None, was default ''"]


@pytest.mark.parametrize(
    "plant",
    [
        lambda s: s["price"].update(doc="Said better."),
        lambda s: s[""].update(doc="Said better."),
        added(name="lot", type="long", unit="shares", default=1),
        added(name="lot", type=["null", "long"], unit="shares", default=None),
    ],
)
def test_new_words_and_new_optional_fields_are_allowed(plant: Plant) -> None:
    new = planted(plant)

    assert changes(OLD, new) == []
    assert problems(new) == []


def test_an_optional_field_may_be_removed() -> None:
    new = planted(lambda s: s["fields"].remove(s["symbol"]), OPTIONAL)

    assert changes(OPTIONAL, new) == []
