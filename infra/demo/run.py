"""What ``aegis demo · audit · verify · explain`` do: a stack around them, a result at the end."""

import json
import os
import time
from pathlib import Path
from typing import Any, Final

import typer

from infra.connection import Connection
from infra.demo import day, facts, judge, story
from infra.demo.screen import Screen
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack import progress
from infra.stack import stack as local
from infra.topology import Topology, load_roles
from schemas import topics
from schemas.errors import Misconfigured

LAST: Final = "last_run.json"
SKILL: Final = "not shown"


def demo(options: day.Options, *, as_json: bool) -> int:
    """Play a day, judge it, print its result; 0 when the audit found nothing."""
    began = time.monotonic()
    settings = Settings()
    there = local.attach(settings)
    ours = there is None
    if there is None:
        there = local.up(settings, owner_pid=os.getpid(), progress=progress.shown_on())
    try:
        with Screen(live=not as_json, synthetic=options.data is None) as screen:
            played = day.play(settings, there, options, screen.show)
            screen.show("judging", {})
            result = _result(played, options, settings)
    finally:
        if ours:
            local.down(settings)
    result["duration_s"] = round(time.monotonic() - began, 1)
    _report(result, as_json=as_json)
    return int(any(result["audit"].values()))


def audit(run: str | None, *, every: bool, as_json: bool) -> int:
    """Judge a run again, from its topics and the exchange's book."""
    settings = Settings()
    with local.running(settings) as endpoints:
        last = _last(settings, run)
        found = _judged(settings, endpoints, last, every=every)
    _report(found, as_json=as_json)
    return int(any(found["audit"].values()))


def verify(run: str | None, *, partitions: int, chunk: int, recompute: bool, as_json: bool) -> int:
    """Make a run's decisions again; 0 when every topic is the same."""
    from infra import verify as again  # noqa: PLC0415 -- only this command needs the engine

    settings = Settings()
    began = time.monotonic()
    with local.running(settings) as endpoints:
        last = _last(settings, run)
        connection = _connection(settings, endpoints, last["namespace"])
        serde = Serde(Registry(endpoints.registry_url))
        roles = [each for each in load_roles() if each.name in again.REMADE]
        topology = Topology(load_roles(), settings.raw_sources, partitions)
        inputs = again.given(connection)
        run_outputs = again.given(connection, again.COMPARED)
        log = again.remake(inputs, roles, topology, serde, chunk=chunk)
        compared = again.compare(run_outputs, log, serde)
        extra = {"recomputed": _recompute(connection, serde)} if recompute else {}
    manifest = last.get("digests", {})
    result: dict[str, Any] = {
        "namespace": last["namespace"],
        "partitions": partitions,
        "chunk": chunk,
        "topics": {
            each.topic: {
                "records": each.records,
                "same": each.same and each.digest == manifest.get(each.topic, each.digest),
                "digest": each.digest,
                "first_difference": each.first,
            }
            for each in compared
        },
        **extra,
        "seconds": round(time.monotonic() - began, 1),
    }
    good = all(each["same"] for each in result["topics"].values())
    good = good and not any(result.get("recomputed", {}).get(k) for k in ("different",))
    result["verified"] = good
    _report(result, as_json=as_json)
    return 0 if good else 1


def explain(what: str, run: str | None, *, as_json: bool) -> int:
    """Show the chain of an order, a signal or a fire."""
    settings = Settings()
    with local.running(settings) as endpoints:
        last = _last(settings, run)
        connection = _connection(settings, endpoints, last["namespace"])
        chain = story.explain(connection, Serde(Registry(endpoints.registry_url)), what)
    _report(chain, as_json=as_json)
    return 0


def _recompute(connection: Connection, serde: Serde) -> dict[str, int]:
    """Run every on-time inference again, by the entry point of the room that owns the model."""
    from importlib.metadata import entry_points  # noqa: PLC0415 -- only asked for

    from infra.reader import read_all  # noqa: PLC0415 -- only asked for

    [check] = entry_points(group="aegis.recompute")
    snapshots = [
        serde.decode(topics.SNAPSHOTS, each.value)
        for each in read_all(connection, topics.SNAPSHOTS)
        if each.value is not None
    ]
    answers = [
        serde.decode(topics.AI, each.value)
        for each in read_all(connection, topics.AI)
        if each.value is not None
    ]
    found: dict[str, int] = check.load()(snapshots, answers)
    return found


def _result(played: day.Played, options: day.Options, settings: Settings) -> dict[str, Any]:
    run = judge.Run.read(played.connection, played.topology)
    violations = judge.judge(run, played.journal, _calendar(options.data))
    digests = _digests(run)
    manifest = {
        "namespace": played.connection.namespace,
        "date": options.session_date.isoformat(),
        "data": str(played.data),
        "synthetic": played.synthetic,
        "journal": str(played.journal),
        "digests": digests,
    }
    for place in (settings.var_dir / LAST, played.folder / "manifest.json"):
        place.write_text(json.dumps(manifest, indent=1), "utf-8")
    return {
        "stack": played.connection.endpoints.kafka_bootstrap,
        "namespace": played.connection.namespace,
        "date": options.session_date.isoformat(),
        "data": "synthetic" if played.synthetic else "real",
        "skill": SKILL,
        **facts.day_facts(run, played),
        "audit": violations,
        "compared_with_avro": run.compared,
    }


def _digests(run: judge.Run) -> dict[str, str]:
    from infra.verify import COMPARED  # noqa: PLC0415 -- beside its only use

    return {topic.name: run.by_topic[topic.name].digest for topic in COMPARED}


def _judged(
    settings: Settings, endpoints: Any, last: dict[str, Any], *, every: bool
) -> dict[str, Any]:
    connection = _connection(settings, endpoints, last["namespace"])
    topology = Topology(load_roles(), settings.raw_sources)
    run = judge.Run.read(connection, topology, every=every)
    data = None if last["synthetic"] else Path(last["data"])
    return {
        "namespace": last["namespace"],
        "events_by_topic": run.counts,
        "compared_with_avro": run.compared,
        "audit": judge.judge(run, Path(last["journal"]), _calendar(data)),
    }


def _calendar(data: Path | None) -> Path | None:
    return None if data is None else data / judge.GOLDEN


def _connection(settings: Settings, endpoints: Any, namespace: str) -> Connection:
    return Connection(settings=settings, endpoints=endpoints, namespace=namespace)


def _last(settings: Settings, run: str | None) -> dict[str, Any]:
    """Return the manifest of a run, the last one when none is named.

    Raises:
        Misconfigured: There is none.
    """
    named = settings.var_dir / LAST if run is None else settings.var_dir / run / "manifest.json"
    if not named.exists():
        raise Misconfigured(
            f"expected the manifest of {'a last run' if run is None else run} at {named}, "
            f"was nothing; play one with 'aegis demo'"
        )
    found: dict[str, Any] = json.loads(named.read_text("utf-8"))
    return found


def _report(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, default=str))
        return
    typer.echo(json.dumps(result, ensure_ascii=False, indent=2, default=str))
