"""``aegis up · down · status · logs · doctor``.

Importing this costs typer and nothing more: each command imports what it needs.
"""

import json
import sys
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="The local stack: Kafka, registry, PostgreSQL, Redis.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help costs 0.2 s less
)

Json = Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")]
LINES = 40


@app.command()
def up(
    *,
    brokers: Annotated[
        int | None,
        typer.Option(help="1 or 3 (three copies of each record); unset: as before, else 1."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start the stack, or join the one that runs."""
    from infra.settings import Settings  # noqa: PLC0415 -- --help must not wait for it
    from infra.stack import progress, stack  # noqa: PLC0415 -- same

    there = stack.up(Settings(), progress=progress.shown_on(), brokers=brokers)
    _print(_endpoints(there), as_json=as_json)


@app.command()
def down(*, as_json: Json = False) -> None:
    """Stop the stack; its data stays."""
    from infra.settings import Settings  # noqa: PLC0415 -- --help must not wait for it
    from infra.stack import stack  # noqa: PLC0415 -- same

    _print({"stopped": stack.down(Settings())}, as_json=as_json)


@app.command()
def status(*, as_json: Json = False) -> None:
    """Say what runs, where, and how it is; exit 1 if the stack is not whole or not well."""
    from infra.settings import Settings  # noqa: PLC0415 -- --help must not wait for it
    from infra.stack import health, stack  # noqa: PLC0415 -- same

    settings = Settings()
    found, there = stack.status(settings), stack.attach(settings)
    services = {name: each.living() is not None for name, each in found.children.items()}
    facts: dict[str, Any] = {"whole": there is not None, "phase": found.phase}
    facts |= {f"{name}_lives": lives for name, lives in services.items()}
    facts["owner"] = None if found.owner is None else found.owner.pid
    problems = [] if there is None else health.problems(settings, there)
    facts["state"] = "degraded" if problems else "down" if there is None else "ok"
    facts["problems"] = problems
    facts |= {} if there is None else _endpoints(there)
    _print(facts, as_json=as_json)
    raise typer.Exit(0 if facts["state"] == "ok" else 1)


@app.command()
def logs(
    service: Annotated[
        str, typer.Argument(help="kafka (or kafka-2), registry, postgres, redis or keeper")
    ],
    *,
    lines: Annotated[int, typer.Option(help="How many from the end.")] = LINES,
) -> None:
    """Print the end of a service's log."""
    from infra.settings import Settings  # noqa: PLC0415 -- --help must not wait for it
    from infra.stack.cluster import made_with  # noqa: PLC0415 -- same
    from infra.stack.endpoints import PARTS  # noqa: PLC0415 -- same
    from infra.stack.logs import tail  # noqa: PLC0415 -- same
    from infra.stack.paths import Paths  # noqa: PLC0415 -- same
    from infra.stack.service import services  # noqa: PLC0415 -- same

    paths = Paths.of(Settings())
    names = (*services(PARTS, made_with(paths.root) or 1), "keeper")
    if service not in names:
        raise typer.BadParameter(f"expected one of {', '.join(names)}, was {service!r}")
    typer.echo(tail(paths.log(service), lines))


@app.command()
def doctor(*, as_json: Json = False) -> None:
    """Check the machine, the artifacts and the stack; exit 1 if something is wrong."""
    from dataclasses import asdict  # noqa: PLC0415 -- --help must not wait for it

    from infra.settings import Settings  # noqa: PLC0415 -- same
    from infra.stack import doctor as examiner  # noqa: PLC0415 -- same

    settings = Settings()
    findings = examiner.examine(settings)
    well = all(each.ok for each in findings)
    if as_json:
        facts = {
            "ok": well,
            "settings": examiner.shown(settings),
            "versions": examiner.versions(),
            "checks": [asdict(each) for each in findings],
        }
        _print(facts, as_json=True)
    else:
        _print(_flat(examiner.shown(settings)), as_json=False)
        _print(examiner.versions(), as_json=False)
        for each in findings:
            typer.echo(f"{'ok   ' if each.ok else 'WRONG'} {each.name}: {each.says}")
    raise typer.Exit(0 if well else 1)


def _endpoints(there: Any) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415 -- --help must not wait for it

    from infra.stack.endpoints import masked  # noqa: PLC0415 -- same

    return {key: masked(value) for key, value in asdict(there).items()}


def _flat(nested: dict[str, Any], prefix: str = "AEGIS_") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = prefix + key.upper()
        flat |= _flat(value, name + "__") if isinstance(value, dict) else {name: value}
    return flat


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        typer.echo(f"{key:<{width}}  {'-' if value is None else value}")
