"""What the services are told, and where a stack says it is."""

from pathlib import Path

import pytest

from infra.settings import Settings
from infra.stack import cluster, endpoints, kafka, ports
from infra.stack.redis import Redis
from infra.stack.registry import Registry
from infra.stack.service import Plan, services

LOCAL = {name: 20_000 + number for number, name in enumerate(ports.NAMES)}
PASSWORD = "s3cret-word"  # noqa: S105 -- planted, to be looked for


def plan(root: Path) -> Plan:
    return Plan(
        root=root,
        parts=endpoints.PARTS,
        ports=LOCAL,
        jars=root / "jars",
        registry_app=root / "app",
        password=PASSWORD,
        ready_s_max=1.0,
        stop_s_max=1.0,
        owner=None,
    )


def settings(**own: object) -> Settings:
    return Settings.model_validate(own)


def rendered(*nodes: kafka.Node, of: int = 0) -> dict[str, str]:
    lines = kafka.render(Path("data"), nodes[of], nodes).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_the_broker_listens_on_loopback_only_and_keeps_records_of_any_date() -> None:
    told = rendered(kafka.Node(1, 19_092, 19_093))

    assert told["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert told["auto.create.topics.enable"] == "false"
    assert told["log.retention.ms"] == "-1"
    assert told["log.message.timestamp.after.max.ms"] == str(2**63 - 1)
    assert told["offsets.topic.num.partitions"] == "1"
    assert told["group.initial.rebalance.delay.ms"] == "0"
    assert (told["default.replication.factor"], told["min.insync.replicas"]) == ("1", "1")


def test_three_brokers_keep_three_copies_of_which_two_acknowledge() -> None:
    three = [kafka.Node(node, 19_090 + node, 19_190 + node) for node in (1, 2, 3)]
    told = rendered(*three, of=1)
    copies = ("default", "offsets.topic", "transaction.state.log", "share.coordinator.state.topic")

    assert told["node.id"] == "2"
    assert told["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19192"
    assert told["controller.quorum.voters"] == (
        "1@127.0.0.1:19191,2@127.0.0.1:19192,3@127.0.0.1:19193"
    )
    assert {told[f"{each}.replication.factor"] for each in copies} == {"3"}
    assert told["min.insync.replicas"] == told["transaction.state.log.min.isr"] == "2"


def test_who_comes_by_a_proxy_is_told_to_come_by_it_again() -> None:
    told = rendered(kafka.Node(1, 19_092, 19_093, ((19_094, 18_000), (19_095, 18_001))))

    assert "BEHIND_1://127.0.0.1:19095" in told["listeners"].split(",")
    assert told["advertised.listeners"] == (
        "PLAINTEXT://127.0.0.1:19092,BEHIND_0://127.0.0.1:18000,BEHIND_1://127.0.0.1:18001"
    )
    assert "BEHIND_1:PLAINTEXT" in told["listener.security.protocol.map"].split(",")


def test_each_of_three_brokers_has_ports_of_its_own_and_clients_are_told_of_all() -> None:
    local = {name: 20_000 + number for number, name in enumerate(ports.names(3))}

    assert len(local) == len(ports.NAMES) + 4
    assert endpoints.merge(settings(), local, PASSWORD).kafka_bootstrap == (
        "127.0.0.1:20000,127.0.0.1:20006,127.0.0.1:20008"
    )
    assert services(("kafka", "redis"), 3) == ("kafka-1", "kafka-2", "kafka-3", "redis")
    assert services(("kafka", "redis"), 1) == ("kafka", "redis")


def test_a_cluster_id_has_22_characters_and_no_leading_dash() -> None:
    ids = {cluster.fresh_id() for _ in range(500)}

    assert len(ids) == 500
    assert {len(each) for each in ids} == {22}
    assert not [each for each in ids if each.startswith("-")]


def test_the_registrys_password_is_not_on_its_command_line(tmp_path: Path) -> None:
    launch = Registry(plan(tmp_path)).process()

    assert PASSWORD not in " ".join(launch.argv)
    assert launch.env["APICURIO_DATASOURCE_PASSWORD"] == PASSWORD


@pytest.mark.parametrize("service", [Registry, Redis])
def test_a_service_binds_loopback(service: type[Registry | Redis], tmp_path: Path) -> None:
    argv = " ".join(service(plan(tmp_path)).process().argv)

    assert "127.0.0.1" in argv
    assert "0.0.0.0" not in argv  # noqa: S104 -- the address that must not appear


def test_without_settings_every_part_is_local() -> None:
    there = endpoints.merge(settings(), LOCAL, PASSWORD)

    assert endpoints.local_parts(settings()) == endpoints.PARTS
    assert there.kafka_bootstrap == f"127.0.0.1:{LOCAL['kafka']}"
    assert there.registry_url == f"http://127.0.0.1:{LOCAL['registry']}/apis/ccompat/v7"
    assert there.postgres_dsn.endswith(f":{LOCAL['postgres']}/aegis")
    assert there.redis_url == f"redis://127.0.0.1:{LOCAL['redis']}/0"


def test_a_users_own_kafka_replaces_only_the_local_one() -> None:
    own = settings(kafka={"bootstrap": "kafka.example:9092"})

    assert endpoints.local_parts(own) == ("registry", "postgres", "redis")
    assert endpoints.merge(own, LOCAL, PASSWORD).kafka_bootstrap == "kafka.example:9092"


def test_a_local_registry_needs_the_local_database_beside_a_users_own() -> None:
    own = settings(postgres={"dsn": "postgresql://me:mine@db.example/aegis"})

    assert "postgres" in endpoints.local_parts(own)
    assert "db.example" in endpoints.merge(own, LOCAL, PASSWORD).postgres_dsn


def test_no_password_shows_in_endpoints_or_masked_urls() -> None:
    there = endpoints.merge(settings(), LOCAL, PASSWORD)

    assert PASSWORD not in repr(there)
    assert PASSWORD not in repr(plan(Path("var")))
    assert endpoints.masked(there.postgres_dsn).startswith("postgresql://aegis:***@127.0.0.1:")
    assert endpoints.masked("redis://:word@h:1/0") == "redis://:***@h:1/0"


def test_sasl_settings_reach_the_kafka_client() -> None:
    own = settings(kafka={"sasl_username": "me", "sasl_password": "word"})
    client = endpoints.kafka_client(own, "k:1")

    assert client["security.protocol"] == "SASL_SSL"
    assert (client["sasl.username"], client["sasl.password"]) == ("me", "word")
    assert endpoints.kafka_client(settings(), "k:1") == {"bootstrap.servers": "k:1"}
