"""Quantiles of a cumulative histogram, by hand."""

import pytest

from infra.meters import quantile

BUCKETS = [(1.0, 10.0), (2.0, 30.0), (4.0, 40.0), (float("inf"), 50.0)]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.1, 0.5),
        (0.2, 1.0),
        (0.4, 1.5),
        (0.6, 2.0),
        (0.7, 3.0),
        (0.8, 4.0),
        (0.9, 4.0),
        (1.0, 4.0),
    ],
)
def test_a_quantile_lies_inside_its_bucket_in_proportion(share: float, expected: float) -> None:
    assert quantile(BUCKETS, share) == pytest.approx(expected)


def test_a_histogram_without_values_has_no_quantile() -> None:
    assert quantile([], 0.5) is None
    assert quantile([(1.0, 0.0), (float("inf"), 0.0)], 0.5) is None
