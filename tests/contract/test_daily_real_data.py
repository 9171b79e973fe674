"""Real files: every page parses, the real universe is whole, and nothing of the future is in it."""

import json
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from producers.dart import pages
from producers.krx import day, tables
from schemas import dart
from schemas.raw import RawDaily, RawFiling
from schemas.role import Batch, Record
from schemas.topics import DEAD_LETTERS, DISCLOSURES, RAW_DART, RAW_KRX
from schemas.units import Micros
from streams import daily, filings, screener
from streams.krx_bodies import rows_of

DATA = Path(__file__).parents[3] / "shared" / "data"
SESSION = date(2026, 2, 10)
RESOURCES = {
    "krx_stk_bydd_trd.json.gz": ("stk_bydd_trd", 948),
    "krx_ksq_bydd_trd.json.gz": ("ksq_bydd_trd", 1_821),
    "krx_kospi_dd_trd.json.gz": ("kospi_dd_trd", 51),
    "krx_kosdaq_dd_trd.json.gz": ("kosdaq_dd_trd", 40),
    "krx_stk_isu_base_info.json.gz": ("stk_isu_base_info", 948),
    "krx_ksq_isu_base_info.json.gz": ("ksq_isu_base_info", 1_821),
    "data_go_kr_stock_prices.json.gz": ("getStockPriceInfo", 10),
    "data_go_kr_stock_prices_page_0001.json.gz": ("getStockPriceInfo", 1_000),
    "data_go_kr_listed_items.json.gz": ("getItemInfo", 10),
    "data_go_kr_listed_items_20260513_page_0001.json.gz": ("getItemInfo", 1_000),
    "data_go_kr_listed_items_20260513_page_0002.json.gz": ("getItemInfo", 1_000),
    "data_go_kr_listed_items_20260513_page_0003.json.gz": ("getItemInfo", 765),
    "data_go_kr_listed_items_20260514_EMPTY.json": ("getItemInfo", 0),
    "data_go_kr_corp_basic.json.gz": ("getCorpOutline_V2", None),
    "data_go_kr_disclosure_info.json.gz": ("getDiviDiscInfo_V2", None),
    "data_go_kr_financial_stat.json.gz": ("getSummFinaStat_V2", None),
}

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent"),
]


def text_of(path: Path) -> str:
    return pages.read(path)


@cache
def known() -> tables.Tables:
    return tables.read(DATA, SESSION)


@pytest.mark.parametrize("name", RESOURCES)
def test_every_krx_page_parses_without_a_dead_letter(name: str) -> None:
    resource, rows = RESOURCES[name]
    text = text_of(DATA / "krx_raw" / name)
    raw = RawDaily(
        ts_event=Micros(0), ts_ingest=Micros(0), source="krx", seq=0, resource=resource,
        payload=text,
    )  # fmt: skip

    outputs = daily.step(None, Batch([Record(RAW_KRX.name, "krx", raw)], Micros(0))).outputs

    assert rows is None or len(rows_of(text)) == rows
    assert not [each.value.reason for each in outputs if each.topic is DEAD_LETTERS]
    if resource.endswith("bydd_trd") or resource == "getStockPriceInfo":
        assert len(outputs) == rows


def test_no_krx_or_data_go_kr_page_is_left_untested() -> None:
    there = {path.name for path in (DATA / "krx_raw").glob("*_*.json*")}

    assert {name for name in there if name.startswith(("krx_", "data_go"))} == set(RESOURCES)


def filing(text: str, resource: str = dart.LIST) -> Record:
    raw = RawFiling(
        ts_event=Micros(0), ts_ingest=Micros(0), source="dart", seq=0, resource=resource,
        payload=text,
    )  # fmt: skip
    return Record(RAW_DART.name, "dart", raw)


