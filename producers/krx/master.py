"""Master data of a session's names, as the exchange or the files knew it before the open.

Where a field comes from:

security type    the metadata's newest entry by the session, else its first: types do not change
sector           WICS of the last snapshot before the session; a name that is not on it gets the
                 sector most of its industry's names have; unknown otherwise
halted           did not trade in the session before (halts are not on file)
administrative   the KOSDAQ department of the last day on file says so (KOSPI's is unknown)
delisting        within its delisting trades
"""

from datetime import date
from typing import Final

import numpy as np
import pandas as pd

from producers.krx.tables import Tables
from schemas.krx.prices import KINDS

MANAGED: Final = "관리종목"
COMMON: Final = "COMMON"


def collect(tables: Tables) -> pd.DataFrame:
    """Return one row per name.

    Returns:
        Index ``code``; isin, name, market, shares, base, market_cap, security_type, sector (None
        when unknown), halted, administrative, delisting.
    """
    out = tables.master.set_index("code").sort_index()
    last = tables.raw[tables.raw["date"] == tables.raw["date"].max()].set_index("code")
    cap = last["market_cap"].reindex(out.index)
    volume = last["volume"].reindex(out.index)
    out["market_cap"] = cap.fillna(out["base"] * out["shares"]).astype(np.int64)
    out["security_type"] = _types(tables.types, out.index, tables.session)
    out["sector"] = _sectors(tables.sectors, tables.industries, out.index)
    out["halted"] = (volume == 0).to_numpy(dtype=bool)
    out["administrative"] = out.index.isin(_managed(tables.departments))
    out["delisting"] = out.index.isin(_leaving(tables.delistings, tables.session))
    return out


def _types(types: pd.DataFrame, codes: pd.Index, session: date) -> pd.Series:
    known = types[types["asset_type"].isin(KINDS)].sort_values("effective_date")
    first = known.drop_duplicates("ticker").set_index("ticker")["asset_type"]
    by_then = known[known["effective_date"].astype(str) <= session.isoformat()]
    newest = by_then.drop_duplicates("ticker", keep="last").set_index("ticker")["asset_type"]
    return newest.reindex(codes).fillna(first.reindex(codes)).fillna(COMMON)


def _sectors(sectors: pd.DataFrame, industries: pd.DataFrame, codes: pd.Index) -> pd.Series:
    known = sectors.drop_duplicates("code").set_index("code")["wics_sector"]
    industry = industries.dropna().drop_duplicates("Code").set_index("Code")["Industry"]
    pairs = pd.DataFrame({"sector": known, "industry": industry}).dropna()
    counts = pairs.value_counts().reset_index(name="names")
    counts = counts.sort_values(["industry", "names", "sector"], ascending=[True, False, True])
    usual = counts.drop_duplicates("industry").set_index("industry")["sector"]
    guess = industry.map(usual)
    found = known.reindex(codes).fillna(guess.reindex(codes))
    return found.astype(object).where(found.notna(), None)


def _managed(departments: pd.DataFrame) -> list[str]:
    managed = departments["Dept"].fillna("").astype(str).str.startswith(MANAGED)
    return [str(code) for code in departments.loc[managed, "Code"]]


def _leaving(delistings: pd.DataFrame, session: date) -> list[str]:
    day = session.isoformat()
    inside = (delistings["ArrantEnforceDate"] <= day) & (day <= delistings["ArrantEndDate"])
    return [str(code) for code in delistings.loc[inside, "Symbol"]]
