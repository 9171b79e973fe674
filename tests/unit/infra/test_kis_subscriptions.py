"""Who is streamed: 41 registrations, orders and holdings first, candidates stay a while."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.kis.subscriptions import REGISTRATIONS_MAX, Registration, plan
from schemas.errors import Fatal
from schemas.kis.tables import BOOKS, NOTICES, TRADES
from schemas.units import Symbol

NOTICE = Registration(NOTICES, "aegis")
NAMES = [Symbol(f"{number:06d}") for number in range(60)]
SYMBOLS = st.lists(st.sampled_from(NAMES), max_size=50)


@given(ordered=SYMBOLS, held=SYMBOLS, candidates=SYMBOLS, streamed=SYMBOLS)
def test_a_plan_fits_41_and_forgets_nobody(
    ordered: list[Symbol], held: list[Symbol], candidates: list[Symbol], streamed: list[Symbol]
) -> None:
    chosen = plan(
        ordered=ordered, held=held, candidates=candidates, streamed=streamed, notice=NOTICE
    )

    assert len(set(chosen.registrations)) == len(chosen.registrations) <= REGISTRATIONS_MAX
    assert chosen.registrations[0] == NOTICE
    assert set(chosen.streamed) | set(chosen.polled) == {*ordered, *held, *candidates}
    assert not set(chosen.streamed) & set(chosen.polled)
    bound = list(dict.fromkeys([*ordered, *held]))
    assert chosen.streamed[: len(bound)] == tuple(bound[:20])
    assert len(chosen.streamed) == min(20, len({*ordered, *held, *candidates}))


@given(candidates=st.permutations(NAMES), held=SYMBOLS)
def test_the_same_ranks_change_nothing(candidates: list[Symbol], held: list[Symbol]) -> None:
    once = plan(ordered=[], held=held, candidates=candidates)

    again = plan(ordered=[], held=held, candidates=candidates, streamed=once.streamed)

    assert again == once


def test_a_streamed_candidate_stays_until_it_falls_below_the_margin() -> None:
    first = plan(ordered=[], held=[], candidates=NAMES)
    fallen = [*NAMES[1:21], NAMES[0], *NAMES[21:]]  # the best is now 21st
    lost = [*NAMES[1:31], NAMES[0], *NAMES[31:]]  # the best is now 31st

    stays = plan(ordered=[], held=[], candidates=fallen, streamed=first.streamed)
    leaves = plan(ordered=[], held=[], candidates=lost, streamed=first.streamed)

    assert set(stays.streamed) == set(first.streamed)
    assert set(leaves.streamed) == {*NAMES[1:21]}


def test_each_name_has_its_prints_and_its_book() -> None:
    chosen = plan(ordered=[NAMES[3]], held=[], candidates=[])

    assert chosen.registrations == (
        Registration(TRADES, NAMES[3]),
        Registration(BOOKS, NAMES[3]),
    )


def test_more_than_twenty_names_do_not_fit() -> None:
    with pytest.raises(Fatal, match=r"0\.\.20 names"):
        plan(ordered=[], held=[], candidates=NAMES, names_max=21)
