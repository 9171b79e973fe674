"""``aegis log export · import · check``.

Importing this costs typer and nothing more: each command imports what it needs.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Topics to sealed Parquet and back.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help costs 0.2 s less
)

Json = Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Of the export.")]
Seal = Annotated[str | None, typer.Option(help="What its maker published, to compare with.")]


@app.callback()
def group() -> None:
    """Topics to sealed Parquet and back."""


@app.command()
def export(
    folder: Folder,
    *,
    run: Annotated[str | None, typer.Option(help="Namespace; the last run when not given.")] = None,
    topics: Annotated[str, typer.Option(help="NAME,NAME; all when not given.")] = "",
    as_json: Json = False,
) -> None:
    """Write a namespace's topics to a folder that must not be there, and seal it."""
    from contextlib import closing  # noqa: PLC0415 -- --help must not wait for it

    from infra.connection import Connection  # noqa: PLC0415 -- same
    from infra.log import export as work  # noqa: PLC0415 -- same
    from infra.log.progress import Progress  # noqa: PLC0415 -- same
    from infra.registry import Registry  # noqa: PLC0415 -- same
    from infra.settings import Settings  # noqa: PLC0415 -- same
    from infra.stack import stack  # noqa: PLC0415 -- same

    settings = Settings()
    name = _last(settings.var_dir) if run is None else run
    names = tuple(filter(None, topics.split(",")))
    with (
        stack.running(settings) as there,
        closing(Registry(there.registry_url)) as registry,
        Progress("exporting") as progress,
    ):
        connection = Connection(settings=settings, endpoints=there, namespace=name)
        manifest, seal = work.export(connection, registry, folder, progress, names)
    _print(_facts(folder, manifest, seal), as_json=as_json)


@app.command("import")
def load(
    folder: Folder,
    *,
    under: Annotated[str, typer.Option(help="Namespace that never held a record.")],
    seal: Seal = None,
    as_json: Json = False,
) -> None:
    """Check a folder, write its records to an empty namespace, and compare what is there."""
    from contextlib import closing  # noqa: PLC0415 -- --help must not wait for it

    from infra.connection import Connection  # noqa: PLC0415 -- same
    from infra.log import load as work  # noqa: PLC0415 -- same
    from infra.log.progress import Progress  # noqa: PLC0415 -- same
    from infra.registry import Registry  # noqa: PLC0415 -- same
    from infra.settings import Settings  # noqa: PLC0415 -- same
    from infra.stack import stack  # noqa: PLC0415 -- same

    settings = Settings()
    with (
        stack.running(settings) as there,
        closing(Registry(there.registry_url)) as registry,
        Progress("importing") as progress,
    ):
        connection = Connection(settings=settings, endpoints=there, namespace=under)
        done = work.load(connection, registry, folder, progress, seal)
    _print({"namespace": under, **done._asdict()}, as_json=as_json)


@app.command()
def check(folder: Folder, *, seal: Seal = None, as_json: Json = False) -> None:
    """Check a folder's seal, files and records; no broker is asked."""
    from infra.log import files  # noqa: PLC0415 -- --help must not wait for it

    manifest, _ = files.check(folder, seal)
    _print(_facts(folder, manifest, manifest.sealed()[1]), as_json=as_json)


def _facts(folder: Path, manifest: Any, seal: str) -> dict[str, Any]:
    parts = manifest.partitions
    return {
        "folder": str(folder),
        "namespace": manifest.namespace,
        "topics": len({each.topic for each in parts}),
        "partitions": len(parts),
        "records": sum(each.records for each in parts),
        "schemas": len(manifest.schemas),
        "version": manifest.version,
        "seal": seal,
    }


def _last(var: Path) -> str:
    from schemas.errors import Misconfigured  # noqa: PLC0415 -- --help must not wait for it

    path = var / "last_run.json"
    if not path.exists():
        raise Misconfigured(
            f"expected a last run at {path}, was nothing; say --run NAMESPACE, or play one "
            f"with 'aegis demo'"
        )
    return str(json.loads(path.read_text("utf-8"))["namespace"])


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        typer.echo(f"{key:<{width}}  {value}")
