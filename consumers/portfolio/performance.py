"""A day's result.

    return        equity / equity at the previous close - 1
    win rate      share of the day's closing parents with a gain after fees and tax
    drawdown      largest fall of equity from its highest, over the days known
    sharpe        mean / standard deviation (n - 1) of daily returns * sqrt(252); two days at least
    cost share    (fees + tax + slippage) / won traded, both sides (X35)

Skill is never claimed from one day: the word is "not shown" until learning shows it.
"""

import math
from collections.abc import Sequence
from datetime import date

from consumers.portfolio.ledger import Ledger
from schemas.portfolio import PerformanceStated
from schemas.units import Micros

SESSIONS_PER_YEAR = 252
DAYS_MIN = 2
NOT_SHOWN = "not shown"


def day_return(ledger: Ledger) -> float:
    """Return the day's return; 0 when there was no equity before."""
    before = ledger.equity_previous
    return (ledger.equity - before) / before if before else 0.0


def sharpe(returns: Sequence[float]) -> float | None:
    """Return the annualised Sharpe ratio, None under two days or without any variation."""
    if len(returns) < DAYS_MIN:
        return None
    mean = math.fsum(returns) / len(returns)
    variance = math.fsum((each - mean) ** 2 for each in returns) / (len(returns) - 1)
    return mean / math.sqrt(variance) * math.sqrt(SESSIONS_PER_YEAR) if variance > 0 else None


def win_rate(ledger: Ledger) -> float | None:
    """Return the share of closing parents with a gain, None when none closed anything."""
    if not ledger.sales:
        return None
    return sum(gain > 0 for gain in ledger.sales.values()) / len(ledger.sales)


def cost_share(ledger: Ledger) -> float | None:
    """Return costs per won traded, None when nothing was."""
    traded = ledger.bought + ledger.sold
    return (ledger.fees + ledger.taxes + ledger.slippage) / traded if traded else None


def stated(
    ledger: Ledger, *, day: date, account: str, returns: Sequence[float], drawdown: float,
    at: Micros, ingest: Micros,
) -> PerformanceStated:  # fmt: skip
    """Return the result of ``day``; ``returns`` are those of the days before it."""
    today = day_return(ledger)
    return PerformanceStated(
        ts_event=at,
        ts_ingest=ingest,
        account=account,
        date=int(day.strftime("%Y%m%d")),
        equity=ledger.equity,
        return_=today,
        win_rate=win_rate(ledger),
        sharpe=sharpe([*returns, today]),
        max_drawdown=drawdown,
        cost_share=cost_share(ledger),
        traded=type(ledger.bought)(ledger.bought + ledger.sold),
        skill=NOT_SHOWN,
    )
