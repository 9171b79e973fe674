"""Every command of the README is run, and does what the README says of it.

``SAID`` and ``RUN_BY`` are the table: a command of the README that is in neither fails by name, and
so does an entry that the README no longer has.  What costs minutes (``make demo``, the day on real
data) is run by the test that the table names; here ``make -n`` shows what it calls.
"""

import ast
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple, get_type_hints

import pytest
import typer

from infra.admin import create_topics, delete_namespace
from infra.cli import build
from infra.connection import Connection
from infra.demo.day import PARTITIONS
from infra.demo.screen import Screen
from infra.deploy import register_all
from infra.exchange.journal import read_journal
from infra.jobs import JobContext, Result
from infra.publish import Publisher
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack import stack as local
from infra.stack.endpoints import PARTS, Endpoints
from infra.topology import Topology, load_roles
from scheduler import timetable
from scheduler.triggers import Slot
from schemas import topics
from schemas.fingerprints import subjects
from schemas.krx.sessions import kst_date
from schemas.testing import MORNING, trade
from schemas.units import Symbol

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "README.md"
REAL_DATA: Final = ROOT.parent / "shared" / "data"
BIN: Final = Path(sys.executable).parent

GENERATED = re.compile(r"<!-- aegis:(\w+) -->.*?<!-- /aegis:\1 -->\n", re.DOTALL)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`]+)`")
BLOCK_LINE = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
PROGRAM = re.compile(
    r"(?:\$ )?(?:\S+/)?(?:aegis|make|python[\d.]*|pip|uv|git|docker|curl|sh|bash) [^ ]"
)
SETTING = re.compile(r"AEGIS_[A-Z_]+")
SCREEN_LINES: Final = 40
SCREENS_MAX: Final = 3
FIVE_WORDS: Final = ("Fold", "Role", "Watermark", "As of T", "Effect")
HEADINGS: Final = (
    "Two commands",
    "The rooms",
    "The topics",
    "Replay",
    "Your own cluster",
    "Adding to it",
)
SEEN: Final = {
    "screened": "screened",
    "streamed": "streamed",
    "polled": "polled",
    "events by topic": "events_by_topic",
    "latencies": "latency_ms",
    "orders": "orders",
    "fills": "fills",
    "cancels": "cancels",
    "rejects": "rejects",
    "unknowns": "unknowns",
    "the result in won": "pnl",
    "`audit`": "audit",
    "`first_signals`": "first_signals",
}
"""Words of the README, and where the day's JSON object has it."""

PLANTED: Final = "sesame-7f3a"
MAKES_OWN: Final = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGS"}
"""What ``make test`` hands down, and a ``make`` that is asked here must not hear."""

READY_S: Final = 60.0
PASSES_S: Final = 0.1


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    def told(self) -> dict[str, Any]:
        """Return the JSON object that it printed, on one line or on many."""
        found: dict[str, Any] = json.loads(self.out)
        return found


Chain = dict[str, Any]
Day = tuple[Path, int, dict[str, Any]]
EnvironmentOf = Callable[[Path], dict[str, str]]


# What the README holds


def commands(readme: Path) -> list[str]:
    """Return every command of a README: lines of indented blocks, code that begins a program.

    A comment behind a command is left out; a line of an indented block that names settings only is
    no command.
    """
    text = GENERATED.sub("", readme.read_text("utf-8"))
    fenced = [line.strip() for block in FENCED.findall(text) for line in block.splitlines()]
    text = FENCED.sub("", text)
    block = [line for line in BLOCK_LINE.findall(text) if SETTING.sub("", line).strip()]
    inline = [" ".join(each.split()) for each in INLINE.findall(BLOCK_LINE.sub("", text))]
    coded = [each for each in (*fenced, *inline) if PROGRAM.match(each)]
    return list(dict.fromkeys(each.partition(" #")[0].strip() for each in (*block, *coded)))


def unknown(readme: Path) -> list[str]:
    return [each for each in commands(readme) if each not in {*SAID, *RUN_BY}]


def forgotten(readme: Path) -> list[str]:
    return [each for each in (*SAID, *RUN_BY) if each not in commands(readme)]


def prose() -> str:
    """Return the README without its generated tables and its picture, on one line."""
    return " ".join(FENCED.sub("", GENERATED.sub("", README.read_text("utf-8"))).split())


