"""A record that could not be read is listed, shown and given again once, on the real broker."""

import getpass
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import TopicPartition
from typer.testing import CliRunner

from infra.admin import create_topics, delete_namespace
from infra.connection import Connection
from infra.deploy import register_all
from infra.log.letter_commands import app
from infra.log.records import Raw, Source
from infra.log_model import effective
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.runner import Instance
from infra.settings import Settings
from infra.topology import Topology
from schemas.ops import ActAudited
from schemas.role import ORIGIN_HEADER, Role, Step, command
from schemas.testing import trade
from schemas.topics import AUDIT, DEAD_LETTERS, SIGNALS, TRADES

pytestmark = pytest.mark.stack

ROLE = Role(
    name="conformance.reader", version=1, scope="universe", inputs=(command(TRADES),),
    outputs=(DEAD_LETTERS,), initial=0, step=lambda state, batch: Step(state + len(batch.records)),
)  # fmt: skip
SOURCE = "market.decode@1/0"
FIRST = f"{TRADES.name}/0/1"


class Place(NamedTuple):
    connection: Connection
    serde: Serde
    reader: Instance
    aegis: Callable[..., tuple[int, dict[str, Any], str]]

    def plant(self, number: int, value: bytes) -> None:
        """Write a record of the source, as its ordinal ``number``."""
        origin = (ORIGIN_HEADER, f"{SOURCE}:{number}".encode())
        producer = Producer(self.connection.client("test"))
        producer.produce(
            self.connection.topic(TRADES), value, b"005930", partition=0, timestamp=1_000 + number,
            headers=[("a", b"1"), origin, ("a", None)],
        )  # fmt: skip
        assert producer.flush(10) == 0

    def read(self) -> int:
        """Let the reader read on, publish its letters, and say how many records it took."""
        taken = self.reader._state
        publisher = Publisher(self.connection, self.serde, client="test")
        fresh = [
            each
            for each in read_all(self.connection, TRADES)
            if each.offset >= self.reader.offsets.get(f"{TRADES.name}/{each.partition}", 0)
        ]
        for out in self.reader.feed(fresh).outputs:
            publisher.write(out)
        publisher.flush()
        publisher.close()
        return int(self.reader._state - taken)

    def trades(self) -> list[Raw]:
        with closing(Source(self.connection)) as source:
            name = self.connection.topic(TRADES)
            return list(source.read(name, 0, *source.ends(name, 0)))

    def acts(self) -> list[ActAudited]:
        return [self.serde.decode(AUDIT, e.value or b"") for e in read_all(self.connection, AUDIT)]


