"""Play one KRX day: start everything in order, wait for the close, stop it, judge it."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from infra.admin import create_topics, delete_namespace, namespaces
from infra.clock import ExchangeClock
from infra.connection import Connection
from infra.demo.children import Child, Children
from infra.demo.scrape import Figures
from infra.demo.watch import Watch
from infra.deploy import register_all
from infra.exchange.synthetic import write_market
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack.endpoints import Endpoints
from infra.topology import Topology, load_roles
from schemas.errors import Fatal, Misconfigured
from schemas.krx.sessions import session
from schemas.topics import (
    BARS,
    FUNDAMENTALS,
    INDICES,
    INSTRUMENTS,
    RAW_KRX,
    Topic,
)
from schemas.units import DAY, Micros

PACING: Final = ("kis", "features", "scheduler", "execution", "demo")
SCORING: Final = ("scores.screen", "scores.quant", "features.snapshots", "scores.final")
DESK: Final = ("execution", "portfolio", "learning", "store", "scheduler", "jobs")
PARTITIONS: Final = 2
"""Of symbol topics: as many as the demo's machine has cores; a cluster has the catalogue's."""

RATES: Final = ("--trades-s", "0.24", "--books-s", "0.30")
"""Prints and books per second of a streamed name on a real date: over 300,000 in a day."""

RATES_SYNTHETIC: Final = ("--trades-s", "0.06", "--books-s", "0.08")
"""A seeded market is quieter: its day is over in minutes on two cores."""

CASH: Final = "10000000000"
"""Of a real date's account, in won: large enough that some orders are filled in parts."""

CASH_SYNTHETIC: Final = "1000000000"
"""Of a seeded market's: its names are smaller, and its day is to be over in minutes."""

LINGER_MS: Final = 20
"""At a hundred times market time a record gathers company sooner than live."""

HOLDINGS: Final = "20@2"
"""The account opens with twenty names of 2 % each, so that a sell has something to sell."""

LOAD_S_MAX: Final = 180.0
DRAIN_S_MAX: Final = 60.0
LOOK_S: Final = 0.5
STILL_LOOKS: Final = 4
LOOKS_PER_WATCH: Final = 2
LOOKS_PER_SCRAPE: Final = 6
KEPT: Final = 2
SEED: Final = 20260210

Show = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a day is asked to be.

    Attributes:
        data: Folder with real data; None for a seeded market, called synthetic everywhere.
        session_date: The session to play.
        speed: Market seconds per wall second at most; 0 is no ceiling.
        seed: Of the simulated exchange, its faults and the seeded market.
        faults: ``reject=0.01,late=0.01,lost=0.01``; empty for none.
        begin, end: HH:MM KST; the day's first and last instant.
        failpoint: Process to kill, where and how often: ``desk=submitting-before-send:5*3``.
        names: Listed names of a seeded market.
    """

    data: Path | None
    session_date: date
    speed: float = 0.0
    seed: int = SEED
    faults: str = ""
    begin: str = "07:50"
    end: str = "18:10"
    failpoint: str = ""
    names: int = 2_800


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a day left behind."""

    connection: Connection
    topology: Topology
    registry: Registry
    journal: Path
    folder: Path
    data: Path
    synthetic: bool
    restarts: dict[str, int]
    load_s: float
    day_s: float
    market_s: float
    figures: Figures


def namespace_of(day: date, taken: list[str]) -> str:
    """Return the next free ``demo.<yyyymmdd>.<n>``."""
    head = f"demo.{day:%Y%m%d}."
    numbers = [int(each.removeprefix(head)) for each in taken if each.startswith(head)]
    return f"{head}{max(numbers, default=0) + 1}"


def play(settings: Settings, endpoints: Endpoints, options: Options, show: Show) -> Played:
    """Play a day and return what it left; every process is gone when this returns.

    Raises:
        Misconfigured: The date is not a session.
        Fatal: A process failed for good, or the day stood still.
    """
    if session(options.session_date) is None:
        raise Misconfigured(f"--date: expected a KRX session, was {options.session_date}: closed")
    probe = Connection(settings=settings, endpoints=endpoints, namespace="demo")
    taken = namespaces(probe)
    namespace = namespace_of(options.session_date, taken)
    _forget(probe, taken)
    connection = Connection(settings=settings, endpoints=endpoints, namespace=namespace)
    topology = Topology(load_roles(), settings.raw_sources, PARTITIONS)
    registry = Registry(endpoints.registry_url)
    show("preparing", {"namespace": namespace})
    register_all(registry)
    create_topics(connection, topology)
    folder = settings.var_dir.absolute() / namespace
    folder.mkdir(parents=True, exist_ok=True)
    data = options.data
    if data is None:
        data = folder / "market"
        write_market(data, options.seed, options.names, day=options.session_date)
    children = Children(
        environment=_environment(connection, options, data.absolute(), folder),
        logs=folder / "logs",
    )
    try:
        return _play(
            _Day(options, connection, topology, registry, folder, data.absolute(), children, show)
        )
    finally:
        children.stop()


