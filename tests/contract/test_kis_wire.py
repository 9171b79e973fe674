"""Every real KIS frame parses to typed fields and encodes back to the same bytes."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import Poison
from schemas.kis import encode, frames, views
from schemas.kis.invariants import invariants
from schemas.kis.records import ExecutionNotice, TypedRecord, typed
from schemas.kis.tables import BOOKS, TABLES, TRADES

KIS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kis"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not KIS.exists(), reason="../shared/data/kis is absent"),
]


def _lines(name: str) -> list[dict[str, Any]]:  # JSON of the data files has no type
    path = KIS / name
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


REAL = _lines("ws_frames_real.jsonl")
CLEAN = [each for each in REAL if "suspect" not in each]
CONTROL = {each["kind"]: each["raw"] for each in _lines("ws_control_messages.jsonl")}


def _typed(frame: str) -> tuple[str, list[TypedRecord]]:
    data = frames.parse(frame)
    assert isinstance(data, frames.DataFrame)
    return data.tr_id, [typed(data.tr_id, record) for record in data.records]


def test_the_file_holds_every_layout_we_claim() -> None:
    seen = {(each["tr_id"], each["record_width"]) for each in REAL}

    assert len(REAL) == 24
    assert {(TRADES, 46), (TRADES, 47), (BOOKS, 59), (BOOKS, 62), (BOOKS, 63)} <= seen


@pytest.mark.parametrize("each", REAL, ids=lambda each: each["id"])
def test_a_real_frame_encodes_back_to_its_bytes(each: dict[str, Any]) -> None:
    tr_id, records = _typed(each["frame"])

    assert encode.frame(tr_id, records).encode() == each["frame"].encode()
    assert (len(records), records[0].width) == (each["count"], each["record_width"])


@pytest.mark.parametrize("each", CLEAN, ids=lambda each: each["id"])
def test_a_real_frame_keeps_every_invariant(each: dict[str, Any]) -> None:
    _, records = _typed(each["frame"])

    before: TypedRecord | None = None
    for record in records:
        assert invariants(record, before) == ()
        before = record


def test_the_edited_frame_is_flagged() -> None:
    [suspect] = [each for each in REAL if "suspect" in each]

    _, (first, second, _) = _typed(suspect["frame"])

    assert invariants(first) == ()
    assert {each.rule for each in invariants(second, first)} == {
        "open_plus_difference",
        "high_plus_difference",
        "low_plus_difference",
        "base_constant",
        "turnover_grows_by_print",
    }


@pytest.mark.parametrize("each", CLEAN, ids=lambda each: each["id"])
def test_a_view_says_what_the_typed_record_says(each: dict[str, Any]) -> None:
    data = frames.parse(each["frame"])
    assert isinstance(data, frames.DataFrame)

    for record in data.records:
        whole: Any = typed(data.tr_id, record)  # one of five record types
        if data.tr_id == TRADES:
            trade = views.trade_of(record)
            assert (trade.symbol, trade.price, trade.qty) == (whole.symbol, whole.price, whole.qty)
            assert (trade.bid, trade.bid_qty) == (whole.bid, whole.bid_qty)
            assert (trade.ask, trade.ask_qty) == (whole.ask, whole.ask_qty)
            assert (trade.volume_day, trade.turnover_day) == (
                whole.volume_day,
                whole.turnover_day,
            )
            assert (trade.vi_base, trade.phase) == (whole.vi_base, whole.phase)
            assert trade.aggressor == {"1": "buy", "5": "sell"}[whole.aggressor_code]
        if data.tr_id == BOOKS:
            book = views.book_of(record)
            assert (book.ask_prices, book.bid_prices) == (whole.ask_prices, whole.bid_prices)
            assert (book.ask_qtys, book.bid_qtys) == (whole.ask_qtys, whole.bid_qtys)
            assert (book.ask_total, book.bid_total) == (whole.total_ask_qty, whole.total_bid_qty)
            assert (book.volume_day, book.expected_price) == (whole.volume_day, 0)


@pytest.mark.parametrize("each", REAL, ids=lambda each: each["id"])
def test_a_field_more_or_less_is_a_dead_letter_with_its_reason(each: dict[str, Any]) -> None:
    known = set(TABLES[each["tr_id"]])
    for torn in (each["frame"] + "^9", each["frame"].rsplit("^", 1)[0]):
        width, rest = divmod(torn.count("^") + 1, each["count"])
        if rest == 0 and width in known:
            continue  # the layout of another year: the invariants speak, not the width
        with pytest.raises(Poison, match=r"expected .*fields"):
            frames.parse(torn)


@pytest.mark.parametrize("each", REAL, ids=lambda each: each["id"])
def test_a_frame_cut_short_of_its_last_field_is_a_dead_letter(each: dict[str, Any]) -> None:
    whole = each["frame"]
    read = dead = 0

    for end in range(whole.rindex("^")):
        try:
            frames.parse(whole[:end])
            read += 1
        except Poison:
            dead += 1

    known = {width for width in TABLES[each["tr_id"]] if width * each["count"] <= whole.count("^")}
    assert dead > 0
    assert read == 0 or known, "let through only where the rest has an older layout's width"


def test_our_tables_name_the_elements_the_wire_names() -> None:
    published = json.loads((KIS / "ws_field_tables.json").read_text())["tables"]
    compared = 0

    for tr_id, widths in TABLES.items():
        layouts = published.get(tr_id, {}).get("widths", {})
        for width, table in widths.items():
            if str(width) in layouts:
                names = [field["element"] for field in layouts[str(width)]["fields"]]
                assert [field.element for field in table.fields] == names
                compared += 1

    assert compared == 10


def test_control_messages_are_told_apart_and_written_alike() -> None:
    ack = frames.parse(CONTROL["subscribe_ack"])
    over = frames.parse(CONTROL["subscribe_nack_over_limit"])
    ping = frames.parse(CONTROL["pingpong"])

    assert isinstance(ack, frames.Control)
    assert (ack.kind, len(ack.key), len(ack.iv)) == ("ack", 32, 16)
    assert encode.ack(ack.tr_id, ack.tr_key, key=ack.key, iv=ack.iv) == CONTROL["subscribe_ack"]
    assert isinstance(over, frames.Control)
    assert (over.kind, over.code) == ("nack", "OPSP0008")
    assert (
        encode.nack(over.tr_id, over.tr_key, code=over.code, message=over.message)
        == CONTROL["subscribe_nack_over_limit"]
    )
    assert isinstance(ping, frames.Control)
    assert ping.kind == "pingpong"
    assert encode.pingpong("20260427090000") == CONTROL["pingpong"]
    assert ack.key not in repr(ack)


def test_our_registration_is_the_portals() -> None:
    request = encode.registration("<APPROVAL_KEY>", TRADES, "005930")
    letting_go = encode.registration("<APPROVAL_KEY>", TRADES, "005930", tr_type=encode.UNREGISTER)

    assert request == CONTROL["subscribe_request"]
    assert letting_go == CONTROL["unsubscribe_request"]


def test_every_notice_encodes_back_to_its_plaintext() -> None:
    vectors = json.loads((KIS / "execution_notice_vectors.json").read_text())
    kinds = {}

    for vector in vectors:
        [record] = frames.split("H0STCNI9", 1, vector["plaintext"])
        notice = typed("H0STCNI9", record)
        assert isinstance(notice, ExecutionNotice)
        assert encode.body("H0STCNI9", [notice]) == vector["plaintext"]
        kinds[vector["name"]] = views.notice_of(record).kind

    assert kinds == {
        "aes_vector_public_test": "filled",
        "accepted_buy": "accepted",
        "filled_buy": "filled",
        "cancelled": "cancelled",
        "rejected": "rejected",
    }