@pytest.fixture
def place(
    stack: Any,
    environment_of: Callable[[Path], dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    namespace = f"test.letters-{os.getpid()}-{time.monotonic_ns()}"
    connection = Connection(settings=Settings(), endpoints=stack, namespace=namespace)
    registry = Registry(stack.registry_url)
    register_all(registry)
    serde = Serde(registry)
    topology = Topology((ROLE,), ("kis.ws.0",))
    create_topics(connection, topology)

    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)

    def aegis(*arguments: str) -> tuple[int, dict[str, Any], str]:
        done = CliRunner().invoke(app, [*arguments, "--run", namespace, "--json"])
        lines = done.stdout.splitlines()
        told = json.loads(lines[-1]) if lines else {}
        return done.exit_code, told, f"{done.stderr}{done.exception}"

    place = Place(connection, serde, Instance(ROLE, "all", topology, serde), aegis)
    place.plant(1, serde.encode(TRADES, trade(100)))
    place.plant(2, serde.encode(TRADES, trade(200))[:-3])
    place.plant(3, serde.encode(TRADES, trade(300)))
    assert place.read() == 2
    yield place
    registry.close()
    delete_namespace(connection, namespace)


def test_a_poison_record_is_listed_and_shown_whole(place: Place) -> None:
    status, listed, _ = place.aegis("ls")
    _, elsewhere, _ = place.aegis("ls", "--topic", SIGNALS.name)
    _, shown, _ = place.aegis("show", FIRST)

    [row] = listed["records"]
    assert (status, row["origin"], row["attempts"], row["redriven"]) == (0, FIRST, 1, 0)
    assert (row["roles"], row["error"]) == ([ROLE.name], "Poison")
    assert elsewhere["records"] == []
    value = place.trades()[1].value or b""
    assert shown["original"] == {
        "timestamp_ms": 1_002,
        "key": "005930",
        "headers": [["a", "1"], ["origin", f"{SOURCE}:2"], ["a", None]],
        "value": value.hex(),
    }
    assert shown["letters"][0]["payload"] == value.hex()
    assert shown["decoded"]["record"] == "Trade"
    assert shown["decoded"]["fields"]["price"] == 200
    assert shown["decoded"]["stopped"].startswith("field ")


def test_a_record_is_redriven_once_with_the_same_bytes(place: Place) -> None:
    before = place.trades()

    status, told, _ = place.aegis("redrive", FIRST, "--reason", "fixed the reader")
    refused, _, why = place.aegis("redrive", FIRST)
    nothing, rest, _ = place.aegis("redrive", "--all")

    after = place.trades()
    letter = f"{DEAD_LETTERS.name}/0/0"
    assert (status, told["redriven"]) == (
        0, [{"origin": FIRST, "letter": letter, "now": f"{TRADES.name}/0/3"}],
    )  # fmt: skip
    assert after[:3] == before
    assert after[3:] == [
        before[1]._replace(
            offset=3,
            headers=(
                ("a", b"1"), ("redriven-origin", f"{SOURCE}:2".encode()), ("a", None),
                ("redriven", letter.encode()),
            ),
        )
    ]  # fmt: skip
    assert refused != 0
    assert "expected a record that was not redriven, was redriven 1 times" in why
    assert (nothing, rest["redriven"]) == (0, [])
    [act] = place.acts()
    assert (act.act, act.subject, act.allowed) == ("redrive", FIRST, True)
    assert act.reason == "fixed the reader"
    assert act.actor.startswith(f"{getpass.getuser()}@")


def test_said_again_it_is_redriven_again(place: Place) -> None:
    place.aegis("redrive", "--all")

    status, told, _ = place.aegis("redrive", FIRST, "--again")

    assert (status, [each["origin"] for each in told["redriven"]]) == (0, [FIRST])
    assert [each["redriven"] for each in place.aegis("ls")[1]["records"]] == [2]
    assert len(place.trades()) == 5


def test_readers_do_not_drop_a_redriven_record_nor_what_its_source_writes_next(
    place: Place,
) -> None:
    whole = place.serde.encode(TRADES, trade(200))
    place.plant(3, whole)
    assert place.read() == 0

    place.aegis("redrive", FIRST)
    place.plant(4, whole)

    assert place.read() == 1
    letters = [each.key for each in read_all(place.connection, DEAD_LETTERS)]
    assert letters == [FIRST, f"{TRADES.name}/0/4"]
    kept = [each.offset for each in effective(read_all(place.connection, TRADES))]
    assert kept == [0, 1, 2, 4, 6]


def test_two_letters_about_one_record_redrive_it_once(place: Place) -> None:
    [letter] = read_all(place.connection, DEAD_LETTERS)
    producer = Producer(place.connection.client("test"))
    producer.produce(place.connection.topic(DEAD_LETTERS), letter.value, letter.key.encode())
    assert producer.flush(10) == 0

    _, told, _ = place.aegis("redrive", "--all")

    assert [each["letter"] for each in told["redriven"]] == [f"{DEAD_LETTERS.name}/0/1"]
    [row] = place.aegis("ls")[1]["records"]
    assert (row["attempts"], len(row["letters"])) == (1, 2)


def test_a_record_that_retention_has_deleted_is_said_to_be_gone(place: Place) -> None:
    admin = AdminClient(place.connection.client("test"))
    where = TopicPartition(place.connection.topic(TRADES), 0, 2)
    [done] = admin.delete_records([where]).values()
    done.result(10)

    status, _, why = place.aegis("redrive", FIRST)
    every, told, _ = place.aegis("redrive", "--all")
    shown = place.aegis("show", FIRST)[1]

    assert status != 0
    assert f"{FIRST}: expected the record at its offset, was gone" in why
    assert (every, told) == (0, {"redriven": [], "gone": [FIRST]})
    assert shown["original"] is None
    assert shown["decoded"]["fields"]["price"] == 200
    assert place.acts() == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "market.trades/0/7"), "expected a dead letter about it, was none among 1"),
        (("redrive", "market.trades"), "expected topic/partition/offset, was 'market.trades'"),
        (("redrive",), "expected places or --all, was both or neither"),
    ],
)
def test_what_nobody_said_is_refused_in_one_sentence(
    place: Place, arguments: tuple[str, ...], says: str
) -> None:
    status, _, why = place.aegis(*arguments)

    assert status != 0
    assert says in why
