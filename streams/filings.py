"""Filings: OpenDART's pages become disclosures, and its statements fundamentals.

A list page repeats what an earlier one said, because pages shift while filings come in: a filing
is told once, by its receipt number.  A page with a documented status other than 000 says nothing
here; the producer has acted on it.  Statements (``fnlttSinglAcnt``) give fundamentals that hold
from the day after their receipt; a balance sheet that does not balance is refused.
"""

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from schemas import dart
from schemas.errors import Poison
from schemas.krx.codes import symbol
from schemas.krx.sessions import kst_midnight
from schemas.market import Disclosure, Fundamentals
from schemas.raw import RawFiling
from schemas.role import Batch, Output, Role, Step, command
from schemas.topics import DEAD_LETTERS, DISCLOSURES, FUNDAMENTALS, RAW_DART
from schemas.units import Won
from streams.letters import dead_letter

NAME: Final = "market.filings"
SEEN_MAX: Final = 20_000
"""Receipt numbers that are remembered: ten busy days."""

CORRECTED: Final = "정정]"
ANNUAL: Final = "11011"
BALANCE_SLACK_SHARE: Final = 0.001
_DAY: Final = re.compile(r"(\d{4})\.(\d{2})\.(\d{2})")
_STOCKS: Final = {"자산총계": "assets", "부채총계": "liabilities", "자본총계": "equity"}
_FLOWS: Final = {
    "매출액": ("sales_ttm", "sales_prior_ttm"),
    "영업이익": ("operating_income_ttm", None),
    "당기순이익": ("net_income_ttm", "net_income_prior_ttm"),
}

State = dict[str, None]
"""Receipt numbers that were told, oldest first."""


def step(state: State, batch: Batch) -> Step:
    """Decode each page; tell each filing once."""
    state = dict(state)
    outputs: list[Output] = []
    for record in batch.records:
        raw: RawFiling = record.value
        try:
            if raw.resource == dart.ACCOUNTS:
                outputs.extend(_statement(raw))
            elif raw.resource == dart.LIST:
                outputs.extend(_page(state, raw))
            else:
                raise Poison(  # noqa: TRY301 -- the handler below is where every poison goes
                    f"expected {dart.LIST} or {dart.ACCOUNTS}, was {raw.resource!r}"
                )
        except Poison as error:
            outputs.append(dead_letter(NAME, record, raw.payload, error))
        for old in list(state)[: max(len(state) - SEEN_MAX, 0)]:
            del state[old]
    return Step(state, outputs)


def disclosure(raw: RawFiling, row: Mapping[str, Any]) -> Disclosure:
    """Return the filing of a list's row.

    Raises:
        Poison: A field is missing or cannot be read.
    """
    try:
        code = row["stock_code"].strip()
        title = row["report_nm"].strip()
        return Disclosure(
            ts_event=raw.ts_event,
            ts_ingest=raw.ts_ingest,
            receipt_no=row["rcept_no"],
            corp_code=row["corp_code"],
            symbol=symbol(code) if code else None,
            corp_name=row["corp_name"],
            corp_class=row["corp_cls"],
            report_name=title,
            filer=row["flr_nm"],
            filed_on=int(row["rcept_dt"]),
            remark=row["rm"],
            corrects=title.startswith("[") and CORRECTED in title,
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise Poison(f"expected a row of {dart.LIST}, was {dict(row)}: {error!r}") from error


def _page(state: State, raw: RawFiling) -> list[Output]:
    filings = [disclosure(raw, row) for row in dart.parse(raw.payload).rows]
    outputs = []
    for each in filings:
        if each.receipt_no not in state:
            state[each.receipt_no] = None
            outputs.append(Output(DISCLOSURES, each.symbol or each.corp_code, each))
    return outputs


def _statement(raw: RawFiling) -> list[Output]:
    rows = dart.parse(raw.payload).rows
    if not rows:
        return []
    basis = "CFS" if any(row.get("fs_div") == "CFS" for row in rows) else "OFS"
    try:
        mine = [row for row in rows if row["fs_div"] == basis and row["currency"] == "KRW"]
        known = _fundamentals(raw, basis, mine)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise Poison(f"expected rows of {dart.ACCOUNTS}, was {error!r}") from error
    return [Output(FUNDAMENTALS, known.symbol, known)]


def _fundamentals(raw: RawFiling, basis: str, rows: list[dict[str, Any]]) -> Fundamentals:
    amounts: dict[str, Won] = {}
    period_end = 0
    for row in rows:
        name = row["account_nm"].strip().removesuffix("(손실)")
        if row["sj_div"] == "BS" and name in _STOCKS:
            amounts[_STOCKS[name]] = _won(row["thstrm_amount"])
            found = _DAY.search(row["thstrm_dt"])
            period_end = int("".join(found.groups())) if found else period_end
        elif row["sj_div"] != "BS" and name in _FLOWS and row["reprt_code"] == ANNUAL:
            now, before = _FLOWS[name]
            amounts[now] = _won(row["thstrm_amount"])
            if before is not None:
                amounts[before] = _won(row["frmtrm_amount"])
    gap = amounts["assets"] - amounts["liabilities"] - amounts["equity"]
    if abs(gap) > BALANCE_SLACK_SHARE * abs(amounts["assets"]):
        raise Poison(f"expected assets = liabilities + equity, was {gap} won apart")
    receipt = rows[0]["rcept_no"]
    filed = date(int(receipt[:4]), int(receipt[4:6]), int(receipt[6:8]))
    return Fundamentals(
        ts_event=kst_midnight(filed + timedelta(days=1)),
        ts_ingest=raw.ts_ingest,
        symbol=symbol(rows[0]["stock_code"]),
        period_end=period_end,
        basis=basis,
        source=dart.ACCOUNTS,
        **amounts,
    )


def _won(text: str) -> Won:
    return Won(int(text.replace(",", "")))


ROLE: Final = Role(
    name=NAME,
    version=1,
    scope="key",
    inputs=(command(RAW_DART),),
    outputs=(DISCLOSURES, FUNDAMENTALS, DEAD_LETTERS),
    initial={},
    step=step,
)
