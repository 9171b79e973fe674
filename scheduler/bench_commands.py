"""``aegis bench schedule``: how fast one leader is; costs typer to import."""

import json
from typing import Annotated

import typer

RIVALS_S_MAX = 600


def schedule(
    seconds: Annotated[int, typer.Option(min=5, help="Of lateness at real time.")] = 60,
    records: Annotated[int, typer.Option(min=1_000, help="Of the log to rebuild.")] = 1_000_000,
    rivals: Annotated[
        str | None, typer.Option(help="An interpreter that has apscheduler 4 and croniter.")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on one line.")] = False,
) -> None:
    """Measure lateness, commits, fires a second and a rebuild on the real broker."""
    import subprocess  # noqa: PLC0415 -- --help must not wait for it
    from importlib.resources import files  # noqa: PLC0415 -- same

    from infra.registry import Registry, Serde  # noqa: PLC0415 -- same
    from infra.settings import Settings  # noqa: PLC0415 -- same
    from infra.stack.stack import require  # noqa: PLC0415 -- same
    from scheduler import speed  # noqa: PLC0415 -- same

    settings = Settings()
    where = require(settings)
    registry = Registry(where.registry_url)
    try:
        found = speed.schedule(settings, where, Serde(registry), seconds=seconds, records=records)
    finally:
        registry.close()
    found["rivals"] = None
    if rivals is not None:
        script = str(files("scheduler") / "rivals.py")
        told = subprocess.run(  # -I: our modules beside the script are not theirs
            [rivals, "-I", script, str(seconds)],
            capture_output=True, text=True, check=False, timeout=seconds + RIVALS_S_MAX,
        )  # fmt: skip
        if told.returncode != 0:
            typer.echo(f"{rivals}: expected figures, was {told.stderr[-2_000:]}", err=True)
        else:
            found["rivals"] = json.loads(told.stdout)
    typer.echo(json.dumps(found, indent=None if as_json else 2))
