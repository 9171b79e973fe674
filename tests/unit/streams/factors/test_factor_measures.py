"""The twelve factors against pandas, and the properties a reader would expect of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.factors import measures, regime, table
from streams.factors.measures import Books

NAMES = 30
SEED = 7


def market(seed: int = SEED) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, Books]:
    random = np.random.default_rng(seed)
    index = 2_500 * np.cumprod(1 + random.normal(0, 0.01, measures.SESSIONS))
    closes = 10_000 * np.cumprod(1 + random.normal(0, 0.02, (NAMES, measures.SESSIONS)), axis=1)
    closes[0, :200] = np.nan
    prices = closes[:, -1] * 1.01
    shares = random.integers(10**6, 10**8, NAMES).astype(float)
    amounts = random.normal(10**11, 10**11, (9, NAMES))
    amounts[3, 1] = np.nan
    return prices, shares, closes, index, Books(*amounts)


def raw_of(
    prices: np.ndarray, shares: np.ndarray, closes: np.ndarray, index: np.ndarray, books: Books
) -> np.ndarray:
    return measures.measure(prices, measures.facts(shares, closes, index), books)


def oracle(
    prices: np.ndarray, shares: np.ndarray, closes: np.ndarray, index: np.ndarray, books: Books
) -> pd.DataFrame:
    """The same twelve, written with pandas, name by name."""
    rows = []
    for at in range(len(prices)):
        known = {name: column[at] for name, column in books._asdict().items()}
        cap = prices[at] * shares[at]
        own = pd.Series(closes[at]).pct_change(fill_method=None)
        both = pd.DataFrame({"y": own, "x": pd.Series(index).pct_change()}).dropna()
        beta = both.y.cov(both.x) / both.x.var() if len(both) >= 120 else np.nan
        tail = own.tail(60)
        rows.append(
            {
                "pbr": known["equity"] / cap,
                "per": known["net_income"] / cap,
                "pcr": known["operating_cash_flow"] / cap,
                "roe": known["net_income"] / known["equity"] if known["equity"] > 0 else np.nan,
                "operating_margin": known["operating_income"] / known["sales"]
                if known["sales"] > 0
                else np.nan,
                "debt_ratio": -known["liabilities"] / known["assets"]
                if known["assets"] > 0
                else np.nan,
                "return_3m": prices[at] / closes[at][-63] - 1,
                "return_12m": prices[at] / closes[at][-252] - 1,
                "beta": -beta,
                "volatility": -tail.std() if tail.count() >= 40 else np.nan,
                "sales_growth": known["sales"] / known["sales_prior"] - 1
                if known["sales_prior"] > 0
                else np.nan,
                "net_income_growth": (known["net_income"] - known["net_income_prior"])
                / abs(known["net_income_prior"]),
            }
        )
    return pd.DataFrame(rows)[list(table.FACTORS)]


def test_all_twelve_equal_pandas_to_twelve_digits() -> None:
    given_market = market()

    np.testing.assert_allclose(raw_of(*given_market), oracle(*given_market), rtol=1e-12)


def test_beta_is_the_regression_slope() -> None:
    _, _, closes, index, _ = market()
    x = index[1:] / index[:-1] - 1
    y = closes[5, 1:] / closes[5, :-1] - 1

    assert measures.beta(closes, index)[5] == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-9)


def test_the_published_beta() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0, 1.0, 1.0, 1.0, 1.0] * 20)
    index = np.cumprod(np.concatenate([[1e-30], 1 + x]))
    closes = np.cumprod(np.concatenate([[1e-30], 1 + x * 5 / 6]))

    assert measures.beta(closes[np.newaxis], index)[0] == pytest.approx(5 / 6)


@pytest.mark.parametrize(
    ("before", "now", "sign"), [(-10.0, 5.0, 1), (10.0, -5.0, -1), (-10.0, -20.0, -1)]
)
def test_growth_on_a_loss_has_the_sign_of_the_change(before: float, now: float, sign: int) -> None:
    prices, shares, closes, index, books = market()
    books = books._replace(net_income=np.full(NAMES, now), net_income_prior=np.full(NAMES, before))

    growth = raw_of(prices, shares, closes, index, books)[
        :, table.FACTORS.index("net_income_growth")
    ]

    assert np.sign(growth).tolist() == [sign] * NAMES


def test_a_base_of_zero_or_no_equity_is_missing_not_infinite() -> None:
    prices, shares, closes, index, books = market()
    zero = np.zeros(NAMES)
    books = books._replace(net_income_prior=zero, sales_prior=zero, equity=zero, assets=zero)

    raw = raw_of(prices, shares, closes, index, books)

    assert not np.isinf(raw).any()
    for name in ("net_income_growth", "sales_growth", "roe", "debt_ratio"):
        assert np.isnan(raw[:, table.FACTORS.index(name)]).all()


def test_the_regime_is_told_by_the_rank_of_the_newest_volatility() -> None:
    random = np.random.default_rng(1)
    quiet, loud = random.normal(0, 0.005, 500), random.normal(0, 0.04, 20)
    calm = random.normal(0, 0.001, 20)

    assert regime.regime_of(np.exp(np.cumsum([*quiet, *loud])))[0] == "stressed"
    assert regime.regime_of(np.exp(np.cumsum([*quiet, *calm])))[0] == "calm"
    assert regime.regime_of(np.exp(np.cumsum(quiet[:100])))[0] == "normal"
    assert regime.regime_of(np.zeros(0)) == ("normal", 0.5)


@given(st.integers(300, 520))
@settings(deadline=None)
def test_the_regime_of_a_prefix_does_not_know_the_future(end: int) -> None:
    levels = np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.01, 520)))
    poisoned = levels.copy()
    poisoned[end:] = np.nan

    assert regime.regime_of(poisoned[:end]) == regime.regime_of(levels[:end])
