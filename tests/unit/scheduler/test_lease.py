"""The lease: who leads, and when somebody else may try."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler import lease
from scheduler.lease import Lease
from schemas.control import LeadershipHeld
from schemas.errors import Fatal
from schemas.units import Micros

LEASE_S = 1.5


def _said(node: str = "a", term: int = 3, state: str = "held") -> LeadershipHeld:
    return LeadershipHeld(
        ts_event=Micros(0), ts_ingest=Micros(0), shard="0", node=node, term=term, state=state
    )


@pytest.mark.parametrize(
    ("last", "waits"),
    [
        (None, False),
        (_said("a"), False),  # our own last life
        (_said("b", state="left"), False),
        (_said("b"), True),
        (_said("b", state="taken"), True),
    ],
)
def test_one_that_has_just_come_waits_only_for_another_that_leads(
    last: LeadershipHeld | None, waits: bool
) -> None:
    known = lease.begin(last, "a", 100.0)

    assert lease.silent(known, "a", 100.0, LEASE_S) is not waits
    assert lease.silent(known, "a", 100.0 + 2 * LEASE_S, LEASE_S)


def test_a_word_of_the_leader_holds_the_others_for_a_lease() -> None:
    known = lease.heard(lease.begin(_said("b"), "a", 0.0), _said("b"), 50.0)

    assert not lease.silent(known, "a", 50.0 + LEASE_S, LEASE_S)
    assert lease.silent(known, "a", 50.0 + 1.5 * LEASE_S, LEASE_S)


def test_a_leader_that_leaves_is_waited_for_no_longer() -> None:
    known = lease.heard(lease.begin(_said("b"), "a", 0.0), _said("b", state="left"), 1.0)

    assert lease.silent(known, "a", 1.0, LEASE_S)


def test_a_word_of_an_older_term_changes_nothing() -> None:
    known = lease.begin(_said("b", term=3), "a", 0.0)

    assert lease.heard(known, _said("c", term=2), 9.0) == known
    assert lease.heard(known, _said("c", term=4), 9.0) == Lease(4, "c", 9.0)


def test_our_own_pause_is_not_the_leaders_silence() -> None:
    known = Lease(3, "b", 10.0)

    assert lease.looked(known, 10.1, 10.2, LEASE_S) == known
    assert not lease.silent(lease.looked(known, 10.2, 40.0, LEASE_S), "a", 40.0, LEASE_S)


@given(st.text(min_size=1), st.integers(0, 1 << 40))
def test_nobody_tries_before_the_lease_is_over_and_all_do_half_a_lease_later(
    node: str, term: int
) -> None:
    known = Lease(term, "somebody", 0.0)

    assert not lease.silent(known, node, LEASE_S, LEASE_S)
    assert lease.silent(known, node, 1.5 * LEASE_S, LEASE_S)


def test_instances_do_not_all_try_at_once() -> None:
    known = Lease(7, "somebody", 0.0)
    ready = [lease.silent(known, f"node-{n}", 1.25 * LEASE_S, LEASE_S) for n in range(40)]

    assert 5 < sum(ready) < 35


def test_a_leader_speaks_four_times_a_lease() -> None:
    assert lease.beat_due(None, 0.0, LEASE_S)
    assert not lease.beat_due(0.0, 0.374, LEASE_S)
    assert lease.beat_due(0.0, 0.375, LEASE_S)


def test_an_outcome_that_a_phase_cannot_have_is_refused() -> None:
    with pytest.raises(Fatal, match="catch_up can have, was silent"):
        lease.after("catch_up", "silent")
