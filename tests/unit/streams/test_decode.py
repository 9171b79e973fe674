"""Decode: every record of every frame becomes an event or a dead letter, none is lost."""

import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.kis import encode
from schemas.krx.sessions import kst_midnight
from schemas.market import Book, MarketStatus, Trade
from schemas.ops import DeadLettered
from schemas.raw import RawFrame
from schemas.role import Batch, Output, Record, Step
from schemas.units import SECOND, Micros
from streams.decode import ROLE

DAY = kst_midnight(date(2026, 2, 10))
TEN = Micros(DAY + 10 * 3600 * SECOND)
FRAMES = Path(__file__).parents[4] / "shared/data/kis/ws_frames_real.jsonl"


def trade_fields(
    symbol: str = "005930", time: str = "100000", price: str = "50000", day: str = "20260210"
) -> list[str]:
    fields = ["0"] * 47
    fields[0], fields[1], fields[2], fields[33] = symbol, time, price, day
    fields[12], fields[13], fields[21], fields[35], fields[43] = "5", "105", "1", "N", "0"
    return fields


def book_fields(symbol: str = "005930", time: str = "100000") -> list[str]:
    fields = ["0"] * 63
    fields[0], fields[1] = symbol, time
    fields[3:13] = [str(50_000 + 100 * level) for level in range(10)]
    fields[13:23] = [str(49_900 - 100 * level) for level in range(10)]
    fields[23:43] = [str(level) for level in range(1, 21)]
    fields[43], fields[44] = "55", "155"
    return fields


def frame(tr_id: str, *records: list[str]) -> str:
    body = "^".join("^".join(each) for each in records)
    return f"0|{tr_id}|{len(records):03d}|{body}"


def raw(payload: str, *, channel: str = "ws", tr_id: str = "", at: Micros = TEN) -> RawFrame:
    return RawFrame(
        ts_event=at, ts_ingest=Micros(at + 5), source="kis.ws.0", seq=7 << 40 | 3 << 10,
        channel=channel, tr_id=tr_id, payload=payload,
    )  # fmt: skip


def step(*raws: RawFrame) -> Step:
    log = [Record("raw.kis", each.source, each, 2, 40 + n) for n, each in enumerate(raws)]
    return ROLE.step(ROLE.initial, Batch(log, Micros(0)))


def events(*raws: RawFrame) -> list[Output]:
    return list(step(*raws).outputs)


def sweep(*rows: tuple[str, int]) -> str:
    output = [
        {"inter_shrn_iscd": symbol, "inter2_prpr": "50000", "acml_vol": str(volume),
         "acml_tr_pbmn": str(50_000 * volume), "inter2_askp": "50100", "inter2_bidp": "50000",
         "hour_cls_code": "0"}
        for symbol, volume in rows
    ]  # fmt: skip
    return json.dumps({"rt_cd": "0", "msg_cd": "MCA00000", "output": output})


def test_records_of_a_frame_keep_their_order_and_second() -> None:
    text = frame("H0STCNT0", trade_fields("005930"), trade_fields("000660", "100001"))

    first, second = events(raw(text))

    assert (first.key, second.key) == ("005930", "000660")
    assert isinstance(first.value, Trade)
    assert (first.value.seq, second.value.seq) == (7 << 40 | 3 << 10, 7 << 40 | 3 << 10 | 1)
    assert (first.value.ts_event, second.value.ts_event) == (TEN, TEN + SECOND)
    assert (first.value.kind, first.value.qty, first.value.aggressor) == ("print", 5, "buy")


def test_a_book_has_ten_levels_a_side() -> None:
    [output] = events(raw(frame("H0STASP0", book_fields())))

    assert isinstance(output.value, Book)
    assert output.value.ask_prices[:2] == (50_000, 50_100)
    assert output.value.bid_prices[:2] == (49_900, 49_800)
    assert (output.value.ask_qtys[0], output.value.bid_qtys[0]) == (1, 11)
    assert (output.value.ask_total, output.value.bid_total) == (55, 155)
    assert output.value.ts_event == TEN


def test_a_record_is_never_before_its_frame() -> None:
    [output] = events(raw(frame("H0STCNT0", trade_fields(time="095959"))))

    assert output.value.ts_event == TEN


@pytest.mark.parametrize(
    "bad",
    [
        trade_fields(price="x"), trade_fields(price="0"), trade_fields(day="20260209"),
        trade_fields(day="nonsense"), trade_fields(time="235959"), trade_fields(time="256000"),
    ],
)  # fmt: skip
def test_one_bad_record_is_a_dead_letter_and_the_rest_goes_on(bad: list[str]) -> None:
    frame_raw = raw(frame("H0STCNT0", trade_fields(), bad, trade_fields("000660")))

    outputs = events(frame_raw)

    assert [each.topic.name for each in outputs] == [
        "market.trades", "market.trades", "dead-letters",
    ]  # fmt: skip
    letter = outputs[2].value
    assert isinstance(letter, DeadLettered)
    assert (outputs[2].key, letter.origin) == ("raw.kis/2/40", "raw.kis/2/40")
    assert letter.reason.startswith("record 2 of 3: expected")
    assert letter.payload.decode() == frame_raw.payload