def functions(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text("utf-8"))
    return {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef)}


# How a command of it is run


def run(command: str, environment: Mapping[str, str], cwd: Path = ROOT, **words: str) -> Ran:
    """Run a command as the README writes it; its words in capitals stand for something."""
    done = subprocess.run(
        [words.get(each, each) for each in shlex.split(command)],
        env=dict(environment),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def with_path(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which ``aegis`` and ``python`` are the ones of this checkout."""
    kept = {name: value for name, value in environment.items() if name not in MAKES_OWN}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a command that needs no stack."""
    return with_path({**os.environ, "AEGIS_VAR_DIR": str(tmp_path)})


class Answers(NamedTuple):
    """What is said after a day, as soon as it is."""

    said: Mapping[str, Future[Ran]]
    explained: Future[tuple[Chain, Chain, Chain]]


@pytest.fixture(scope="module")
def answers(part_of_a_day: Day, environment_of: EnvironmentOf) -> Iterator[Answers]:
    """Give every command that is given after a day, all at once: they only read, and wait a lot."""
    var, _, day = part_of_a_day
    environment = with_path(environment_of(var))
    book = var / day["namespace"] / "exchange.journal.jsonl"
    with ThreadPoolExecutor(len(SAID) + 1) as pool:
        explained = pool.submit(explain, environment, book)
        said = {each: pool.submit(run, each, environment) for each in SAID}
        yield Answers(said, explained)


def explain(environment: Mapping[str, str], book: Path) -> tuple[Chain, Chain, Chain]:
    """Return the chains of an order of the exchange's book, of its signal and of its score."""
    orders = read_journal(book).orders
    newest = {line.symbol: str(number) for number, line in orders.items() if line.filled}
    for number in reversed(newest.values()):  # a name that is polled may have no frame for minutes
        order = run("aegis explain ID", environment, ID=number).told()
        if order["frames"]:
            break
    score = f"{order['trigger'][0]['fire_id']}/{order['symbol']}"
    signalled, scored = (
        run("aegis explain ID", environment, ID=each).told()
        for each in (order["signal"]["signal_id"], score)
    )
    return order, signalled, scored


# What the README says of each


def audited(ran: Ran, day: Mapping[str, Any]) -> None:
    told = ran.told()

    assert told["namespace"] == day["namespace"]
    assert told["events_by_topic"] == day["events_by_topic"]
    assert set(told["audit"]) == set(day["audit"])
    assert not any(told["audit"].values()), told["audit"]


def made_again(ran: Ran, day: Mapping[str, Any]) -> None:
    told = ran.told()

    assert told["namespace"] == day["namespace"]
    assert told["verified"], told
    assert told["partitions"] != PARTITIONS
    assert sum(each["records"] for each in told["topics"].values()) > 1_000
    assert {each["first_difference"] for each in told["topics"].values()} == {None}


def made_again_as_cut(ran: Ran, day: Mapping[str, Any]) -> None:
    made_again(ran, day)

    assert (ran.told()["partitions"], ran.told()["chunk"]) == (7, 500)


def run_again(ran: Ran, day: Mapping[str, Any]) -> None:
    made_again(ran, day)

    assert ran.told()["recomputed"]["compared"] >= 2
    assert ran.told()["recomputed"]["different"] == 0


def ordered(ran: Ran, day: Mapping[str, Any]) -> None:
    told = ran.told()

    assert told["totals"]["orders"] == len(told["orders"]) == day["orders"]
    assert told["totals"]["unanswered"] == 0
    assert 0 < told["totals"]["filled"] <= told["totals"]["accepted"]


def held(ran: Ran, day: Mapping[str, Any]) -> None:
    rows = ran.told()["positions"]

    assert {each["symbol"]: each["held"] for each in rows if each["held"]} == day["portfolio"]


SAID: Final[Mapping[str, Callable[[Ran, Mapping[str, Any]], None]]] = {
    "aegis audit --json": audited,
    "aegis orders --json": ordered,
    "aegis positions --json": held,
    "aegis verify": made_again,
    "aegis verify --partitions 7 --chunk 500": made_again_as_cut,
    "aegis verify --recompute": run_again,
}
"""Commands given after a day, and what holds of the answer."""

DAY_TEST: Final = "tests/integration/test_demo_day.py::test_a_killed_part_of_a_day_is_judged_right"
RUN_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "make demo": ("test_make_demo_calls_the_front_door_and_nothing_else", DAY_TEST),
    "make test": ("test_make_test_runs_every_folder_of_tests",),
    "aegis demo --data ../shared/data --date 2026-02-10": (
        "test_the_front_door_reads_the_real_day_as_written",
        "test_the_real_day_is_judged_right",
    ),
    "aegis explain ID": (
        "explain",
        "test_explain_leads_from_an_order_a_signal_and_a_score_to_features_and_raw_frames",
    ),
    "aegis doctor": ("test_the_doctor_prints_every_setting_and_no_secret",),
    "aegis up": ("test_up_starts_what_no_setting_names_and_down_stops_it",),
    "aegis status": ("test_up_starts_what_no_setting_names_and_down_stops_it",),
    "aegis down": ("test_up_starts_what_no_setting_names_and_down_stops_it",),
    "aegis schemas check": ("test_schemas_check_counts_every_schema_and_no_problem",),
    "aegis jobs next --on 2026-11-19": ("test_an_exam_day_shows_when_a_job_fires_and_when_not",),
    "aegis drill simulate --seeds 20 --json": ("test_a_drill_in_memory_counts_what_broke",),
    "aegis train lstm --out DIR": ("test_training_makes_a_version_or_names_the_extra_it_needs",),
    "python -m streams market": ("test_a_worker_group_and_services_run_and_stop_when_told",),
    "python -m infra.host NAME...": ("test_a_worker_group_and_services_run_and_stop_when_told",),
    "python -m infra.commands --write-readme": ("test_write_readme_puts_the_tables_back",),
    "python -m schemas.fingerprints --write": ("test_a_new_field_is_released_as_the_next_version",),
}
"""Commands with a function of their own: in this file, or ``path::name``."""


def test_every_command_of_the_readme_is_in_the_table() -> None:
    assert unknown(README) == []


def test_every_entry_of_the_table_is_still_in_the_readme() -> None:
    assert forgotten(README) == []


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("\n    aegis frobnicate --all   # try it\n", "aegis frobnicate --all"),
        ("\n    rm -rf var\n", "rm -rf var"),
        ("\nThen `make coffee`.\n", "make coffee"),
        ("\nThen `python -m\nstreams espresso`.\n", "python -m streams espresso"),
        ("\n```sh\naegis brew\n```\n", "aegis brew"),
    ],
)
def test_a_planted_command_is_flagged_by_name(tmp_path: Path, planted: str, found: str) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(README.read_text("utf-8") + planted, "utf-8")

    assert unknown(copy) == [found]


