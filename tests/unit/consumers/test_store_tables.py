"""A table follows from its topic's schema, and a row from its event, exactly."""

from datetime import UTC, datetime

import pytest
from psycopg.types.json import Jsonb

from consumers.execution.events import order_event
from consumers.store.tables import instant, row, table, tables
from schemas import topics
from schemas.errors import Misconfigured
from schemas.units import Micros


def test_every_field_of_an_order_event_has_a_column_of_its_type() -> None:
    given = table(topics.ORDERS, ("event_id",))
    types = {each.name: each.type for each in given.columns}

    assert given.name == "orders_events"
    assert len(types) == len(topics.ORDERS.record.__dataclass_fields__)  # type: ignore[attr-defined] # a dataclass
    assert (types["ts_event"], types["price"]) == ("timestamptz", "bigint")
    assert (types["reason"], types["checks"]) == ("text", "jsonb")


def test_an_optional_field_may_be_null_and_no_other() -> None:
    given = table(topics.REPORTS, ("parent_id",))

    assert [each.name for each in given.columns if each.nullable] == ["first_fill"]


def test_an_instant_keeps_its_last_microsecond() -> None:
    assert instant(1_770_681_600_000_001) == datetime(2026, 2, 10, microsecond=1, tzinfo=UTC)


def test_a_key_that_is_no_field_is_refused() -> None:
    with pytest.raises(Misconfigured, match="order_id"):
        table(topics.ORDERS, ("order_id",))


def test_a_row_holds_the_event_in_column_order() -> None:
    given = table(topics.ORDERS, ("event_id",))
    event = order_event(
        "filled", at=Micros(0), ingest=Micros(1), account="a1", event_id="e1", qty=7, checks=("a",)
    )

    values = dict(zip((each.name for each in given.columns), row(given, event), strict=True))

    assert (values["event_id"], values["qty"], values["ts_event"]) == ("e1", 7, instant(0))
    assert isinstance(values["checks"], Jsonb)
    assert values["checks"].obj == ["a"]


def test_every_stored_topic_has_a_table_of_its_own() -> None:
    assert len({each.name for each in tables()}) == len(tables()) == 6
