"""``aegis``: help is there at once, and the system's tables are what it declares."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra import commands
from infra.cli import build
from infra.tables import splice
from infra.topology import load_roles
from schemas.topics import CATALOGUE

HEAVY = (
    "confluent_kafka", "faust", "pandas", "numpy", "onnxruntime", "pyarrow", "httpx",
    "fastavro", "pydantic", "psycopg", "redis", "websockets", "cryptography", "torch",
)  # fmt: skip
ASK = f"""
import sys
from infra.cli import build
build()
print([name for name in {HEAVY!r} if name in sys.modules])
"""
README = Path(__file__).parents[2] / "README.md"


def told(*arguments: str) -> Any:
    """Run ``aegis`` and return the JSON object on its last line."""
    result = CliRunner().invoke(build(), arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def test_help_imports_nothing_heavy() -> None:
    found = subprocess.run([sys.executable, "-c", ASK], check=True, capture_output=True, text=True)

    assert found.stdout.strip() == "[]"


def test_roles_tells_every_role() -> None:
    rows = {row["name"]: row for row in told("roles", "--json")["roles"]}

    assert set(rows) == {role.name for role in load_roles()}
    assert rows["market.decode"]["driver"] == "Faust worker"
    assert rows["market.decode"]["inputs"] == [["raw.kis", "paced"]]
    assert rows["execution"]["driver"] == "Kafka loop"


def test_topics_tells_every_topic_and_who_writes_it() -> None:
    rows = {row["name"]: row for row in told("topics", "--json")["topics"]}

    assert list(rows) == [*(topic.name for topic in CATALOGUE), "state.<role>"]
    assert rows["market.trades"]["written_by"] == ["market.decode"]
    assert (rows["market.trades"]["partitions"], rows["scores.final"]["partitions"]) == (4, 1)


def test_schemas_check_finds_nothing() -> None:
    assert told("schemas", "check", "--json")["problems"] == []


@pytest.mark.parametrize("command", ["roles", "topics"])
def test_without_json_a_table_is_printed(command: str) -> None:
    result = CliRunner().invoke(build(), [command])

    assert result.exit_code == 0
    assert result.output.split()[0] == command.removesuffix("s").upper()


def test_the_readmes_tables_are_what_the_system_declares() -> None:
    text = README.read_text("utf-8")

    assert splice(text, commands.tables()) == text, "run 'python -m infra.commands --write-readme'"
