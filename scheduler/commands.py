"""``aegis jobs ls · next · calendar · explain · history``, and ``aegis bench schedule-years``.

Importing this costs typer and nothing more: each command imports what it needs.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
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
    on: Annotated[str, typer.Option(help="Day in Korea, yyyy-mm-dd.")],
    until: Annotated[str | None, typer.Option(help="Last day of a period, counted.")] = None,
    closed: Annotated[
        list[str] | None, typer.Option(help="Session to close; says what that would change.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Print what a day or period holds, and what the calendar suppresses with its reason."""
    from datetime import timedelta  # noqa: PLC0415 -- --help must not wait for it

    from scheduler import almanac  # noqa: PLC0415 -- same
    from scheduler.triggers import KRX  # noqa: PLC0415 -- same

    table, start = _timetable(), _day(on)
    end = (start if until is None else _day(until)) + timedelta(days=1)
    if end <= start:
        raise typer.BadParameter(f"expected --until at or after --on {on}, was {until}")
    told: dict[str, Any] = {"on": on}
    calendar, lines = KRX, []
    if closed:
        calendar = almanac.overridden(KRX, {_day(day): "override" for day in closed})
        changes = almanac.changes(table, start, end, KRX, calendar)
        told |= {"closed": closed, "changes": [each._asdict() for each in changes]}
        lines = [
            f"{each.job:26} {each.lost} lost, {each.gained} gained, {each.moved} about another day"
            for each in changes
        ]
        lines = lines or [f"nothing between {on} and {until or on} would change"]
    shown = _on_day if until is None else _in_period
    rows, more = shown(table, start, end, calendar)
    _print([*rows, *lines], told | {"until": until} | more, as_json=as_json)


def _on_day(table: Any, start: Any, end: Any, calendar: Any) -> tuple[list[str], dict[str, Any]]:
    from scheduler.timetable import between  # noqa: PLC0415 -- --help must not wait for it
    from scheduler.triggers import Slot, clock  # noqa: PLC0415 -- same
    from schemas.krx.sessions import kst_midnight  # noqa: PLC0415 -- same

    rows = []
    for each in between(table, kst_midnight(start), kst_midnight(end), calendar):
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
    lines = [f"{r['at']} {r['job']:26} {r['suppressed'] or r['target']}" for r in rows]
    lines.append(f"{due} due, {len(rows) - due} suppressed")
    return lines, {"due": due, "suppressed": len(rows) - due, "fires": rows}


def _in_period(table: Any, start: Any, end: Any, calendar: Any) -> tuple[list[str], dict[str, Any]]:
    from scheduler.almanac import counts  # noqa: PLC0415 -- --help must not wait for it

    rows = counts(table, start, end, calendar)
    due, suppressed = sum(r.due for r in rows), sum(sum(r.suppressed.values()) for r in rows)
    lines = []
    for row in rows:
        lines.append(f"{row.job:26} {row.due} due")
        lines += [f"{'':26} {count} {reason}" for reason, count in row.suppressed.items()]
    lines.append(f"{due} due, {suppressed} suppressed")
    jobs = [row._asdict() for row in rows]
    return lines, {"due": due, "suppressed": suppressed, "jobs": jobs}