def test_a_command_taken_out_of_the_readme_is_flagged_by_name(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(README.read_text("utf-8").replace("`aegis doctor`", "the doctor"), "utf-8")

    assert forgotten(copy) == ["aegis doctor"]


@pytest.mark.parametrize("command", RUN_BY)
def test_each_test_that_the_table_names_exists_and_one_here_gives_the_command(command: str) -> None:
    here = functions(Path(__file__))
    away = [each.split("::") for each in RUN_BY[command] if "::" in each]
    near = [here[each] for each in RUN_BY[command] if "::" not in each]

    assert [name for path, name in away if name not in functions(ROOT / path)] == []
    assert command in {
        node.value for each in near for node in ast.walk(each) if isinstance(node, ast.Constant)
    }


# The page itself


def test_the_page_has_its_parts_in_order_and_fits_three_screens() -> None:
    page = GENERATED.sub("", README.read_text("utf-8"))
    opening = page.partition("\n## ")[0]

    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == list(HEADINGS)
    assert opening.splitlines()[2].startswith("AEGIS trades Korean stocks")
    assert len(FENCED.findall(opening)) == 1
    assert tuple(re.findall(r"^\* \*\*(.+?)\*\*: ", opening, re.MULTILINE)) == FIVE_WORDS
    assert len(page.splitlines()) <= SCREENS_MAX * SCREEN_LINES


def test_every_path_and_entry_point_group_on_the_page_exists() -> None:
    said = [each for each in INLINE.findall(prose()) if " " not in each]
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    paths = [each for each in said if re.match(r"(?:\w+/)+|\w+\.(?:toml|md)$", each)]
    named = [each for each in said if each.startswith("aegis.")]

    assert len(paths) >= 12
    assert [each for each in paths if not (ROOT / each).exists()] == []
    assert named == ["aegis.roles", "aegis.services", "aegis.jobs"]
    assert [each for each in named if each not in groups] == []


def test_make_demo_calls_the_front_door_and_nothing_else(alone: dict[str, str]) -> None:
    called = run("make demo", {**alone, "MAKEFLAGS": "n"})

    assert called.status == 0, called.err
    assert called.out.splitlines()[-1].strip() == ".venv/bin/aegis demo"
    assert understood("aegis demo")["data"] is None


def test_make_test_runs_every_folder_of_tests(alone: dict[str, str]) -> None:
    called = run("make test", {**alone, "MAKEFLAGS": "n"})
    folders = {f"tests/{path.parent.name}" for path in ROOT.glob("tests/*/test_*.py")}
    folders |= {"tests/unit"}

    assert called.status == 0, called.err
    assert set(re.findall(r"tests/\w+", called.out)) == folders


def test_the_front_door_reads_the_real_day_as_written() -> None:
    options = understood("aegis demo --data ../shared/data --date 2026-02-10")

    assert options["data"] == Path("../shared/data")
    assert options["date"].date().isoformat() == "2026-02-10"


def understood(command: str) -> dict[str, Any]:
    """Return what the front door makes of a command's words, without running it."""
    front: Any = typer.main.get_command(build())
    _, name, *words = shlex.split(command)
    found: dict[str, Any] = front.commands[name].make_context(name, words).params
    return found


def test_the_screen_of_a_seeded_day_says_synthetic_and_shows_the_market_clock() -> None:
    screen = Screen(live=True, synthetic=True)
    screen.show("market", {"now": MORNING})
    table = screen._table()

    assert "SYNTHETIC" in str(table.title)
    assert "09:00:00" in [str(each) for each in table.columns[1].cells]


# After a day


@pytest.mark.stack
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("answers")  # they are worked out while the next tests run
def test_the_result_of_a_day_has_what_you_should_see(part_of_a_day: Day) -> None:
    _, status, day = part_of_a_day
    page = prose()

    assert status == 0
    assert [each for each in SEEN if each not in page] == []
    assert [each for each in SEEN.values() if each not in day] == []
    assert day["orders"] > 0
    assert isinstance(day["pnl"], int)
    assert not any(day["audit"].values())
    assert day["skill"] == "not shown"
    assert day["data"] == "synthetic"


@pytest.mark.torture
@pytest.mark.data
@pytest.mark.stack
@pytest.mark.timeout(1_500)
def test_the_real_day_is_judged_right(environment_of: EnvironmentOf, tmp_path: Path) -> None:
    if not REAL_DATA.exists():
        pytest.skip("there is no real data beside this checkout")

    ran = run(
        "aegis demo --data ../shared/data --date 2026-02-10", with_path(environment_of(tmp_path))
    )

    assert ran.status == 0, ran.err
    assert ran.told()["data"] == "real"
    assert not any(ran.told()["audit"].values())


# The stack and what runs on it


@pytest.mark.stack
def test_the_doctor_prints_every_setting_and_no_secret(
    stack: Endpoints, environment_of: EnvironmentOf, tmp_path: Path
) -> None:
    environment = {**environment_of(tmp_path), "AEGIS_KAFKA__SASL_PASSWORD": PLANTED}
    password = re.findall(r":([^:/@]+)@", stack.postgres_dsn)[0]
    named = set(SETTING.findall(prose()))

    ran = run("aegis doctor", with_path(environment))

    assert ran.status == 0, ran.out
    assert len(named) == 8
    assert named <= set(SETTING.findall(ran.out))
    assert [each for each in (PLANTED, password) if each in ran.out + ran.err] == []
    assert [each for each in PARTS if f"ok    {each}: " not in ran.out] == []


@pytest.mark.stack
def test_up_starts_what_no_setting_names_and_down_stops_it(
    environment_of: EnvironmentOf, tmp_path: Path
) -> None:
    environment = with_path(environment_of(tmp_path))
    del environment["AEGIS_REDIS__URL"]
    try:
        started, running, stopped, after = (
            run(each, environment)
            for each in ("aegis up", "aegis status", "aegis down", "aegis status")
        )
    finally:
        local.down(Settings(var_dir=tmp_path))

    assert [each.status for each in (started, running, stopped, after)] == [0, 0, 0, 1]
    facts = dict(line.split(maxsplit=1) for line in running.out.splitlines())
    assert (facts["whole"], facts["redis_lives"]) == ("True", "True")
    assert [name for name in facts if name.endswith("_lives")] == ["redis_lives"]
    assert facts["kafka_bootstrap"] == environment["AEGIS_KAFKA__BOOTSTRAP"]
    assert facts["redis_url"] in started.out
    assert stopped.out.split() == ["stopped", "True"]


@pytest.fixture
def namespace(stack: Endpoints) -> Iterator[Connection]:
    name = f"demo.test.{os.getpid()}-{time.monotonic_ns()}"
    connection = Connection(settings=Settings(), endpoints=stack, namespace=name)
    registry = Registry(stack.registry_url)
    register_all(registry)
    create_topics(connection, Topology(load_roles(), ()))
    yield connection
    delete_namespace(connection, name)
    registry.close()


@pytest.mark.stack
def test_a_worker_group_and_services_run_and_stop_when_told(
    namespace: Connection, environment_of: EnvironmentOf, tmp_path: Path
) -> None:
    environment = with_path(environment_of(tmp_path))
    environment["AEGIS_NAMESPACE"] = namespace.namespace
    said = {
        "python -m streams market": ["features.windows"],
        "python -m infra.host NAME...": ["portfolio", "scores.final"],
    }
    print_a_trade(namespace)
    children = []
    for at, (command, roles) in enumerate(said.items()):
        words = shlex.split(command.replace("NAME...", " ".join(roles)))
        with (tmp_path / f"{at}.log").open("wb") as log:
            children.append(
                subprocess.Popen(words, env=environment, cwd=ROOT, stdout=log, stderr=log)
            )
    try:
        for at, roles in enumerate(said.values()):
            wait_for(tmp_path / f"{at}.log", roles, children[at])
    finally:
        for each in children:
            each.send_signal(signal.SIGTERM)
        ends = [each.wait(READY_S) for each in children]

    assert ends == [0, 0]


def print_a_trade(connection: Connection) -> None:
    """Give the worker group something to take: it makes a role when its first record comes."""
    registry = Registry(connection.endpoints.registry_url)
    publisher = Publisher(connection, Serde(registry), client="test.readme")
    publisher.send(topics.TRADES, Symbol("005930"), trade())
    publisher.flush()
    publisher.close()
    registry.close()


def wait_for(log: Path, roles: list[str], child: subprocess.Popen[bytes]) -> None:
    """Wait until a process said of each role that it goes on from its state."""
    give_up = time.monotonic() + READY_S
    while True:
        lines = [json.loads(each) for each in log.read_text().splitlines() if each[:1] == "{"]
        have = {each.get("role") for each in lines if each["event"] == "restored"}
        if have >= set(roles):
            return
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < give_up, log.read_text()
        time.sleep(PASSES_S)


# What was asked after the day


@pytest.mark.stack
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", SAID)
def test_a_command_given_after_a_day_does_what_the_readme_says(
    command: str, answers: Answers, part_of_a_day: Day
) -> None:
    ran = answers.said[command].result()

    assert ran.status == 0, ran.err
    SAID[command](ran, part_of_a_day[2])


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_explain_leads_from_an_order_a_signal_and_a_score_to_features_and_raw_frames(
    answers: Answers,
) -> None:
    order, signalled, scored = answers.explained.result()

    assert int(order["orders"][-1]["order_no"]) == int(order["id"])
    assert order["trigger"][0]["job"] in {"ai_analysis", "rescoring"}
    assert abs(order["score"]["sum"] - order["score"]["score"]) < 1e-9
    assert order["quant"]["exposures"]
    assert order["windows"]
    assert order["frames"]
    assert {each["symbol"] for each in (order, signalled, scored)} == {order["symbol"]}
    assert signalled["id"] == signalled["signal"]["signal_id"]
    for name in ("signal", "score", "quant", "ai", "trigger", "windows", "frames"):
        assert signalled[name] == order[name]
    for name in ("score", "quant", "ai", "trigger", "windows", "frames"):
        assert scored[name] == order[name]


# Adding to it


def test_schemas_check_counts_every_schema_and_no_problem(alone: dict[str, str]) -> None:
    ran = run("aegis schemas check", alone)

    assert ran.status == 0, ran.out
    assert ran.out.splitlines()[-1] == f"{len(subjects())} schemas, 0 problems"


def test_write_readme_puts_the_tables_back(alone: dict[str, str], tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(GENERATED.sub(r"<!-- aegis:\1 -->\n<!-- /aegis:\1 -->\n", README.read_text()))

    ran = run("python -m infra.commands --write-readme", alone, tmp_path)

    assert ran.status == 0, ran.err
    assert copy.read_text("utf-8") == README.read_text("utf-8")


def test_a_new_field_is_released_as_the_next_version(alone: dict[str, str], tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    shutil.copytree(ROOT / "schemas", schemas, ignore=shutil.ignore_patterns("__pycache__"))
    record = json.loads((schemas / "avro" / "features.windows.avsc").read_text("utf-8"))
    twin = next(each for each in record["fields"] if each["name"] == "return_bps")
    record["fields"].append({**twin, "name": "novelty_bps"})
    (schemas / "avro" / "features.windows.avsc").write_text(json.dumps(record), "utf-8")
    source = (schemas / "features.py").read_text("utf-8")
    last = "    signed_volume: Shares\n"
    grown = source.replace(last, f"{last}    novelty_bps: float | None = None\n", 1)
    (schemas / "features.py").write_text(grown, "utf-8")

    ran = run("python -m schemas.fingerprints --write", alone, tmp_path)

    assert ran.status == 0, ran.out
    assert ran.out.split() == ["features.windows.v2"]
    assert (schemas / "avro" / "released" / "features.windows.v2.avsc").exists()


def test_every_job_is_a_function_of_a_context_with_a_result() -> None:
    made = {each.name: get_type_hints(each.load()) for each in entry_points(group="aegis.jobs")}

    assert made
    assert [
        name for name, hints in made.items() if list(hints.values()) != [JobContext, Result]
    ] == []


def test_a_drill_in_memory_counts_what_broke(alone: dict[str, str]) -> None:
    told = run("aegis drill simulate --seeds 20 --json", alone).told()

    assert (told["seeds"], told["violations"], told["story"]) == (20, 0, [])
    assert told["fires"] > 20


def test_one_table_in_the_timetable_adds_a_job() -> None:
    text = (ROOT / "scheduler" / "timetable.toml").read_text("utf-8")
    lines = (
        "[jobs.coffee]",
        'source = "this test"',
        'cron = "15 10 * * 1-5"',
        'session = "open + 75m"',
        'calendar = "sessions"',
        'target = "handler:market_open"',
        'group = "reporting"',
        "priority = 3",
        'late_max = "5m"',
        'run_max = "5m"',
    )

    fires = timetable.preview(timetable.load("\n".join((text, *lines))), kst_date(MORNING))

    assert [each.job for each in fires if isinstance(each, Slot) and each.job == "coffee"]


def test_an_exam_day_shows_when_a_job_fires_and_when_not(alone: dict[str, str]) -> None:
    ran = run("aegis jobs next --on 2026-11-19", alone)

    assert ran.status == 0, ran.err
    opens = [line.split(maxsplit=2) for line in ran.out.splitlines() if " market_open " in line]
    assert opens == [
        ["09:00", "market_open", "outside the session: due 10:00, exam day"],
        ["10:00", "market_open", "handler:market_open"],
    ]
    assert re.fullmatch(r"\d+ due, [1-9]\d* suppressed", ran.out.splitlines()[-1])


@pytest.mark.timeout(600)
def test_training_makes_a_version_or_names_the_extra_it_needs(
    alone: dict[str, str], tmp_path: Path
) -> None:
    ran = run("aegis train lstm --out DIR", alone, DIR=str(tmp_path))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    assert "train" in extras["optional-dependencies"]
    if find_spec("torch") is None:
        assert ran.status == 2
        assert "expected the extra 'train'" in ran.err
    else:
        assert ran.status == 0, ran.err
        assert (tmp_path / "lstm" / "1" / "model.onnx").exists()
