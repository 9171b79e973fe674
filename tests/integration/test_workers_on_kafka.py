"""Workers as processes of their own on a real broker: shared, killed, stopped, walled in."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import psutil
import pytest

from infra.admin import create_topics, delete_namespace
from infra.clock import wall_now
from infra.connection import Connection
from infra.deploy import register_all
from infra.jobs.claims import ENDS
from infra.publish import Publisher
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack.endpoints import Endpoints
from infra.tail import Tail, decoded
from infra.topology import Topology
from schemas.control import JobTriggered, RunReported, ScheduleDecided
from schemas.topics import RUNS, SCHEDULE, TRIGGERS
from schemas.units import SECOND, Micros

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("workers")]

EXAMPLE = Path(__file__).parents[1] / "examples" / "job"
SILENT_S = 2.0
WAIT_S = 40.0
PLANTED = "what-only-keeper-is-told"


class Web(BaseHTTPRequestHandler):
    """Answers 204 on /good and 500 elsewhere, and keeps what was posted."""

    posted: ClassVar[list[dict[str, Any]]] = []

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.posted.append(json.loads(self.rfile.read(length)))
        self.send_response(204 if self.path == "/jobs/good" else 500)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Place(NamedTuple):
    connection: Connection
    serde: Serde
    publisher: Publisher
    tail: Tail
    runs: list[RunReported]
    env: dict[str, str]
    var: Path
    url: str

    def send(self, *triggers: JobTriggered) -> None:
        for each in triggers:
            self.publisher.send(TRIGGERS, each.job, each)
        self.publisher.flush()

    def decide(self, trigger: JobTriggered, decision: str, reason: str) -> None:
        at = wall_now()
        decided = ScheduleDecided(
            ts_event=at, ts_ingest=at, job=trigger.job, slot=trigger.slot,
            fire_id=trigger.fire_id, decision=decision, reason=reason, schedule_hash="",
            calendar_hash="", decided=at, attempt=trigger.attempt,
        )  # fmt: skip
        self.publisher.send(SCHEDULE, trigger.job, decided)
        self.publisher.flush()

    def read(self) -> list[RunReported]:
        self.runs.extend(decoded(self.serde, RUNS, self.tail.poll(0.02)))
        return self.runs

    def until(self, what: Callable[[], Any]) -> Any:
        give_up = time.monotonic() + WAIT_S
        while True:
            self.read()
            found = what()
            if found:
                return found
            assert time.monotonic() < give_up, self.runs[-5:]

    def of(self, trigger: JobTriggered) -> list[RunReported]:
        key = (trigger.fire_id, trigger.attempt)
        return [each for each in self.runs if (each.fire_id, each.attempt) == key]

    def ends(self, *triggers: JobTriggered) -> list[RunReported]:
        """Wait for the end of each, then a little for one too many; return them all."""
        self.until(lambda: all(any(e.state in ENDS for e in self.of(t)) for t in triggers))
        time.sleep(0.1)
        self.read()
        return [each for one in triggers for each in self.of(one) if each.state in ENDS]

    def running(self, trigger: JobTriggered) -> RunReported:
        """Wait until somebody holds it; return the first claim."""
        self.until(lambda: self.of(trigger))
        return self.of(trigger)[0]

    def folder(self, trigger: JobTriggered) -> Path:
        return self.var / "jobs" / f"{trigger.fire_id}.{trigger.attempt}"

    def inside(self, trigger: JobTriggered) -> list[psutil.Process]:
        """Return the processes that run in an attempt's folder."""
        return [each for each in psutil.process_iter() if _cwd(each) == str(self.folder(trigger))]


