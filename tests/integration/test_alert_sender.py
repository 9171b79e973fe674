"""The sender of alerts against loopback sinks: what arrives, once, also when it is killed."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from email import message_from_string
from email.policy import default as as_read
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Consumer, TopicPartition
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from typer.testing import CliRunner

from consumers.alerts import shell
from consumers.alerts.channels import channels
from consumers.alerts.commands import app
from infra.admin import create_topics, delete_namespace
from infra.clock import WallClock, wall_now
from infra.connection import Connection
from infra.deploy import register_all
from infra.host import Context
from infra.publish import Publisher
from infra.reader import read_all
from infra.registry import Registry, Serde
from infra.settings import Alerts, Settings
from infra.stack.endpoints import Endpoints
from infra.tail import decoded
from infra.topology import Topology
from schemas.errors import AegisError, Fenced, Misconfigured, Poison, Transient
from schemas.ops import ActAudited, AlertRaised
from schemas.topics import ALERTS, AUDIT

WAIT_S = 20.0
TOKEN = "T0ken-that-nobody-may-read"  # noqa: S105 -- planted, to be looked for
KEY = "0123456789abcdef0123456789abcdef"
TO = "alert@aegis-trading.com"
SENDER = """
import signal
from prometheus_client import CollectorRegistry
from consumers.alerts import shell
from infra import host
from infra.clock import WallClock
from infra.connection import Connection
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack.stack import require
from infra.topology import Topology
host.die_with_parent()
settings = Settings()
host.configure_logs(settings.log_level)
where = require(settings)
context = host.Context(
    connection=Connection(settings=settings, endpoints=where, namespace=settings.namespace),
    topology=Topology(roles=(), raw_sources=()), serde=Serde(Registry(where.registry_url)),
    clock=WallClock(), settings=settings, metrics=CollectorRegistry(),
)
signal.signal(signal.SIGTERM, lambda *_: context.stopping.set())
shell.run(context)
"""
HOOKED = """
import sys
sys.addaudithook(lambda name, given: name == "socket.connect" and print("CONNECT", given[1]))
"""


class Web:
    """Takes what is posted: each time the next of ``answers`` (an HTTP status), then 200."""

    def __init__(self, *answers: int) -> None:
        self.answers, self.got = list(answers), []  # type: tuple[list[int], list[dict[str, Any]]]
        self.paths: list[str] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = sink.answers.pop(0) if sink.answers else 200
                if status < 300:
                    sink.paths.append(self.path)
                    sink.got.append(told)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/services/{TOKEN}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Mail:
    """Takes mail.  ``hold`` stops it before its greeting or before it says that it took one.

    Attributes:
        holding: Set while somebody waits there.
        refuse: The next connections get 421 instead of a greeting.
    """

    def __init__(self, hold: str = "", refuse: int = 0) -> None:
        self.hold, self.refuse = hold, refuse
        self.holding, self._over = threading.Event(), threading.Event()
        self.got: list[Any] = []
        self.to: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.where = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown(socket.SHUT_RDWR)
        for each in self._threads:
            each.join()
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._threads.append(threading.Thread(target=self._talk, args=(client,)))
                self._threads[-1].start()

    def _wait_at(self, place: str) -> None:
        if self.hold == place:
            self.holding.set()
            self._over.wait()

    def _read(self, line: Any) -> Any:
        return message_from_string("".join(iter(line.readline, ".\r\n")), policy=as_read)

    def _talk(self, client: socket.socket) -> None:
        with suppress(OSError), client, client.makefile("rw", newline="\r\n") as line:

            def say(what: str) -> None:
                line.write(what + "\r\n")
                line.flush()

            self._wait_at("greeting")
            if self.refuse:
                self.refuse -= 1
                say("421 not now")
                return
            say("220 sink")
            while word := line.readline().strip().upper():
                if word == "DATA":
                    say("354 go on")
                    self.got.append(self._read(line))
                    self._wait_at("taken")
                if word.startswith("RCPT"):
                    self.to.append(word)
                say("221 bye" if word == "QUIT" else "250 ok")


APPRISE_WARNS = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""Its plug-ins import what Python 3.13 no longer has, if it is there."""


@pytest.fixture
def sinks() -> Iterator[Callable[[Any], Any]]:
    made: list[Any] = []

    def keep(sink: Any) -> Any:
        made.append(sink)
        return sink

    yield keep
    for each in made:
        each.close()


def alert(key: str = "scheduler/nightly/1", **given: str) -> AlertRaised:
    now = wall_now()
    told = {
        "service": "scheduler", "severity": "warning",
        "summary": "nightly_backtest: attempt 1 failed: expected 600 names, was 12",
        "detail": "Look at the worker's log.", **given,
    }  # fmt: skip
    return AlertRaised(ts_event=now, ts_ingest=now, alert_key=key, **told)


