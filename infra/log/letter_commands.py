"""``aegis dead-letters ls · show · redrive``.

Importing this costs typer and nothing more: each command imports what it needs.
"""

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.connection import Connection
    from infra.log.records import Raw
    from infra.registry import Registry

app = typer.Typer(
    help="Records that could not be read.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help costs 0.2 s less
)

Json = Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")]
Run = Annotated[str | None, typer.Option(help="Namespace; AEGIS_NAMESPACE when not given.")]
REASON_SHOWN = 72


@app.callback()
def group() -> None:
    """Records that could not be read."""


@app.command("ls")
def list_letters(
    *,
    topic: Annotated[str | None, typer.Option(help="Only records of this topic.")] = None,
    run: Run = None,
    as_json: Json = False,
) -> None:
    """Print every record that could not be read: where, when, who, how often, why."""
    from infra.log import redrive as work  # noqa: PLC0415 -- --help must not wait for it
    from infra.registry import Serde  # noqa: PLC0415 -- same

    with _there(run) as (connection, registry):
        box = work.opened(connection, Serde(registry))
    rows = [
        {
            "origin": each.origin,
            "at": each.newest.ts_event,
            "roles": sorted({letter.role for _, letter in each.letters}),
            "attempts": each.attempts,
            "redriven": len(each.redriven),
            "error": each.newest.error,
            "reason": each.newest.reason,
            "letters": [str(place) for place, _ in each.letters],
        }
        for each in box.poisoned.values()
        if topic is None or each.origin.partition("/")[0] == topic
    ]
    lines = [
        f"{row['origin']}  {_utc(row['at'])}  {','.join(row['roles'])}  "  # type: ignore[arg-type] # a list of text, see above
        f"attempts {row['attempts']}  redriven {row['redriven']}  {_short(str(row['reason']))}"
        for row in rows
    ]
    lines += [
        f"{place}  a letter that cannot be read: {why}" for place, why in box.unreadable.items()
    ]
    told = {"namespace": connection.namespace, "records": rows, "unreadable": box.unreadable}
    _print(lines or [_nothing(topic, connection.namespace)], told, as_json=as_json)


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="topic/partition/offset, as ls prints it.")],
    *,
    run: Run = None,
    as_json: Json = False,
) -> None:
    """Print all that is known of one record: letters, key, headers, bytes, fields."""
    from dataclasses import asdict  # noqa: PLC0415 -- --help must not wait for it

    from infra.log import letters  # noqa: PLC0415 -- same
    from infra.log import redrive as work  # noqa: PLC0415 -- same
    from infra.log.records import Source  # noqa: PLC0415 -- same
    from infra.registry import Serde  # noqa: PLC0415 -- same

    with _there(run) as (connection, registry):
        found = letters.one(work.opened(connection, Serde(registry)).poisoned, place)
        source = Source(connection)
        try:
            record = work.original(connection, source, found.origin)
        finally:
            source.close()
        payload = found.newest.payload
        value = payload if record is None or record.value is None else record.value
        decoded = _decoded(registry, value)
    told = {
        "origin": found.origin,
        "letters": [
            {"place": str(at), **asdict(letter), "payload": letter.payload.hex()}
            for at, letter in found.letters
        ],
        "redriven": [asdict(act) for act in found.redriven],
        "original": None if record is None else _original(record),
        "decoded": decoded,
    }
    _print(_told(told), told, as_json=as_json)


@app.command()
def redrive(
    places: Annotated[list[str] | None, typer.Argument(help="topic/partition/offset ...")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="All not redriven yet.")] = False,
    reason: Annotated[str, typer.Option(help="Goes to ops.audit.")] = "by hand",
    again: Annotated[bool, typer.Option("--again", help="Also what was redriven before.")] = False,
    run: Run = None,
    as_json: Json = False,
) -> None:
    """Give records to their readers again, exactly once; who and why goes to ops.audit."""
    from infra.clock import wall_now  # noqa: PLC0415 -- --help must not wait for it
    from infra.log import redrive as work  # noqa: PLC0415 -- same
    from infra.registry import Serde  # noqa: PLC0415 -- same

    if bool(places) == every:
        raise typer.BadParameter("expected places or --all, was both or neither")
    with _there(run) as (connection, registry):
        done = work.redrive(
            connection,
            Serde(registry),
            places or [],
            actor=_actor(),
            reason=reason,
            at=wall_now(),
            again=again,
        )
    lines = [f"{each.origin} is given again as {each.now}" for each in done.redriven]
    lines += [f"{origin} is gone from its topic: left alone" for origin in done.gone]
    told = {"redriven": [each._asdict() for each in done.redriven], "gone": done.gone}
    _print(lines or [_nothing(None, connection.namespace)], told, as_json=as_json)


