"""``aegis api serve · keys create · keys ls · keys revoke``.

Importing this costs typer and nothing more: each command imports what it needs.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from scheduler.commands import Json, at_text, place

app = typer.Typer(
    help="The scheduler's control interface over HTTP.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
keys = typer.Typer(
    help="API keys: each is shown once, only its hash is kept.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(keys, name="keys")


@app.callback()
def group() -> None:
    """The scheduler's control interface over HTTP."""


@app.command()
def serve() -> None:
    """Serve it here until stopped; AEGIS_API__HOST and AEGIS_API__PORT say where."""
    from infra.host import main  # noqa: PLC0415 -- --help must not wait for it

    raise typer.Exit(main(["api"]))


@keys.command()
def create(
    name: Annotated[str, typer.Option(help="Who holds it; never given twice.")],
    role: Annotated[str, typer.Option(help="viewer, operator, risk or admin.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="run:<group> or run:*; may be repeated.")
    ] = None,
    days: Annotated[int, typer.Option(help="How long it is valid, 1 to 366.")] = 90,
    *,
    as_json: Json = False,
) -> None:
    """Make a key and show it, this once."""
    with _administration() as (administration, _):
        made = administration.make(_account(), name, role, scope or [], days)
    told = _told(made.key) | {"token": made.token}
    typer.echo(json.dumps(told, separators=(",", ":")) if as_json else made.token)


@keys.command("ls")
def list_keys(*, as_json: Json = False) -> None:
    """Print every key, without secrets."""
    with _administration() as (_, database):
        found = database.keys()
    rows = [_told(each) for each in found]
    if as_json:
        typer.echo(json.dumps({"keys": rows}, separators=(",", ":")))
        return
    for row in rows:
        until = f"until {at_text(row['expires'])}"
        if row["revoked"] is not None:
            until = f"revoked {at_text(row['revoked'])}"
        used = "never used" if row["last_used"] is None else f"used {at_text(row['last_used'])}"
        typer.echo(f"{row['name']:24} {row['role']:8} {until}, {used} {' '.join(row['scopes'])}")


@keys.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name of a key.")],
    reason: Annotated[str, typer.Option(help="Why; it stands on record.")],
) -> None:
    """Take a key back, at once and for good."""
    with _administration() as (administration, _):
        administration.revoke(_account(), name, reason)
    typer.echo(f"revoked {name}")


@contextmanager
def _administration() -> Iterator[Any]:
    from scheduler import timetable  # noqa: PLC0415 -- --help must not wait for it
    from scheduler.api.administration import Administration  # noqa: PLC0415 -- same
    from scheduler.api.audit import Audit  # noqa: PLC0415 -- same
    from scheduler.api.database import Database  # noqa: PLC0415 -- same

    with place() as (connection, serde):
        database = Database(connection.endpoints.postgres_dsn, connection.pg_schema)
        audit = Audit(connection, serde)
        table = connection.settings.scheduler.timetable
        groups = timetable.load(table.read_text("utf-8")) if table else timetable.default()
        try:
            database.prepare()
            yield Administration(database, audit, groups.groups), database
        finally:
            audit.close()
            database.close()


def _account() -> str:
    import getpass  # noqa: PLC0415 -- --help must not wait for it

    return getpass.getuser()


def _told(key: Any) -> dict[str, Any]:
    return {name: value for name, value in key._asdict().items() if name != "digest"}
