"""Targets: what may run here, and what a job's process is told."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from infra.connection import Connection
from infra.jobs import order, targets
from infra.jobs.confine import landlock_abi
from infra.jobs.targets import Target, allowed, is_inline, kind_of
from infra.settings import Jobs, Settings
from infra.stack.endpoints import Endpoints
from schemas.control import JobTriggered
from schemas.errors import Misconfigured
from schemas.testing import MORNING

HERE = Jobs(commands=("report", "/opt/tools/report"), urls=("http://desk:8080/jobs",))
TRIGGER = JobTriggered(
    ts_event=MORNING, ts_ingest=MORNING, fire_id="f", job="mine", slot=MORNING, kind="auto",
    target="handler:j", group="reporting", priority=1, logical_date=20260210,
    schedule_hash="", calendar_hash="", cause="",
)  # fmt: skip
WHERE = Endpoints(
    kafka_bootstrap="k:1",
    registry_url="http://r",
    postgres_dsn="postgresql://p",
    redis_url="redis://r",
)


def test_only_targets_of_a_worker_have_a_kind() -> None:
    kinds = [kind_of(each) for each in ("handler:a", "command:a b", "http:u", "role:x", "http:")]

    assert kinds == ["handler", "command", "http", None, None]


def test_our_own_handler_is_found_and_is_ours() -> None:
    assert allowed("handler:system_check", HERE) == Target("handler", ("system_check",), ours=True)


@pytest.mark.parametrize(
    ("target", "setting"),
    [
        ("command:rm -rf x", "AEGIS_JOBS__COMMANDS"),
        ("command:report2", "AEGIS_JOBS__COMMANDS"),
        ("command:''", "AEGIS_JOBS__COMMANDS"),
        ("command:report 'open", "command line"),
        ("http:http://desk:8081/jobs", "AEGIS_JOBS__URLS"),
        ("http:http://desk:8080/jobs-of-others", "AEGIS_JOBS__URLS"),
        ("http:http://desk:8080/jobs/../admin", "AEGIS_JOBS__URLS"),
        ("http:http://desk:8080/jobs/%2e%2e/admin", "AEGIS_JOBS__URLS"),
        ("http:http://desk:8080@evil/jobs", "AEGIS_JOBS__URLS"),
        ("http:https://desk:8080/jobs", "AEGIS_JOBS__URLS"),
        ("http:file:///jobs", "AEGIS_JOBS__URLS"),
        ("http:http://desk:no/jobs", "expected a url"),
        ("handler:nobody", "install it"),
        ("role:scores.final", "expected a target"),
    ],
)
def test_what_is_not_allowed_is_refused_and_says_which_setting(target: str, setting: str) -> None:
    with pytest.raises(Misconfigured, match=setting):
        allowed(target, HERE)


def test_a_command_is_split_without_a_shell() -> None:
    found = allowed("command:report --of 'two words' $HOME;ls", HERE)

    assert found.words == ("report", "--of", "two words", "$HOME;ls")


@pytest.mark.parametrize("url", ["http://desk:8080/jobs", "http://desk:8080/jobs/close?now=1"])
def test_a_url_at_or_below_an_allowed_one_is_taken(url: str) -> None:
    assert allowed(f"http:{url}", HERE) == Target("http", (url,))


def packaged(place: Path, distribution: str, name: str) -> None:
    """Put a package's metadata and module into a folder, as an installer leaves them."""
    module = distribution.lower().replace("-", "_").replace(".", "_")
    info = place / f"{module}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[aegis.jobs]\n{name} = {module}:go\n")
    (place / f"{module}.py").write_text("def go(context): raise NotImplementedError\n")


def test_a_users_handler_needs_its_distribution_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged(tmp_path, "Desk.Reports", "desk_report")
    packaged(tmp_path, "other-reports", "other_report")
    packaged(tmp_path, "shadow", "system_check")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(Misconfigured, match="was in desk-reports; name it in AEGIS_JOBS__ALLOW"):
        allowed("handler:desk_report", HERE)

    theirs = Jobs(allow=("desk-reports", "shadow"))
    assert allowed("handler:desk_report", theirs) == Target("handler", ("desk_report",))
    assert targets.handler("desk_report", theirs.allow).__module__ == "desk_reports"
    assert allowed("handler:system_check", theirs).ours


def test_only_our_own_handler_may_run_inline() -> None:
    ours, theirs = Target("handler", ("a",), ours=True), Target("handler", ("a",))

    assert is_inline(TRIGGER, ours)
    assert not is_inline(replace(TRIGGER, isolation="process"), ours)
    assert not is_inline(TRIGGER, theirs)


def test_a_jobs_process_is_told_its_own_declaration_and_no_other() -> None:
    given = {"mine": ("MY_TOKEN", "NOT_THERE"), "other": ("OTHER_TOKEN",)}
    settings = Settings(jobs=Jobs(environment=given))
    connection = Connection(settings=settings, endpoints=WHERE, namespace="demo.x")
    worker = {
        "PATH": "/bin", "MY_TOKEN": "1", "OTHER_TOKEN": "2", "AEGIS_KIS__APP_SECRET": "3",
        "AEGIS_KAFKA__SASL_USERNAME": "u",
    }  # fmt: skip

    def told(target: Target) -> set[str]:
        return set(order.environment(TRIGGER, target, Path("/x"), connection, worker))

    command = told(Target("command", ("report",)))
    theirs, ours = told(Target("handler", ("a",))), told(Target("handler", ("a",), ours=True))
    assert command == {"PATH", "HOME", "TMPDIR", "OPENBLAS_NUM_THREADS", "MY_TOKEN"}
    assert {"AEGIS_KAFKA__BOOTSTRAP", "AEGIS_KAFKA__SASL_USERNAME"} <= theirs - command
    assert ours - theirs == {"AEGIS_POSTGRES__DSN", "AEGIS_REDIS__URL"}
    assert not ours & {"OTHER_TOKEN", "AEGIS_KIS__APP_SECRET"}


@pytest.mark.skipif(not landlock_abi(), reason="this kernel has no Landlock")
def test_a_confined_process_keeps_its_folder_and_the_code_and_nothing_beside(
    tmp_path: Path,
) -> None:
    for name in ("mine", "other", "code"):
        (tmp_path / "var" / name).mkdir(parents=True)
        (tmp_path / "var" / name / "file").write_text(name)
    (tmp_path / "module.py").write_text("")
    script = f"""
        import resource, sys
        from pathlib import Path
        from infra.jobs.confine import confine, limit
        root = Path({str(tmp_path)!r})
        sys.path.append(str(root))  # the code lies above the deployment's folder
        limit(5, 4 << 30, 64, 1000)
        assert confine([root / "var" / "mine"], [], root / "var")
        def is_open(path, mode):
            try:
                return bool(path.open(mode))
            except PermissionError:
                return False
        found = [is_open(root / "var" / "mine" / "file", "a"), is_open(root / "module.py", "r"),
                 is_open(root / "module.py", "a"), is_open(root / "var" / "other" / "file", "r"),
                 is_open(root / "new", "w"), is_open(Path("/proc/{os.getpid()}/environ"), "r")]
        print(found, resource.getrlimit(resource.RLIMIT_NOFILE))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False
    )

    said = done.stdout.decode().strip()
    assert said == "[True, True, False, False, False, False] (64, 64)", done.stderr.decode()