def all_four(web: Web, mail: Mail) -> dict[str, str]:
    return {
        "EMAIL": TO, "SMTP": mail.where, "SLACK": web.url, "SMS": "+821012345678",
        "SMS_GATEWAY": web.url + "/sms", "PAGERDUTY": KEY, "PAGERDUTY_URL": web.url + "/page",
    }  # fmt: skip


def test_every_channel_gets_the_alert_in_its_own_form(sinks: Callable[[Any], Any]) -> None:
    web, mail = sinks(Web()), sinks(Mail())
    settings = Alerts(**{k.lower(): v for k, v in all_four(web, mail).items()})  # type: ignore[arg-type] # pydantic reads the text

    for each in channels(settings, ()):
        each.send(alert(severity="urgent"))

    [sent], [slack, sms, page] = mail.got, web.got
    line = "[urgent] scheduler: nightly_backtest: attempt 1 failed: expected 600 names, was 12"
    assert (sent["To"], sent["Subject"], len(mail.to)) == (TO, line, 1)
    assert slack["channel"] == "#system-alerts"
    assert line in slack["text"]
    assert sms == {"to": "+821012345678", "text": line}
    assert (page["routing_key"], page["payload"]["severity"]) == (KEY, "critical")


@APPRISE_WARNS
def test_an_apprise_url_goes_through_apprise(sinks: Callable[[Any], Any]) -> None:
    web = sinks(Web())
    url = web.url.replace("http", "json")

    [only] = channels(Alerts(slack=SecretStr(url)), ())
    only.send(alert())

    [got] = web.got
    assert "nightly_backtest: attempt 1 failed" in got["title"]


def test_an_answer_says_whether_to_ask_again(sinks: Callable[[Any], Any]) -> None:
    web = sinks(Web(503, 404, 500))
    [slack] = channels(Alerts(slack=SecretStr(web.url)), ())
    raised = []

    for _ in range(3):
        with pytest.raises(AegisError) as failed:
            slack.send(alert())
        raised.append(failed.type)
    slack.send(alert())

    assert raised == [Transient, Poison, AegisError]
    assert len(web.got) == 1


@APPRISE_WARNS
@pytest.mark.parametrize("name", ["email", "slack", "sms", "pagerduty"])
@pytest.mark.parametrize("value", [TOKEN + ".", f"unheard-of://{TOKEN}"])
def test_a_wrong_address_is_refused_by_its_name_and_not_its_value(
    name: str, value: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(Misconfigured, match=f"AEGIS_ALERTS__{name.upper()}: expected") as failed:
        channels(Alerts(**{name: SecretStr(value)}), ())  # type: ignore[arg-type] # one of the four

    assert TOKEN not in str(failed.value) + caplog.text + "".join(capfd.readouterr())


class Desk:
    """A namespace of its own, and the sender as a process that can be killed."""

    def __init__(
        self, stack: Endpoints, registry: Registry, env: dict[str, str], var: Path
    ) -> None:
        name = f"demo.alerts.{os.getpid()}-{time.monotonic_ns()}"
        self.connection = Connection(settings=Settings(), endpoints=stack, namespace=name)
        create_topics(self.connection, Topology(roles=(), raw_sources=("kis.ws.0",)))
        self.serde = Serde(registry)
        self.log = var / "sender.log"
        self.log.touch()
        self.env = {**env, "AEGIS_NAMESPACE": name}
        self.children: list[subprocess.Popen[bytes]] = []

    def start(self, before: str = "", **settings: str) -> subprocess.Popen[bytes]:
        given = {f"AEGIS_ALERTS__{name}": value for name, value in settings.items()}
        env = {**self.env, "AEGIS_ALERTS__RETRY_S": "0.1", **given}
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-c", before + SENDER], env=env, stdout=log, stderr=log
            )
        self.children.append(child)
        return child

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        child.send_signal(signal.SIGKILL)
        child.wait()

    def say(self, *alerts: AlertRaised) -> None:
        publisher = Publisher(self.connection, self.serde, client="test")
        for each in alerts:
            publisher.send(ALERTS, each.service, each)
        publisher.flush()
        publisher.close()

    def acts(self) -> list[ActAudited]:
        return decoded(self.serde, AUDIT, read_all(self.connection, AUDIT))

    def told(self, act: str) -> list[str]:
        return [each.subject for each in self.acts() if each.act == act]

    def passed(self) -> int:
        """Return the offset at which a next life would begin to read; below 0 for none."""
        consumer = Consumer(self.connection.consumer("alerts"))
        [found] = consumer.committed(
            [TopicPartition(self.connection.topic(ALERTS), 0)], timeout=WAIT_S
        )
        consumer.close()
        return int(found.offset)

    def logged(self, event: str) -> list[str]:
        """Return the channels and keys of what the sender says to have ended so."""
        whole = self.log.read_text().split("\n")[:-1]
        lines = [json.loads(each) for each in whole if each.startswith("{")]
        return [f"{e['channel']}:{e['alert_key']}" for e in lines if e["event"] == event]

    def until(self, what: Callable[[], Any]) -> None:
        give_up = time.monotonic() + WAIT_S
        while not what():
            assert time.monotonic() < give_up, self.log.read_text()[-4_000:]
            time.sleep(0.1)

    def close(self) -> None:
        for each in self.children:
            self.kill(each)
        delete_namespace(self.connection, self.connection.namespace)


