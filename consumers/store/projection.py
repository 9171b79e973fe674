"""Rows and the offsets they cover, in one transaction: exactly once, whatever restarts.

places(...)   where each topic's partition goes on
write(...)    upsert rows, move the places, commit together
drop(...)     forget everything; the next run rebuilds the same rows from the log
"""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from consumers.store.tables import create, row, tables, upsert

Place = tuple[str, int]
"""Topic without namespace, partition."""

PLACES = "places"


class Projection:
    """The tables of one namespace.

    Args:
        connection: To the database; every call is one transaction.
        schema: The namespace's schema.
    """

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        self._connection = connection
        self._schema = schema
        self._tables = {each.topic.name: each for each in tables()}

    def prepare(self) -> None:
        """Make the schema and its tables where they are missing."""
        with self._connection.transaction():
            # IF NOT EXISTS still collides when two sessions create at once
            self._connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [self._schema])
            self._connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self._schema))
            )
            self._connection.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} (topic text, partition integer, "
                    "next_offset bigint NOT NULL, PRIMARY KEY (topic, partition))"
                ).format(self._places)
            )
            for each in self._tables.values():
                self._connection.execute(create(each, self._schema))

    def places(self) -> dict[Place, int]:
        """Return the next offset of every partition that was read."""
        with self._connection.transaction():
            found = self._connection.execute(
                sql.SQL("SELECT topic, partition, next_offset FROM {}").format(self._places)
            ).fetchall()
        return {(topic, partition): offset for topic, partition, offset in found}

    def write(self, events: Mapping[str, Sequence[Any]], places: Mapping[Place, int]) -> None:
        """Write events in log order and the places they lead to, all or nothing.

        Args:
            events: By topic without namespace, oldest first.
            places: Next offset per partition.
        """
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for topic, batch in events.items():
                given = self._tables[topic]
                cursor.executemany(upsert(given, self._schema), [row(given, e) for e in batch])
            cursor.executemany(
                sql.SQL(
                    "INSERT INTO {} VALUES (%s, %s, %s) ON CONFLICT (topic, partition) "
                    "DO UPDATE SET next_offset = EXCLUDED.next_offset"
                ).format(self._places),
                [(topic, partition, offset) for (topic, partition), offset in places.items()],
            )

    def drop(self) -> None:
        """Forget rows and places; other tables of the schema stay."""
        names = [sql.Identifier(self._schema, each.name) for each in self._tables.values()]
        with self._connection.transaction():
            for name in [*names, self._places]:
                self._connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))

    @property
    def _places(self) -> sql.Identifier:
        return sql.Identifier(self._schema, PLACES)