@app.command("calendar")
def show_calendar(
    year: Annotated[int | None, typer.Option(help="Year to print; this one if absent.")] = None,
    *,
    check: Annotated[bool, typer.Option("--check", help="Hold the sources together.")] = False,
    answers: Annotated[
        str | None, typer.Option(help="With --check: a file, the answer of KIS chk-holiday.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="With --check: an instant in Korea; now if absent.")
    ] = None,
    ticks: Annotated[
        bool, typer.Option("--ticks", help="With --check: ask market.trades of the stack too.")
    ] = False,
    override: Annotated[
        str | None,
        typer.Option(help="Override file: say what it would change in the 400 days from --at on."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print a year's closures and special hours; --check exits 1 naming the days in dispute."""
    from scheduler import almanac, calendar_check  # noqa: PLC0415 -- --help must not wait for it
    from schemas.krx.sessions import kst_date  # noqa: PLC0415 -- same

    now = instant_of(at)
    if override is not None:
        if check or year is not None:
            raise typer.BadParameter("expected --override alone or with --at")
        lines, changed = _of_override(override, kst_date(now))
        _print(lines, changed, as_json=as_json)
        return
    if not check:
        days = almanac.year(kst_date(now).year if year is None else year)
        lines = [
            f"{d.date} {d.weekday} {d.hours:12} {d.name:44} {d.certainty:10} {d.source}"
            for d in days
        ]
        rows = [each._asdict() | {"date": each.date.isoformat()} for each in days]
        _print(lines, {"days": rows}, as_json=as_json)
        return
    told = calendar_check.run(now, answers, tape=ticks)
    _print(list(told.lines()), told.json(), as_json=as_json)
    raise typer.Exit(int(bool(told.alarms)))


def _of_override(file: str, today: Any) -> tuple[list[str], dict[str, Any]]:
    from datetime import timedelta  # noqa: PLC0415 -- --help must not wait for it
    from pathlib import Path  # noqa: PLC0415 -- same

    from scheduler import almanac, reading  # noqa: PLC0415 -- same
    from scheduler.triggers import KRX  # noqa: PLC0415 -- same
    from scheduler.watch import AHEAD_DAYS  # noqa: PLC0415 -- same

    raw = reading.toml(reading.text_of(Path(file), "--override"), "an override file")
    calendar, end = almanac.laid(KRX, raw), today + timedelta(days=AHEAD_DAYS)
    changes = almanac.changes(_timetable(), today, end, KRX, calendar)
    days = almanac.days_apart(today, end, KRX, calendar)
    lines = [f"{each.date} {each.was:30} -> {each.now}" for each in days]
    lines += [
        f"{each.job:26} {each.lost} lost, {each.gained} gained, {each.moved} about another day"
        for each in changes
    ]
    return lines or [f"nothing from {today} on, for {AHEAD_DAYS} days, would change"], {
        "override": file,
        "from": today.isoformat(),
        "until": end.isoformat(),
        "days": [each._asdict() | {"date": each.date.isoformat()} for each in days],
        "changes": [each._asdict() for each in changes],
    }


def schedule_years(
    observed: Annotated[
        str | None, typer.Option(help="Days that traded, parquet; ../shared's if absent.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Hold the timetable over 2015-2027 against the days that traded; exit 1 on a difference."""
    from pathlib import Path  # noqa: PLC0415 -- --help must not wait for it

    from scheduler import bench  # noqa: PLC0415 -- same

    found = bench.schedule_years(bench.OBSERVED if observed is None else Path(observed))
    typer.echo(json.dumps(found, indent=None if as_json else 2))
    wrong = found["differences"] or found["session_weekend_fires"]
    raise typer.Exit(int(bool(wrong)))


@app.command()
def explain(
    fire: Annotated[str, typer.Argument(help="Fire id, or enough of its beginning.")],
    *,
    as_json: Json = False,
) -> None:
    """Print everything the log holds of one fire: its seven steps, decisions, reports."""
    from dataclasses import asdict  # noqa: PLC0415 -- --help must not wait for it

    from scheduler import steps  # noqa: PLC0415 -- same
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
    followers = [each for each in _events(TRIGGERS) if each.cause == names[0]]
    way = steps.of(found[SCHEDULE.name], found[RUNS.name], followers)
    lines = [f"fire {names[0]}"]
    lines += [
        f"{each.number} {each.name:13} {'-' if each.at is None else at_text(each.at)}  {each.told}"
        for each in way
    ]
    lines += [
        f"{at_text(each.decided)} {each.decision} (attempt {each.attempt}): {each.reason}"
        for each in found[SCHEDULE.name]
    ]
    lines += [
        f"{at_text(each.ts_event)} {each.state} by {each.worker} (attempt {each.attempt}): "
        f"{each.detail}"
        for each in found[RUNS.name]
    ]
    told = {name: [asdict(each) for each in events] for name, events in found.items()}
    told["steps"] = [each._asdict() for each in way]
    _print(lines, {"fire_id": names[0], **told}, as_json=as_json)


@app.command()
def history(
    job: Annotated[str, typer.Argument(help="Name of a job.")],
    count: Annotated[int, typer.Option(min=1, help="Newest fires shown.")] = HISTORY_MAX,
    *,
    as_json: Json = False,
) -> None:
    """Print a job's newest fires: the states each went through, and every attempt."""
    from scheduler.history import told  # noqa: PLC0415 -- --help must not wait for it
    from schemas.topics import RUNS, SCHEDULE  # noqa: PLC0415 -- same

    fires = told(_events(SCHEDULE), _events(RUNS), job)[-count:]
    lines = []
    for each in fires:
        name, way = each.fire_id[:12], " > ".join(each.way)
        lines.append(f"{at_text(each.slot)} {name} {each.kind:8} {way}: {each.reason}")
        lines += [
            f"    attempt {one.attempt} {at_text(one.fired)} {one.state} by {one.worker or '-'}: "
            f"{one.detail}"
            for one in each.attempts
        ]
    rows = [
        {**each._asdict(), "attempts": [one._asdict() for one in each.attempts]} for each in fires
    ]
    _print(lines or [f"no fires of {job}"], {"job": job, "fires": rows}, as_json=as_json)


def _events(topic: Any) -> list[Any]:
    from infra.reader import read_all  # noqa: PLC0415 -- --help must not wait for it
    from infra.tail import decoded  # noqa: PLC0415 -- same

    with place() as (connection, serde):
        return decoded(serde, topic, read_all(connection, topic))


@contextmanager
def place() -> Iterator[Any]:
    """Give the connection and the serde of the namespace in the settings."""
    from infra.connection import Connection  # noqa: PLC0415 -- --help must not wait for it
    from infra.registry import Registry, Serde  # noqa: PLC0415 -- same
    from infra.settings import Settings  # noqa: PLC0415 -- same
    from infra.stack.stack import require  # noqa: PLC0415 -- same

    settings = Settings()
    where = require(settings)
    registry = Registry(where.registry_url)
    try:
        yield (
            Connection(settings=settings, endpoints=where, namespace=settings.namespace),
            Serde(registry),
        )
    finally:
        registry.close()


def instant_of(text: str | None) -> Any:
    """Return an instant in Korea, now when none is given."""
    from datetime import datetime  # noqa: PLC0415 -- --help must not wait for it

    from infra.clock import wall_now  # noqa: PLC0415 -- same
    from schemas.krx.sessions import kst_midnight  # noqa: PLC0415 -- same
    from schemas.units import SECOND, Micros  # noqa: PLC0415 -- same

    if text is None:
        return wall_now()
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"expected an instant in Korea as yyyy-mm-ddThh:mm, was {text!r}"
        ) from error
    seconds = read.hour * 3_600 + read.minute * 60 + read.second
    return Micros(kst_midnight(read.date()) + seconds * SECOND)


def at_text(micros: int) -> str:
    """Return an instant as a day and a minute in Korea."""
    from scheduler.triggers import clock  # noqa: PLC0415 -- --help must not wait for it
    from schemas.krx.sessions import kst_date  # noqa: PLC0415 -- same
    from schemas.units import Micros  # noqa: PLC0415 -- same

    return f"{kst_date(Micros(micros))} {clock(Micros(micros))}"


def _timetable() -> Any:
    """Return the timetable of the settings: what the scheduler here goes by."""
    from infra.settings import Settings  # noqa: PLC0415 -- --help must not wait for it
    from scheduler import reading, timetable  # noqa: PLC0415 -- same

    path = Settings().scheduler.timetable
    if path is None:
        return timetable.default()
    return timetable.load(reading.text_of(path, "AEGIS_SCHEDULER__TIMETABLE"))


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
