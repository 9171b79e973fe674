"""The local stack: it starts once, refuses clearly, keeps what it was given, leaves nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from infra.settings import Settings
from infra.stack import doctor, state
from infra.stack import stack as local
from infra.stack.endpoints import Endpoints
from schemas.errors import Fatal, Misconfigured

pytestmark = pytest.mark.stack

GONE_S_MAX = 15.0
SCHEMA = '{"type":"record","name":"Tick","fields":[{"name":"price","type":"long"}]}'
RETYPED = '{"type":"record","name":"Tick","fields":[{"name":"price","type":"string"}]}'
OWNER = """
import os, sys, time
from infra.settings import Settings
from infra.stack import stack
stack.up(Settings.model_validate_json(sys.argv[1]), owner_pid=os.getpid())
print("up", flush=True)
time.sleep(60)
"""


def beside(there: Endpoints, var_dir: Path, **stack: Any) -> dict[str, Any]:
    """Return settings of a small stack that borrows another's Kafka and registry."""
    return {
        "var_dir": str(var_dir),
        "kafka": {"bootstrap": there.kafka_bootstrap},
        "registry": {"url": there.registry_url},
        "stack": stack,
    }


@pytest.fixture
def own(stack: Endpoints, tmp_path: Path) -> Iterator[Settings]:
    """Return settings of a small stack of this test's own; it is stopped whatever happens."""
    settings = Settings.model_validate(beside(stack, tmp_path))
    yield settings
    local.down(settings)


def processes_under(folder: Path) -> list[int]:
    """Return who still names a folder on its command line, or works in it."""
    found = []
    for each in psutil.process_iter(["cmdline", "cwd", "status"]):
        words = " ".join(each.info["cmdline"] or []) + str(each.info["cwd"])
        if str(folder) in words and each.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(each.pid)
    return [pid for pid in found if pid != os.getpid()]


def soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + GONE_S_MAX
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def everyone(settings: Settings) -> list[state.Process]:
    found = local.status(settings)
    keeper = [] if found.keeper is None else [found.keeper]
    return [*keeper, *found.children.values()]


def test_every_part_answers_the_doctor(stack: Endpoints, stack_settings: Settings) -> None:
    findings = doctor.examine(stack_settings)

    assert local.attach(stack_settings) == stack
    assert [each for each in findings if not each.ok] == []
    assert {"kafka", "registry", "postgres", "redis"} <= {each.name for each in findings}


def test_an_incompatible_schema_is_refused_without_anybody_asking(stack: Endpoints) -> None:
    versions = f"{stack.registry_url}/subjects/test-stack-tick/versions"

    first = httpx.post(versions, json={"schema": SCHEMA})
    second = httpx.post(versions, json={"schema": RETYPED})

    assert (first.status_code, second.status_code) == (200, 409)


def test_a_second_up_joins_the_first(stack: Endpoints, stack_settings: Settings) -> None:
    before = everyone(stack_settings)

    assert local.up(stack_settings) == stack
    assert everyone(stack_settings) == before


def test_two_stacks_live_side_by_side_and_down_keeps_only_the_ports(
    stack: Endpoints, own: Settings, tmp_path: Path
) -> None:
    second = local.up(own)
    lived = [each.pid for each in everyone(own)]
    stopped = local.down(own)
    again = local.up(own)
    local.down(own)

    assert second.redis_url != stack.redis_url
    assert len(lived) == 3
    assert stopped
    assert again == second
    assert processes_under(tmp_path) == []
    assert [each for each in everyone(own) if each.living()] == []
    assert not local.down(own)


