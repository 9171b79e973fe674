"""The wire's grammar: what fits is read, what does not is a dead letter, nothing else is raised."""

import contextlib
import dataclasses
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Fatal, Poison
from schemas.kis import encode, frames, records, views
from schemas.kis.invariants import invariants
from schemas.kis.records import ExecutionNotice, TypedRecord, typed
from schemas.kis.tables import (
    BOOKS,
    NOTICES,
    NOTICES_MOCK,
    OPERATIONS,
    PROGRAM,
    TABLES,
    TRADES,
    Field,
    Kind,
    table_of,
)

LAYOUTS = [(tr_id, width) for tr_id, widths in TABLES.items() for width in widths]
WHOLE = st.integers(0, 10**18 - 1)
TEXTS = {
    Kind.WHOLE: WHOLE.map(str),
    Kind.SIGNED: st.integers(1 - 10**18, 10**18 - 1).map(str),
    Kind.DECIMAL: st.builds(
        lambda sign, cents: f"{sign}{cents // 100}.{cents % 100:02}",
        st.sampled_from(["", "-"]),
        st.integers(0, 10**12),
    ),
    Kind.DIGITS: st.from_regex(r"[0-9]{1,10}", fullmatch=True),
    Kind.CODE: st.sampled_from(["0", "1", "A", "Y", "N", "AB1", "00"]),
    Kind.TIME: st.sampled_from(["000000", "090023", "235959"]),
    Kind.DATE: st.just("20260922"),
    Kind.TEXT: st.sampled_from(["(null)", "홍길동", "a b", "12345678-01"]),
    Kind.SYMBOL: st.sampled_from(["005930", "0041B0", "Q50001K", "00088K"]),
}


def _text(field: Field) -> st.SearchStrategy[str]:
    text = TEXTS[field.kind]
    return text if field.kind is Kind.SYMBOL else text | st.just("")


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, int, str]:
    tr_id, width = draw(st.sampled_from(LAYOUTS))
    count = draw(st.integers(1, 4))
    fields = table_of(tr_id, width).fields * count
    return tr_id, count, "^".join(draw(_text(field)) for field in fields)


@given(bodies())
def test_what_the_tables_allow_comes_back_as_the_same_bytes(body: tuple[str, int, str]) -> None:
    tr_id, count, text = body
    frame = f"0|{tr_id}|{count:03d}|{text}"

    data = frames.parse(frame)

    assert isinstance(data, frames.DataFrame)
    assert len(data.records) == count
    assert encode.frame(tr_id, [typed(tr_id, record) for record in data.records]) == frame


READERS: dict[str, Callable[[frames.Record], object]] = {
    TRADES: views.trade_of,
    BOOKS: views.book_of,
    OPERATIONS: views.operation_of,
    NOTICES: views.notice_of,
    NOTICES_MOCK: views.notice_of,
}


def _read(text: str) -> None:
    message = frames.parse(text)
    if isinstance(message, frames.DataFrame) and not message.encrypted:
        for record in message.records:
            reader = READERS.get(message.tr_id)
            if reader is not None:
                with contextlib.suppress(Poison):
                    reader(record)
            before: TypedRecord | None = None
            with contextlib.suppress(Poison):
                before = typed(message.tr_id, record)
            if before is not None:
                invariants(before, before)


@given(st.text() | st.text(alphabet='01|^{}"H0STCNP.-_ +\x1c\u0663', max_size=400))
def test_any_text_is_read_or_is_poison(text: str) -> None:
    with contextlib.suppress(Poison):
        _read(text)


@given(
    layout=st.sampled_from(LAYOUTS),
    digits=st.sampled_from(["000", "001", "002", "999", "\u0660\u0660\u0661", "1", "0x1"]),
    fields=st.lists(
        st.sampled_from(
            ["", "1", "-1", "1_0", "+5", " 5", "\u0663", "9" * 5000, "1e9", "(null)", "090000"]
        ),
        max_size=130,
    ),
)
def test_any_fields_are_read_or_are_poison(
    layout: tuple[str, int], digits: str, fields: list[str]
) -> None:
    tr_id, width = layout
    padded = (fields + ["7"] * width)[: max(width, len(fields))]

    for body in (fields, padded[:width], ["005930", *padded[1:width]]):
        with contextlib.suppress(Poison):
            _read(f"0|{tr_id}|{digits}|{'^'.join(body)}")


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["header", "body", "tr_id", "output", "rt_cd", "msg1", "key"]), x
            )
        ),
    )
)
def test_any_json_is_read_or_is_poison(value: Any) -> None:  # any JSON value at all
    with contextlib.suppress(Poison):
        frames.parse("{" + repr(value))
    with contextlib.suppress(Poison):
        frames.parse(json.dumps({"header": value, "body": value}))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "expected enc|tr_id|count|body"),
        ("0|H0STCNT0|001", "was 3 parts"),
        ("2|H0STCNT0|001|x", "expected enc 0 or 1"),
        ("0|H0STCNT0|1|x", "expected a count of 3 digits"),
        ("0|H0STCNT0|000|x", "expected the fields of H0STCNT0 to divide by count 0"),
        ("0|H0XXXXX0|001|x", "add its field table"),
        ("0|H0STCNT0|001|" + "^" * 47, "expected H0STCNT0 with [46, 47] fields, was 48"),
        ("0|H0STCNT0|002|" + "^" * 46, "the frame is torn"),
        ("0|H0STCNT0|001|" + "1 000" + "^" * 45, "without blanks"),
        ("1|H0STCNI9|001|", "expected an encrypted body"),
        ("{", "expected JSON"),
        ("{}", "expected a JSON object with 'header'"),
        ("{" * 100_000, "expected JSON"),
    ],
)
def test_a_dead_letter_names_what_was_wrong(text: str, reason: str) -> None:
    with pytest.raises(Poison) as poison:
        frames.parse(text)

    assert reason in str(poison.value)