def _cwd(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except psutil.Error:
        return ""


@pytest.fixture(scope="module")
def place(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    namespace = f"demo.test.{os.getpid()}-{time.monotonic_ns()}"
    connection = Connection(settings=Settings(), endpoints=stack, namespace=namespace)
    registry = Registry(stack.registry_url)
    register_all(registry)
    create_topics(connection, Topology((), ()))
    serde = Serde(registry)
    var = tmp_path_factory.mktemp("workers")
    web = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{web.server_address[1]}/jobs/"
    packages = _installed(var / "packages")
    env = {
        **os.environ,
        "PYTHONPATH": str(packages),
        "AEGIS_NAMESPACE": namespace,
        "AEGIS_KAFKA__BOOTSTRAP": stack.kafka_bootstrap,
        "AEGIS_REGISTRY__URL": stack.registry_url,
        "AEGIS_POSTGRES__DSN": stack.postgres_dsn,
        "AEGIS_REDIS__URL": stack.redis_url,
        "AEGIS_VAR_DIR": str(var),
        "AEGIS_JOBS__SILENT_S": str(SILENT_S),
        "AEGIS_JOBS__SLOTS": "2",
        "AEGIS_JOBS__ALLOW": '["example-job"]',
        "AEGIS_JOBS__COMMANDS": '["sleep", "cat", "env"]',
        "AEGIS_JOBS__URLS": json.dumps([url]),
        "AEGIS_JOBS__ENVIRONMENT": '{"keeper": ["KEEPER_TOKEN"], "example": ["EXAMPLE_FAILS"]}',
        "KEEPER_TOKEN": PLANTED,
        "EXAMPLE_FAILS": "1",
    }
    publisher = Publisher(connection, serde, client="test")
    tail = Tail(connection, (RUNS,), client="test")
    yield Place(connection, serde, publisher, tail, [], env, var, url)
    web.shutdown()
    web.server_close()
    tail.close()
    publisher.close()
    delete_namespace(connection, namespace)
    registry.close()


def _installed(target: Path) -> Path:
    """Install the example package as a user would, into a folder of its own."""
    source = shutil.copytree(EXAMPLE, target.parent / "example")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-build-isolation", "--disable-pip-version-check", "--target", str(target),
         str(source)],
        check=True,
    )  # fmt: skip
    return target


class Workers(NamedTuple):
    """Processes of workers, by name."""

    place: Place
    living: dict[str, subprocess.Popen[bytes]]

    def start(self, *names: str) -> None:
        for name in names:
            with (self.place.var / f"{name}.log").open("wb") as log:
                self.living[name] = subprocess.Popen(
                    [sys.executable, "-m", "infra.host", "jobs"],
                    env={**self.place.env, "AEGIS_JOBS__WORKER": name},
                    stdout=log,
                    stderr=log,
                )
        self.place.until(lambda: all(self.events(name, "caught_up") for name in names))

    def events(self, name: str, event: str) -> list[dict[str, Any]]:
        lines = (self.place.var / f"{name}.log").read_text().splitlines()
        told = [json.loads(each) for each in lines if each.endswith("}")]
        return [each for each in told if each["event"] == event]

    def signal(self, name: str, number: int) -> None:
        self.living[name].send_signal(number)

    def kill(self, name: str) -> None:
        self.living[name].kill()
        self.living.pop(name).wait()

    def stop(self) -> list[int]:
        for each in self.living.values():
            each.terminate()
        return [each.wait(WAIT_S) for each in self.living.values()]


@pytest.fixture(scope="module")
def workers(place: Place) -> Iterator[Workers]:
    found = Workers(place, {})
    found.start("left", "right")
    yield found
    assert set(found.stop()) <= {0}


_NUMBERS = iter(range(10**6))


def trigger(target: str, job: str = "j", **more: Any) -> JobTriggered:
    at = wall_now()
    told = JobTriggered(
        ts_event=at, ts_ingest=at, fire_id=f"fire-{next(_NUMBERS)}", job=job, slot=at,
        kind="auto", target=target, group="reporting", priority=1, logical_date=20260210,
        schedule_hash="", calendar_hash="", cause="",
    )  # fmt: skip
    return replace(told, **more)


def words_of_the_winner(place: Place, job: JobTriggered) -> list[str]:
    """What the worker that ended an attempt said about it, in order."""
    said = place.of(job)
    [winner] = [each.worker for each in said if each.state in ENDS]
    return [each.state for each in said if each.worker == winner]


def by_worker(ends: Sequence[RunReported]) -> Counter[str]:
    return Counter(each.worker for each in ends)


