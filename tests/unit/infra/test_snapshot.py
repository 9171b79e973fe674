"""A state's bytes: equal for equal states, made once for what did not change, never stale."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.snapshot import Packer, pack, unpack
from schemas.errors import Fatal


class Leaf(NamedTuple):
    name: str
    values: Any


class Tree(NamedTuple):
    leaves: dict[str, Leaf]
    more: Any


STATES = (Leaf, Tree)
PLAIN = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**80), 2**80), st.floats(allow_nan=False), st.text(),
    st.binary(),
)  # fmt: skip
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.builds(Leaf, st.text(max_size=3), inner),
    ),
    max_leaves=12,
)


@given(VALUES)
def test_a_state_comes_back_as_it_was(value: Any) -> None:
    assert unpack(pack(value), STATES) == value


@given(st.lists(st.dictionaries(st.text(max_size=2), VALUES, max_size=4), min_size=1, max_size=5))
def test_a_packer_that_remembers_gives_the_bytes_of_one_that_does_not(states: list[Any]) -> None:
    packer, leaves = Packer(), dict[str, Leaf]()

    for values in states:
        leaves |= {name: Leaf(name, value) for name, value in values.items()}
        tree = Tree(leaves, len(values))
        assert packer.pack(tree) == pack(tree)


def test_a_list_or_dict_inside_a_tuple_is_looked_at_every_time() -> None:
    packer, values = Packer(), [1]
    tree = Tree({"a": Leaf("a", values), "b": Leaf("b", ({"deep": values},))}, None)
    packer.pack(tree)

    values.append(2)

    assert unpack(packer.pack(tree), STATES) == tree


def test_an_unchanged_tuple_is_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    packer = Packer()
    tree = Tree({"a": Leaf("a", np.arange(3)), "b": Leaf("b", (1, 2))}, None)
    first = packer.pack(tree)
    looked: list[Any] = []

    def look(value: Any) -> bool:
        looked.append(value)
        return False

    monkeypatch.setattr("infra.snapshot._freeze", look)

    again = packer.pack(tree)

    assert again == first
    assert looked == [tree]


def test_an_array_that_was_saved_can_no_longer_be_written_to() -> None:
    values = np.arange(3)
    Packer().pack(Tree({"a": Leaf("a", values)}, None))

    with pytest.raises(ValueError, match="read-only"):
        values[0] = 7


def test_what_is_no_plain_value_is_refused_by_its_type() -> None:
    with pytest.raises(Fatal, match="was set"):
        pack({"a": {1, 2}})