@dataclass(frozen=True, slots=True)
class _Day:
    options: Options
    connection: Connection
    topology: Topology
    registry: Registry
    folder: Path
    data: Path
    children: Children
    show: Show


def _play(day: _Day) -> Played:
    began = time.monotonic()
    children, options = day.children, day.options
    journal = day.folder / "exchange.journal.jsonl"
    loader = Child(name="loader", arguments=["producers"], restart=False)
    children.start(loader)
    where = children.start_and_hear(_exchange(day, journal))
    children.environment = {
        **children.environment,
        "AEGIS_CLOCK": "exchange",
        "AEGIS_CLOCK_URL": where["clock"],
        "AEGIS_KIS__REST_URL": where["rest"],
        "AEGIS_KIS__WS_URL": where["ws"],
    }
    clock, figures = ExchangeClock(where["clock"]), Figures()
    watch = Watch(day.connection, Serde(day.registry), day.topology)
    try:
        first = clock.now()
        clock.report("demo", first)
        for name, arguments in (
            ("market", ["streams", "market"]),
            ("scoring", ["infra.host", *SCORING, "inference"]),
            ("desk", ["infra.host", *DESK]),
        ):
            children.start(_armed(day, Child(name=name, arguments=arguments)))
        day.show("loading", {})
        children.wait(loader, LOAD_S_MAX)
        children.start(
            _armed(day, Child(name="producers", arguments=["infra.host", "producers.kis"]))
        )
        _await_load(day)
        loaded = time.monotonic()
        day.show("playing", {"loaded_s": loaded - began})
        clock.report("demo", Micros(first + 2 * DAY))
        looked = 0
        while not clock.ended:
            time.sleep(LOOK_S)
            again = children.watch()
            now = clock.now()
            looked += 1
            news = watch.look(now) if looked % LOOKS_PER_WATCH == 0 else {}
            day.show("market", {"now": now, "restarted": again, **news})
            if looked % LOOKS_PER_SCRAPE == 0:
                figures.look(children.members, now / 1e6 if _in_session(options, now) else None)
        ended = time.monotonic()
        market_s = (clock.now() - first) / 1e6
        day.show("draining", {})
        _drain(day)
        figures.look(children.members, None)
    finally:
        clock.close()
        figures.close()
        watch.close()
    restarts = {child.name: child.restarts for child in children.members}
    children.stop()
    return Played(
        connection=day.connection,
        topology=day.topology,
        registry=day.registry,
        journal=journal,
        folder=day.folder,
        data=day.data,
        synthetic=options.data is None,
        restarts=restarts,
        load_s=loaded - began,
        day_s=ended - loaded,
        market_s=market_s,
        figures=figures,
    )


def _exchange(day: _Day, journal: Path) -> Child:
    options = day.options
    arguments = [
        "infra.exchange",
        *("--data", str(day.data)),
        *("--date", options.session_date.isoformat()),
        *("--seed", str(options.seed)),
        *("--journal", str(journal)),
        *("--pacing", ",".join(PACING)),
        *("--speed", str(options.speed)),
        *("--begin", options.begin),
        *("--end", options.end),
        *("--faults", options.faults),
        *("--holdings", HOLDINGS),
        *("--cash", CASH if options.data is not None else CASH_SYNTHETIC),
        *(RATES if options.data is not None else RATES_SYNTHETIC),
    ]
    return Child(name="exchange", arguments=arguments, restart=False)


def _armed(day: _Day, child: Child) -> Child:
    """Arm a child with the failpoint that names it."""
    name, _, failpoint = day.options.failpoint.partition("=")
    if name == child.name:
        marker = day.folder / f"failpoint.{name}"
        child.environment = {"AEGIS_FAILPOINT": failpoint, "AEGIS_FAILPOINT_DEATHS": str(marker)}
    return child


