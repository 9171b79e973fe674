"""The tables of the README: made from declarations, put between their markers."""

from typing import Any

import pytest

from infra.tables import FAUST, LOOP, columns, driver_of, markdown, role_rows, splice, topic_rows
from schemas import topics
from schemas.errors import Misconfigured
from schemas.role import Role, paced, reference

TEXT = "before\n<!-- aegis:roles -->\nold\n<!-- /aegis:roles -->\nafter\n"


def role(**changed: Any) -> Role:
    declared: dict[str, Any] = {
        "name": "features.test",
        "version": 2,
        "scope": "key",
        "inputs": (paced(topics.TRADES), reference(topics.INSTRUMENTS)),
        "outputs": (topics.WINDOWS,),
        "initial": {},
        "step": lambda state, _: state,
    }
    return Role(**{**declared, **changed})


@pytest.mark.parametrize(
    ("changed", "driver"),
    [({}, FAUST), ({"scope": "universe"}, LOOP), ({"effects": ("send",)}, LOOP)],
)
def test_faust_runs_key_roles_without_effects(changed: dict[str, Any], driver: str) -> None:
    assert driver_of(role(**changed)) == driver


def test_a_roles_row_says_how_it_waits_for_each_input() -> None:
    [row] = role_rows([role()])

    assert row["inputs"] == [["market.trades", "paced"], ["market.instruments", "reference"]]
    assert row["outputs"] == ["features.windows"]


def test_a_topics_row_names_the_roles_that_write_it() -> None:
    rows = {row["name"]: row for row in topic_rows([role()])}

    assert rows["features.windows"]["written_by"] == ["features.test"]
    assert rows["market.trades"]["written_by"] == []


def test_the_markdown_has_one_line_per_role_and_topic() -> None:
    tables = markdown([role()])

    assert len(tables["roles"].splitlines()) == 3
    assert "| `features.test` v2 | key | Faust worker |" in tables["roles"]
    assert len(tables["topics"].splitlines()) == len(topics.CATALOGUE) + 3
    assert "| `features.windows` | symbol | Window | 4 |" in tables["topics"]


def test_a_table_replaces_only_what_is_between_its_markers() -> None:
    new = splice(TEXT, {"roles": r"| a \1 |"})

    assert new == ("before\n<!-- aegis:roles -->\n| a \\1 |\n<!-- /aegis:roles -->\nafter\n")
    assert splice(new, {"roles": r"| a \1 |"}) == new


@pytest.mark.parametrize("text", ["", TEXT + TEXT, TEXT.replace("/aegis", "aegis")])
def test_markers_that_are_lost_or_twice_are_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="expected <!-- aegis:roles -->"):
        splice(text, {"roles": "new"})


def test_columns_are_aligned() -> None:
    assert columns([["a", "b"], ["long", "c"]]) == ["a     b", "long  c"]
