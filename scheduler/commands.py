"""``aegis jobs ls · next · explain · history``.

Importing this costs typer and nothing more: each command imports what it needs.
"""

import json
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="The timetable and its runs.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help costs 0.2 s less
)

Json = Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")]
HISTORY_MAX = 50


@app.callback()
def group() -> None:
    """The timetable and its runs."""


@app.command("ls")
def list_jobs(*, as_json: Json = False) -> None:
    """Print every job: when it is due, what runs it, what it waits for."""
    from scheduler import timetable  # noqa: PLC0415 -- --help must not wait for it

    table = timetable.default()
    rows = [
        {
            "job": job.name,
            "target": job.target,
            "group": job.group,
            "priority": job.priority,
            "calendar": job.trigger.calendar,
            "after": [edge.parent for edge in job.depends_on],
            "source": job.source,
        }
        for job in table.jobs.values()
    ]
    told = {"jobs": rows, "schedule_hash": table.hash, "warnings": list(table.warnings)}
    lines = [f"{r['job']:26} {r['target']:34} {r['group']:16} {r['source']}" for r in rows]
    _print([*lines, *table.warnings], told, as_json=as_json)


@app.command("next")
def next_fires(
    on: Annotated[str, typer.Option(help="Day in Korea, yyyy-mm-dd.")], *, as_json: Json = False
) -> None:
    """Print what a day holds, and what the calendar suppresses with its reason."""
    from scheduler import timetable  # noqa: PLC0415 -- --help must not wait for it
    from scheduler.triggers import Slot, clock  # noqa: PLC0415 -- same

    table = timetable.default()
    rows = []
    for each in timetable.preview(table, _day(on)):
        slot = each if isinstance(each, Slot) else each.slot
        rows.append({
            "at": clock(slot.at),
            "job": slot.job,
            "slot": slot.at,
            "logical_date": slot.logical_date.isoformat(),
            "target": table.jobs[slot.job].target,
            "suppressed": None if isinstance(each, Slot) else each.reason,
        })  # fmt: skip
    due = sum(1 for row in rows if row["suppressed"] is None)
    told = {"on": on, "due": due, "suppressed": len(rows) - due, "fires": rows}
    lines = [f"{r['at']} {r['job']:26} {r['suppressed'] or r['target']}" for r in rows]
    _print([*lines, f"{due} due, {len(rows) - due} suppressed"], told, as_json=as_json)


@app.command()
def explain(
    fire: Annotated[str, typer.Argument(help="Fire id, or enough of its beginning.")],
    *,
    as_json: Json = False,
) -> None:
    """Print everything the log holds of one fire: decisions, trigger, reports."""
    from dataclasses import asdict  # noqa: PLC0415 -- --help must not wait for it

    from schemas.errors import Misconfigured  # noqa: PLC0415 -- same
    from schemas.topics import RUNS, SCHEDULE, TRIGGERS  # noqa: PLC0415 -- same

    found = {
        topic.name: [each for each in _events(topic) if each.fire_id.startswith(fire)]
        for topic in (SCHEDULE, TRIGGERS, RUNS)
    }
    names = sorted({each.fire_id for events in found.values() for each in events})
    if len(names) != 1:
        raise Misconfigured(
            f"expected one fire that begins with {fire!r}, was {len(names)}; "
            "see 'aegis jobs history JOB' and check AEGIS_NAMESPACE"
        )
    lines = [f"fire {names[0]}"]
    lines += [
        f"{_at(each.decided)} decided {each.decision}: {each.reason}"
        for each in found[SCHEDULE.name]
    ]
    for each in found[TRIGGERS.name]:
        cause = f", caused by {each.cause}" if each.cause else ""
        lines.append(
            f"{_at(each.ts_event)} triggered {each.job} of slot {_at(each.slot)} for "
            f"{each.target}{cause}"
        )
    lines += [
        f"{_at(each.ts_event)} {each.state} by {each.worker}: {each.detail}"
        for each in found[RUNS.name]
    ]
    told = {name: [asdict(each) for each in events] for name, events in found.items()}
    _print(lines, {"fire_id": names[0], **told}, as_json=as_json)


@app.command()
def history(
    job: Annotated[str, typer.Argument(help="Name of a job.")],
    count: Annotated[int, typer.Option(min=1, help="Newest fires shown.")] = HISTORY_MAX,
    *,
    as_json: Json = False,
) -> None:
    """Print a job's newest fires: what was decided, how each ended."""
    from schemas.topics import RUNS, SCHEDULE  # noqa: PLC0415 -- --help must not wait for it

    decided = {each.fire_id: each for each in _events(SCHEDULE) if each.job == job}
    reports = {each.fire_id: each for each in _events(RUNS) if each.job == job}
    rows = []
    for each in sorted(decided.values(), key=lambda it: it.slot)[-count:]:
        report = reports.get(each.fire_id)
        rows.append({
            "slot": each.slot,
            "fire_id": each.fire_id,
            "decision": each.decision,
            "reason": each.reason,
            "state": None if report is None else report.state,
            "detail": "" if report is None else report.detail,
        })  # fmt: skip
    lines = [
        f"{_at(r['slot'])} {r['fire_id'][:12]} {r['decision']:10} "
        f"{r['state'] or '-':10} {r['detail'] or r['reason']}"
        for r in rows
    ]
    _print(lines or [f"no fires of {job}"], {"job": job, "fires": rows}, as_json=as_json)


def _events(topic: Any) -> list[Any]:
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
        return decoded(Serde(registry), topic, read_all(connection, topic))
    finally:
        registry.close()


def _at(micros: int) -> str:
    from scheduler.triggers import clock  # noqa: PLC0415 -- --help must not wait for it
    from schemas.krx.sessions import kst_date  # noqa: PLC0415 -- same
    from schemas.units import Micros  # noqa: PLC0415 -- same

    return f"{kst_date(Micros(micros))} {clock(Micros(micros))}"


def _day(text: str) -> Any:
    from datetime import date  # noqa: PLC0415 -- --help must not wait for it

    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"expected a day as yyyy-mm-dd, was {text!r}") from error


def _print(lines: list[str], told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told, separators=(",", ":")))
    else:
        typer.echo("\n".join(lines))