@contextmanager
def _there(run: str | None) -> "Iterator[tuple[Connection, Registry]]":
    from infra.connection import Connection  # noqa: PLC0415 -- --help must not wait for it
    from infra.registry import Registry  # noqa: PLC0415 -- same
    from infra.settings import Settings  # noqa: PLC0415 -- same
    from infra.stack.stack import require  # noqa: PLC0415 -- same

    settings = Settings()
    where = require(settings)
    name = settings.namespace if run is None else run
    registry = Registry(where.registry_url)
    try:
        yield Connection(settings=settings, endpoints=where, namespace=name), registry
    finally:
        registry.close()


def _decoded(registry: "Registry", value: bytes) -> dict[str, Any]:
    """Return a value's fields as far as they can be read, and what stopped it."""
    from infra.log import letters  # noqa: PLC0415 -- --help must not wait for it
    from schemas.codec import unframe  # noqa: PLC0415 -- same

    why = letters.unreadable(value)
    if why:
        return {
            "schema": None,
            "fields": {},
            "stopped": why,
            "text": value.decode("utf-8", "replace"),
        }
    number, _ = unframe(value)
    text = registry.schema(number)
    if text is None:
        return {"schema": number, "fields": {}, "stopped": f"no schema of id {number}", "text": ""}
    fields, stopped = letters.as_far_as(value, text)
    said = f"field {stopped} cannot be read" if stopped else ""
    return {
        "schema": number,
        "record": json.loads(text)["name"],
        "fields": fields,
        "stopped": said,
        "text": "",
    }


def _original(record: "Raw") -> dict[str, Any]:
    return {
        "timestamp_ms": record.timestamp_ms,
        "key": None if record.key is None else record.key.decode("utf-8", "replace"),
        "headers": [
            [name, None if value is None else value.decode("utf-8", "replace")]
            for name, value in record.headers
        ],
        "value": None if record.value is None else record.value.hex(),
    }


def _told(told: dict[str, Any]) -> list[str]:
    lines = [f"origin    {told['origin']}"]
    for each in told["letters"]:
        lines += [
            f"letter    {each['place']}  {_utc(each['ts_event'])}",
            f"          {each['role']}, attempt {each['attempt']}",
            f"          {each['error']}: {each['reason']}",
        ]
    for each in told["redriven"]:
        lines.append(f"redriven  {_utc(each['ts_event'])} by {each['actor']}: {each['reason']}")
    record = told["original"]
    if record is None:
        lines += ["original  gone from its topic; the letter keeps:"]
        lines += [f"bytes     {told['letters'][-1]['payload']}"]
    else:
        lines += [f"key       {record['key']!r}", f"timestamp {record['timestamp_ms']} ms"]
        lines += [f"header    {name} = {value!r}" for name, value in record["headers"]]
        lines += [f"bytes     {record['value']}"]
    decoded = told["decoded"]
    lines += [f"field     {name} = {value!r}" for name, value in decoded["fields"].items()]
    lines += [f"text      {decoded['text']}"] if decoded["text"] else []
    return [*lines, f"stopped   {decoded['stopped'] or 'nowhere: every field can be read'}"]


def _actor() -> str:
    import getpass  # noqa: PLC0415 -- --help must not wait for it
    import socket  # noqa: PLC0415 -- same

    return f"{getpass.getuser()}@{socket.gethostname()}"


def _utc(micros: Any) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 -- --help must not wait for it

    return datetime.fromtimestamp(int(micros) // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _short(text: str) -> str:
    return text if len(text) <= REASON_SHOWN else f"{text[: REASON_SHOWN - 1]}…"


def _nothing(topic: str | None, namespace: str) -> str:
    about = "" if topic is None else f" about {topic}"
    return f"no dead letters{about} in {namespace}"


def _print(lines: list[str], told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, default=repr))
    else:
        typer.echo("\n".join(lines))
