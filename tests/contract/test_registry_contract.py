"""The contract on the real registry: what it refuses, and what only our lint does."""

import copy
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from infra.cli import build as front_door
from infra.deploy import HARMLESS, differences, register_all
from infra.registry import COMPATIBILITY, Incompatible, Registry, Serde, subject_of
from infra.stack.endpoints import Endpoints
from schemas import topics
from schemas.codec import codec_of, frame, schema_text, unframe
from schemas.errors import Misconfigured, Poison, Transient
from schemas.fingerprints import subjects
from schemas.lint import changes
from schemas.testing import build

pytestmark = pytest.mark.stack

TRADE = schema_text("market.trades")
Plant = Callable[[dict[str, Any]], object]


def planted(plant: Plant) -> str:
    """Return the trade's schema after ``plant`` has changed it."""
    schema = copy.deepcopy(json.loads(TRADE))
    plant({**{each["name"]: each for each in schema["fields"]}, "fields": schema["fields"]})
    return json.dumps(schema)


@pytest.fixture
def registry(stack: Endpoints) -> Iterator[Registry]:
    found = Registry(stack.registry_url)
    found.set_compatibility()
    yield found
    found.close()


@pytest.fixture
def subject(stack: Endpoints, registry: Registry) -> Iterator[str]:
    """Return a subject of this test's own that holds the trade, and remove it afterwards."""
    name = f"test.{uuid.uuid4().hex}-value"
    registry.register(name, TRADE)
    yield name
    with httpx.Client(base_url=stack.registry_url, timeout=10) as http:
        http.delete(f"/subjects/{name}").raise_for_status()
        http.delete(f"/subjects/{name}", params={"permanent": "true"}).raise_for_status()


def test_compatibility_is_the_strictest(registry: Registry) -> None:
    assert registry.compatibility() == COMPATIBILITY == "FULL_TRANSITIVE"


def test_every_subject_registers_and_keeps_its_id(registry: Registry) -> None:
    ids = register_all(registry)

    assert set(ids) == {subject_of(topic) for topic in subjects().values()}
    assert register_all(registry) == ids
    for name, topic in subjects().items():
        assert registry.lookup(subject_of(topic), schema_text(name)) == ids[subject_of(topic)]


def test_after_registering_nothing_differs(registry: Registry) -> None:
    register_all(registry)

    found = differences(registry)

    assert {subject_of(topic) for topic in subjects().values()} <= set(found)
    assert {each.state for each in found.values()} <= HARMLESS


@pytest.mark.parametrize(
    "plant",
    [
        lambda s: s["fields"].append(
            {"name": "lot", "type": "long", "unit": "shares", "doc": "Lot."}
        ),
        lambda s: s["price"].update(type="double"),
        lambda s: s["price"].update(type="string"),
        lambda s: s["fields"].pop(),
        lambda s: s["price"].update(name="cost"),
    ],
    ids=["added without default", "long to double", "long to string", "removed", "renamed"],
)
def test_an_incompatible_change_is_refused_by_registry_and_lint(
    registry: Registry, subject: str, plant: Plant
) -> None:
    new = planted(plant)

    with pytest.raises(Incompatible, match="expected a compatible schema"):
        registry.register(subject, new)
    assert changes(TRADE, new) != []


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (lambda s: s["price"].update(unit="jeon"), "price: expected unit 'won', was unit 'jeon'"),
        (lambda s: s["ts_event"].update(type="long"), "ts_event: expected the logical type"),
        (
            lambda s: s["ts_event"]["type"].update(logicalType="timestamp-millis"),
            "ts_event: expected the logical type",
        ),
        (lambda s: s["qty"].update(default=1), "qty: expected no default, was default 1"),
        (lambda s: s["fields"].insert(2, s["fields"].pop(3)), "expected the order ts_event"),
    ],
    ids=["price x100", "no logical type", "millis", "default", "order"],
)
def test_a_change_of_meaning_passes_the_registry_and_only_our_lint_refuses_it(
    registry: Registry, subject: str, plant: Plant, says: str
) -> None:
    new = planted(plant)

    assert registry.register(subject, new) > 0
    assert any(each.startswith(says) for each in changes(TRADE, new))


def test_an_optional_field_is_welcome_and_both_ways_readable(
    registry: Registry, subject: str
) -> None:
    field = {"name": "lot", "type": ["null", "long"], "default": None, "unit": "shares", "doc": "L"}
    new = planted(lambda s: s["fields"].append(field))

    first, second = registry.lookup(subject, TRADE), registry.register(subject, new)

    assert first != second
    assert registry.register(subject, TRADE) == first
    assert changes(TRADE, new) == []


def test_an_unregistered_schema_is_misconfigured(registry: Registry, subject: str) -> None:
    with pytest.raises(Misconfigured, match="aegis schemas register"):
        registry.lookup(subject, schema_text("signals"))
    with pytest.raises(Misconfigured, match="aegis schemas register"):
        registry.lookup("test.nobody-value", TRADE)


def test_a_registry_that_is_away_is_transient() -> None:
    away = Registry("http://127.0.0.1:9")

    with pytest.raises(Transient, match="expected the registry at"):
        away.subjects()
    away.close()


def test_serde_carries_events_of_every_topic(registry: Registry) -> None:
    register_all(registry)
    writer, reader = Serde(registry), Serde(registry)

    for topic in subjects().values():
        event = build(topic)

        assert reader.decode(topic, writer.encode(topic, event)) == event


def test_serde_refuses_unknown_ids_and_other_topics_records(registry: Registry) -> None:
    register_all(registry)
    serde = Serde(registry)
    trade = serde.encode(topics.TRADES, build(topics.TRADES))
    body = codec_of(topics.TRADES).encode(build(topics.TRADES))

    with pytest.raises(Poison, match="unknown"):
        serde.decode(topics.TRADES, frame(2**31 - 1, body))
    with pytest.raises(Poison, match=r"expected a Book on market\.books"):
        serde.decode(topics.BOOKS, trade)


def test_serde_reads_what_an_older_schema_wrote(registry: Registry, subject: str) -> None:
    register_all(registry)
    dropped = planted(lambda s: s["vi_base"].update(default=0))
    schema = json.loads(dropped)
    schema["fields"][2], schema["fields"][3] = schema["fields"][3], schema["fields"][2]
    older = json.dumps(schema)
    number = registry.register(subject, older)
    event = build(topics.TRADES)
    from_older = type(codec_of(topics.TRADES))(topics.TRADES.record, older).encode(event)

    found = Serde(registry).decode(topics.TRADES, frame(number, from_older))

    assert found == event
    assert from_older != unframe(Serde(registry).encode(topics.TRADES, event))[1]


def test_the_front_door_registers_and_finds_no_difference(
    stack: Endpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_REGISTRY__URL", stack.registry_url)
    runner, door = CliRunner(), front_door()

    registered = runner.invoke(door, ["schemas", "register", "--json"])
    compared = runner.invoke(door, ["schemas", "diff", "--json"])

    told = json.loads(registered.stdout.splitlines()[-1])
    assert (registered.exit_code, told["compatibility"]) == (0, "FULL_TRANSITIVE")
    assert len(told["ids"]) == len(subjects())
    found = json.loads(compared.stdout.splitlines()[-1])["subjects"]
    assert compared.exit_code == 0
    assert {each["state"] for each in found.values()} <= HARMLESS
