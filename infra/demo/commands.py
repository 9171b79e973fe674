"""``aegis demo · audit · verify · explain``: importing this costs typer and nothing more."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")]
Run = Annotated[str | None, typer.Option(help="Namespace; the last run when not given.")]
SESSION = "2026-02-10"


def demo(
    *,
    data: Annotated[Path | None, typer.Option(help="Real data; else a seeded market.")] = None,
    date: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Session.")] = SESSION,  # type: ignore[assignment] # typer parses the default
    speed: Annotated[float, typer.Option(min=0, help="Times real time at most; 0: no limit.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the market, the exchange, its faults.")] = 20260210,
    faults: Annotated[
        str, typer.Option(help="reject=RATE,late=RATE,lost=RATE; empty for none.")
    ] = "reject=0.02,late=0.02,lost=0.02",
    begin: Annotated[str, typer.Option(help="HH:MM KST.")] = "07:50",
    end: Annotated[str, typer.Option(help="HH:MM KST.")] = "18:10",
    names: Annotated[int, typer.Option(min=400, help="Of a seeded market.")] = 2_800,
    failpoint: Annotated[str, typer.Option(help="PROCESS=NAME:N[*TIMES], for drills.")] = "",
    as_json: Json = False,
) -> None:
    """Play one KRX day, end to end, on a real stack; then judge it."""
    from infra.demo.day import Options  # noqa: PLC0415 -- same
    from infra.demo.run import demo as play  # noqa: PLC0415 -- --help must not wait for it

    options = Options(
        data=data,
        session_date=date.date(),
        speed=speed,
        seed=seed,
        faults=faults,
        begin=begin,
        end=end,
        failpoint=failpoint,
        names=names,
    )
    raise typer.Exit(play(options, as_json=as_json))


def audit(
    *,
    run: Run = None,
    every: Annotated[
        bool, typer.Option("--every", help="Let PyPI avro read every value, not a sample.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge a run from its topics and the exchange's own book; exit 1 when anything is wrong."""
    from infra.demo.run import audit as work  # noqa: PLC0415 -- --help must not wait for it

    raise typer.Exit(work(run, every=every, as_json=as_json))


def verify(
    *,
    run: Run = None,
    partitions: Annotated[int, typer.Option(min=1, help="Of symbol topics.")] = 3,
    chunk: Annotated[int, typer.Option(min=1, help="Records fed at a time.")] = 1_777,
    recompute: Annotated[bool, typer.Option(help="Run every on-time inference again.")] = False,
    as_json: Json = False,
) -> None:
    """Make every decision of a run again, in process; name the first event that differs."""
    from infra.demo.run import verify as work  # noqa: PLC0415 -- --help must not wait for it

    raise typer.Exit(
        work(run, partitions=partitions, chunk=chunk, recompute=recompute, as_json=as_json)
    )


def explain(
    id: Annotated[str, typer.Argument(help="Of an order, a signal or a score's fire.")],  # noqa: A002 -- the word users type
    *,
    run: Run = None,
    as_json: Json = False,
) -> None:
    """Show the chain of an order, signal or score down to its features and raw frames."""
    from infra.demo.run import explain as work  # noqa: PLC0415 -- --help must not wait for it

    raise typer.Exit(work(id, run, as_json=as_json))
