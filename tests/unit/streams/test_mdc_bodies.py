"""Marketplace bodies: typed rows, events where one fits, and a dead letter for every torn one."""

from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import codec_of
from schemas.errors import Poison
from schemas.krx.sessions import kst_midnight
from schemas.raw import RawDaily
from schemas.role import Batch, Output, Record
from schemas.topics import BARS, DEAD_LETTERS, INDICES, RAW_KRX
from schemas.units import HOUR, MINUTE, Micros
from streams import daily, krx_bodies, mdc_bodies
from streams.mdc_tables import INDEX_DAYS, MARKET_DAY, STANDARD, SYMBOL_DAYS, TABLES

CLOSE = 15 * HOUR + 30 * MINUTE
SAMPLES = {
    "text": "삼성전자", "code": "005930", "isin": "KR7005930003", "day": "2021/01/04",
    "whole": "4,540", "ratio": "-1,234.50",
}  # fmt: skip
VALUES = {"text": "삼성전자", "day": 20210104, "whole": 4540, "ratio": -1234.5}
FORM = "trdDd=20210104&indIdx=1&indIdx2=001&isuCd=KR7005930003&adjStkPrc=1"


def row(table: str, **changed: object) -> dict[str, object]:
    return {name: SAMPLES[kind] for name, kind in TABLES[table].columns.items()} | changed


def body(table: str, *rows: dict[str, object]) -> str:
    answer = {TABLES[table].block: rows, "CURRENT_DATETIME": "2026.01.25 PM 08:24:25"}
    return orjson.dumps(answer).decode()


def said(table: str, payload: str, form: str = FORM) -> list[Output]:
    raw = RawDaily(
        ts_event=Micros(0), ts_ingest=Micros(7), source="krx", seq=0,
        resource=f"{table}?{form}", payload=payload,
    )  # fmt: skip
    outputs = daily.step(None, Batch([Record(RAW_KRX.name, "krx", raw)], Micros(0))).outputs
    for output in outputs:
        codec_of(output.topic).encode(output.value)
    return list(outputs)


def letter(table: str, payload: str, form: str = FORM) -> Any:
    [output] = said(table, payload, form)
    assert output.topic is DEAD_LETTERS
    assert output.value.payload == payload.encode()
    assert output.value.reason.startswith("expected")
    return output.value


def traded(day: str, close: str, change: str = "0") -> dict[str, object]:
    return row(
        SYMBOL_DAYS, TRD_DD=day, TDD_OPNPRC=close, TDD_HGPRC=close, TDD_LWPRC=close,
        TDD_CLSPRC=close, CMPPREVDD_PRC=change,
    )  # fmt: skip


def test_a_table_gives_events_or_says_why_it_gives_none() -> None:
    assert {name for name, table in TABLES.items() if not table.kept} == set(mdc_bodies._EVENTS)
    assert set(mdc_bodies._EVENTS) == {MARKET_DAY, SYMBOL_DAYS, INDEX_DAYS}


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_read_as_its_kind(table: str) -> None:
    [read] = mdc_bodies.rows_of(table, body(table, row(table)))

    assert read == {
        name: VALUES.get(kind, SAMPLES[kind]) for name, kind in TABLES[table].columns.items()
    }


@pytest.mark.parametrize("table", TABLES)
def test_a_row_without_a_column_is_a_dead_letter_that_names_it(table: str) -> None:
    for name in TABLES[table].columns:
        torn = row(table)
        del torn[name]

        assert f"without {name}:" in letter(table, body(table, row(table), torn)).reason


@pytest.mark.parametrize("table", TABLES)
def test_a_value_of_another_kind_is_a_dead_letter_that_names_its_column(table: str) -> None:
    for name, kind in TABLES[table].columns.items():
        wrong = row(table, **{name: 7 if kind == "text" else "<b>"})

        assert f"a {kind} as {name} of" in letter(table, body(table, wrong)).reason


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_list_is_an_answer(table: str) -> None:
    assert said(table, body(table)) == []