def test_an_encrypted_body_stays_whole() -> None:
    assert frames.parse("1|H0STCNI9|001|a|b^c==") == (True, "H0STCNI9", 1, (("a|b^c==",),))


def test_the_old_notice_lacks_the_three_fields_of_2025() -> None:
    old = {field.element for field in table_of(NOTICES, 23).fields}
    new = {field.element for field in table_of(NOTICES, 26).fields}

    assert new - old == {"ORD_COND_PRC", "ORD_EXG_GB", "POPUP_YN"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_field_of_a_layout_has_its_attribute(layout: tuple[str, int]) -> None:
    table = table_of(*layout)
    shape = records._SHAPES[table.shape]

    attributes = set(shape.__slots__) - {"width"}  # type: ignore[attr-defined] # a dataclass

    assert {field.name for field in table.fields} <= attributes
    assert {field.name for field in TABLES[layout[0]][max(TABLES[layout[0]])].fields} <= attributes


def _notice(**changes: str) -> list[str]:
    fields = dict.fromkeys((field.name for field in table_of(NOTICES, 26).fields), "")
    fields |= {
        "account": "5019920201",
        "order_no": "0000012345",
        "side_code": "02",
        "symbol": "005930",
        "time": "105531",
        "rejected_code": "0",
        "fill_code": "2",
        "accepted_code": "2",
        "fill_qty": "0000000003",
        "fill_price": "000250000",
        "order_qty": "000000010",
    }
    return list((fields | changes).values())


def test_a_notice_has_shares_only_when_it_is_a_fill() -> None:
    fill = views.notice_of(_notice())
    accepted = views.notice_of(_notice(fill_code="1", accepted_code="1"))

    assert (fill.kind, fill.fill_qty, fill.fill_price, fill.order_no) == (
        "filled",
        3,
        250_000,
        12_345,
    )
    assert (accepted.kind, accepted.fill_qty) == ("accepted", 0)
    assert "5019920201" not in repr(fill)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"rejected_code": "1", "fill_code": "1"}, "rejected"),
        ({"fill_code": "1", "revision_code": "2"}, "cancelled"),
        ({"fill_code": "1", "accepted_code": "3"}, "cancelled"),
        ({"fill_code": "1", "accepted_code": "2"}, "confirmed"),
    ],
)
def test_a_notice_says_what_happened(changes: dict[str, str], kind: str) -> None:
    assert views.notice_of(_notice(**changes)).kind == kind


def test_the_encoder_refuses_what_the_wire_cannot_say() -> None:
    record = typed(NOTICES, _notice())
    assert isinstance(record, ExecutionNotice)
    broken = dataclasses.replace(record, account="1^2")

    with pytest.raises(Fatal, match="ACNT_NO"):
        encode.frame(NOTICES, [broken])
    with pytest.raises(Fatal, match="1 to 999 records"):
        encode.frame(NOTICES, [record] * 1000)


def test_a_ratio_needs_its_two_places() -> None:
    with pytest.raises(ValueError, match="two places"):
        encode._decimal(Decimal("1.4"))


def test_program_trading_nets_out() -> None:
    body = "005930^092237^10^100^7^80^{}^-20^5^4^-1"
    good, bad = (
        typed(PROGRAM, frames.split(PROGRAM, 1, body.format(net))[0]) for net in ("-3", "3")
    )

    assert invariants(good) == ()
    assert [each.rule for each in invariants(bad)] == ["net_qty"]


def test_seconds_of_day_end_before_midnight() -> None:
    assert [views.seconds_of_day(t) for t in ("000000", "090023", "235959")] == [0, 32_423, 86_399]
