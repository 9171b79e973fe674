"""Scales: the published oracles, and what a constant or an outlier does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.factors import scaling, table

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)


def test_the_robust_z_of_the_published_row() -> None:
    found = scaling.winsorise(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))

    assert found == pytest.approx([-1.349, -0.6745, 0.0, 0.6745, 3.0], abs=5e-4)


@given(VALUES)
@settings(deadline=None)
def test_a_z_score_has_mean_zero_and_deviation_one_or_is_zero(values: list[float]) -> None:
    found = scaling.zscore(np.array(values))

    assert np.all(np.isfinite(found))
    assert np.mean(found) == pytest.approx(0.0, abs=1e-6)
    assert np.std(found) == pytest.approx(1.0) or not found.any()


def test_a_constant_column_says_nothing() -> None:
    exposures, present = scaling.exposures(np.full((5, 1), 0.1))

    assert not exposures.any()
    assert present.all()


def test_missing_stays_missing_and_out_of_the_others_mean() -> None:
    raw = np.array([[1.0], [np.nan], [3.0]])

    exposures, present = scaling.exposures(raw)

    assert exposures.ravel().tolist() == pytest.approx([-1.0, 0.0, 1.0])
    assert present.ravel().tolist() == [True, False, True]


@given(VALUES)
@settings(deadline=None)
def test_min_max_is_between_zero_and_one(values: list[float]) -> None:
    found, _, reach = scaling.minmax(np.array(values))

    assert found.min() >= 0.0
    assert found.max() <= 1.0 + 1e-12
    assert reach > 0.0 or not found.any()


@pytest.mark.parametrize("regime", table.CATEGORY_WEIGHTS)
def test_base_weights_sum_to_one(regime: str) -> None:
    assert sum(table.base_weights(regime)) == pytest.approx(1.0)


def test_weights_differ_between_regimes() -> None:
    assert len({table.base_weights(regime) for regime in table.CATEGORY_WEIGHTS}) == 3


@given(st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=8))
@settings(deadline=None)
def test_what_is_missing_gives_its_weight_away(rows: list[list[bool]]) -> None:
    present = np.array(rows)

    applied = table.applied_weights(np.array(table.base_weights("normal")), present)

    assert not applied[~present].any()
    assert applied.sum(axis=1) == pytest.approx(present.any(axis=1).astype(float))


def test_a_missing_factor_s_weight_stays_inside_its_category() -> None:
    present = np.ones((1, 12), dtype=bool)
    present[0, table.FACTORS.index("pcr")] = False

    [applied] = table.applied_weights(np.array(table.base_weights("normal")), present)

    by_name = dict(zip(table.FACTORS, applied, strict=True))
    assert by_name["pbr"] == pytest.approx(0.1)
    assert by_name["per"] == pytest.approx(0.1)
    assert by_name["roe"] == pytest.approx(0.2 / 3)
