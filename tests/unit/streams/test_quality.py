"""Quality: what is wrong is said once, and nothing is said of a clean tape."""

import random

from hypothesis import given
from hypothesis import strategies as st

from schemas.market import Book, Trade
from schemas.quality import QualityEvent
from schemas.role import Batch, Record
from schemas.testing import book, trade
from schemas.units import Micros
from streams import quality
from streams.quality import ROLE


def said(events: list[Trade | Book], batch: int = 1_000) -> list[QualityEvent]:
    state, found = ROLE.initial, []
    for start in range(0, len(events), batch):
        log = [Record("", each.symbol, each) for each in events[start : start + batch]]
        answer = ROLE.step(state, Batch(log, Micros(0)))
        state = answer.state
        found += [each.value for each in answer.outputs]
    return found


def tape(qtys: list[int]) -> list[Trade]:
    volume, trades = 0, []
    for index, qty in enumerate(qtys):
        volume += qty
        trades.append(trade(50_000, qty, seconds=index, volume_day=volume, seq=index))
    return trades


def normal_qtys(count: int) -> list[int]:
    chance = random.Random(11)  # noqa: S311 -- a seeded tape, no secret
    return [max(1, round(chance.gauss(100, 12))) for _ in range(count)]


def test_an_eight_sigma_quantity_is_the_only_outlier() -> None:
    qtys = normal_qtys(1_000)
    qtys[600] = 100 + 8 * 12

    [event] = said(list(tape(qtys)))

    assert (event.kind, event.seq, event.value) == ("outlier_zscore", 600, 196.0)
    assert 90 <= event.expected <= 110


def test_a_constant_quantity_says_nothing_and_neither_does_a_small_change() -> None:
    assert said(list(tape([1] * 200 + [2] + [1] * 50))) == []


def test_an_events_key_and_subject_are_its_symbol() -> None:
    events = [trade(qty=1, volume_day=5), trade(qty=1, volume_day=9, seconds=1, seq=77)]

    [event] = said(list(events))

    assert (event.kind, event.subject, event.seq) == ("gap", "005930", 77)


def test_a_crossed_book_is_said_once_until_it_ends() -> None:
    crossed = [book(50_100, 50_000, seconds=index) for index in range(3)]
    again = book(50_100, 50_000, seconds=5)

    events = said([*crossed, book(seconds=4), again])

    assert [each.kind for each in events] == ["crossed_book", "crossed_book"]
    assert (events[0].value, events[0].expected) == (50_100.0, 50_000.0)


def test_a_book_of_an_auction_may_cross() -> None:
    assert said([book(50_100, 50_000, phase="B")]) == []


@given(
    qtys=st.lists(st.integers(1, 10**6), max_size=300),
    twice=st.sets(st.integers(0, 299)),
    batch=st.integers(1, 60),
)
def test_any_cut_says_the_same_and_every_duplicate_is_found(
    qtys: list[int], twice: set[int], batch: int
) -> None:
    events: list[Trade | Book] = []
    for index, each in enumerate(tape(qtys)):
        events += [each, each] if index in twice else [each]

    found = said(events, batch)

    assert found == said(events)
    duplicates = [each for each in found if each.kind == "duplicate"]
    assert len(duplicates) == len([index for index in twice if index < len(qtys)])


def test_memory_is_bounded() -> None:
    log = [Record("", each.symbol, each) for each in tape(normal_qtys(500))]
    [watch] = ROLE.step(ROLE.initial, Batch(log, Micros(0))).state.values()

    assert len(watch.qtys) == quality.QTYS_MAX
    assert watch.total == sum(watch.qtys)
    assert watch.squares == sum(qty * qty for qty in watch.qtys)
