"""The control interface on the real broker and database, beside a real scheduler."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import anyio
import httpx
import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import sql
from typer.testing import CliRunner

from infra.admin import create_topics, delete_namespace
from infra.clock import wall_now
from infra.connection import Connection
from infra.deploy import register_all
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.served_clock import ServedClock
from infra.settings import Settings
from infra.tail import decoded
from infra.topology import Topology
from scheduler import timetable
from scheduler.api import app, keys
from scheduler.api.bodies import BODY_BYTES_MAX
from scheduler.api.callbacks import TRIES_MAX, Courier
from scheduler.api.commands import app as commands
from scheduler.api.database import Owed
from scheduler.api.desk import Desk
from scheduler.api.keys import Key
from scheduler.api.slowdown import WRONG_MAX, Knocks
from scheduler.lease import SHARD
from schemas.control import JobTriggered, LeadershipHeld, RunReported, ScheduleDecided
from schemas.topics import AUDIT, CATALOGUE, COMMANDS, LEADER, RUNS, TRIGGERS, Topic
from schemas.units import DAY, HOUR, MINUTE, Micros

pytestmark = pytest.mark.stack

BEGIN = Micros(1_770_678_000_000_000)
"""2026-02-10 08:00 in Korea, where time stands."""

WAIT_S = 30.0
DOOR = "/v1/jobs"
REASON = {"reason": "a test"}
SCOPE = "run:trading"
HTTP_GOOD = 299
JOB = """
[jobs.{name}]
source = "a test"
cron = "0 7 * * *"
calendar = "sessions"
target = "handler:nobody"
group = "{group}"
priority = 2
late_max = "1h"
run_max = "1h"
retries = 0
isolate_after = 1
"""
TABLE = (
    "[limits]\nrunning_max = 40\nemergency_max = 0\n[limits.groups]\ntrading = 20\nreporting = 20\n"
    + "".join(
        JOB.format(name=name, group=group)
        for name, group in (("buy", "trading"), ("tell", "reporting"), ("break", "reporting"))
    )
)


class Heard(NamedTuple):
    """A url that is told: refuses the first call, takes the others."""

    url: str
    calls: list[dict[str, Any]]


class House(NamedTuple):
    """A scheduler and an interface in a process, and a desk beside it."""

    connection: Connection
    serde: Serde
    desk: Desk
    child: subprocess.Popen[bytes]
    http: httpx.Client
    log: Path
    heard: Heard

    def key(self, name: str, role: str, *scopes: str) -> str:
        return self.desk.administration.make("test", name, role, scopes, 1).token

    def ask(self, verb: str, path: str, token: str, body: Any = None) -> httpx.Response:
        bearer = {"authorization": f"Bearer {token}"} if token else {}
        return self.http.request(verb, path, json=body, headers=bearer)

    def read(self, topic: Topic) -> list[Any]:
        return decoded(self.serde, topic, read_all(self.connection, topic))

    def denials(self) -> list[tuple[str, str, str]]:
        acts = self.read(AUDIT)
        return [(each.actor, each.act, each.subject) for each in acts if not each.allowed]

    def end(self, fire_id: str, state: str) -> None:
        """Report the end of a fire, as its worker would."""
        [trigger] = [each for each in self.read(TRIGGERS) if each.fire_id == fire_id]
        publisher = Publisher(self.connection, self.serde, client="test.worker")
        publisher.send(RUNS, trigger.job, ended(trigger, state))
        publisher.flush()
        publisher.close()


def ended(trigger: JobTriggered, state: str) -> RunReported:
    return RunReported(
        ts_event=BEGIN, ts_ingest=BEGIN, fire_id=trigger.fire_id, job=trigger.job,
        slot=trigger.slot, state=state, attempt=trigger.attempt, worker="test", detail="told",
        started=BEGIN, ended=BEGIN,
    )  # fmt: skip


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    calls: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            calls.append({"path": self.path, **json.loads(self.rfile.read(size))})
            self.send_response(503 if len(calls) == 1 else 204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing: the test looks at the calls."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Heard(f"http://127.0.0.1:{server.server_port}", calls)
        server.shutdown()
        thread.join()


@contextmanager
def namespace(stack: Any) -> Iterator[Connection]:
    name = f"demo.api.{os.getpid()}-{time.monotonic_ns()}"
    found = Connection(settings=Settings(), endpoints=stack, namespace=name)
    create_topics(found, Topology((), ()))
    wait_for(lambda: known(found))
    yield found
    delete_namespace(found, name)
    with psycopg.connect(stack.postgres_dsn, autocommit=True) as database:
        database.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(found.pg_schema))
        )


def known(connection: Connection) -> bool:
    """Say whether the broker has heard of every topic just made."""
    found = AdminClient(connection.client("test")).list_topics(timeout=WAIT_S).topics
    return all(connection.topic(topic) in found for topic in CATALOGUE)


@pytest.fixture(scope="module")
def connection(stack: Any) -> Iterator[Connection]:
    with namespace(stack) as found:
        yield found


@pytest.fixture(scope="module")
def serde(stack: Any) -> Iterator[Serde]:
    registry = Registry(stack.registry_url)
    register_all(registry)
    yield Serde(registry)
    registry.close()


@pytest.fixture(scope="module")
def desk(connection: Connection, serde: Serde) -> Iterator[Desk]:
    found = Desk(connection, serde, timetable.load(TABLE), Settings())
    found.database.prepare()
    yield found
    found.close()


@pytest.fixture(scope="module")
def environment(
    connection: Connection, heard: Heard, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    table = tmp_path_factory.mktemp("api") / "timetable.toml"
    table.write_text(TABLE, "utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = connection.endpoints
    return {
        **os.environ,
        "AEGIS_NAMESPACE": connection.namespace,
        "AEGIS_KAFKA__BOOTSTRAP": where.kafka_bootstrap,
        "AEGIS_REGISTRY__URL": where.registry_url,
        "AEGIS_POSTGRES__DSN": where.postgres_dsn,
        "AEGIS_REDIS__URL": where.redis_url,
        "AEGIS_CLOCK": "exchange",
        "AEGIS_VAR_DIR": str(table.parent),
        "AEGIS_SCHEDULER__TIMETABLE": str(table),
        "AEGIS_API__PORT": str(port),
        "AEGIS_API__CALLBACKS": json.dumps([f"{heard.url}/told"]),
    }


@pytest.fixture(scope="module")
def house(
    connection: Connection, serde: Serde, desk: Desk, environment: dict[str, str], heard: Heard
) -> Iterator[House]:
    clock = ServedClock(BEGIN, "scheduler")
    log = Path(environment["AEGIS_VAR_DIR"]) / "child.log"
    with log.open("ab") as sink:
        child = subprocess.Popen(
            [sys.executable, "-m", "infra.host", "scheduler", "api"],
            env={**environment, "AEGIS_CLOCK_URL": clock.url}, stderr=sink, stdout=sink,
        )  # fmt: skip
    url = f"http://127.0.0.1:{environment['AEGIS_API__PORT']}"
    try:
        with httpx.Client(base_url=url, timeout=WAIT_S) as http:
            found = House(connection, serde, desk, child, http, log, heard)
            token = found.key("first", "viewer")
            wait_for(lambda: healthy(found, token), log)
            yield found
    finally:
        child.kill()
        child.wait()
        clock.close()


def healthy(house: House, token: str) -> bool:
    try:
        return house.ask("GET", "/v1/health", token).status_code == 200
    except httpx.TransportError:
        return False


def wait_for(happened: Callable[[], bool], log: Path | None = None) -> None:
    give_up = time.monotonic() + WAIT_S
    while not happened():
        time.sleep(0.05)
        assert time.monotonic() < give_up, "" if log is None else log.read_text()


def made(name: str, desk: Desk, **changes: Any) -> str:
    """Keep a key as it would be after a while, and return its token."""
    token = keys.token(f"{abs(hash(name)):016x}"[:16], "ab" * 32)
    key = Key(
        str(keys.id_in(token)), name, keys.digest(token), "operator", (SCOPE,),
        created=Micros(0), expires=Micros(BEGIN + 9_000 * DAY),
    )  # fmt: skip
    assert desk.database.add(key._replace(**changes))
    return token


def test_no_key_but_one_that_stands_opens_the_door(house: House) -> None:
    right = house.key("right", "viewer")
    wrong = {
        "no key": "",
        "no token": "open-sesame",
        "foreign": keys.token("00" * 8, "cd" * 32),
        "other secret": right[:-64] + "00" * 32,
        "expired": made("expired", house.desk, expires=Micros(BEGIN - HOUR)),
        "revoked": made("revoked", house.desk, revoked=BEGIN),
    }
    before = len(house.denials())

    answers = {how: house.ask("GET", DOOR, token) for how, token in wrong.items()}

    assert house.ask("GET", DOOR, right).status_code == 200
    assert {how: each.status_code for how, each in answers.items()} == dict.fromkeys(wrong, 401)
    assert {each.headers["www-authenticate"] for each in answers.values()} == {"Bearer"}
    assert "expired" in answers["expired"].json()["detail"]
    assert "revoked" in answers["revoked"].json()["detail"]
    denied = [(actor, act) for actor, act, _ in house.denials()[before:]]
    assert denied == [*[("nobody", "enter")] * 4, ("expired", "enter"), ("revoked", "enter")]


ALL = {"viewer": 200, "operator": 200, "risk": 200, "admin": 200}
WORKS = {"viewer": 403, "operator": 200, "risk": 200, "admin": 403}
ADMIN = {"viewer": 403, "operator": 403, "risk": 403}
ROLE_TABLE: dict[tuple[str, str], dict[str, int]] = {
    ("get", "/v1/jobs"): ALL,
    ("get", "/v1/jobs/{name}"): ALL,
    ("get", "/v1/jobs/{name}/history"): ALL,
    ("get", "/v1/fires/{fire_id}"): ALL,
    ("get", "/v1/next"): ALL,
    ("get", "/v1/calendar/{year}"): ALL,
    ("get", "/v1/state"): ALL,
    ("get", "/v1/health"): ALL,
    ("post", "/v1/jobs/{name}/run"): WORKS,
    ("post", "/v1/jobs/{name}/backfill"): WORKS,
    ("post", "/v1/jobs/{name}/pause"): WORKS,
    ("post", "/v1/jobs/{name}/resume"): WORKS,
    ("post", "/v1/jobs/{name}/release"): {**ADMIN, "risk": 409, "admin": 403},
    ("post", "/v1/fires/{fire_id}/cancel"): WORKS,
    ("get", "/v1/keys"): {**ADMIN, "admin": 200},
    ("post", "/v1/keys"): {**ADMIN, "admin": 201},
    ("post", "/v1/keys/{name}/revoke"): {**ADMIN, "admin": 204},
}
BODIES = {
    "backfill": {"reason": "a test", "slot": "2026-02-09T07:00"},
    "keys": {"name": "another", "role": "viewer"},
}


def test_every_path_of_the_document_answers_each_role_as_the_table_says(house: House) -> None:
    document = house.ask("GET", "/openapi.json", "").json()
    offered = [(verb, path) for path, found in document["paths"].items() for verb in found]
    starter = house.key("starter", "operator", SCOPE)
    fire = house.ask("POST", "/v1/jobs/buy/run", starter, REASON).json()["fire_id"]
    told: dict[tuple[str, str], dict[str, int]] = {each: {} for each in offered}
    denied = len(house.denials())
    for role in ("viewer", "operator", "risk", "admin"):
        token = house.key(f"table-{role}", role, SCOPE)
        for verb, path in offered:
            name = "another" if "keys" in path else "buy"
            at = path.format(name=name, fire_id=fire, year=2026)
            query = "?on=2026-02-10" if path.endswith("/next") else ""
            body = BODIES.get(path.rpartition("/")[2], REASON) if verb == "post" else None
            answer = house.ask(verb, at + query, token, body)
            told[verb, path][role] = answer.status_code
            if path.endswith("/run") and answer.json().get("decision") == "fired":
                fire = answer.json()["fire_id"]  # the others wait: a job runs once at a time

    assert document["openapi"].startswith("3.")
    assert told == ROLE_TABLE
    forbidden = sum(status == 403 for row in ROLE_TABLE.values() for status in row.values())
    assert len(house.denials()) - denied == forbidden + 1  # the scheduler refused one release


def test_a_key_without_the_scope_sees_a_job_and_may_not_run_it(house: House) -> None:
    without = house.key("without", "operator", "run:reporting")
    seen = house.ask("GET", "/v1/jobs/buy", without)
    refused = house.ask("POST", "/v1/jobs/buy/run", without, REASON)
    commands_given = len(house.read(COMMANDS))

    assert (seen.status_code, seen.json()["group"]) == (200, "trading")
    assert refused.status_code == 403
    assert refused.json()["detail"] == "expected the scope run:trading to run, was run:reporting"
    assert house.denials()[-1] == ("without", "run", "job:buy")
    assert len(house.read(COMMANDS)) == commands_given


def test_a_run_asked_over_http_is_triggered_by_that_command_and_its_end_is_told_once(
    house: House,
) -> None:
    token = house.key("outside", "operator", "run:*")
    elsewhere = {**REASON, "callback": f"{house.heard.url}/toldly?secret"}
    denied = house.ask("POST", "/v1/jobs/tell/run", token, elsewhere)
    body = {"reason": "an outside system", "callback": f"{house.heard.url}/told/s3cret"}
    ran = house.ask("POST", "/v1/jobs/tell/run", token, body)
    fire = ran.json()["fire_id"]
    house.end(fire, "succeeded")
    later = Micros(wall_now() + HOUR)
    wait_for(lambda: not house.desk.database.owed(later), house.log)

    assert (denied.status_code, ran.status_code, ran.json()["decision"]) == (403, 200, "fired")
    [command] = [each for each in house.read(COMMANDS) if each.actor == "outside"]
    [trigger] = [each for each in house.read(TRIGGERS) if each.fire_id == fire]
    assert (trigger.cause, trigger.kind) == (command.command_id, "manual")
    assert (command.verb, command.reason) == ("run", "an outside system")
    assert house.heard.calls[0] == house.heard.calls[1]
    assert len(house.heard.calls) == 2
    told = house.heard.calls[1]
    assert (told["path"], told["fire_id"], told["state"]) == ("/told/s3cret", fire, "succeeded")
    shown = house.ask("GET", f"/v1/fires/{fire}", token).json()
    assert (shown["job"], shown["way"]) == ("tell", ["waiting", "running", "succeeded"])
    [newest] = house.ask("GET", "/v1/jobs/tell/history?count=1", token).json()["fires"]
    assert newest == shown
    acts = [(each.service, each.act, each.allowed) for each in house.read(AUDIT)
            if each.actor == "outside"]  # fmt: skip
    assert acts == [("api", "callback", False), ("api", "run", True), ("scheduler", "run", True)]


def test_risk_releases_a_quarantined_job_and_an_operator_does_not(house: House) -> None:
    operator = house.key("works", "operator", "run:*")
    risk = house.key("watches", "risk")
    fire = house.ask("POST", "/v1/jobs/break/run", operator, REASON).json()["fire_id"]
    house.end(fire, "failed")
    held: list[dict[str, Any]] = []

    def quarantined() -> bool:
        held[:] = house.ask("GET", "/v1/state", operator).json()["held"]
        return bool(held)

    wait_for(quarantined, house.log)
    paths = [("run", operator), ("release", operator), ("release", risk), ("run", operator)]
    answers = [house.ask("POST", f"/v1/jobs/break/{act}", who, REASON) for act, who in paths]

    assert [(each["job"], each["word"]) for each in held] == [("break", "quarantined")]
    assert [each.status_code for each in answers] == [409, 403, 200, 200]
    assert answers[0].json()["detail"].startswith("expected a job that fires, was quarantined")
    assert answers[2].json()["decision"] == "released"


def test_a_key_made_over_http_works_until_it_is_revoked(house: House) -> None:
    admin = house.key("root", "admin")
    body = {"name": "fresh", "role": "operator", "scopes": [SCOPE], "days": 1}
    token = house.ask("POST", "/v1/keys", admin, body).json()["token"]
    again = house.ask("POST", "/v1/keys", admin, body)
    opened = house.ask("GET", DOOR, token)
    revoked = house.ask("POST", "/v1/keys/fresh/revoke", admin, REASON)
    shut = house.ask("GET", DOOR, token)
    listed = {each["name"]: each for each in house.ask("GET", "/v1/keys", admin).json()["keys"]}

    assert (opened.status_code, revoked.status_code, shut.status_code) == (200, 204, 401)
    assert (again.status_code, "never given" in again.json()["detail"]) == (422, True)
    assert listed["fresh"]["revoked"] > listed["fresh"]["last_used"] > 0
    acts = [(each.act, each.allowed) for each in house.read(AUDIT) if each.subject == "key:fresh"]
    assert acts == [("make key", True), ("revoke key", True)]


def test_a_token_is_kept_nowhere_but_as_its_hash(house: House) -> None:
    token = house.key("hidden", "operator")
    assert house.ask("GET", DOOR, token).status_code == 200
    assert house.ask("POST", "/v1/jobs/buy/run", token, REASON).status_code == 403

    secret, schema = token.rpartition("_")[2], house.connection.pg_schema
    kept = dump(house.connection.endpoints.postgres_dsn, schema)
    said = repr(house.read(AUDIT)) + repr(house.read(COMMANDS)) + house.log.read_text()
    assert secret not in kept + said
    assert keys.digest(token).hex() in kept
    assert "hidden" in said


def dump(dsn: str, schema: str) -> str:
    """Return every row of every table of a schema as text."""
    with psycopg.connect(dsn) as database:
        names = database.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]
        ).fetchall()
        rows = [
            row
            for [name] in names
            for [row] in database.execute(
                sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, name))
            )
        ]
    assert rows
    return "\n".join(rows)


def test_keys_are_made_listed_and_revoked_from_the_command_line(
    environment: dict[str, str], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> str:
        told = CliRunner().invoke(commands, ["keys", *arguments], catch_exceptions=False)
        assert told.exit_code == 0, told.output
        return told.stdout.strip()

    token = run("create", "--name", "kim", "--role", "operator", "--scope", SCOPE, "--days", "7")
    found = desk.database.key(str(keys.id_in(token)))
    [listed] = [each for each in json.loads(run("ls", "--json"))["keys"] if each["name"] == "kim"]
    run("revoke", "kim", "--reason", "left us")

    assert found is not None
    assert (found.name, found.role, found.scopes) == ("kim", "operator", (SCOPE,))
    assert found.expires - found.created == 7 * DAY
    assert (listed["role"], listed["revoked"]) == ("operator", None)
    assert keys.why_not(desk.database.key(found.key_id) or found, found.created) is not None
    assert [line for line in run("ls").splitlines() if "kim" in line and "revoked" in line]


class Inside:
    """The application without a server, its calls one after another."""

    def __init__(self, application: FastAPI, token: str) -> None:
        self._app = application
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def ask(self, *requests: tuple[str, str, bytes]) -> list[httpx.Response]:
        async def each() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://test", headers=self._headers
            ) as client:
                return [
                    await client.request(verb, path, content=body) for verb, path, body in requests
                ]

        return anyio.run(each)


class Quiet(NamedTuple):
    """The application where no scheduler ever led: what is valid is 503, and not one is asked."""

    connection: Connection
    serde: Serde
    app: FastAPI
    viewer: str
    operator: str
    admin: str

    consumer: Consumer

    def asked(self) -> int:
        """Return how many commands were given."""
        place = TopicPartition(self.connection.topic(COMMANDS), 0)
        return int(self.consumer.get_watermark_offsets(place, timeout=WAIT_S)[1])


@pytest.fixture(scope="module")
def quiet(stack: Any, serde: Serde) -> Iterator[Quiet]:
    with namespace(stack) as connection:
        desk = Desk(connection, serde, timetable.load(TABLE), Settings())
        desk.database.prepare()
        make = desk.administration.make
        found = Quiet(
            connection, serde, app.make(desk),
            make("test", "viewer", "viewer", (), 1).token,
            make("test", "operator", "operator", ("run:*",), 1).token,
            make("test", "admin", "admin", (), 1).token,
            Consumer(connection.consumer("test.end")),
        )  # fmt: skip
        yield found
        found.consumer.close()
        desk.close()


def test_every_path_but_the_document_is_shut_without_a_key(quiet: Quiet) -> None:
    quiet.app.state.desk.knocks = Knocks()
    shut = [(verb.upper(), path, b"{}") for verb, path in ROLE_TABLE]
    elsewhere = [("GET", path, b"") for path in ("/", "/docs", "/openapi.json/")]

    answers = Inside(quiet.app, "").ask(*shut, *elsewhere, ("GET", "/openapi.json", b""))

    statuses = [each.status_code for each in answers]
    assert statuses == [401] * (len(shut) + len(elsewhere)) + [200]


def test_an_address_with_too_many_wrong_keys_is_slowed_down_and_a_right_key_still_opens(
    quiet: Quiet,
) -> None:
    quiet.app.state.desk.knocks = Knocks()
    knock = ("GET", DOOR, b"")
    before = denied_at_door(quiet)

    statuses = [each.status_code for each in Inside(quiet.app, "x").ask(*[knock] * (WRONG_MAX + 5))]

    [opened] = Inside(quiet.app, quiet.viewer).ask(knock)
    assert statuses == [401] * WRONG_MAX + [429] * 5
    assert opened.status_code == 200
    denied = denied_at_door(quiet)[len(before) :]
    assert len(denied) == WRONG_MAX + 1
    assert denied[-1].endswith("and all until then")


def denied_at_door(quiet: Quiet) -> list[str]:
    entries = decoded(quiet.serde, AUDIT, read_all(quiet.connection, AUDIT))
    return [each.reason for each in entries if each.act == "enter"]


def test_a_url_that_never_answers_is_tried_so_often_and_then_given_up(quiet: Quiet) -> None:
    database, now = quiet.app.state.desk.database, wall_now()
    url = "http://127.0.0.1:1/told"
    courier = Courier(database, lambda owed: {each.fire_id: END for each in owed}, 1.0)
    stopped = threading.Event()
    stopped.set()
    database.owe(END.fire_id, url, END.job, now)
    for tries in range(TRIES_MAX - 1):
        assert database.claim(Owed(END.fire_id, url, END.job, tries), now)

    before = database.owed(wall_now())
    taken = database.claim(before[0]._replace(tries=0), now)
    courier._round()
    courier.run(stopped)

    assert [each.tries for each in before] == [TRIES_MAX - 1]
    assert not taken, "another instance had that try"
    assert database.owed(Micros(now + HOUR)) == []


END = ScheduleDecided(
    ts_event=BEGIN, ts_ingest=BEGIN, job="tell", slot=BEGIN, fire_id="0" * 64,
    decision="succeeded", reason="", schedule_hash="", calendar_hash="", decided=BEGIN,
    logical_date=20260210,
)  # fmt: skip


def test_a_lost_connection_to_the_database_is_made_again(quiet: Quiet) -> None:
    connection = quiet.app.state.desk.database._connection
    with psycopg.connect(quiet.connection.endpoints.postgres_dsn) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])

    [answer] = Inside(quiet.app, quiet.viewer).ask(("GET", DOOR, b""))

    assert answer.status_code == 200
    assert quiet.app.state.desk.database._connection is not connection


def test_a_long_body_is_refused_before_it_is_read(quiet: Quiet) -> None:
    body = json.dumps({"reason": "x" * 10_000_000}).encode()
    just = json.dumps({"reason": "x" * 400}).encode().ljust(BODY_BYTES_MAX)
    path = "/v1/jobs/buy/run"

    answers = Inside(quiet.app, quiet.operator).ask(("POST", path, body), ("POST", path, just))

    assert [each.status_code for each in answers] == [413, 503]


def quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


@pytest.mark.parametrize(
    ("request_", "status", "sentence"),
    [
        (("run", b'{"reason"'), 422, "expected a body of JSON, was unreadable"),
        (("run", b"5"), 422, "expected a JSON object"),
        (("run", b"{}"), 422, "body.reason: Field required"),
        (
            ("backfill", b'{"reason": "x", "slot": "2035-01-02"}'),
            422,
            "body.slot: expected an instant in 2011-01-01 .. 2029-01-01, was '2035-01-02'",
        ),
        (("/v1/jobs/nosuch/run", b"{}"), 404, "expected a job of the timetable, was 'nosuch'"),
        ((f"/v1/fires/{'0' * 64}/cancel", b"{}"), 404, "expected one of the newest fires"),
        (("/v1/fires/0", b""), 422, "path.fire_id: String should match"),
        (("/v1/calendar/2050", b""), 422, "expected a day in 2011-01-01 .. 2029-01-01"),
        (("/v1/next?on=2026-01-01&until=2028-01-01", b""), 422, "expected until within 400"),
        (("/v1/nowhere", b""), 404, "expected a path and a method of /openapi.json"),
        (("/v1/jobs/buy/run", b""), 405, "expected a path and a method of /openapi.json"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    quiet: Quiet, request_: tuple[str, bytes], status: int, sentence: str
) -> None:
    name, body = request_
    path = name if name.startswith("/") else f"/v1/jobs/buy/{name}"

    [answer] = Inside(quiet.app, quiet.operator).ask(("POST" if body else "GET", path, body))

    assert answer.status_code == status
    assert answer.json()["detail"].startswith(sentence)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=4,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "reason": st.text(max_size=600) | JSON,
        "slot": st.text(max_size=30) | JSON | st.datetimes().map(str),
        "callback": st.text(max_size=60) | JSON | st.just("http://127.0.0.1:1/told"),
        "name": st.text(max_size=80) | JSON,
        "role": st.sampled_from(["viewer", "root", ""]) | JSON,
        "scopes": st.lists(st.text(max_size=9), max_size=3) | JSON,
        "days": st.integers() | JSON,
        "else": JSON,
    },
)
BODY = (FIELDS | JSON).map(lambda body: json.dumps(body).encode()) | st.binary(max_size=200)
NAMES = st.sampled_from(["buy", "tell", "a" * 64, "..", "\0", "' OR 1=1 --", "{}", "\ud83d"])
ACTS = st.sampled_from(["run", "backfill", "pause", "resume", "release"])
JOB_PATHS = st.builds(lambda name, act: f"/v1/jobs/{quoted(name)}/{act}", NAMES, ACTS)
KEY_PATHS = st.just("/v1/keys") | NAMES.map(lambda name: f"/v1/keys/{quoted(name)}/revoke")
FIRE_PATHS = st.text("0123456789abcdefg", max_size=65).map(lambda i: f"/v1/fires/{i}/cancel")
DAYS = st.dates().map(str) | st.text(max_size=12).map(quoted)
SEEN = (
    st.builds("/v1/next?on={}&until={}".format, DAYS, DAYS)
    | st.builds("/v1/next?on={}".format, DAYS)
    | st.builds("/v1/calendar/{}".format, st.integers() | DAYS)
    | st.builds("/v1/jobs/buy/history?count={}".format, st.integers() | DAYS)
)
REQUESTS = st.tuples(st.just("POST"), JOB_PATHS | KEY_PATHS | FIRE_PATHS, BODY) | st.tuples(
    st.just("GET"), SEEN, st.just(b"")
)


@given(request=REQUESTS)
@example(request=("POST", "/v1/jobs/buy/run", b'{"reason": "\\ud800"}'))
@example(request=("POST", "/v1/jobs/buy/run", b"\xff"))
@example(request=("POST", "/v1/jobs/buy/run", b"[" * 16_000))
@example(request=("POST", "/v1/jobs/buy/run", b"9" * 16_000))
@example(request=("POST", "/v1/jobs/buy/backfill", b'{"reason": "x", "slot": "2035-01-02T09:00"}'))
@example(request=("GET", "/v1/next?on=9999-12-31", b""))
@example(request=("GET", "/v1/next?on=2028-12-31&until=2029-12-31", b""))
@settings(
    max_examples=500, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
def test_whatever_is_sent_is_refused_clearly_and_nothing_is_asked_of_the_scheduler(
    quiet: "Quiet", request: tuple[str, str, bytes]
) -> None:
    verb, path, body = request
    token = quiet.admin if path.startswith("/v1/keys") else quiet.operator

    [answer] = Inside(quiet.app, token).ask((verb, path, body))

    possible = {200, 404, 422} if verb == "GET" else {201, 403, 404, 405, 422, 503}
    assert answer.status_code in possible, answer.text
    if answer.status_code > HTTP_GOOD:
        assert 0 < len(answer.json()["detail"]) < 10_000
    assert quiet.asked() == 0


@pytest.mark.parametrize("state", ["held", "left"])
def test_a_scheduler_that_left_or_fell_silent_is_not_asked(quiet: Quiet, state: str) -> None:
    publisher = Publisher(quiet.connection, quiet.serde, client="test.leader")
    publisher.send(LEADER, SHARD, heard_at(Micros(wall_now() - MINUTE), state))
    publisher.flush()
    publisher.close()
    body = json.dumps(REASON).encode()

    ran, health, seen = Inside(quiet.app, quiet.operator).ask(
        ("POST", "/v1/jobs/buy/run", body), ("GET", "/v1/health", b""), ("GET", "/v1/state", b"")
    )

    told = "to hear the scheduler every 10 s" if state == "held" else "a scheduler that leads"
    assert [each.status_code for each in (ran, health, seen)] == [503, 503, 200]
    assert ran.json()["detail"].startswith(f"expected {told}")
    assert quiet.asked() == 0


def heard_at(wall: Micros, state: str) -> LeadershipHeld:
    return LeadershipHeld(
        ts_event=BEGIN, ts_ingest=wall, shard=SHARD, node="gone", term=1, state=state
    )


def test_it_stops_when_told(house: House) -> None:
    house.child.send_signal(signal.SIGTERM)

    assert house.child.wait(WAIT_S) == 0, house.log.read_text()
    with pytest.raises(httpx.ConnectError):
        house.ask("GET", DOOR, "")
