"""The folder: which files are read for a session, and nothing else.

    krx_daily/krx_daily_full_*.parquet                    every name, raw; required
    krx_daily/marcap_windows_*.parquet                    the department: managed issues
    krx_daily_long/naver_adj_ohlcv_2019_*.parquet         longer history, adjusted
    krx_daily_long/extra_names_ohlcv_2023_*.parquet       the same for names since delisted
    fundamentals/quarterly_cashflow_*.parquet             quarters
    fundamentals/dart_bulk_*.parquet                      quarters it lacks; currency, fiscal year
    krx_reference/krx_instrument_metadata.parquet         security types
    krx_reference/fdr_listing_{desc,delisting}_*.csv.gz   industries; delisting trades
    krx_reference/sector_snapshots_*.parquet              WICS sectors
    index/{kospi,kosdaq,kospi200}_daily_*.parquet         indices; kospi required
    global/yahoo_indices_fx_daily_*.parquet               foreign indices and the dollar

A file that is absent leaves its fields unknown.  Rows of the session and later are cut off here,
but for the session's master data, which the exchange publishes before the open: codes, names,
listed shares, and the base price (close minus change).
"""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from schemas.errors import Misconfigured

RAW_DAYS_MAX: Final = 420
"""Calendar days of bars that are read: more than 260 sessions."""

DEPARTMENT_DAYS_MAX: Final = 60
INDICES: Final = {"KOSPI": "kospi", "KOSDAQ": "kosdaq", "KOSPI200": "kospi200"}
BULK_YEARS: Final = 4
_BULK: Final = [
    "code",
    "fs",
    "fy",
    "fq",
    "fy_month",
    "currency",
    "revenue_q",
    "revenue_ytd",
    "operating_income_q",
    "operating_income_ytd",
    "net_income_q",
    "net_income_ytd",
]
_MASTER: Final = ["code", "isin", "name", "market", "shares", "base"]


class Tables(NamedTuple):
    """What the folder knows before a session; an absent file is an empty table.

    Attributes:
        session: The day.
        master: The session's names: code, isin, name, market, shares, base.
        raw: Unadjusted bars before the session.
        long: Adjusted bars before the session: code, date, open, high, low, close, volume.
        departments: Code and department, newest.
        types: Ticker, asset_type and effective_date.
        industries: Code and Industry.
        delistings: Symbol, DelistingDate, ArrantEnforceDate, ArrantEndDate.
        sectors: Code and wics_sector.
        quarters: Quarterly statements.
        bulk: Statements of DART's bulk files, with currency and fy_month.
        indices: Name to Date and Close, before the session.
    """

    session: date
    master: pd.DataFrame
    raw: pd.DataFrame
    long: pd.DataFrame
    departments: pd.DataFrame
    types: pd.DataFrame
    industries: pd.DataFrame
    delistings: pd.DataFrame
    sectors: pd.DataFrame
    quarters: pd.DataFrame
    bulk: pd.DataFrame
    indices: dict[str, pd.DataFrame]


def read(folder: Path, session: date) -> Tables:
    """Read what a session needs.

    Raises:
        Misconfigured: A required file is missing or does not reach the session.
    """
    day, since = pd.Timestamp(session), pd.Timestamp(session - timedelta(days=RAW_DAYS_MAX))
    whole = _parquet(folder, "krx_daily/krx_daily_full_*.parquet", None, required=True)
    whole = whole[whole["date"] >= since]
    raw = whole[whole["date"] < day]
    if raw.empty:
        raise Misconfigured(
            f"expected bars before {session} in {folder}/krx_daily, was none; "
            "choose a later session or another AEGIS_DATA_DIR"
        )
    delistings = _csv(
        folder,
        "krx_reference/fdr_listing_delisting_*.csv.gz",
        ["Symbol", "DelistingDate", "ArrantEnforceDate", "ArrantEndDate"],
    )
    return Tables(
        session=session,
        master=_master(whole[whole["date"] == day], raw, delistings, session),
        raw=raw,
        long=_long(folder, since.date(), session),
        departments=_departments(folder, session),
        types=_parquet(
            folder,
            "krx_reference/krx_instrument_metadata.parquet",
            ["ticker", "asset_type", "effective_date"],
        ),
        industries=_csv(folder, "krx_reference/fdr_listing_desc_*.csv.gz", ["Code", "Industry"]),
        delistings=delistings,
        sectors=_sectors(folder, session),
        quarters=_parquet(folder, "fundamentals/quarterly_cashflow_*.parquet", None),
        bulk=_parquet(
            folder,
            "fundamentals/dart_bulk_*.parquet",
            _BULK,
            filters=[("fy", ">=", session.year - BULK_YEARS)],
        ),
        indices=_indices(folder, day),
    )