def test_a_hundred_equal_jobs_are_shared_by_two_workers(place: Place, workers: Workers) -> None:
    jobs = [trigger("handler:market_monitoring", f"equal-{number}") for number in range(100)]

    place.send(*jobs)
    ends = place.ends(*jobs)
    lost = [each for name in ("left", "right") for each in workers.events(name, "claim_lost")]

    shares = by_worker(ends)
    print(shares, f"{len(lost)} claims lost")  # noqa: T201 -- the figure
    assert len(ends) == 100
    assert set(shares) == {"left", "right"}
    assert all(40 <= share <= 60 for share in shares.values())
    assert not any(each["begun"] for each in lost)
    assert all(words_of_the_winner(place, each)[-1] in ENDS for each in jobs)


def test_each_attempt_of_a_fire_has_an_end_of_its_own(place: Place) -> None:
    first = trigger("handler:market_monitoring")
    second = replace(first, attempt=2)

    place.send(first, first, second)
    ends = place.ends(first, second)

    assert [each.attempt for each in ends] == [1, 2]


def test_what_the_scheduler_gave_up_is_not_begun(place: Place) -> None:
    expired, cancelled, late, wanted = (trigger("handler:market_monitoring") for _ in range(4))
    late = replace(late, ends_by=Micros(wall_now() - SECOND))
    place.decide(expired, "expired", "too late")
    place.decide(cancelled, "cancelled", "by desk")
    time.sleep(0.3)  # two topics have no order: the workers have read these decisions by now

    place.send(expired, cancelled, late, wanted)
    place.ends(wanted)

    assert [place.of(each) for each in (expired, cancelled, late)] == [[], [], []]


def test_a_command_runs_in_its_own_folder_and_its_output_is_kept(place: Place) -> None:
    good = trigger("command:env", "keeper")
    bad = trigger("command:cat 'no such file'")
    foreign = trigger("command:rm -rf x")

    place.send(good, bad, foreign)
    well, badly, refused = place.ends(good, bad, foreign)

    kept = f"; kept in jobs/{good.fire_id}.1: output.log, events.jsonl"
    assert (well.state, well.detail) == ("succeeded", f"exit status 0{kept}")
    assert f"HOME={place.folder(good)}" in (place.folder(good) / "output.log").read_text()
    assert (badly.state, badly.detail.split(";")[0]) == ("failed", "exit status 1")
    assert "No such file" in (place.folder(bad) / "output.log").read_text()
    assert (refused.state, "AEGIS_JOBS__COMMANDS" in refused.detail) == ("failed", True)
    assert not place.folder(foreign).exists()


def test_a_url_is_posted_the_trigger_and_its_status_is_the_end(place: Place) -> None:
    good, bad = (trigger(f"http:{place.url}{path}") for path in ("good", "bad"))
    foreign = trigger("http:http://127.0.0.1:9/jobs/good")

    place.send(good, bad, foreign)
    well, badly, refused = place.ends(good, bad, foreign)

    assert (well.state, badly.state, refused.state) == ("succeeded", "failed", "failed")
    assert "500" in badly.detail
    assert "AEGIS_JOBS__URLS" in refused.detail
    assert {each["fire_id"] for each in Web.posted} == {good.fire_id, bad.fire_id}


def test_a_users_handler_fails_the_first_time_and_its_retry_succeeds(place: Place) -> None:
    first = trigger("handler:example_flaky", "example")
    second = replace(first, attempt=2)

    place.send(first)
    [failed] = place.ends(first)
    place.send(second)
    [succeeded] = place.ends(second)

    assert (failed.state, failed.detail.split(";")[0]) == ("failed", "attempt 1 of the 1 that fail")
    assert (succeeded.state, succeeded.attempt) == ("succeeded", 2)
    assert "attempt 2 of example" in (place.folder(second) / "output.log").read_text()
    told = (place.folder(second) / "events.jsonl").read_text().splitlines()
    assert [json.loads(each)["event"] for each in told] == ["began", "looked"]


def test_our_own_handler_runs_in_a_process_when_it_is_told_to(place: Place) -> None:
    check = trigger("handler:system_check", isolation="process")

    place.send(check)
    [end] = place.ends(check)

    assert end.state == "succeeded", end
    assert (place.folder(check) / "result.json").exists()


