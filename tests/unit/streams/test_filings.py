"""Filings: each receipt is told once, statements balance, an unknown page is a dead letter."""

import json

import pytest

from schemas import dart
from schemas.errors import Misconfigured, Poison, Transient
from schemas.raw import RawFiling
from schemas.role import Batch, Output, Record
from schemas.testing import at
from schemas.topics import DEAD_LETTERS, DISCLOSURES, FUNDAMENTALS, RAW_DART
from schemas.units import Micros
from streams import filings


def row(number: int, **changed: str) -> dict[str, str]:
    return {
        "corp_code": "00126380", "corp_name": "삼성전자", "stock_code": "005930", "corp_cls": "Y",
        "report_nm": "분기보고서 (2026.03)   ", "rcept_no": f"{20260514000000 + number}",
        "flr_nm": "삼성전자", "rcept_dt": "20260514", "rm": "", **changed,
    }  # fmt: skip


def account(name: str, amount: str, kind: str = "BS", **changed: str) -> dict[str, str]:
    return {
        "rcept_no": "20190401004781", "reprt_code": "11011", "stock_code": "005930",
        "fs_div": "CFS", "sj_div": kind, "account_nm": name, "thstrm_dt": "2018.12.31 현재",
        "thstrm_amount": amount, "frmtrm_amount": "1", "currency": "KRW", **changed,
    }  # fmt: skip


def page(*rows: dict[str, str], status: str = "000", resource: str = dart.LIST) -> Record:
    text = json.dumps({"status": status, "message": "m", "list": rows})
    return record(text, resource)


def record(text: str, resource: str = dart.LIST) -> Record:
    event = RawFiling(
        ts_event=at(0), ts_ingest=at(0), source="dart", seq=0, resource=resource, payload=text
    )
    return Record(RAW_DART.name, "dart", event)


def told(*records: Record, one_by_one: bool = False) -> list[Output]:
    found: list[Output] = []
    state = filings.ROLE.initial
    for batch in [[each] for each in records] if one_by_one else [list(records)]:
        step = filings.step(state, Batch(batch, Micros(0)))
        state = step.state
        found += step.outputs
    return found


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_filing_on_two_pages_is_told_once(one_by_one: bool) -> None:
    found = told(page(row(1), row(2)), page(row(2), row(3)), one_by_one=one_by_one)

    assert [each.value.receipt_no[-1] for each in found] == ["1", "2", "3"]
    assert {each.topic for each in found} == {DISCLOSURES}
    assert found[0].value.report_name == "분기보고서 (2026.03)"


def test_a_correction_is_marked_and_an_unlisted_filer_has_no_symbol() -> None:
    [fixed, unlisted] = told(page(row(1, report_nm="[기재정정]사업보고서"), row(2, stock_code=" ")))

    assert (fixed.value.corrects, fixed.key) == (True, "005930")
    assert (unlisted.value.symbol, unlisted.key) == (None, "00126380")


def test_an_annual_statement_gives_a_year_and_the_year_before() -> None:
    rows = [account("자산총계", "1,000"), account("부채총계", "300"), account("자본총계", "700")]

    [found] = told(page(*rows, account("매출액", "50", "IS"), resource=dart.ACCOUNTS))

    assert found.topic is FUNDAMENTALS
    assert (found.value.assets, found.value.sales_ttm, found.value.sales_prior_ttm) == (1000, 50, 1)
    assert found.value.period_end == 20181231


@pytest.mark.parametrize(
    "bad",
    [
        page(account("자산총계", "1,000"), account("부채총계", "1"), account("자본총계", "1"),
             resource=dart.ACCOUNTS),
        page(account("자산총계", "1,000"), resource=dart.ACCOUNTS),
        page(row(1, stock_code="5930")),
        page(row(1), status="777"),
        page(row(1), resource="unheard-of"),
        record("<html>"),
        record("[]"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_a_dead_letter(bad: Record) -> None:
    [letter] = told(bad)

    assert letter.topic is DEAD_LETTERS
    assert letter.value.reason.startswith("expected")


@pytest.mark.parametrize(
    ("status", "remedy"),
    [("020", Transient), ("800", Transient), ("010", Misconfigured), ("100", Poison)],
)
def test_a_status_says_what_to_do(status: str, remedy: type[Exception]) -> None:
    with pytest.raises(remedy, match=status):
        dart.demand(dart.Page(status, "m", (), 1))


def test_nothing_there_is_an_answer() -> None:
    assert dart.demand(dart.Page("013", "m", (), 1)) == ()