def _master(
    today: pd.DataFrame, raw: pd.DataFrame, delistings: pd.DataFrame, session: date
) -> pd.DataFrame:
    if not today.empty:
        published: pd.DataFrame = today.assign(base=today["close"] - today["change"])[_MASTER]
        return published
    last = raw[raw["date"] == raw["date"].max()]
    gone = delistings.loc[delistings["DelistingDate"] <= session.isoformat(), "Symbol"]
    left = last[~last["code"].isin(gone)]
    carried: pd.DataFrame = left.assign(base=left["close"])[_MASTER]
    return carried


def _long(folder: Path, since: date, until: date) -> pd.DataFrame:
    columns = ["code", "date", "open", "high", "low", "close", "volume"]
    span = [("date", ">=", since), ("date", "<", until)]
    parts = [
        _parquet(folder, f"krx_daily_long/{name}_*.parquet", columns, filters=span)
        for name in ("naver_adj_ohlcv_2019", "extra_names_ohlcv_2023")
    ]
    joined = pd.concat([part for part in parts if not part.empty] or parts[:1])
    dated: pd.DataFrame = joined.assign(date=pd.to_datetime(joined["date"]))
    return dated


def _departments(folder: Path, session: date) -> pd.DataFrame:
    since = session - timedelta(days=DEPARTMENT_DAYS_MAX)
    found = _parquet(
        folder,
        "krx_daily/marcap_windows_*.parquet",
        ["Code", "Dept", "Date"],
        filters=[("Date", ">=", pd.Timestamp(since)), ("Date", "<", pd.Timestamp(session))],
    )
    newest: pd.DataFrame = found[found["Date"] == found["Date"].max()]
    return newest


def _sectors(folder: Path, session: date) -> pd.DataFrame:
    found = _parquet(
        folder, "krx_reference/sector_snapshots_*.parquet", ["date", "code", "wics_sector"]
    )
    days = found["date"].astype(str)
    return found[days == days[days < session.isoformat()].max()].dropna(subset=["wics_sector"])


def _indices(folder: Path, day: pd.Timestamp) -> dict[str, pd.DataFrame]:
    out = {}
    for name, stem in INDICES.items():
        table = _parquet(
            folder, f"index/{stem}_daily_*.parquet", ["Date", "Close"], required=name == "KOSPI"
        )
        out[name] = table
    world = _parquet(folder, "global/yahoo_indices_fx_daily_*.parquet", ["symbol", "Date", "Close"])
    for symbol, rows in world.groupby("symbol"):
        out[str(symbol)] = rows[["Date", "Close"]]
    return {
        name: table[table["Date"] < day].dropna().sort_values("Date")
        for name, table in out.items()
        if not table.empty
    }


def _parquet(
    folder: Path,
    pattern: str,
    columns: Sequence[str] | None,
    *,
    filters: Any = None,
    required: bool = False,
) -> pd.DataFrame:
    paths = sorted(folder.glob(pattern))
    if not paths:
        if required:
            raise Misconfigured(
                f"expected {folder}/{pattern}, was nothing; set AEGIS_DATA_DIR to a folder "
                "with the layout that the README names"
            )
        return pd.DataFrame(columns=list(columns or []))
    wanted = None if columns is None else list(columns)
    return pd.concat([pd.read_parquet(path, columns=wanted, filters=filters) for path in paths])


def _csv(folder: Path, pattern: str, columns: Sequence[str]) -> pd.DataFrame:
    paths = sorted(folder.glob(pattern))
    if not paths:
        return pd.DataFrame(columns=list(columns), dtype=str)
    return pd.concat([pd.read_csv(path, usecols=list(columns), dtype=str) for path in paths])
