"""Fundamentals as they were publicly known before a session.

A quarter is usable from the day after its end plus 45 days, a year's last quarter plus 90: the
legal deadlines, because receipt dates are not on file.  Sums are of four consecutive quarters;
one that is missing leaves the sum unknown.  Consolidated statements go before separate ones
where they are as new.  Statements are carried at most 400 days.

A quarter that the first file lacks is taken from DART's bulk files: three months as reported, the
last quarter of a year as the year less nine months.

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
_BULK: Final = ("revenue", "operating_income", "net_income")


def collect(quarters: pd.DataFrame, bulk: pd.DataFrame, session: date) -> pd.DataFrame:
    """Return what is known, one row per code.

    Args:
        quarters: Single quarters.
        bulk: DART's bulk rows, with currency and fiscal year.
        session: The day.

    Returns:
        Index ``code``; ``period_end`` and ``usable`` (timestamps), ``basis`` (CFS or OFS), the
        three stocks, and per flow its sum and the sum of the year before (``_prior``), float64
        won, NaN where unknown.
    """
    if quarters.empty:
        return pd.DataFrame()
    day = pd.Timestamp(session)
    table = _of_best_basis(_usable(quarters, bulk, day))
    fresh = (day - table["end"]).dt.days <= CARRIED_DAYS_MAX
    head = table[fresh & (table["at"] == table["newest"])].set_index("code").sort_index()
    out = head[["end", "usable", "fs"]].set_axis(["period_end", "usable", "basis"], axis=1)
    sheets = table[fresh].dropna(subset=["equity"]).sort_values("at")
    sheets = sheets.drop_duplicates("code", keep="last").set_index("code")
    for name in _STOCKS:
        out[name] = sheets[name].reindex(out.index).to_numpy(dtype=np.float64, na_value=np.nan)
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


def _usable(quarters: pd.DataFrame, bulk: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """The quarters that are public by a day: with their end, first usable day and number."""
    foreign = bulk.loc[(bulk["currency"] != "KRW") | (bulk["fy_month"] != DECEMBER), "code"]
    table = _filled(quarters, bulk)
    table = table[~table["code"].isin(foreign)]
    starts = pd.to_datetime(
        {"year": table["fy"].astype(int), "month": table["fq"].astype(int) * 3, "day": 1}
    )
    ends = starts + pd.offsets.MonthEnd(0)
    lag = np.where(table["fq"] == _LAST_QUARTER, YEAR_LAG_DAYS, QUARTER_LAG_DAYS)
    dated: pd.DataFrame = table.assign(
        end=ends,
        usable=ends + pd.to_timedelta(lag + 1, unit="D"),
        at=table["fy"].astype(int) * 4 + table["fq"].astype(int),
    )
    return dated[dated["usable"] <= day]


def _of_best_basis(table: pd.DataFrame) -> pd.DataFrame:
    """Each code's rows of one basis: the newer, consolidated before separate."""
    newest = table.groupby(["code", "fs"])["at"].transform("max")
    ranked = table.assign(newest=newest)
    ranked = ranked.sort_values(["code", "newest", "fs"], ascending=[True, False, True])
    chosen = ranked.drop_duplicates("code")[["code", "fs"]]
    mine: pd.DataFrame = ranked.merge(chosen, on=["code", "fs"])
    return mine


def _filled(quarters: pd.DataFrame, bulk: pd.DataFrame) -> pd.DataFrame:
    """Quarters with what they lack of sales and incomes, also whole rows, from the bulk rows."""
    keys = ["code", "fs", "fy", "fq"]
    if bulk.empty:
        return quarters
    out = quarters.merge(_single(bulk, keys), on=keys, how="outer", suffixes=("", "_bulk"))
    for name in _BULK:
        out[name] = out[name].fillna(out[f"{name}_bulk"])
    return out


def _single(bulk: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    last = bulk[bulk["fq"] == _LAST_QUARTER]
    nine = bulk[bulk["fq"] == _LAST_QUARTER - 1]
    year = last.merge(nine, on=["code", "fs", "fy"], suffixes=("", "_nine"))
    for name in _BULK:
        year[f"{name}_q"] = year[f"{name}_ytd"] - year[f"{name}_ytd_nine"]
    columns = [*keys, *(f"{name}_q" for name in _BULK)]
    single = pd.concat([bulk.loc[bulk["fq"] < _LAST_QUARTER, columns], year[columns]])
    return single.rename(columns={f"{name}_q": name for name in _BULK})


def _sum(cells: Floats) -> Floats:
    """Sum of a row, NaN when one is missing; whole won below 2^53 are exact."""
    total: Floats = cells.sum(axis=1)
    return total