def test_a_column_nobody_named_is_left_unread() -> None:
    [output] = said(MARKET_DAY, body(MARKET_DAY, row(MARKET_DAY, NEW_COLUMN="?")))

    assert output.topic is BARS


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("whole", "4,540", 4540), ("whole", "-1,700", -1700), ("whole", "0", 0),
        ("whole", "7820424085", 7820424085), ("whole", "-", None), ("whole", "", None),
        ("ratio", "8,140.00", 8140.0), ("ratio", "-2.03", -2.03), ("ratio", "-", None),
        ("day", "2021/01/04", 20210104), ("day", "1980.01.04", 19800104),
        ("text", 'AJ네트웍스 <em class ="up"></em>', "AJ네트웍스"), ("text", "F&F", "F&F"),
        ("text", "-", ""), ("text", "", ""), ("code", "00104K", "00104K"),
    ],
)  # fmt: skip
def test_a_text_is_read(kind: str, text: str, value: object) -> None:
    assert mdc_bodies._KINDS[kind](text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("whole", "4,54"), ("whole", "4,5400"), ("whole", "1.5"), ("whole", "--1"),
        ("whole", "٤"), ("whole", "1_000"), ("whole", "9" * 19), ("ratio", "1,23.0"),
        ("ratio", "nan"), ("ratio", "1e9"), ("day", "2021/13/01"), ("day", "2021/0104"),
        ("day", "-"), ("code", "5930"), ("isin", "KR7005930004"),
    ],
)  # fmt: skip
def test_a_text_that_is_not_of_its_kind_is_refused(kind: str, text: str) -> None:
    with pytest.raises((ValueError, Poison)):
        mdc_bodies._KINDS[kind](text)


@given(data=st.data())
def test_a_torn_body_is_a_dead_letter(data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(sorted(TABLES)))
    whole = body(table, row(table), row(table))
    torn = whole[: data.draw(st.integers(0, len(whole) - 1))]

    assert "log in and ask again" in letter(table, torn).reason


@pytest.mark.parametrize("text", ["LOGOUT", "<html>서비스 제공 불가능</html>", "[" * 5_000])
def test_what_is_no_body_is_a_dead_letter_that_says_what_to_do(text: str) -> None:
    assert "log in and ask again" in letter(MARKET_DAY, text).reason


@pytest.mark.parametrize("text", ["null", "[]", "{}", '{"output":[]}', '{"OutBlock_1":{}}'])
def test_a_body_without_its_list_is_a_dead_letter(text: str) -> None:
    assert "a list under 'OutBlock_1'" in letter(MARKET_DAY, text).reason


@pytest.mark.parametrize("line", [None, 1, "row", []])
def test_a_row_that_is_none_is_a_dead_letter(line: object) -> None:
    letter(MARKET_DAY, orjson.dumps({"OutBlock_1": [line]}).decode())


def test_an_unknown_table_is_a_dead_letter_that_says_what_to_do() -> None:
    assert "add its block and columns" in letter(STANDARD + "MDCSTAT99999", '{"output":[]}').reason


def test_a_market_day_gives_each_symbol_a_bar_at_the_close() -> None:
    prices = {"TDD_OPNPRC": "10", "TDD_HGPRC": "4,540", "TDD_LWPRC": "9", "TDD_CLSPRC": "11"}
    amounts = {"ACC_TRDVOL": "1,000", "ACC_TRDVAL": "10,500"}
    other = row(MARKET_DAY, ISU_SRT_CD="00104K")

    outputs = said(MARKET_DAY, body(MARKET_DAY, row(MARKET_DAY, **prices, **amounts), other))

    assert [each.key for each in outputs] == ["005930", "00104K"]
    bars = outputs[0].value
    assert (bars.dates, bars.opens, bars.highs, bars.lows) == ((20210104,), (10,), (4540,), (9,))
    assert (bars.closes, bars.volumes, bars.turnovers) == ((11,), (1000,), (10500,))
    assert (bars.source, bars.adjusts, bars.ts_ingest) == ("MDCSTAT01501", (1.0,), 7)
    # The first session of 2021 opened an hour late and closed as ever.
    assert bars.ts_event == kst_midnight(date(2021, 1, 4)) + CLOSE


def test_a_row_without_prices_gives_no_bar_and_half_a_row_is_a_dead_letter() -> None:
    none = row(MARKET_DAY, **dict.fromkeys(mdc_bodies._TRADED, "-"))

    assert said(MARKET_DAY, body(MARKET_DAY, none)) == []
    assert "all or none" in letter(MARKET_DAY, body(MARKET_DAY, none | {"TDD_CLSPRC": "5"})).reason


