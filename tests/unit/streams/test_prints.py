"""Prints: a limit-up day passes, a fat finger does not, a lost print is measured."""

import random

import pytest

from schemas.market import Trade
from schemas.testing import trade
from schemas.units import MINUTE
from streams import prints


def tape(prices: list[int], *, every: float = 1.0) -> list[Trade]:
    """Return one-share prints in order."""
    return [
        trade(price, seconds=every * index, volume_day=index + 1)
        for index, price in enumerate(prices)
    ]


def judged(trades: list[Trade]) -> list[prints.Verdict]:
    """Return the verdict on each trade in turn."""
    seen, verdicts = None, []
    for each in trades:
        seen, verdict = prints.judge(seen, each)
        verdicts.append(verdict)
    return verdicts


def kinds(verdicts: list[prints.Verdict]) -> list[str]:
    return [finding.kind for verdict in verdicts for finding in verdict.findings]


def walk(count: int, start: int = 50_000) -> list[int]:
    chance = random.Random(7)  # noqa: S311 -- a seeded tape, no secret
    price, prices = start, []
    for _ in range(count):
        price += chance.choice((-50, 0, 0, 50))
        prices.append(price)
    return prices


@pytest.mark.parametrize("factor", [10.0, 0.1, 1.25, 0.8])
def test_one_fat_finger_in_a_thousand_is_the_only_outlier(factor: float) -> None:
    prices = walk(1_000)
    prices[700] = round(prices[700] * factor)

    verdicts = judged(tape(prices))

    assert kinds(verdicts) == ["outlier_iqr"]
    assert [index for index, each in enumerate(verdicts) if not each.counts] == [700]


@pytest.mark.parametrize("prints_of_rally", [12, 60, 600])
def test_a_limit_up_day_has_no_outlier(prints_of_rally: int) -> None:
    rally = [50_000 + 15_000 * step // prints_of_rally for step in range(prints_of_rally + 1)]

    verdicts = judged(tape([*walk(100), *rally, *([65_000] * 50)]))

    assert kinds(verdicts) == []


def test_a_call_auction_may_open_anywhere() -> None:
    calm = tape([50_000] * 100)
    auction = trade(62_000, 500, seconds=220, volume_day=600, aggressor="none")
    after = trade(62_100, 1, seconds=221, volume_day=601)

    assert kinds(judged([*calm, auction, after])) == []


def test_a_new_level_is_believed_at_the_third_print_in_a_row() -> None:
    verdicts = judged(tape([50_000] * 100 + [60_000] * 10))

    assert [each.counts for each in verdicts[100:]] == [False, False] + [True] * 8


def test_a_lost_print_is_a_gap_of_its_shares() -> None:
    verdicts = judged([trade(qty=1, volume_day=10), trade(qty=2, volume_day=17)])

    assert kinds(verdicts) == ["gap"]
    assert (verdicts[1].findings[0].value, verdicts[1].findings[0].expected) == (17, 12)
    assert verdicts[1].counts


def test_the_same_print_twice_is_a_duplicate_and_counts_once() -> None:
    first, second = trade(qty=1, volume_day=10), trade(qty=2, volume_day=12)

    verdicts = judged([first, second, first, second])

    assert kinds(verdicts) == ["duplicate", "duplicate"]
    assert [each.counts for each in verdicts] == [True, True, False, False]


def test_a_print_that_comes_late_counts_once_and_is_called_out_of_order() -> None:
    trades = [trade(qty=1, volume_day=volume) for volume in (10, 12, 11, 11)]

    verdicts = judged(trades)

    assert kinds(verdicts) == ["gap", "out_of_order", "duplicate"]
    assert [each.counts for each in verdicts] == [True, True, True, False]


def test_a_new_day_starts_over() -> None:
    verdicts = judged([trade(volume_day=10**6), trade(80_000, volume_day=1, seconds=86_400)])

    assert kinds(verdicts) == []


def test_a_price_beyond_the_limits_around_the_vi_base_is_never_believed() -> None:
    verdicts = judged([trade(100_000, volume_day=1, vi_base=50_000)])

    assert (kinds(verdicts), verdicts[0].counts) == (["outlier_iqr"], False)


def test_after_a_silence_a_wider_step_is_believed() -> None:
    calm = tape([50_000] * 100)
    later = trade(56_000, seconds=100 + MINUTE / 1e6, volume_day=101)

    assert kinds(judged([*calm, later])) == []


def test_memory_is_bounded() -> None:
    seen = None
    for each in tape(walk(500)):
        seen, _ = prints.judge(seen, each)

    assert seen is not None
    assert len(seen.recent) == prints.PRINTS_MAX


def test_a_tape_that_always_jumps_has_a_wide_fence() -> None:
    verdicts = judged(tape([50_000, 53_400] * 40))

    assert kinds(verdicts) == []
