"""The twelve factors of a cross-section, in their own units and signed so that more is better.

    pbr                equity / (price * shares)              its inverse: cheap is high, and a
    per                net income / (price * shares)          negative one is no special case
    pcr                operating cash flow / (price * shares)
    roe                net income / equity                    missing unless equity > 0
    operating_margin   operating income / sales               missing unless sales > 0
    debt_ratio         - liabilities / assets                 same order as liabilities / equity,
                                                              and formed when equity is negative
    return_3m          price / close 63 sessions ago - 1
    return_12m         price / close 252 sessions ago - 1
    beta               - slope of daily returns on KOSPI's    251 sessions, at least 120 pairs
    volatility         - standard deviation of daily returns  60 sessions, at least 40
    sales_growth       sales / sales a year before - 1        missing unless the base > 0
    net_income_growth  change / |net income a year before|    a loss turned into profit is
                                                              positive; missing at a base of 0

Incomes are sums of four quarters, returns are simple, closes adjusted.  The session of the
decision is not over: one session ago is the last bar.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SESSIONS: Final = 252
"""Columns of closes that are read: a year."""

QUARTER_SESSIONS: Final = 63
BETA_PAIRS_MIN: Final = 120
VOLATILITY_SESSIONS: Final = 60
VOLATILITY_RETURNS_MIN: Final = 40


class Books(NamedTuple):
    """What is known of the companies, (names) each, won, NaN where unknown."""

    equity: Floats
    liabilities: Floats
    assets: Floats
    sales: Floats
    sales_prior: Floats
    operating_income: Floats
    net_income: Floats
    net_income_prior: Floats
    operating_cash_flow: Floats


class Facts(NamedTuple):
    """What the market's past says, (names) each, NaN where it cannot be formed.

    Attributes:
        shares: Listed.
        close_3m: Adjusted close 63 sessions ago, won.
        close_12m: Adjusted close 252 sessions ago, won.
        beta: Slope on KOSPI's daily returns.
        volatility: Standard deviation of daily returns.
    """

    shares: Floats
    close_3m: Floats
    close_12m: Floats
    beta: Floats
    volatility: Floats


def facts(shares: Floats, closes: Floats, market: Floats) -> Facts:
    """Return what the past says of each name.

    Args:
        shares: (names) listed shares.
        closes: (names, sessions) adjusted closes, oldest first, NaN where unknown.
        market: (sessions) KOSPI on the same sessions, NaN where unknown.
    """
    return Facts(
        shares,
        _ago(closes, QUARTER_SESSIONS),
        _ago(closes, SESSIONS),
        beta(closes, market),
        volatility(closes),
    )


def measure(prices: Floats, past: Facts, books: Books) -> Floats:
    """Return the raw factors, columns in the order of ``table.FACTORS``.

    Args:
        prices: (names) newest price, won.
        past: Of the names.
        books: Of the companies.

    Returns:
        (names, 12), NaN where a factor cannot be formed.
    """
    cap = _positive(prices * past.shares)
    columns = (
        books.equity / cap,
        books.net_income / cap,
        books.operating_cash_flow / cap,
        books.net_income / _positive(books.equity),
        books.operating_income / _positive(books.sales),
        -books.liabilities / _positive(books.assets),
        _positive(prices) / past.close_3m - 1.0,
        _positive(prices) / past.close_12m - 1.0,
        -past.beta,
        -past.volatility,
        books.sales / _positive(books.sales_prior) - 1.0,
        (books.net_income - books.net_income_prior) / _positive(np.abs(books.net_income_prior)),
    )
    return np.stack(columns, axis=1)


def beta(closes: Floats, market: Floats) -> Floats:
    """Return the slope of each row's daily returns on the market's, NaN with too few pairs."""
    if closes.shape[1] < BETA_PAIRS_MIN:
        return np.full(closes.shape[0], np.nan)
    own = closes[:, 1:] / closes[:, :-1] - 1.0
    index = np.broadcast_to(market[1:] / market[:-1] - 1.0, own.shape)
    both = np.isfinite(own) & np.isfinite(index)
    pairs = both.sum(axis=1)
    safe = np.maximum(pairs, 1)
    x = np.where(both, index, 0.0)
    y = np.where(both, own, 0.0)
    x = np.where(both, x - (x.sum(axis=1) / safe)[:, np.newaxis], 0.0)
    y = np.where(both, y - (y.sum(axis=1) / safe)[:, np.newaxis], 0.0)
    variance = (x * x).sum(axis=1)
    good = (pairs >= BETA_PAIRS_MIN) & (variance > 0)
    return np.where(good, (x * y).sum(axis=1) / np.where(good, variance, 1.0), np.nan)


def volatility(closes: Floats) -> Floats:
    """Return the standard deviation of each row's last daily returns, NaN with too few."""
    tail = closes[:, -VOLATILITY_SESSIONS - 1 :]
    returns = tail[:, 1:] / tail[:, :-1] - 1.0
    there = np.isfinite(returns)
    count = there.sum(axis=1)
    filled = np.where(there, returns, 0.0)
    mean = filled.sum(axis=1) / np.maximum(count, 1)
    centred = np.where(there, returns - mean[:, np.newaxis], 0.0)
    variance = (centred * centred).sum(axis=1) / np.maximum(count - 1, 1)
    return np.where(count >= VOLATILITY_RETURNS_MIN, np.sqrt(variance), np.nan)


def _ago(closes: Floats, sessions: int) -> Floats:
    if closes.shape[1] < sessions:
        return np.full(closes.shape[0], np.nan)
    return _positive(closes[:, -sessions])


def _positive(values: Floats) -> Floats:
    return np.where(values > 0, values, np.nan)