def test_a_symbols_days_come_oldest_first_and_a_split_shows_in_the_adjusts() -> None:
    rows = [
        traded("2018/05/04", "51,900", "-1,100"), traded("2018/05/03", "2,650,000"),
        traded("2018/04/27", "2,650,000", "43,000"),
    ]  # fmt: skip

    [output] = said(SYMBOL_DAYS, body(SYMBOL_DAYS, *rows))

    bars = output.value
    assert (output.topic, output.key) == (BARS, "005930")
    assert bars.dates == (20180427, 20180503, 20180504)
    assert bars.closes == (2_650_000, 2_650_000, 51_900)
    assert bars.adjusts == (0.02, 0.02, 1.0)
    assert bars.ts_event == kst_midnight(date(2018, 5, 4)) + CLOSE


def test_a_base_less_than_a_tick_from_the_last_close_adjusts_nothing() -> None:
    rows = [traded("2021/01/05", "50,100", "151"), traded("2021/01/04", "49,975")]

    [output] = said(SYMBOL_DAYS, body(SYMBOL_DAYS, *rows))

    assert output.value.adjusts == (1.0, 1.0)


def test_adjusted_days_are_kept_raw() -> None:
    payload = body(SYMBOL_DAYS, traded("2021/01/04", "83,000"))

    assert said(SYMBOL_DAYS, payload, FORM.replace("adjStkPrc=1", "adjStkPrc=2")) == []


@pytest.mark.parametrize(
    "isin", ["KR7005931001", "KR7005930004", "KR700593000X", "HK0000449303", "005930"]
)
def test_an_isin_that_does_not_hold_its_code_is_a_dead_letter(isin: str) -> None:
    payload = body(SYMBOL_DAYS, traded("2021/01/04", "83,000"))

    found = letter(SYMBOL_DAYS, payload, FORM.replace("KR7005930003", isin))

    assert "ask for its market's day" in found.reason


def test_a_day_told_twice_is_a_dead_letter() -> None:
    none = dict.fromkeys(mdc_bodies._TRADED, "-")
    rows = [traded("2021/01/04", "83,000"), traded("2021/01/04", "1")]

    assert "each day once" in letter(SYMBOL_DAYS, body(SYMBOL_DAYS, *rows)).reason
    rows[1] |= none
    assert "each day once" in letter(SYMBOL_DAYS, body(SYMBOL_DAYS, *rows)).reason


@pytest.mark.parametrize(
    ("form", "name"),
    [
        ("indIdx=1&indIdx2=001", "KOSPI"), ("indIdx=2&indIdx2=001", "KOSDAQ"),
        ("indIdx=1&indIdx2=028", "KOSPI200"), ("indIdx=5&indIdx2=300", "5300"),
    ],
)  # fmt: skip
def test_an_indexs_days_keep_its_name_and_leave_out_days_without_a_level(
    form: str, name: str
) -> None:
    rows = [
        row(INDEX_DAYS, TRD_DD="2021/01/05", CLSPRC_IDX="2,990.57"),
        row(INDEX_DAYS, TRD_DD="2021/01/04", CLSPRC_IDX="2,944.45"),
        row(INDEX_DAYS, TRD_DD="2021/01/06", CLSPRC_IDX="-"),
    ]

    [output] = said(INDEX_DAYS, body(INDEX_DAYS, *rows), form)

    assert (output.topic, output.key, output.value.name) == (INDICES, name, name)
    assert output.value.dates == (20210104, 20210105)
    assert output.value.closes == (2944.45, 2990.57)
    assert output.value.ts_event == kst_midnight(date(2021, 1, 5)) + CLOSE
    assert said(INDEX_DAYS, body(INDEX_DAYS, rows[2]), form) == []


@pytest.mark.parametrize(
    ("table", "form", "reason"),
    [
        (MARKET_DAY, "mktId=ALL", "expected trdDd in the resource"),
        (MARKET_DAY, "trdDd=20211301", "as yyyymmdd"),
        (MARKET_DAY, "trdDd=20350101", "that the calendar reaches"),
        (SYMBOL_DAYS, "isuCd=KR7005930003", "expected adjStkPrc in"),
        (SYMBOL_DAYS, "adjStkPrc=1", "expected isuCd in"),
        (INDEX_DAYS, "indIdx=1", "expected indIdx2 in"),
    ],
)
def test_a_record_without_its_whole_form_is_a_dead_letter(
    table: str, form: str, reason: str
) -> None:
    assert reason in letter(table, body(table, row(table)), form).reason


def test_a_day_beyond_the_calendar_is_poison_not_the_end_of_the_role() -> None:
    with pytest.raises(Poison, match="the calendar reaches, was 20350101"):
        krx_bodies.close_of(20350101)