def test_every_dart_page_parses_and_each_filing_is_told_once() -> None:
    records = [Record(RAW_DART.name, "dart", each) for each in pages.collect(DATA, None, Micros(0))]
    records.append(filing(text_of(DATA / "dart" / "raw_opendart_list.json.gz")))
    records += [
        filing(json.dumps(body))
        for body in json.loads(text_of(DATA / "dart" / "opendart_error_bodies.json"))
    ]
    records.append(filing(text_of(DATA / "dart" / "opendart_error_body.xml")))
    statement = text_of(DATA / "dart" / "fnlttSinglAcnt_00126380_2018_11011.json")
    records.append(filing(statement, dart.ACCOUNTS))

    outputs = filings.step({}, Batch(records, Micros(0))).outputs

    assert not [each.value.reason for each in outputs if each.topic is DEAD_LETTERS]
    receipts = [each.value.receipt_no for each in outputs if each.topic is DISCLOSURES]
    assert 1_000 <= len(receipts) == len(set(receipts)) <= 1_010
    samsung = outputs[-1].value
    assert samsung.assets == samsung.liabilities + samsung.equity == 339_357_244_000_000
    assert samsung.operating_income_ttm == 58_886_669_000_000


def test_the_real_universe_is_whole_and_has_a_year_behind_it() -> None:
    records = [Record(RAW_KRX.name, "krx", each) for each in day.records(known(), Micros(0))]

    outputs = daily.step(None, Batch(records, Micros(0))).outputs

    by_topic: dict[str, list[object]] = {}
    for each in outputs:
        by_topic.setdefault(each.topic.name, []).append(each.value)
    assert len(by_topic["market.instruments"]) == 2_883
    assert "dead-letters" not in by_topic
    listed = {each.symbol: each.segment for each in by_topic["market.instruments"]}  # type: ignore[attr-defined] # events
    year = [len(each.dates) >= 252 for each in by_topic["market.bars-1d"]  # type: ignore[attr-defined] # events
            if listed[each.symbol] != "KONEX"]  # type: ignore[attr-defined] # events  # fmt: skip
    assert np.mean(year) > 0.955
    assert all(max(each.dates) == 20260209 for each in by_topic["market.bars-1d"])  # type: ignore[attr-defined] # events


def test_a_poisoned_future_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clean = list(day.records(known(), Micros(0)))
    parquet = pd.read_parquet

    def poisoned(path: Path, **options: object) -> pd.DataFrame:
        table: pd.DataFrame = parquet(path, **options)  # type: ignore[call-overload] # the caller's own options
        for column in ("date", "Date"):
            if column in table:
                later = pd.to_datetime(table[column]) >= pd.Timestamp(SESSION)
                for name in ("open", "high", "low", "volume", "value", "market_cap", "Close"):
                    if name in table:
                        table.loc[later, name] = 7
                if "change" in table:
                    table.loc[later, ["close", "change"]] += 70_000
        return table

    monkeypatch.setattr(pd, "read_parquet", poisoned)

    assert list(day.collect(DATA, SESSION, Micros(0))) == clean


def test_screen_sets_equal_an_independent_query() -> None:
    bars = pd.read_parquet(DATA / "krx_daily/krx_daily_full_20250827_20260331.parquet")
    past = bars[bars["date"] <= "2026-03-30"]
    window = past[past["date"].isin(sorted(past["date"].unique())[-20:])]
    today = past[past["date"] == "2026-03-30"].set_index("code")
    mean = window.groupby("code")["value"].mean().reindex(today.index)
    by_value, by_cap = set(today.index[mean > 1e9]), set(today.index[today["market_cap"] > 5e10])

    raw = [
        Record(RAW_KRX.name, "krx", each)
        for each in day.collect(DATA, date(2026, 3, 31), Micros(0))
    ]
    outputs = daily.step(None, Batch(raw, Micros(0))).outputs
    records = [Record(each.topic.name, each.key, each.value) for each in outputs]
    state = screener.step(screener.INITIAL, Batch(records, Micros(0))).state
    names = {
        symbol: screener._candidate(state, symbol)._replace(out=False) for symbol in today.index
        if symbol in state.listings
    }  # fmt: skip

    assert (len(today), len(by_value), len(by_cap)) == (2_880, 1_311, 2_091)
    gone = set(today.index) - set(names)
    assert {s for s, each in names.items() if each.mean_value > 10**9} == by_value - gone
    assert {s for s, each in names.items() if each.market_cap > 5 * 10**10} == by_cap - gone
    assert len(gone) <= 2