def test_a_taken_port_is_named_with_its_setting(stack: Endpoints, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = squatter.getsockname()[1]
        settings = Settings.model_validate(beside(stack, tmp_path, redis_port=taken))

        with pytest.raises(Misconfigured, match=rf"port {taken} .*AEGIS_STACK__REDIS_PORT"):
            local.up(settings)
    assert processes_under(tmp_path) == []


def test_a_service_that_does_not_answer_in_time_is_named_with_its_log(
    stack: Endpoints, tmp_path: Path
) -> None:
    settings = Settings.model_validate(beside(stack, tmp_path, ready_s_max=0.0001))

    with pytest.raises(Fatal, match=r"did not answer within 0\.0001 s.*AEGIS_STACK__READY_S_MAX"):
        local.up(settings)
    assert soon(lambda: processes_under(tmp_path) == [])


def test_a_users_own_part_that_does_not_answer_is_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    settings = Settings.model_validate(
        {"var_dir": tmp_path, "registry": {"url": "http://127.0.0.1:9/apis"}}
    )

    with pytest.raises(Misconfigured, match=r"registry: expected .*AEGIS_REGISTRY__URL"):
        local.up(settings)
    assert not (tmp_path / "stack").exists()


@pytest.mark.parametrize("victim", ["owner", "keeper"])
def test_a_killed_owner_or_keeper_leaves_no_process(
    victim: str, stack: Endpoints, own: Settings, tmp_path: Path
) -> None:
    raw = json.dumps(beside(stack, tmp_path))
    with subprocess.Popen([sys.executable, "-c", OWNER, raw], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        lived = everyone(own)
        pid = owner.pid if victim == "owner" else lived[0].pid
        os.kill(pid, signal.SIGKILL)
        gone = soon(lambda: not [each for each in lived if each.living()])
        owner.kill()

    assert len(lived) == 3
    assert gone


HEARING = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("infra.stack", run_name="__main__", alter_sys=True)
"""
"""A shell lets what it runs in the background ignore Ctrl-C, and its children for ever after."""


def test_an_interrupted_up_leaves_no_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HEARING, "up"],
        env={**os.environ, "AEGIS_VAR_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as starting:
        started = soon(lambda: len(local.status(Settings(var_dir=tmp_path)).children) > 0)
        starting.send_signal(signal.SIGINT)
        starting.communicate()

    assert started
    assert starting.returncode != 0
    assert soon(lambda: processes_under(tmp_path) == [])


def test_what_was_produced_decodes_after_down_and_up(tmp_path: Path) -> None:
    settings = Settings(var_dir=tmp_path)
    with local.running(settings) as first:
        answer = httpx.post(
            f"{first.registry_url}/subjects/tick-value/versions", json={"schema": SCHEMA}
        )
        identity = int(answer.json()["id"])
        with psycopg.connect(first.postgres_dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        produce(first, identity.to_bytes(4, "big") + b"\x2a")
    left = processes_under(tmp_path)

    with local.running(settings) as second:
        value = consume(second)
        found = int.from_bytes(value[:4], "big")
        schema = httpx.get(f"{second.registry_url}/schemas/ids/{found}").json()["schema"]
        with psycopg.connect(second.postgres_dsn) as connection:
            kept = connection.execute("SELECT answer FROM kept").fetchone()

    assert left == []
    assert first == second
    assert value[4:] == b"\x2a"
    assert json.loads(schema) == json.loads(SCHEMA)
    assert kept == (42,)


def test_three_brokers_lose_one_go_on_take_it_back_and_leave_nothing(
    stack: Endpoints, tmp_path: Path
) -> None:
    raw = beside(stack, tmp_path) | {
        "kafka": {},
        "postgres": {"dsn": stack.postgres_dsn},
        "redis": {"url": stack.redis_url},
    }
    settings = Settings.model_validate(raw)
    with local.running(settings, brokers=3) as there:
        admin = AdminClient({"bootstrap.servers": there.kafka_bootstrap})
        admin.create_topics([NewTopic("kept", 1)])["kept"].result(10)
        before = produced(there, "kept", 0)
        made = admin.list_topics(timeout=10).topics["kept"].partitions[0]
        started = local.status(settings).children
        os.kill(started[f"kafka-{made.leader}"].pid, signal.SIGKILL)

        after = produced(there, "kept", 1)
        moved = admin.list_topics(timeout=10).topics["kept"].partitions[0]
        wounded = local.status(settings).is_whole()
        read = offsets_read(there, "kept", 2)
        local.mend(settings)
        mended = local.status(settings).children

    assert len(made.replicas) == 3
    assert (before, after, read) == (0, 1, [0, 1])
    assert moved.leader != made.leader
    assert not wounded
    assert [name for name in mended if mended[name] != started[name]] == [f"kafka-{made.leader}"]
    assert processes_under(tmp_path) == []


def produced(there: Endpoints, topic: str, value: int) -> int | None:
    """Produce a record that two brokers must have; return its offset."""
    offsets: list[int | None] = []
    producer = Producer({"bootstrap.servers": there.kafka_bootstrap, "acks": "all"})
    producer.produce(
        topic, bytes([value]), on_delivery=lambda _, message: offsets.append(message.offset())
    )
    assert producer.flush(30) == 0
    return offsets[0]


def offsets_read(there: Endpoints, topic: str, count: int) -> list[int | None]:
    config = {"bootstrap.servers": there.kafka_bootstrap, "group.id": "r"}
    consumer = Consumer({**config, "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe([topic])
        return [each.offset() for each in consumer.consume(count, 20)]
    finally:
        consumer.close()


def produce(there: Endpoints, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": there.kafka_bootstrap})
    admin.create_topics([NewTopic("ticks", 1, 1)])["ticks"].result(10)
    producer = Producer({"bootstrap.servers": there.kafka_bootstrap, "transactional.id": "t"})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce("ticks", value, timestamp=1)  # 1970: no retention may eat it
    producer.commit_transaction(10)


def consume(there: Endpoints) -> bytes:
    consumer = Consumer(
        {
            "bootstrap.servers": there.kafka_bootstrap,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
        }
    )
    try:
        consumer.subscribe(["ticks"])
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        value = message.value()
        assert isinstance(value, bytes)
        return value
    finally:
        consumer.close()
