"""Saved states on the real broker: whole or not at all, and written only where they changed."""

import os
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from structlog.testing import capture_logs

from infra.admin import create_topics, delete_namespace
from infra.connection import Connection
from infra.deploy import register_all
from infra.publish import Publisher
from infra.reader import read_named
from infra.registry import Registry, Serde
from infra.runner import Instance
from infra.settings import Settings
from infra.states import PART_BYTES, Shelf
from infra.topology import Topology
from schemas.role import Role, Step, reference
from schemas.topics import INSTRUMENTS, state_topic

pytestmark = pytest.mark.stack


def role(version: int) -> Role:
    return Role(
        name="conformance.saved", version=version, scope="universe",
        inputs=(reference(INSTRUMENTS),), outputs=(), initial={},
        step=lambda state, _: Step(state, []),
    )  # fmt: skip


ROLE, LATER = role(1), role(2)


class Place(NamedTuple):
    connection: Connection
    serde: Serde
    publisher: Publisher
    instance: Instance

    def save(self, shelf: Shelf, body: bytes) -> None:
        shelf.save(self.publisher, self.instance, body)
        self.publisher.flush()

    def load(self, role: Role = ROLE, name: str = "0") -> bytes | None:
        return Shelf(role, name).load(self.connection, self.serde)

    def records(self) -> list[Any]:
        topic = state_topic(ROLE.name)
        return list(read_named(self.connection, self.connection.topic(topic), topic.name))


@pytest.fixture
def place(stack: Any) -> Iterator[Place]:
    namespace = f"demo.test.{os.getpid()}-{time.monotonic_ns()}"
    connection = Connection(settings=Settings(), endpoints=stack, namespace=namespace)
    registry = Registry(stack.registry_url)
    register_all(registry)
    topology = Topology((ROLE,), (), 1)
    create_topics(connection, topology)
    serde = Serde(registry)
    publisher = Publisher(connection, serde, client="test")
    yield Place(connection, serde, publisher, Instance(ROLE, "0", topology, serde))
    publisher.close()
    registry.close()
    delete_namespace(connection, namespace)


def body(*letters: str) -> bytes:
    """Return a state of whole parts, a letter each."""
    return b"".join(each.encode() * PART_BYTES for each in letters)


def test_a_part_that_did_not_change_is_not_written_again(place: Place) -> None:
    shelf = Shelf(ROLE, "0")
    place.save(shelf, body("a", "b", "c") + b"end")
    before = len(place.records())

    place.save(shelf, body("a", "x", "c") + b"end")

    written = place.records()[before:]
    assert [each.value is None for each in written] == [False, False, True]
    assert place.load() == body("a", "x", "c") + b"end"


class Cut(Publisher):
    """Writes so many records and no more, as a killed process does."""

    left = 0

    def _produce(self, *said: Any) -> None:
        if self.left == 0:
            raise InterruptedError
        self.left -= 1
        super()._produce(*said)


def test_whichever_record_a_crash_cuts_a_whole_state_is_left(place: Place) -> None:
    old, found = body("a", "b", "c"), []
    for left, letters in enumerate(("de", "fg", "hi", "jk", "lm")):
        new = body("a", *letters)
        place.save(Shelf(ROLE, "0"), old)
        shelf = Shelf(ROLE, "0")
        shelf.load(place.connection, place.serde)
        cut = Cut(place.connection, place.serde, client="test")
        cut.left = left

        with pytest.raises(InterruptedError):
            shelf.save(cut, place.instance, new)
        cut.flush()

        found.append({old: "old", new: "new"}.get(place.load() or b""))
    assert found == ["old", "old", "old", "new", "new"]


def test_one_that_takes_over_sweeps_up_what_a_crash_left(place: Place) -> None:
    place.save(Shelf(ROLE, "0"), body("a", "b"))
    place.save(Shelf(ROLE, "0"), body("c"))
    shelf = Shelf(ROLE, "0")
    shelf.load(place.connection, place.serde)

    place.save(shelf, body("c", "d"))

    alive = dict[str, Any]()
    for each in place.records():
        alive[each.key] = each.value
    assert sum(value is not None for value in alive.values()) == 3
    assert place.load() == body("c", "d")


def test_a_state_whose_part_is_gone_is_no_state(place: Place) -> None:
    shelf = Shelf(ROLE, "0")
    place.save(shelf, body("a", "b"))
    name = place.connection.topic(state_topic(ROLE.name))
    [gone, *_] = [each.key for each in place.records() if ":" in each.key]
    place.publisher._producer.produce(name, None, gone.encode())
    place.publisher.flush()

    with capture_logs() as said:
        assert place.load() is None
    assert [each["event"] for each in said] == ["state_not_usable"]


def test_a_state_of_another_fold_version_is_not_loaded_and_the_next_one_replaces_it(
    place: Place,
) -> None:
    place.save(Shelf(ROLE, "0"), body("a"))
    shelf = Shelf(LATER, "0")

    found = shelf.load(place.connection, place.serde)
    place.save(shelf, body("b"))

    assert (found, place.load(LATER), place.load()) == (None, body("b"), None)
    assert shelf.saved == 2
