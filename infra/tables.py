"""The system's own tables: what its roles and its catalogue declare, as rows and as Markdown.

The README holds them between markers, ``<!-- aegis:roles -->`` and ``<!-- /aegis:roles -->``;
a test fails when the text there is not what the declarations say.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from infra.topology import load_roles, writers
from schemas.errors import Misconfigured
from schemas.role import Role
from schemas.topics import CATALOGUE, SYMBOL_PARTITIONS, Topic, state_topic

FAUST: Final = "Faust worker"
LOOP: Final = "Kafka loop"
NOTHING: Final = "-"

Row = dict[str, object]


def driver_of(role: Role) -> str:
    """Return the driver a live role runs on: Faust honours key scope without effects."""
    return FAUST if role.scope == "key" and not role.effects else LOOP


def role_rows(roles: Sequence[Role]) -> list[Row]:
    """Return one row per role: inputs as ``[topic, kind]``, outputs as names."""
    return [
        {
            "name": role.name,
            "version": role.version,
            "scope": role.scope,
            "driver": driver_of(role),
            "inputs": [[each.topic.name, each.kind] for each in role.inputs],
            "outputs": [each.name for each in role.outputs],
            "effects": list(role.effects),
        }
        for role in roles
    ]


def topic_rows(roles: Sequence[Role]) -> list[Row]:
    """Return one row per topic of the catalogue, and one for all saved states."""
    states = state_topic("<role>")
    drivers = tuple(role.name for role in roles)
    return [
        *(_topic_row(topic, writers(roles, topic)) for topic in CATALOGUE),
        _topic_row(states, drivers),
    ]


def markdown(roles: Sequence[Role]) -> dict[str, str]:
    """Return the tables ``roles`` and ``topics`` as Markdown, without a last line break."""
    return {
        "roles": _markdown(
            ("role", "scope", "driver", "reads", "writes"),
            [_role_cells(role) for role in roles],
        ),
        "topics": _markdown(
            ("topic", "key", "record", "partitions", "policy", "room", "written by roles"),
            [_topic_cells(row) for row in topic_rows(roles)],
        ),
    }


def installed() -> dict[str, str]:
    """Return the Markdown tables of the installed roles."""
    return markdown(load_roles())


def splice(text: str, tables: Mapping[str, str]) -> str:
    """Return a document with each table put between its markers.

    Raises:
        Misconfigured: A table's markers are not there exactly once.
    """
    for name, table in tables.items():
        begin, end = f"<!-- aegis:{name} -->", f"<!-- /aegis:{name} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        found = len(pattern.findall(text))
        if found != 1:
            raise Misconfigured(
                f"expected {begin} and {end} once in the README, was {found}; put them back"
            )
        whole = f"{begin}\n{table}\n{end}"
        text = pattern.sub(lambda _, whole=whole: whole, text)  # type: ignore[misc] # bound per turn
    return text


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _topic_row(topic: Topic, by: Sequence[str]) -> Row:
    return {
        "name": topic.name,
        "key": topic.key,
        "record": topic.record.__name__,
        "partitions": SYMBOL_PARTITIONS if topic.spread == "symbol" else 1,
        "policy": topic.policy,
        "owner": topic.owner,
        "paced": topic.paced,
        "written_by": list(by),
    }


def _role_cells(role: Role) -> list[str]:
    reads = [f"`{each.topic.name}` {each.kind}" for each in role.inputs]
    return [
        f"`{role.name}` v{role.version}",
        role.scope,
        driver_of(role),
        "<br>".join(reads),
        "<br>".join(f"`{each.name}`" for each in role.outputs),
    ]


def _topic_cells(row: Row) -> list[str]:
    by = row["written_by"]
    assert isinstance(by, list)
    every = row["owner"] == "drivers"
    return [
        f"`{row['name']}`",
        *(str(row[name]) for name in ("key", "record", "partitions", "policy", "owner")),
        "every role" if every else ", ".join(f"`{each}`" for each in by) or NOTHING,
    ]


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
