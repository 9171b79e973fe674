"""Fundamentals as they were publicly known before a session.

A quarter is usable from the day after its end plus 45 days, a year's last quarter plus 90: the
legal deadlines, because receipt dates are not on file.  Sums are of four consecutive quarters;
one that is missing leaves the sum unknown.  Consolidated statements go before separate ones
where they are as new.  Statements are carried at most 400 days.

Left out: companies that report in another currency, and those whose fiscal year does not end in
December, because the file derives their quarters across fiscal years.
"""

from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

QUARTER_LAG_DAYS: Final = 45
YEAR_LAG_DAYS: Final = 90
CARRIED_DAYS_MAX: Final = 400
SOURCE: Final = "quarterly_cashflow"
DECEMBER: Final = 12
_LAST_QUARTER: Final = 4
_QUARTERS: Final = 8
_STOCKS: Final = ("equity", "liabilities", "assets")
_FLOWS: Final = {
    "sales": "revenue",
    "operating_income": "operating_income",
    "net_income": "net_income",
    "operating_cash_flow": "op_cash_flow",
}


def collect(quarters: pd.DataFrame, companies: pd.DataFrame, session: date) -> pd.DataFrame:
    """Return what is known, one row per code.

    Returns:
        Index ``code``; ``period_end`` and ``usable`` (timestamps), ``basis`` (CFS or OFS), the
        three stocks, and per flow its sum and the sum of the year before (``_prior``), float64
        won, NaN where unknown.
    """
    if quarters.empty:
        return pd.DataFrame()
    foreign = companies.loc[
        (companies["currency"] != "KRW") | (companies["fy_month"] != DECEMBER), "code"
    ]
    table = quarters[~quarters["code"].isin(foreign)]
    starts = pd.to_datetime(
        {"year": table["fy"].astype(int), "month": table["fq"].astype(int) * 3, "day": 1}
    )
    ends = starts + pd.offsets.MonthEnd(0)
    lag = np.where(table["fq"] == _LAST_QUARTER, YEAR_LAG_DAYS, QUARTER_LAG_DAYS)
    table = table.assign(
        end=ends,
        usable=ends + pd.to_timedelta(lag + 1, unit="D"),
        at=table["fy"].astype(int) * 4 + table["fq"].astype(int),
    )
    day = pd.Timestamp(session)
    table = table[(table["usable"] <= day) & ((day - table["end"]).dt.days <= CARRIED_DAYS_MAX * 3)]
    table["newest"] = table.groupby(["code", "fs"])["at"].transform("max")
    best = table.sort_values(["code", "newest", "fs"], ascending=[True, False, True])
    chosen = best.drop_duplicates("code")[["code", "fs"]]
    table = table.merge(chosen, on=["code", "fs"])
    head = table[table["at"] == table["newest"]].set_index("code").sort_index()
    head = head[(day - head["end"]).dt.days <= CARRIED_DAYS_MAX]
    out = head[["end", "usable", "fs"]].set_axis(["period_end", "usable", "basis"], axis=1)
    for name in _STOCKS:
        out[name] = head[name].to_numpy(dtype=np.float64, na_value=np.nan)
    back = (table["newest"] - table["at"]).to_numpy()
    rows = out.index.get_indexer(table["code"])
    inside = (rows >= 0) & (back < _QUARTERS)
    for name, column in _FLOWS.items():
        cells = np.full((len(out), _QUARTERS), np.nan)
        values = table[column].to_numpy(dtype=np.float64, na_value=np.nan)
        cells[rows[inside], back[inside]] = values[inside]
        out[name] = _sum(cells[:, :_LAST_QUARTER])
        out[f"{name}_prior"] = _sum(cells[:, _LAST_QUARTER:])
    known: pd.DataFrame = out
    return known


def _sum(cells: Floats) -> Floats:
    """Sum of a row, NaN when one is missing; whole won below 2^53 are exact."""
    total: Floats = cells.sum(axis=1)
    return total
