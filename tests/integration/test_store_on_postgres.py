"""The store on real Kafka and PostgreSQL: once each, and the same rows after a rebuild."""

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from psycopg import sql

from consumers.execution.events import order_event
from consumers.store import shell
from consumers.store.projection import Projection
from infra.admin import create_topics, delete_namespace
from infra.clock import WallClock
from infra.connection import Connection
from infra.deploy import register_all
from infra.host import Context
from infra.publish import Publisher
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.topology import Topology
from schemas import topics
from schemas.portfolio import PerformanceStated
from schemas.units import Micros, Won

pytestmark = pytest.mark.stack

WAIT_S = 20.0
EVENTS = 50


@pytest.fixture
def context(stack: Any) -> Iterator[Context]:
    namespace = f"demo.store.{os.getpid()}-{time.monotonic_ns()}"
    connection = Connection(settings=Settings(), endpoints=stack, namespace=namespace)
    registry = Registry(stack.registry_url)
    register_all(registry)
    topology = Topology(roles=(), raw_sources=("kis.ws.0",))
    create_topics(connection, topology)
    yield Context(
        connection=connection,
        topology=topology,
        serde=Serde(registry),
        clock=WallClock(),
        settings=connection.settings,
        metrics=CollectorRegistry(),
    )
    delete_namespace(connection, namespace)
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as database:
        database.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(connection.pg_schema))
        )
    registry.close()


def publish(context: Context, first: int, last: int) -> None:
    publisher = Publisher(context.connection, context.serde, client="test")
    for index in range(first, last):
        at = Micros(1_770_681_600_000_000 + index)
        publisher.send(
            topics.ORDERS,
            "a1",
            order_event(
                "filled", at=at, ingest=at, account="a1", event_id=f"e{index % EVENTS}", qty=index,
                checks=("order",), headrooms=(0.5,),
            ),
        )  # fmt: skip
    publisher.send(topics.PERFORMANCE, "a1", performance(Micros(1_770_681_600_000_000 + last)))
    publisher.flush()
    publisher.close()


def performance(at: Micros) -> PerformanceStated:
    return PerformanceStated(
        ts_event=at, ts_ingest=at, account="a1", date=20260210, equity=Won(1), return_=0.5,
        traded=Won(2), skill="not shown",
    )  # fmt: skip


def run_until(context: Context, events: int) -> None:
    """Run the service until it has passed so many order events."""
    context.stopping.clear()
    thread = threading.Thread(target=shell.run, args=(context,))
    thread.start()
    give_up = time.monotonic() + WAIT_S
    try:
        while time.monotonic() < give_up and places(context).get(("orders.events", 0)) != events:
            time.sleep(0.1)
    finally:
        context.stopping.set()
        thread.join(WAIT_S)
    assert places(context)["orders.events", 0] == events


def places(context: Context) -> dict[tuple[str, int], int]:
    with psycopg.connect(context.connection.endpoints.postgres_dsn, autocommit=True) as database:
        projection = Projection(database, context.connection.pg_schema)
        projection.prepare()
        return projection.places()


def rows(context: Context) -> list[Any]:
    with psycopg.connect(context.connection.endpoints.postgres_dsn) as database:
        schema = context.connection.pg_schema
        orders = sql.SQL("SELECT * FROM {} ORDER BY event_id").format(
            sql.Identifier(schema, "orders_events")
        )
        days = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, "portfolio_performance"))
        return [*database.execute(orders).fetchall(), *database.execute(days).fetchall()]


def test_rows_are_the_log_once_each_and_a_rebuild_gives_the_same(context: Context) -> None:
    publish(context, 0, EVENTS)
    run_until(context, EVENTS)
    publish(context, EVENTS, EVENTS + 10)
    run_until(context, EVENTS + 10)
    before = rows(context)

    shell.rebuild(context)
    run_until(context, EVENTS + 10)

    assert len(before) == EVENTS + 1
    assert rows(context) == before


def test_a_value_that_is_no_avro_goes_to_the_dead_letters_and_the_rest_goes_on(
    context: Context,
) -> None:
    from confluent_kafka import Producer  # noqa: PLC0415 -- only to write what we never would

    raw = Producer(context.connection.client("test"))
    raw.produce(context.connection.topic(topics.ORDERS), b"torn", "a1")
    raw.flush(10)
    publish(context, 0, 3)

    run_until(context, 4)

    assert len(rows(context)) == 4
