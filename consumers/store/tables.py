"""Tables that follow from the schemas: one per topic, its columns the record's fields.

    long > bigint    instant > timestamptz    double > double precision    string > text
    boolean > boolean    bytes > bytea    array, map > jsonb    a union with null > nullable

A row's key is its event's id, so the same event twice is one row.  ``portfolio.positions`` is
compacted: its table holds the newest state of an account, as a reader of the topic would.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb

from schemas import topics
from schemas.codec import schema_text
from schemas.errors import Misconfigured
from schemas.topics import Topic

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN: Final = {
    "long": "bigint",
    "int": "integer",
    "double": "double precision",
    "float": "real",
    "string": "text",
    "boolean": "boolean",
    "bytes": "bytea",
}


class Column(NamedTuple):
    """A field as a column."""

    name: str
    type: str
    nullable: bool


class Table(NamedTuple):
    """A topic as a table."""

    topic: Topic
    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


def table(topic: Topic, key: tuple[str, ...]) -> Table:
    """Return the table of a topic; its name is the topic's with underscores.

    Raises:
        Misconfigured: A key is no field, or a type has no column.
    """
    fields = json.loads(schema_text(topic.schema_name))["fields"]
    columns = tuple(_column(each["name"], each["type"]) for each in fields)
    missing = set(key) - {each.name for each in columns}
    if missing:
        raise Misconfigured(f"expected fields of {topic.name} as key, was {sorted(missing)}")
    return Table(topic, topic.name.replace(".", "_").replace("-", "_"), key, columns)


@cache
def tables() -> tuple[Table, ...]:
    """Return what is stored."""
    return (
        table(topics.SIGNALS, ("signal_id",)),
        table(topics.ORDERS, ("event_id",)),
        table(topics.REPORTS, ("parent_id",)),
        table(topics.POSITIONS, ("account",)),
        table(topics.PERFORMANCE, ("account", "date")),
        table(topics.FINAL, ("fire_id",)),
    )


def create(given: Table, schema: str) -> sql.Composed:
    """Return the statement that makes a table."""
    columns = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(each.name),
            sql.SQL(each.type),
            sql.SQL("" if each.nullable else " NOT NULL"),
        )
        for each in given.columns
    ]
    return sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))").format(
        sql.Identifier(schema, given.name),
        sql.SQL(", ").join(columns),
        sql.SQL(", ").join(map(sql.Identifier, given.key)),
    )


def upsert(given: Table, schema: str) -> sql.Composed:
    """Return the statement that writes a row, or writes it again."""
    names = [sql.Identifier(each.name) for each in given.columns]
    sets = [sql.SQL("{0} = EXCLUDED.{0}").format(each) for each in names]
    return sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}").format(
        sql.Identifier(schema, given.name),
        sql.SQL(", ").join(names),
        sql.SQL(", ").join([sql.Placeholder()] * len(names)),
        sql.SQL(", ").join(map(sql.Identifier, given.key)),
        sql.SQL(", ").join(sets),
    )


def row(given: Table, event: Any) -> tuple[Any, ...]:
    """Return an event's fields as the values of a row."""
    return tuple(_value(each, getattr(event, each.name)) for each in given.columns)


def instant(micros: int) -> datetime:
    """Return an instant as PostgreSQL keeps it: exact to the microsecond, UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def _value(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.type == "timestamptz":
        return instant(value)
    if column.type == "jsonb":
        return Jsonb(dict(value) if isinstance(value, Mapping) else list(value))
    return value


def _column(name: str, kind: Any) -> Column:
    if isinstance(kind, list):
        [inner] = [each for each in kind if each != "null"]
        return _column(name, inner)._replace(nullable=True)
    if isinstance(kind, Mapping):
        if kind.get("logicalType") == "timestamp-micros":
            return Column(name, "timestamptz", nullable=False)
        if kind["type"] in {"array", "map"}:
            return Column(name, "jsonb", nullable=False)
        kind = kind["type"]
    if kind not in _PLAIN:
        raise Misconfigured(f"expected a type with a column for {name}, was {kind!r}; add it")
    return Column(name, _PLAIN[kind], nullable=False)
