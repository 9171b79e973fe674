"""``aegis bench scores``: figures as ratios, measured side by side in one run."""

import json
from typing import Annotated

import typer


def scores(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False
) -> None:
    """Time the factor model over 200 and over 2,800 names."""
    from streams.bench import bench  # noqa: PLC0415 -- --help must not wait for it

    found = bench()
    typer.echo(json.dumps(found, indent=None if as_json else 2))
