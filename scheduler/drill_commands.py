"""``aegis drill``: faults on purpose, then the books are counted; costs typer to import."""

from typing import Annotated

import typer

app = typer.Typer(
    help="Break things on purpose and count what was lost or doubled.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def group() -> None:
    """Break things on purpose and count what was lost or doubled."""


@app.command()
def scheduler(
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How many faults in all.")] = 300,
    fault: Annotated[
        list[str] | None, typer.Option(help="Only this one; may be given again.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the instants of the faults.")] = 20260210,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Break three real instances and their brokers; exit 1 when a fire was lost or doubled."""
    import json  # noqa: PLC0415 -- --help must not wait for it

    from scheduler.drill_plan import FAULTS  # noqa: PLC0415 -- same
    from scheduler.drill_run import WRONGS, drill  # noqa: PLC0415 -- same

    found = drill(rounds, seed, lambda text: typer.echo(text, err=True), fault or FAULTS)
    typer.echo(json.dumps(found, indent=None if as_json else 2))
    wrong = any(found[name] for name in WRONGS)
    raise typer.Exit(1 if wrong or not found["control_duplicates"] else 0)


@app.command()
def simulate(
    *,
    seeds: Annotated[int, typer.Option(min=1, help="How many days to play.")] = 10_000,
    first: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Play seeded days of two schedulers in memory; exit 1 when an invariant broke."""
    import json  # noqa: PLC0415 -- --help must not wait for it
    import time  # noqa: PLC0415 -- same

    from scheduler.simulate import many  # noqa: PLC0415 -- same

    began = time.monotonic()
    found = many(range(first, first + seeds))
    found["seconds"] = round(time.monotonic() - began, 1)
    typer.echo(json.dumps(found, indent=None if as_json else 2))
    raise typer.Exit(1 if found["violations"] else 0)