@pytest.mark.parametrize(
    "text",
    [
        frame("H0STCNT0", trade_fields()[:-2]),
        frame("H0STCNT0", trade_fields(), trade_fields())[:-2],
        "0|H0STCNT0|001",
        "0|H0XXXXX0|001|a^b",
        "1|H0STCNI0|001|c2VjcmV0",
        "garbage",
        "",
    ],
)
def test_a_torn_or_unknown_frame_is_one_dead_letter(text: str) -> None:
    [output] = events(raw(text))

    assert output.topic.name == "dead-letters"
    assert output.value.reason.startswith("expected")


@pytest.mark.parametrize(
    "text",
    [
        encode.pingpong("20260210100000"),
        encode.ack("H0STCNT0", "005930", key="k" * 32, iv="i" * 16),
    ],
)
def test_control_messages_say_nothing(text: str) -> None:
    assert events(raw(text)) == []


@given(text=st.text(max_size=200))
def test_no_text_crashes_and_none_is_lost(text: str) -> None:
    outputs = events(raw("0|" + text), raw(text, channel="rest", tr_id="FHKST11300006"))

    assert len(outputs) >= 2


def test_polled_quantity_is_what_traded_since_the_poll_before() -> None:
    polls = [
        raw(sweep(("005930", 100), ("000660", 7)), channel="rest", tr_id="FHKST11300006"),
        raw(sweep(("005930", 130), ("000660", 7)), channel="rest", tr_id="FHKST11300006"),
        raw(sweep(("005930", 12)), channel="rest", tr_id="FHKST11300006"),
    ]

    trades = [each.value for each in events(*polls)]

    assert [each.qty for each in trades] == [0, 0, 30, 0, 12]
    assert {each.kind for each in trades} == {"polled"}
    assert (trades[0].bid, trades[0].ask, trades[0].ts_event) == (50_000, 50_100, TEN)


@pytest.mark.parametrize(
    "body",
    ["<html>busy</html>", "[]", '{"rt_cd":"1","output":[]}', '{"rt_cd":"0","output":7}'],
)
def test_an_answer_that_failed_is_a_dead_letter(body: str) -> None:
    [output] = events(raw(body, channel="rest", tr_id="FHKST11300006"))

    assert output.topic.name == "dead-letters"


def test_one_bad_name_of_a_sweep_is_named_and_the_others_go_on() -> None:
    body = sweep(("005930", 1), ("000660", 2)).replace('"acml_vol": "1"', '"acml_vol": "-1"')

    good, letter = events(raw(body, channel="rest", tr_id="FHKST11300006"))

    assert good.key == "000660"
    assert letter.value.reason.startswith("name 1: expected digits in acml_vol")


def operation(code: str, *, vi: str = "N", halted: str = "N") -> RawFrame:
    fields = ["005930", halted, "(null)", code, "", "", "", "", vi, "N", "1"]
    return raw(frame("H0STMKO0", fields))


def test_operations_are_changes_of_status_and_an_unknown_code_is_kept() -> None:
    outputs = events(
        operation("112"), operation("112", vi="Y"), operation("AB1"), operation("174", halted="Y")
    )

    statuses = [each.value for each in outputs]
    assert all(isinstance(each, MarketStatus) for each in statuses)
    assert [(each.kind, each.state, each.code) for each in statuses] == [
        ("phase", "continuous", "112"),
        ("vi", "on", "Y"),
        ("phase", "unknown", "AB1"),
        ("vi", "off", "N"),
        ("circuit_breaker", "triggered", "174"),
        ("halt", "on", ""),
    ]


def test_a_step_leaves_the_state_it_was_given_alone() -> None:
    step(raw(sweep(("005930", 100)), channel="rest", tr_id="FHKST11300006"), operation("112"))

    assert ROLE.initial == type(ROLE.initial)({}, {})


@pytest.mark.data
def test_every_real_record_becomes_an_event_or_a_dead_letter() -> None:
    if not FRAMES.exists():
        pytest.skip(f"expected {FRAMES.name} in ../shared/data/kis, was absent")
    lines = [json.loads(line) for line in FRAMES.read_text("utf-8").splitlines()]
    lines = [line for line in lines if line["tr_id"] in {"H0STCNT0", "H0STASP0"}]
    found: Counter[str] = Counter()
    for line in lines:
        text = line["frame"]
        if not line["has_prefix"]:
            text = f"0|{line['tr_id']}|{line['count']:03d}|{text.split('|', 3)[-1]}"
        fields = text.split("|", 3)[3].split("^")
        trades = line["tr_id"] == "H0STCNT0"
        day = (
            date.fromisoformat(f"{fields[33][:4]}-{fields[33][4:6]}-{fields[33][6:8]}")
            if trades
            else date(2026, 2, 10)
        )
        clock = fields[1]
        seconds = int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + int(clock[4:])
        outputs = events(raw(text, at=Micros(kst_midnight(day) + seconds * SECOND)))
        for output in outputs:
            found[output.topic.name] += 1

    assert found["market.trades"] == sum(e["count"] for e in lines if e["tr_id"] == "H0STCNT0")
    assert found["market.books"] == sum(e["count"] for e in lines if e["tr_id"] == "H0STASP0")
    assert found["dead-letters"] == 0
