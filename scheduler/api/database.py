"""What the control interface keeps in PostgreSQL: keys, and who is to be told of a fire's end.

Instants are bigint, micros UTC.  Every change is one statement, so two instances of the interface
share the tables without further ado.
"""

import threading
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg import sql

from scheduler.api.keys import Key
from schemas.errors import Transient
from schemas.units import DAY, MINUTE, Micros

CONNECT_S_MAX: Final = 5
STATEMENT_MS_MAX: Final = 5_000
USED_EVERY: Final = Micros(MINUTE)
"""A key's last use is kept to the minute: not every request is a write."""

OWED_MAX: Final = 1_000
"""Callbacks that may wait at once."""

OWED_FOR: Final = Micros(7 * DAY)
"""A fire that has not ended by then is told of no more."""

_TABLES: Final = (
    "CREATE SCHEMA IF NOT EXISTS {schema}",
    (
        "CREATE TABLE IF NOT EXISTS {keys} (key_id text PRIMARY KEY, name text NOT NULL UNIQUE, "
        "digest bytea NOT NULL, role text NOT NULL, scopes text[] NOT NULL, "
        "created bigint NOT NULL, expires bigint NOT NULL, revoked bigint, last_used bigint)"
    ),
    (
        "CREATE TABLE IF NOT EXISTS {callbacks} (fire_id text, url text, job text NOT NULL, "
        "asked bigint NOT NULL, tries integer NOT NULL DEFAULT 0, due bigint NOT NULL, "
        "outcome text, PRIMARY KEY (fire_id, url))"
    ),
)
_COLUMNS: Final = sql.SQL(", ").join(map(sql.Identifier, Key._fields))


class Owed(NamedTuple):
    """A callback that was not answered yet.

    Attributes:
        tries: How often it was tried.
    """

    fire_id: str
    url: str
    job: str
    tries: int


class Database:
    """The tables of one namespace, over one connection; every caller waits for its turn.

    Args:
        dsn: Where.
        schema: The namespace's.
    """

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn, self._schema = dsn, schema
        self._names = {
            "schema": sql.Identifier(schema),
            "keys": sql.Identifier(schema, "api_keys"),
            "callbacks": sql.Identifier(schema, "api_callbacks"),
        }
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def prepare(self) -> None:
        """Make the tables where they are missing.

        Raises:
            Transient: The database does not answer; so for every method.
        """
        with self._lock:
            connection = self._open()
            try:
                with connection.transaction():
                    # IF NOT EXISTS still collides when two sessions create at once
                    connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [self._schema])
                    for each in _TABLES:
                        connection.execute(sql.SQL(each).format(**self._names))
            except psycopg.OperationalError as error:
                self._drop()
                raise _silent(error) from error

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._drop()

    def key(self, key_id: str) -> Key | None:
        """Return a key, None when there is none."""
        found = self._ask("SELECT {columns} FROM {keys} WHERE key_id = %s", [key_id])
        return _key(found[0]) if found else None

    def keys(self) -> list[Key]:
        """Return every key, by the time it was made."""
        return list(map(_key, self._ask("SELECT {columns} FROM {keys} ORDER BY created", [])))

    def add(self, key: Key) -> bool:
        """Keep a key; False when its name was given before."""
        row = [*key._replace(scopes=list(key.scopes))]  # type: ignore[arg-type] # an array of text
        return bool(
            self._ask(
                "INSERT INTO {keys} ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
                "ON CONFLICT DO NOTHING RETURNING 1",
                row,
            )
        )

    def revoke(self, name: str, now: Micros) -> bool:
        """Take a key back, for good; False when none that stands has this name."""
        return bool(
            self._ask(
                "UPDATE {keys} SET revoked = %s WHERE name = %s AND revoked IS NULL RETURNING 1",
                [now, name],
            )
        )

    def used(self, key: Key, now: Micros) -> None:
        """Note that a key was used, to the minute."""
        if key.last_used is None or now - key.last_used >= USED_EVERY:
            self._ask(
                "UPDATE {keys} SET last_used = %s WHERE key_id = %s RETURNING 1", [now, key.key_id]
            )

    def owe(self, fire_id: str, url: str, job: str, now: Micros) -> None:
        """Note that a url is to be told of a fire's end."""
        self._ask(
            "INSERT INTO {callbacks} (fire_id, url, job, asked, due) "
            "VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1",
            [fire_id, url, job, now, now],
        )

    def room(self, now: Micros) -> bool:
        """Say whether another callback may wait."""
        [[count]] = self._ask(
            "SELECT count(*) FROM {callbacks} WHERE outcome IS NULL AND asked > %s",
            [now - OWED_FOR],
        )
        return int(count) < OWED_MAX

    def owed(self, now: Micros) -> list[Owed]:
        """Return the callbacks whose next try may be made, if their fires have ended."""
        found = self._ask(
            "SELECT fire_id, url, job, tries FROM {callbacks} "
            "WHERE outcome IS NULL AND due <= %s AND asked > %s ORDER BY due",
            [now, now - OWED_FOR],
        )
        return [Owed(*each) for each in found]

    def claim(self, owed: Owed, again: Micros) -> bool:
        """Take one try for ourselves; False when another instance has it.

        Args:
            owed: As it was read.
            again: When the next try is due, should this one come to nothing.
        """
        return bool(
            self._ask(
                "UPDATE {callbacks} SET tries = tries + 1, due = %s WHERE fire_id = %s "
                "AND url = %s AND tries = %s AND outcome IS NULL RETURNING 1",
                [again, owed.fire_id, owed.url, owed.tries],
            )
        )

    def settle(self, owed: Owed, outcome: str) -> None:
        """Note what became of a callback: ``told`` or ``given up``."""
        self._ask(
            "UPDATE {callbacks} SET outcome = %s WHERE fire_id = %s AND url = %s RETURNING 1",
            [outcome, owed.fire_id, owed.url],
        )

    def _ask(self, statement: str, values: Sequence[Any]) -> list[Any]:
        """Run a statement that returns rows; once more when the connection has been lost."""
        asked = sql.SQL(statement).format(**self._names, columns=_COLUMNS)
        with self._lock:
            lost = self._connection is not None
            while True:
                try:
                    return self._open().execute(asked, values).fetchall()
                except psycopg.OperationalError as error:
                    self._drop()
                    if not lost:
                        raise _silent(error) from error
                    lost = False

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            try:
                self._connection = psycopg.connect(
                    self._dsn,
                    autocommit=True,
                    connect_timeout=CONNECT_S_MAX,
                    options=f"-c statement_timeout={STATEMENT_MS_MAX}",
                )
            except psycopg.OperationalError as error:
                raise _silent(error) from error
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _silent(error: psycopg.OperationalError) -> Transient:
    """Name the error, not its text: that may hold an address and an account."""
    return Transient(
        f"expected the database to answer, was {type(error).__name__}; see 'aegis status'"
    )


def _key(row: Sequence[Any]) -> Key:
    key = Key(*row)
    return key._replace(digest=bytes(key.digest), scopes=tuple(key.scopes))
