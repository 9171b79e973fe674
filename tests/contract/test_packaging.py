"""The house keeps its own rules: rooms, entry points, topic names, purity, what is committed."""

import ast
import importlib
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from infra.tables import FAUST, driver_of
from infra.topology import load_roles
from schemas.role import ENTRY_POINTS, Role
from schemas.topics import BY_NAME
from streams.worker import GROUPS

ROOT = Path(__file__).parents[2]
ROOMS = ("schemas", "streams", "producers", "consumers", "scheduler", "infra")
TOP = {*ROOMS, "tests", "pyproject.toml", "README.md"}
BESIDE = {"Makefile", "requirements.lock"}
OUR_GROUPS = ("aegis.roles", "aegis.services", "aegis.commands", "aegis.jobs", "aegis.audits")
NO_NAMES = {"utils", "util", "common", "core_utils", "helpers", "misc"}
MAIN_LINES_MAX = 30
MODULE_LINES_MAX = 450
CLOCKS = {"time", "random", "secrets", "uuid", "socket", "threading", "subprocess", "asyncio"}
READS = {"now", "today", "utcnow", "time", "time_ns", "monotonic", "monotonic_ns", "default_rng"}
NOT_OURS = ("/" + "work/", "/" + "root/", "--index" + "-url http", "pypi.org/" + "simple")

MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
ROLES = load_roles()
PLACES = {each.name: each for each in entry_points(group=ENTRY_POINTS)}


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def dotted(path: Path) -> str:
    return short(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


TREES = {dotted(path): ast.parse(path.read_text("utf-8")) for path in MODULES}


def committed() -> list[str]:
    """Return the committed files, or skip where there is no repository."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git checkout")
    return subprocess.run(
        [git, "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the modules a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def closure(name: str) -> set[str]:
    """Return a module of ours and all of ours that it needs."""
    found, open_ = set[str](), [name]
    while open_:
        module = open_.pop()
        if module in TREES and module not in found:
            found.add(module)
            open_ += imported(TREES[module])
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_ours(room: str) -> None:
    module = importlib.import_module(room)

    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)
    assert (ROOT / room / "py.typed").exists()


def test_top_level_is_exactly_as_decided() -> None:
    top = {name.split("/")[0] for name in committed() if not name.startswith(".")}

    assert top - BESIDE == TOP


def test_nothing_committed_names_a_machine_or_a_package_index() -> None:
    named = []
    for name in committed():
        path = ROOT / name
        if path.suffix in {".bin", ".onnx"} or not path.is_file():
            continue
        text = path.read_text("utf-8")
        named += [f"{name}: {each}" for each in NOT_OURS if each in text]

    assert named == []


@pytest.mark.parametrize("group", OUR_GROUPS)
def test_every_entry_point_leads_somewhere(group: str) -> None:
    lost = [each.name for each in entry_points(group=group) if not callable_or_role(each)]

    assert lost == []


def callable_or_role(point: EntryPoint) -> bool:
    found: Any = point.load()
    return callable(found) or isinstance(found, Role)


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_roles_entry_point_has_its_name(name: str) -> None:
    assert PLACES[name].load().name == name


def test_every_role_that_is_declared_is_registered() -> None:
    declared = {
        f"{module}:ROLE"
        for module, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == "ROLE"
    }

    assert declared == {each.value for each in PLACES.values()}


def test_faust_runs_exactly_the_roles_it_can() -> None:
    grouped = Counter(role.name for roles in GROUPS.values() for role in roles)

    assert grouped == Counter(role.name for role in ROLES if driver_of(role) == FAUST)


def test_no_module_names_a_topic_by_string() -> None:
    words = set(BY_NAME) - {role.name for role in ROLES}
    named = [
        f"{module}:{node.lineno}: {node.value!r}"
        for module, tree in TREES.items()
        if module != "schemas.topics"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in words
    ]

    assert named == [], "say topics.NAME.name"


@pytest.mark.parametrize("role", [pytest.param(role, id=role.name) for role in ROLES])
def test_a_fold_has_no_clock_no_dice_and_no_hash_order(role: Role) -> None:
    touched = []
    for module in sorted(closure(PLACES[role.name].module)):
        tree = TREES[module]
        touched += [f"{module} imports {each}" for each in imported(tree) if each in CLOCKS]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                named = isinstance(node.func, ast.Name) and node.func.id == "hash"
                read = isinstance(node.func, ast.Attribute) and node.func.attr in READS
                if named or read:
                    touched.append(f"{module}:{node.lineno}: {ast.unparse(node.func)}()")

    assert touched == []


@pytest.mark.parametrize("role", [pytest.param(role, id=role.name) for role in ROLES])
def test_a_fold_needs_neither_machine_nor_another_role(role: Role) -> None:
    needs = closure(PLACES[role.name].module)
    others = {each.module for each in PLACES.values()} - {PLACES[role.name].module}

    assert {each for each in needs if each.startswith("infra")} == set()
    assert needs & others == set()


def test_a_main_module_reads_builds_and_runs() -> None:
    long = {
        short(path): lines
        for path in MODULES
        if path.name == "__main__.py"
        and (lines := len(path.read_text("utf-8").splitlines())) > MAIN_LINES_MAX
    }

    assert long == {}


def test_modules_are_named_after_what_they_are_and_stay_readable() -> None:
    assert [short(path) for path in MODULES if path.stem in NO_NAMES] == []
    assert {
        short(path)
        for path in MODULES
        if len(path.read_text("utf-8").splitlines()) > MODULE_LINES_MAX
    } == set()


def test_a_module_opens_by_saying_what_it_is() -> None:
    mute = [name for name, tree in TREES.items() if tree.body and not ast.get_docstring(tree)]

    assert mute == []


def test_tests_are_no_package_and_have_names_of_their_own() -> None:
    files = [Path(name) for name in committed() if name.startswith("tests/")]
    names = Counter(path.name for path in files if path.name.startswith("test_"))

    packages = [path for path in files if path.name == "__init__.py"]
    assert [path for path in packages if "examples" not in path.parts] == []  # a user's is one
    assert [name for name, count in names.items() if count > 1] == []
