"""Weights follow shrunk evidence, and never further than the bounds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.learning import estimate
from consumers.learning.estimate import Tally

FACTORS = 6
BASE = (0.3, 0.2, 0.2, 0.1, 0.1, 0.1)


def tally_of(ics: list[tuple[float | None, ...]]) -> Tally:
    tally = estimate.empty(len(ics[0]) if ics else FACTORS)
    for row in ics:
        tally = estimate.add(tally, row)
    return tally


def noise(seed: int, intervals: int, means: tuple[float, ...]) -> list[tuple[float | None, ...]]:
    random = np.random.default_rng(seed)
    return [tuple(random.normal(means, 0.07).tolist()) for _ in range(intervals)]


def weights_of(ics: list[tuple[float | None, ...]]) -> tuple[float, ...]:
    return estimate.bounded(BASE, BASE, *estimate.shrink(tally_of(ics)))


def test_equal_values_share_their_rank() -> None:
    assert estimate.rank(np.array([3.0, 1.0, 3.0, 0.0])).tolist() == [2.5, 1.0, 2.5, 0.0]


def test_an_ic_is_spearmans_with_its_sign() -> None:
    exposures = np.arange(40.0)[:, None] * np.array([1.0, -2.0, 0.0])

    ics = estimate.information_coefficients(
        exposures, np.ones((40, 3), dtype=bool), np.exp(np.arange(40.0))
    )

    assert ics[:2] == pytest.approx((1.0, -1.0))
    assert ics[2] is None


def test_a_factor_that_too_few_names_have_gives_no_ic() -> None:
    present = np.ones((40, 1), dtype=bool)
    present[estimate.NAMES_MIN - 1 :] = False

    assert estimate.information_coefficients(
        np.arange(40.0)[:, None], present, np.arange(40.0)
    ) == (None,)


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_winner_rises_and_a_planted_loser_falls(seed: int) -> None:
    weights = weights_of(noise(seed, 25, (0.2, 0.0, 0.0, 0.0, 0.0, -0.2)))

    assert weights[0] > BASE[0]
    assert weights[5] < BASE[5]


def test_factors_that_cannot_be_told_apart_stay_nearer_than_their_raw_ics_say() -> None:
    ics = noise(3, 25, (0.0,) * FACTORS)
    shrunk, centre = estimate.shrink(tally_of(ics))
    raw = np.array(ics, dtype=np.float64).mean(axis=0)

    assert np.abs(np.array(shrunk) - centre).sum() < 0.5 * np.abs(raw - raw.mean()).sum()


def test_no_evidence_leaves_the_base() -> None:
    assert weights_of([]) == pytest.approx(BASE)


@settings(deadline=None)  # a shared machine: time is not what is tested
@given(
    ics=st.lists(st.tuples(*[st.none() | st.floats(-1, 1) for _ in range(FACTORS)]), max_size=30),
    parts=st.lists(st.floats(0.05, 1), min_size=FACTORS, max_size=FACTORS),
    weeks=st.integers(1, 12),
)
def test_weights_sum_to_one_and_keep_their_bounds_for_weeks(
    ics: list[tuple[float | None, ...]], parts: list[float], weeks: int
) -> None:
    base = tuple(each / math.fsum(parts) for each in parts)
    shrunk, centre = estimate.shrink(tally_of(ics))
    weights = base
    for _ in range(weeks):
        start = weights
        weights = estimate.bounded(base, start, shrunk, centre)
        assert math.fsum(weights) == pytest.approx(1.0, abs=1e-9)
        for new, old, b in zip(weights, start, base, strict=True):
            assert 0.5 * b - 1e-9 <= new <= 2.0 * b + 1e-9
            assert 0.8 * old - 1e-9 <= new <= 1.2 * old + 1e-9


def test_evidence_of_sixty_days_ago_counts_half() -> None:
    tally = tally_of([(0.5,)])
    for _ in range(60):
        tally = estimate.decay(tally)

    assert tally.counts[0] == pytest.approx(0.5)
    assert tally.sums[0] == pytest.approx(0.25)
