"""``aegis alerts ls``: importing this costs typer and nothing more."""

import json
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Alerts and where they went.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help costs 0.2 s less
)


@app.callback()
def group() -> None:
    """Alerts and where they went."""


@app.command("ls")
def list_alerts(
    last: Annotated[int, typer.Option(min=1, max=1_000, help="How many.")] = 20,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Print the last alerts: severity, key, which channel took them and when."""
    from consumers.alerts import listing  # noqa: PLC0415 -- --help must not wait for it
    from schemas.topics import ALERTS, AUDIT  # noqa: PLC0415 -- same

    alerts, acts = _read(ALERTS, AUDIT)
    found = listing.rows(alerts, acts, last)
    sums = listing.sums(found)
    if as_json:
        told = [
            {**row._asdict(), "reached": [each._asdict() for each in row.reached]} for row in found
        ]
        typer.echo(json.dumps({"alerts": told, "totals": sums}, ensure_ascii=False))
        return
    for row in found:
        typer.echo(f"{_at(row.raised)}  {row.severity:8} {row.key}\n    {row.summary}")
        for each in row.reached:
            typer.echo(f"    {each.channel:12} {each.act:12} {_at(each.at)}  tries {each.tries}")
    typer.echo(", ".join(f"{name} {count}" for name, count in sums.items()))


def _read(*topics: Any) -> list[list[Any]]:
    from infra.connection import Connection  # noqa: PLC0415 -- --help must not wait for it
    from infra.reader import read_all  # noqa: PLC0415 -- same
    from infra.registry import Registry, Serde  # noqa: PLC0415 -- same
    from infra.settings import Settings  # noqa: PLC0415 -- same
    from infra.stack.stack import require  # noqa: PLC0415 -- same
    from infra.tail import decoded  # noqa: PLC0415 -- same

    settings = Settings()
    where = require(settings)
    connection = Connection(settings=settings, endpoints=where, namespace=settings.namespace)
    registry = Registry(where.registry_url)
    try:
        serde = Serde(registry)
        return [decoded(serde, topic, read_all(connection, topic)) for topic in topics]
    finally:
        registry.close()


def _at(micros: int) -> str:
    from datetime import UTC, datetime, timedelta, timezone  # noqa: PLC0415 -- --help must not wait

    from schemas.units import KST_OFFSET  # noqa: PLC0415 -- same

    korea = timezone(timedelta(microseconds=KST_OFFSET))
    return f"{datetime.fromtimestamp(micros / 1e6, UTC).astimezone(korea):%Y-%m-%d %H:%M:%S}"