@pytest.fixture(scope="module")
def registry(stack: Endpoints) -> Iterator[Registry]:
    made = Registry(stack.registry_url)
    register_all(made)
    yield made
    made.close()


@pytest.fixture
def desk(
    stack: Endpoints,
    registry: Registry,
    environment_of: Callable[[Path], dict[str, str]],
    tmp_path: Path,
) -> Iterator[Desk]:
    made = Desk(stack, registry, environment_of(tmp_path), tmp_path)
    yield made
    made.close()


@pytest.mark.stack
def test_with_default_settings_the_sender_connects_to_nothing_but_the_stack(
    desk: Desk, stack: Endpoints
) -> None:
    desk.say(alert(severity="urgent"))

    child = desk.start(HOOKED)
    desk.until(lambda: desk.passed() == 1)
    seen = {each.raddr for each in psutil.Process(child.pid).net_connections() if each.raddr}

    assert child.poll() is None
    ours = {stack.kafka_bootstrap, stack.registry_url.split("/")[2]}
    assert {f"{each.ip}:{each.port}" for each in seen} <= ours
    places = [each.rpartition(":") for each in ours]
    allowed = {f"CONNECT {(host, int(port))}" for host, _, port in places}
    calls = {each for each in desk.log.read_text().splitlines() if each.startswith("CONNECT")}
    assert calls
    assert calls <= allowed
    assert desk.acts() == []


@pytest.mark.stack
def test_an_alert_seen_twice_is_sent_once_on_every_channel_and_no_address_is_told(
    desk: Desk, sinks: Callable[[Any], Any], tmp_path: Path
) -> None:
    web, mail = sinks(Web()), sinks(Mail())
    settings = all_four(web, mail)
    desk.env["PYTHONPATH"] = str(install(tmp_path, web.url))
    one = alert(severity="urgent")
    desk.say(one, one, alert("scheduler/other/1", severity="info"), one)

    child = desk.start(**settings)
    desk.until(lambda: len(desk.logged("delivered")) == 8)
    desk.until(lambda: desk.passed() == 4)
    child.terminate()
    assert child.wait(WAIT_S) == 0

    assert [each["To"] for each in mail.got] == [TO, TO]
    first = [each for each in web.got if "nightly" in json.dumps(each)]
    assert sorted(web.paths) == sorted(
        f"/services/{TOKEN}{each}" for each in ("", "", "/outside", "/outside", "/page", "/sms")
    )
    assert len(first) == len(web.got)
    told = desk.told("delivered")
    assert len(told) == len(set(told)) == 8
    listed = CliRunner().invoke(app, ["ls", "--json"], env=desk.env)
    assert listed.exit_code == 0, listed.output
    totals = {"alerts": 2, "delivered": 8, "undelivered": 0, "under_way": 0}
    assert json.loads(listed.output)["totals"] == totals
    said = desk.log.read_text() + repr(desk.acts()) + listed.output
    assert "delivered" in said
    assert not [each for each in (TOKEN, KEY, "+8210", TO) if each in said]


def install(folder: Path, url: str) -> Path:
    """Lay down a package from outside that brings a channel, as pip would; return where."""
    where = folder / "site"
    (where / "outside-1.0.dist-info").mkdir(parents=True)
    (where / "outside-1.0.dist-info" / "METADATA").write_text("Name: outside\nVersion: 1.0\n")
    (where / "outside-1.0.dist-info" / "entry_points.txt").write_text(
        "[aegis.alert_channels]\noutside = outside:tell\n"
    )
    (where / "outside.py").write_text(
        "import httpx\n"
        "def tell(alert):\n"
        f"    httpx.post('{url}/outside', json={{'summary': alert.summary}}).raise_for_status()\n"
    )
    return where


