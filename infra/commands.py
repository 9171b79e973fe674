"""``aegis roles · topics · schemas``: the system as its own declarations tell it.

Importing this costs typer and nothing more: each command imports what it needs.
``python -m infra.commands --write-readme`` refreshes the README's tables.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from infra.registry import Registry

Json = Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")]
WRONG = 1
README = Path("README.md")

schemas = typer.Typer(
    help="The contracts on the wire.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help costs 0.2 s less
)


def tables() -> dict[str, str]:
    """Return the Markdown of the tables ``roles`` and ``topics``."""
    from infra.tables import installed  # noqa: PLC0415 -- --help must not wait for it

    return installed()


def roles(*, as_json: Json = False) -> None:
    """Print every role: its scope, driver, inputs and outputs."""
    from infra.tables import columns, role_rows  # noqa: PLC0415 -- --help must not wait for it
    from infra.topology import load_roles  # noqa: PLC0415 -- same

    rows: list[dict[str, Any]] = role_rows(load_roles())
    cells = [["ROLE", "V", "SCOPE", "DRIVER", "READS", "", "WRITES"]]
    for row in rows:
        fixed = [str(row[name]) for name in ("name", "version", "scope", "driver")]
        for at in range(max(len(row["inputs"]), len(row["outputs"]))):
            first = fixed if at == 0 else [""] * len(fixed)
            reads = row["inputs"][at] if at < len(row["inputs"]) else ["", ""]
            cells.append([*first, *reads, "".join(row["outputs"][at : at + 1])])
    _print(columns(cells), {"roles": rows}, as_json=as_json)


def topics(*, as_json: Json = False) -> None:
    """Print every topic: its key, record, partitions, policy, room and writers."""
    from infra.tables import columns, topic_rows  # noqa: PLC0415 -- --help must not wait for it
    from infra.topology import load_roles  # noqa: PLC0415 -- same

    rows: list[dict[str, Any]] = topic_rows(load_roles())
    names = ("name", "key", "record", "partitions", "policy", "owner")
    cells = [["TOPIC", "KEY", "RECORD", "PARTITIONS", "POLICY", "ROOM", "WRITTEN BY"]]
    for row in rows:
        by = "every role" if row["owner"] == "drivers" else " ".join(row["written_by"]) or "-"
        cells.append([*(str(row[name]) for name in names), by])
    _print(columns(cells), {"topics": rows}, as_json=as_json)


@schemas.callback()
def group() -> None:
    """The contracts on the wire."""


@schemas.command()
def check(*, as_json: Json = False) -> None:
    """Judge our schemas against the lint and the lock; exit 1 when one is wrong."""
    from schemas.fingerprints import problems, subjects  # noqa: PLC0415 -- as above

    found, names = problems(), subjects()
    told = f"{len(names)} schemas, {len(found)} problems"
    _print([*found, told], {"schemas": len(names), "problems": found}, as_json=as_json)
    raise typer.Exit(WRONG if found else 0)


@schemas.command()
def register(*, as_json: Json = False) -> None:
    """Register every schema; the registry refuses what would break a reader or a writer."""
    from infra.deploy import register_all  # noqa: PLC0415 -- --help must not wait for it

    registry = _registry()
    try:
        ids = register_all(registry)
        told = {"compatibility": registry.compatibility(), "ids": ids}
    finally:
        registry.close()
    _print([f"{number:>6}  {subject}" for subject, number in ids.items()], told, as_json=as_json)


@schemas.command()
def diff(*, as_json: Json = False) -> None:
    """Show our schemas beside the registry's newest; exit 1 when they differ."""
    from infra.deploy import HARMLESS, differences  # noqa: PLC0415 -- --help must not wait for it

    registry = _registry()
    try:
        found = differences(registry)
    finally:
        registry.close()
    lines = []
    for subject, each in found.items():
        lines.append(f"{each.state:<12} {subject}")
        lines += [f"{'':<12}   {line}" for line in each.changes]
    told = {name: each._asdict() for name, each in found.items()}
    _print(lines, {"subjects": told}, as_json=as_json)
    raise typer.Exit(0 if {each.state for each in found.values()} <= HARMLESS else WRONG)


def _registry() -> "Registry":
    from infra.registry import Registry  # noqa: PLC0415 -- --help must not wait for it
    from infra.settings import Settings  # noqa: PLC0415 -- same
    from infra.stack import stack  # noqa: PLC0415 -- same

    settings = Settings()
    return Registry(settings.registry.url or stack.require(settings).registry_url)


def _print(lines: Sequence[str], told: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(told) + "\n")
        return
    for line in lines:
        typer.echo(line)


def main(arguments: Sequence[str]) -> int:
    """Refresh the README's tables, or say that they differ (exit 1)."""
    from infra.tables import splice  # noqa: PLC0415 -- --help must not wait for it

    text = README.read_text("utf-8")
    new = splice(text, tables())
    if "--write-readme" in arguments:
        README.write_text(new, "utf-8")
        return 0
    typer.echo("the tables are as declared" if new == text else "run with --write-readme")
    return 0 if new == text else WRONG


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