def test_a_job_reads_neither_the_folder_nor_the_environment_of_another(
    place: Place, workers: Workers
) -> None:
    keeper = trigger("command:sleep 6", "keeper")
    place.send(keeper)
    sleep = place.until(lambda: [each for each in place.inside(keeper) if each.name() == "sleep"])[
        0
    ]
    assert sleep.environ()["KEEPER_TOKEN"] == PLANTED
    files = [place.folder(keeper) / "attempt.json", Path(f"/proc/{sleep.pid}/environ")]
    worker = Path(f"/proc/{workers.living['left'].pid}/environ")

    thief = trigger(f"command:cat {files[0]} {files[1]} {worker}", "thief")
    own = trigger("command:env", "thief")
    own_file = trigger("command:cat attempt.json", "thief")
    place.send(thief, own, own_file)
    stolen, *_, read = place.ends(thief, own, own_file)

    said = (place.folder(thief) / "output.log").read_text()
    assert stolen.state == "failed"
    assert said.count("Permission denied") == 3
    assert PLANTED not in said + (place.folder(own) / "output.log").read_text()
    assert read.state == "succeeded"


def test_a_job_that_is_cancelled_or_late_is_killed_with_all_it_started(place: Place) -> None:
    cancelled = trigger("command:sleep 60")
    late = trigger("command:sleep 60", ends_by=Micros(wall_now() + 3 * SECOND))
    place.send(cancelled, late)
    place.until(lambda: len(place.inside(cancelled)) == 2)

    place.decide(cancelled, "cancelled", "by desk")
    ends = place.ends(cancelled, late)

    assert [(each.state, each.detail.split("; kept in ")[0]) for each in ends] == [
        ("failed", "cancelled: by desk"),
        ("failed", "timed out"),
    ]
    assert place.until(lambda: place.inside(cancelled) + place.inside(late) == [])


def test_the_jobs_of_a_worker_that_is_killed_are_run_by_another(
    place: Place, workers: Workers
) -> None:
    jobs = [trigger("command:sleep 3") for _ in range(4)]
    place.send(*jobs)
    place.until(lambda: all(len(place.inside(each)) == 2 for each in jobs))
    held = [each for each in jobs if place.of(each)[0].worker == "right"]
    assert len(held) == 2

    workers.kill("right")
    time.sleep(0.5)  # less than any of them still had to sleep
    assert not any(place.inside(each) for each in held)
    ends = place.ends(*jobs)

    assert [each.state for each in ends] == ["succeeded"] * 4
    assert by_worker(ends) == {"left": 4}


def test_a_worker_that_stood_still_finds_its_claim_lost_and_says_nothing_more(
    place: Place, workers: Workers
) -> None:
    if "right" not in workers.living:
        workers.start("right")
    job = trigger("command:sleep 2")
    place.send(job)
    first = place.running(job).worker
    place.until(lambda: len(place.inside(job)) == 2)

    workers.signal(first, signal.SIGSTOP)
    try:
        place.until(lambda: {each.worker for each in place.of(job)} == {"left", "right"})
        still = place.inside(job)
    finally:
        workers.signal(first, signal.SIGCONT)
    [end] = place.ends(job)

    assert (end.worker != first, end.state) == (True, "succeeded")
    assert still == []  # it had stopped itself before anybody else claimed it
    place.until(lambda: workers.events(first, "claim_lost")[-1]["begun"])


def test_a_worker_that_is_asked_to_stop_gives_back_what_it_runs(
    place: Place, workers: Workers
) -> None:
    job = trigger("command:sleep 2")
    place.send(job)
    first = place.running(job).worker
    place.until(lambda: len(place.inside(job)) == 2)

    began = time.monotonic()
    workers.living[first].terminate()
    place.until(lambda: {each.worker for each in place.of(job)} == {"left", "right"})
    waited_s = time.monotonic() - began
    [end] = place.ends(job)

    assert end.worker != first
    assert waited_s < SILENT_S
    assert workers.living.pop(first).wait(WAIT_S) == 0