@pytest.mark.stack
@pytest.mark.parametrize(("hold", "copies"), [("greeting", 1), ("taken", 2)])
def test_a_sender_killed_before_or_after_the_send_loses_nothing_and_marks_what_may_repeat(
    desk: Desk, sinks: Callable[[Any], Any], hold: str, copies: int
) -> None:
    web, mail = sinks(Web()), sinks(Mail(hold))
    settings = {"EMAIL": TO, "SMTP": mail.where, "SLACK": web.url}
    desk.say(alert("a", summary="first"), alert("b", summary="second"))

    child = desk.start(**settings)
    assert mail.holding.wait(WAIT_S)
    desk.until(lambda: desk.logged("delivered") == ["slack:a", "slack:b"])
    desk.kill(child)
    assert desk.passed() <= 0
    mail.hold = ""
    desk.say(alert("b", summary="second"), alert("c", summary="third"))
    desk.start(**settings)
    desk.until(lambda: len(desk.logged("delivered")) == 6)

    subjects = [each["Subject"].removeprefix("[warning] scheduler: ") for each in mail.got]
    assert subjects == ["first", "first (may repeat)", "second", "third"][2 - copies :]
    assert len({each["Message-ID"] for each in mail.got}) == 3
    texts = [each["text"].splitlines()[0] for each in web.got]
    assert texts == [f"*[warning] scheduler: {each}*" for each in ("first", "second", "third")]


@pytest.mark.stack
def test_a_sink_that_is_down_is_asked_again_alone_and_given_up_loudly(
    desk: Desk, sinks: Callable[[Any], Any], tmp_path: Path
) -> None:
    web, torn, mail = sinks(Web(503, 503)), sinks(Web(500)), sinks(Mail())
    desk.env["PYTHONPATH"] = str(install(tmp_path, torn.url))
    nobody = socket.create_server(("127.0.0.1", 0))
    closed = f"http://127.0.0.1:{nobody.getsockname()[1]}/{TOKEN}"
    nobody.close()
    desk.say(alert("a"))

    settings = {**all_four(web, mail), "SMS_GATEWAY": closed, "RETRY_S": "0.4", "TRIES": "3"}
    desk.start(**settings)
    desk.until(lambda: "slack:a" in desk.logged("delivered") and desk.logged("undelivered"))

    acts = [(each.subject.partition(":")[0], each.act) for each in desk.acts()]
    tries = [("delivering", "refused")] * 2
    assert [act for name, act in acts if name == "slack"] == [
        *(act for one in tries for act in one), "delivering", "delivered"
    ]  # fmt: skip
    assert acts.index(("email", "delivered")) < acts.index(("slack", "delivered"))
    assert [act for name, act in acts if name == "sms"][-1] == "undelivered"
    assert [name for name, act in acts if act == "delivering"].count("sms") == 3
    assert len(web.got) == 1
    assert [each["summary"].endswith("(may repeat)") for each in torn.got] == [True]
    loud = [json.loads(each) for each in desk.log.read_text().splitlines() if '"error"' in each]
    assert [(each["event"], each["channel"]) for each in loud] == [("undelivered", "sms")]
    assert TOKEN not in desk.log.read_text() + repr(desk.acts())


@pytest.mark.stack
def test_a_second_sender_takes_over_and_the_first_sends_nothing_more(
    desk: Desk, registry: Registry, sinks: Callable[[Any], Any]
) -> None:
    old, new = sinks(Web()), sinks(Web())
    ended: list[Exception] = []

    def begin(web: Web) -> tuple[Context, threading.Thread]:
        settings = Settings(alerts=Alerts(slack=SecretStr(web.url)))
        context = Context(
            connection=desk.connection, topology=Topology(roles=(), raw_sources=()),
            serde=Serde(registry), clock=WallClock(), settings=settings,
            metrics=CollectorRegistry(),
        )  # fmt: skip

        def work() -> None:
            try:
                shell.run(context)
            except Fenced as error:
                ended.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return context, thread

    first, thread = begin(old)
    desk.say(alert("a"))
    desk.until(lambda: desk.passed() == 1)
    second, other = begin(new)
    desk.until(lambda: [each.name for each in threading.enumerate()].count("alerts.slack") == 2)
    desk.say(alert("b"))
    thread.join(WAIT_S)
    desk.until(lambda: len(new.got) == 1 and desk.passed() == 2)
    second.stopping.set()
    other.join(WAIT_S)

    assert not first.stopping.is_set()
    assert [type(each) for each in ended] == [Fenced]
    assert [len(old.got), len(new.got)] == [1, 1]
    assert len(desk.told("delivered")) == 2
