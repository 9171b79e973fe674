"""An attempt under way: it can be watched, stopped and limited, and its words are not trusted."""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from infra.jobs.attempt import Attempt, Inline, Isolated, checked, room_for
from infra.jobs.contract import JobContext, Result, Stopped
from infra.jobs.order import MIB, Order
from schemas.control import JobTriggered
from schemas.errors import Misconfigured
from schemas.testing import MORNING

WAIT_S = 20.0
TRIGGER = JobTriggered(
    ts_event=MORNING, ts_ingest=MORNING, fire_id="f", job="j", slot=MORNING, kind="auto",
    target="handler:j", group="reporting", priority=1, logical_date=20260210,
    schedule_hash="", calendar_hash="", cause="",
)  # fmt: skip


def until(what: Callable[[], Any]) -> Any:
    give_up = time.monotonic() + WAIT_S
    while not (found := what()):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    return found


def inline(run: Callable[[JobContext], Result]) -> tuple[Inline, threading.Event]:
    nothing: Any = None  # the handlers here ask for no part of the system
    stopping = threading.Event()
    context = JobContext(
        connection=nothing, serde=nothing, clock=nothing, settings=nothing, trigger=TRIGGER,
        view=nothing, postgres_dsn="", stopping=stopping, log=nothing,
    )  # fmt: skip
    return Inline(run, context), stopping


def isolated(tmp_path: Path, *words: str, **limits: Any) -> Isolated:
    folder = room_for(tmp_path / "var" / "jobs", "f.1")
    order = Order(
        trigger=asdict(TRIGGER), kind="command", words=words, writes=(str(folder),),
        private=str(tmp_path / "var"), allow=(), lease_s=WAIT_S, cpu_s=20,
        memory_bytes=4_096 * MIB, open_files=64, file_bytes=MIB, http_s=1.0,
    )  # fmt: skip
    return Isolated(folder, replace(order, **limits), {"PATH": os.environ["PATH"]})


def ended(attempt: Attempt) -> Result:
    found: Result = until(attempt.poll)
    return found


def test_an_inline_handler_is_heard_and_gives_up_when_it_is_cancelled() -> None:
    def go(context: JobContext) -> Result:
        context.progress("half way")
        return Result("degraded", f"cancelled {context.cancelled.wait(WAIT_S)}")

    attempt, _ = inline(go)

    assert until(attempt.words) == "half way"
    assert attempt.poll() is None
    attempt.stop()
    assert ended(attempt) == Result("degraded", "cancelled True")


def test_what_a_handler_raises_is_its_end() -> None:
    def go(_: JobContext) -> Result:
        raise ValueError("no such day")

    assert ended(inline(go)[0]) == Result("failed", "ValueError: no such day")


def test_a_handler_that_gives_up_because_the_worker_stops_has_no_end() -> None:
    def go(context: JobContext) -> Result:
        context.stopping.wait(WAIT_S)
        raise Stopped

    attempt, stopping = inline(go)
    stopping.set()

    assert attempt.leave() is None


def test_a_process_is_heard_by_its_file_and_killed_with_all_of_its_group(tmp_path: Path) -> None:
    script = "sleep 60 & echo $! > child; echo half way > progress; wait"
    attempt = isolated(tmp_path, "sh", "-c", script)

    assert until(attempt.words) == "half way"
    child = int((tmp_path / "var" / "jobs" / "f.1" / "child").read_text())
    attempt.stop()
    assert ended(attempt).state == "failed"
    assert until(lambda: _is_gone(child))


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def test_a_process_stops_itself_when_its_worker_is_silent(tmp_path: Path) -> None:
    attempt = isolated(tmp_path, "sleep", "60", lease_s=0.5)

    assert ended(attempt) == Result("failed", "worker silent for 0.5 s")


def test_a_process_is_refused_what_is_beyond_its_limits(tmp_path: Path) -> None:
    script = """if True:
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        def many(): return [open("/dev/null") for _ in range(99)]
        def big(): open("big", "wb", 0).write(bytes(2 << 20)); open("big", "ab", 0).write(b".")
        def wide(): return bytearray(2 << 30)
        for each in (many, big, wide):
            try: each()
            except (OSError, MemoryError) as error: print(type(error).__name__, error)
    """
    attempt = isolated(tmp_path, sys.executable, "-c", script, memory_bytes=1_536 * MIB)

    assert ended(attempt) == Result("succeeded", "exit status 0")
    said = (tmp_path / "var" / "jobs" / "f.1" / "output.log").read_text()
    for each in ("Too many open files", "File too large", "MemoryError"):
        assert each in said


def test_a_process_is_killed_at_its_cpu_seconds(tmp_path: Path) -> None:
    attempt = isolated(tmp_path, "sh", "-c", "while :; do :; done", cpu_s=2)

    assert ended(attempt) == Result("failed", "exit status -9")


def test_only_a_plain_file_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(json.dumps({"state": "degraded", "detail": "secret"}))
    script = "ln -s ../../../secret result.json; mkfifo progress; kill -9 $PPID"

    attempt = isolated(tmp_path, "sh", "-c", script)

    assert ended(attempt) == Result("failed", "expected a result, was the end -9 without one")
    assert attempt.words() == ""
    (tmp_path / "var" / "jobs" / "f.1" / "result.json").unlink()
    (tmp_path / "var" / "jobs" / "f.1" / "result.json").mkdir()
    assert ended(attempt).state == "failed"


def test_the_folder_of_an_earlier_life_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    for life in ("first", "second", "third"):
        folder = room_for(jobs, "f.1")
        folder.mkdir()
        (folder / "output.log").write_text(life)

    assert {each.name: (each / "output.log").read_text() for each in jobs.iterdir()} == {
        "f.1": "third", "f.1.life-1": "first", "f.1.life-2": "second",
    }  # fmt: skip
    assert jobs.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_jobs_that_others_can_open_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    with pytest.raises(Misconfigured, match="was mode 755"):
        room_for(tmp_path, "f.1")


def test_a_result_without_an_end_has_failed() -> None:
    assert checked(Result("running", "x")).state == "failed"
    assert len(checked(Result("succeeded", "x" * 9_999)).detail) == 2_000


@pytest.mark.parametrize("name", ["../f.1", "", "a/b", ".hidden"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misconfigured, match="expected a fire id"):
        room_for(tmp_path, name)
