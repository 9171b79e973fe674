"""``aegis orders · positions``: importing this costs typer and nothing more."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.topics import Topic


class Language(StrEnum):
    """Of the headings."""

    KO = "ko"
    EN = "en"


Json = Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")]
Run = Annotated[str | None, typer.Option(help="Namespace; the last run when not given.")]
Lang = Annotated[Language, typer.Option(help="Of the headings.")]


def orders(*, run: Run = None, lang: Lang = Language.EN, as_json: Json = False) -> None:
    """Show every order: requested, accepted, filled as the brokerage confirmed."""
    from consumers.execution.tables import order_table  # noqa: PLC0415 -- --help must not wait
    from schemas import topics  # noqa: PLC0415 -- same

    [events] = _read(run, topics.ORDERS)
    rows, sums = order_table(events)
    _print("orders", rows, sums, lang, as_json=as_json)


def positions(*, run: Run = None, lang: Lang = Language.EN, as_json: Json = False) -> None:
    """Show what is held and on order, by confirmed fills; what is unknown says so."""
    from consumers.execution.tables import position_table  # noqa: PLC0415 -- --help must not wait
    from schemas import topics  # noqa: PLC0415 -- same

    stated, events = _read(run, topics.POSITIONS, topics.ORDERS)
    rows, sums = position_table(stated[-1] if stated else None, events)
    _print("positions", rows, sums, lang, as_json=as_json)


def _read(run: str | None, *wanted: "Topic") -> list[list[Any]]:
    """Return every event of some topics of a run."""
    from infra.connection import Connection  # noqa: PLC0415 -- --help must not wait for it
    from infra.log_model import effective  # noqa: PLC0415 -- same
    from infra.reader import read_all  # noqa: PLC0415 -- same
    from infra.registry import Registry, Serde  # noqa: PLC0415 -- same
    from infra.settings import Settings  # noqa: PLC0415 -- same
    from infra.stack import stack  # noqa: PLC0415 -- same

    settings = Settings()
    with stack.running(settings) as endpoints:
        namespace = run or _last(settings.var_dir / "last_run.json")
        connection = Connection(settings=settings, endpoints=endpoints, namespace=namespace)
        serde = Serde(Registry(endpoints.registry_url))
        return [
            [serde.decode(topic, e.value or b"") for e in effective(read_all(connection, topic))]
            for topic in wanted
        ]


def _last(manifest: Any) -> str:
    from schemas.errors import Misconfigured  # noqa: PLC0415 -- --help must not wait for it

    if not manifest.exists():
        raise Misconfigured(
            f"expected the manifest of a last run at {manifest}, was nothing; "
            "play one with 'aegis demo' or name a namespace with --run"
        )
    return str(json.loads(manifest.read_text("utf-8"))["namespace"])


def _print(
    name: str, rows: "Sequence[NamedTuple]", sums: dict[str, Any], lang: Language, *, as_json: bool
) -> None:
    from consumers.execution.tables import lines  # noqa: PLC0415 -- --help must not wait for it

    if as_json:
        told = {name: [row._asdict() for row in rows], "totals": sums}
        typer.echo(json.dumps(told, ensure_ascii=False))
        return
    for line in lines(rows, sums, lang.value):
        typer.echo(line)