def _environment(
    connection: Connection, options: Options, data: Path, folder: Path
) -> dict[str, str]:
    endpoints = connection.endpoints
    return {
        **os.environ,
        "AEGIS_NAMESPACE": connection.namespace,
        "AEGIS_KAFKA__BOOTSTRAP": endpoints.kafka_bootstrap,
        "AEGIS_KAFKA__LINGER_MS": str(LINGER_MS),
        "AEGIS_REGISTRY__URL": endpoints.registry_url,
        "AEGIS_POSTGRES__DSN": endpoints.postgres_dsn,
        "AEGIS_REDIS__URL": endpoints.redis_url,
        "AEGIS_VAR_DIR": str(folder),
        "AEGIS_DATA_DIR": str(data),
        "AEGIS_SYMBOL_PARTITIONS": str(PARTITIONS),
        "AEGIS_SESSION_DATE": options.session_date.isoformat(),
        "AEGIS_KIS__APP_KEY": f"demo-{secrets.token_hex(8)}",
        "AEGIS_KIS__APP_SECRET": secrets.token_hex(32),
        "AEGIS_KIS__ACCOUNT": "5019920201",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _in_session(options: Options, now: Micros) -> bool:
    hours = session(options.session_date)
    return hours is not None and hours.open <= now < hours.close


def _await_load(day: _Day) -> None:
    """Wait until the session's data is decoded and every scoring role has read it."""
    connection = day.connection
    consumer = Consumer(connection.consumer("demo.load"))
    give_up = time.monotonic() + LOAD_S_MAX
    try:
        while True:
            raw = _end(consumer, connection, RAW_KRX, 1)
            decoded = _end(consumer, connection, INSTRUMENTS) + _end(
                consumer, connection, INDICES, 1
            )
            if raw and decoded >= raw and _references_read(day, consumer):
                return
            if time.monotonic() > give_up:
                raise Fatal(
                    f"expected the session's data within {LOAD_S_MAX} s, was {decoded} of {raw} "
                    f"decoded; see {day.folder / 'logs'}"
                )
            day.children.watch()
            day.show("loading", {"raw": raw, "decoded": decoded})
            time.sleep(LOOK_S)
    finally:
        consumer.close()


def _end(
    consumer: Consumer, connection: Connection, topic: Topic, partitions: int = PARTITIONS
) -> int:
    name = connection.topic(topic)
    return sum(
        consumer.get_watermark_offsets(TopicPartition(name, each), timeout=30.0)[1]
        for each in range(partitions)
    )


def _references_read(day: _Day, consumer: Consumer) -> bool:
    """Whether every universe role has committed the ends of its references."""
    loaded = {BARS.name, INSTRUMENTS.name, FUNDAMENTALS.name, INDICES.name}
    for role in day.topology.roles:
        topics = [e.topic for e in role.inputs if e.kind == "reference" and e.topic.name in loaded]
        if topics and not _committed_all(day, role.name, topics, consumer):
            return False
    return True


def _committed_all(day: _Day, role: str, topics: list[Topic], ends: Consumer) -> bool:
    connection = day.connection
    reader = Consumer(connection.consumer(role))
    try:
        for topic in topics:
            places = [
                TopicPartition(connection.topic(topic), each)
                for each in range(day.topology.partitions(topic))
            ]
            for place in reader.committed(places, timeout=30.0):
                end = ends.get_watermark_offsets(place, timeout=30.0)[1]
                if max(place.offset, 0) < end:
                    return False
        return True
    finally:
        reader.close()


def _drain(day: _Day) -> None:
    """Wait until the log stands still: two looks apart show the same ends."""
    consumer = Consumer(day.connection.consumer("demo.drain"))
    watched = [t for role in day.topology.roles for t in role.outputs]
    give_up = time.monotonic() + DRAIN_S_MAX
    before: list[int] = []
    still = 0
    try:
        while still < STILL_LOOKS and time.monotonic() < give_up:
            ends = [_end(consumer, day.connection, t, day.topology.partitions(t)) for t in watched]
            still = still + 1 if ends == before else 0
            before = ends
            time.sleep(LOOK_S)
    finally:
        consumer.close()


def _forget(connection: Connection, taken: list[str]) -> None:
    """Delete all but the newest demos before this one."""
    demos = [each for each in taken if each.startswith("demo.")]
    for each in sorted(demos, key=_number)[: max(len(demos) - (KEPT - 1), 0)]:
        delete_namespace(connection, each)


def _number(namespace: str) -> tuple[str, int]:
    head, _, tail = namespace.rpartition(".")
    return head, int(tail) if tail.isdigit() else 0
