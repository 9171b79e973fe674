"""Signals: a word that changes is said once, with the part of the score that did it."""

from datetime import date
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.krx.sessions import kst_midnight
from schemas.role import Batch, Record
from schemas.scores import FinalScored
from schemas.signals import Signal
from schemas.topics import FINAL
from schemas.units import HOUR, MINUTE, Micros, Symbol, Won
from streams import final, signals

TEN = Micros(kst_midnight(date(2026, 2, 10)) + 10 * HOUR)

PARTS = ("per", "ai", "base")


def scored(number: int, **scores: float) -> FinalScored:
    symbols = tuple(Symbol(name) for name in scores)
    return FinalScored(
        ts_event=Micros(TEN + number * MINUTE), ts_ingest=Micros(0), fire_id=f"fire-{number}",
        symbols=symbols, scores=tuple(scores.values()),
        words=tuple(final.word_of(each) for each in scores.values()), parts=PARTS,
        contributions=tuple(
            part for score in scores.values()
            for part in ((score - 50.0) * 0.25, (score - 50.0) * 0.75, 50.0)
        ),
        prices=(Won(1_000),) * len(symbols), sectors=("IT",) * len(symbols), level="full",
        regime="normal", weights_version="w", model_hash="h", lineage={"scores.ai": "s"},
    )  # fmt: skip


def said(*finals: FinalScored, together: bool = True) -> list[Signal]:
    records = [Record(FINAL.name, "universe", each) for each in finals]
    batches = [records] if together else [[each] for each in records]
    state, found = signals.ROLE.initial, []
    for batch in batches:
        step = signals.step(state, Batch(batch, Micros(0)))
        state = step.state
        found += [output.value for output in step.outputs]
    return found


def test_a_first_neutral_score_is_silent_and_a_first_buy_is_not() -> None:
    [only] = said(scored(1, A=60.0, B=80.0))

    assert (only.symbol, only.side, only.previous_score) == ("B", "buy", None)
    assert only.reason == "first score 80.0: buy, most by ai +22.5"
    assert only.expires - only.ts_event == 15 * MINUTE
    assert only.lineage == {"scores.ai": "s", "scores.final": "fire-1"}


def test_an_unchanged_word_is_not_repeated_and_its_end_is_said() -> None:
    found = said(scored(1, A=80.0), scored(2, A=90.0), scored(3, A=50.0), scored(4, A=20.0))

    assert [each.side for each in found] == ["buy", "neutral", "sell"]
    assert found[1].previous_score == 90.0
    assert found[1].reason == "score 90.0 -> 50.0 (-40.0): buy -> neutral, most by ai -30.0"


def test_a_name_that_left_and_comes_back_with_its_word_is_not_repeated() -> None:
    assert len(said(scored(1, A=80.0), scored(2, B=50.0), scored(3, A=81.0))) == 1


@given(st.lists(st.dictionaries(st.sampled_from("ABC"), st.floats(0, 100)), max_size=8))
@settings(deadline=None)
def test_batches_do_not_matter_and_no_word_is_said_twice_running(
    days: list[dict[str, float]],
) -> None:
    finals = [scored(number, **scores) for number, scores in enumerate(days)]

    found = said(*finals)

    assert found == said(*finals, together=False)
    assert len({each.signal_id for each in found}) == len(found)
    for symbol in "ABC":
        words = ["neutral", *(each.side for each in found if each.symbol == symbol)]
        assert all(one != other for one, other in pairwise(words))


def test_a_wish_made_before_the_open_outlives_it_by_a_lifetime() -> None:
    early = Micros(kst_midnight(date(2026, 2, 10)) + 8 * HOUR + 30 * MINUTE)

    assert signals._expires(early) == TEN - HOUR + 15 * MINUTE
