"""Typed records: every field of a layout, so that encoding one gives its bytes again.

Values follow ``tables.Kind``: whole and signed numbers are ``int``, ratios are ``Decimal`` with the
wire's two places, times, codes and padded digits stay text.  An empty number is None, an empty text
is "".  A field that the record's layout (``width``) does not have is None.

The hot path converts less: see ``views``.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from schemas.errors import Poison
from schemas.kis.tables import Field, Kind, table_of

Levels = tuple[int | None, ...]
"""Ten values, best level first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRecord:
    """A print (H0STCNT0, 46 or 47 fields); meanings and units in korea.md 1.4."""

    width: int
    symbol: str
    time: str
    price: int | None
    change_sign: str
    change: int | None
    change_rate: Decimal | None
    vwap: Decimal | None
    open: int | None
    high: int | None
    low: int | None
    ask: int | None
    bid: int | None
    qty: int | None
    volume_day: int | None
    turnover_day: int | None
    sell_trades: int | None
    buy_trades: int | None
    net_buy_trades: int | None
    strength: Decimal | None
    sell_volume: int | None
    buy_volume: int | None
    aggressor_code: str
    buy_share: Decimal | None
    volume_rate: Decimal | None
    open_time: str
    open_sign: str
    from_open: int | None
    high_time: str
    high_sign: str
    from_high: int | None
    low_time: str
    low_sign: str
    from_low: int | None
    business_date: str
    operation_code: str
    halted: str
    ask_qty: int | None
    bid_qty: int | None
    total_ask_qty: int | None
    total_bid_qty: int | None
    turnover_rate: Decimal | None
    previous_volume: int | None
    previous_volume_rate: Decimal | None
    phase: str
    random_end_code: str
    vi_base: int | None
    market_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookRecord:
    """Ten levels a side (H0STASP0, 59, 62 or 63 fields)."""

    width: int
    symbol: str
    time: str
    phase: str
    ask_prices: Levels
    bid_prices: Levels
    ask_qtys: Levels
    bid_qtys: Levels
    total_ask_qty: int | None
    total_bid_qty: int | None
    after_hours_ask_qty: int | None
    after_hours_bid_qty: int | None
    expected_price: int | None
    expected_qty: int | None
    expected_volume: int | None
    expected_change: int | None
    expected_sign: str
    expected_rate: Decimal | None
    volume_day: int | None
    total_ask_change: int | None
    total_bid_change: int | None
    after_hours_ask_change: int | None
    after_hours_bid_change: int | None
    deal_code: str
    mid_price: int | None = None
    mid_qty: int | None = None
    mid_code: str | None = None
    market_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOperationRecord:
    """A market operation of one symbol (H0STMKO0, H0UNMKO0, 10 or 11 fields)."""

    width: int
    symbol: str
    halted: str
    halt_reason: str
    operation_code: str
    expected_operation_code: str
    random_end_code: str
    allocation_code: str
    issue_state_code: str
    vi: str
    after_hours_vi: str
    exchange_code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionNotice:
    """An execution notice, decrypted (H0STCNI0, H0STCNI9, 23 or 26 fields)."""

    width: int
    customer_id: str
    account: str
    order_no: str
    original_order_no: str
    side_code: str
    revision_code: str
    order_kind: str
    condition_code: str
    symbol: str
    fill_qty: str
    fill_price: str
    time: str
    rejected_code: str
    fill_code: str
    accepted_code: str
    branch_no: str
    order_qty: str
    account_name: str
    stop_price: str | None = None
    exchange_code: str | None = None
    popup: str | None = None
    filler: str
    credit_code: str
    credit_loan_date: str
    issue_name: str
    order_price: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTradeRecord:
    """Program trading of one symbol (H0STPGM0, 11 fields)."""

    width: int
    symbol: str
    time: str
    sell_qty: int | None
    sell_turnover: int | None
    buy_qty: int | None
    buy_turnover: int | None
    net_buy_qty: int | None
    net_buy_turnover: int | None
    sell_resting_qty: int | None
    buy_resting_qty: int | None
    net_resting_qty: int | None


TypedRecord = (
    TradeRecord | BookRecord | MarketOperationRecord | ExecutionNotice | ProgramTradeRecord
)


def typed(tr_id: str, record: Sequence[str]) -> TypedRecord:
    """Convert every field of a record.

    Args:
        tr_id: The stream it came on.
        record: Its fields as text.

    Returns:
        The record type of that stream.

    Raises:
        Poison: The width is unknown, or a field is not written as its kind demands.
    """
    table = table_of(tr_id, len(record))
    values: dict[str, object] = {"width": table.width}
    levels: dict[str, list[object]] = {}
    for field, text in zip(table.fields, record, strict=True):
        value = _value(field, text)
        if field.level:
            levels.setdefault(field.name, []).append(value)
        else:
            values[field.name] = value
    values |= {name: tuple(column) for name, column in levels.items()}
    return _SHAPES[table.shape](**values)


def _value(field: Field, text: str) -> object:
    if not text and field.kind is not Kind.SYMBOL:
        return None if field.kind in _EMPTY_IS_NONE else ""
    if not _WRITTEN[field.kind](text):
        raise Poison(f"expected {field.element} as {field.kind.value}, was {text[:32]!r}")
    return _READ.get(field.kind, str)(text)


_EMPTY_IS_NONE: Final = frozenset({Kind.WHOLE, Kind.SIGNED, Kind.DECIMAL})

_CLOCK: Final = r"(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]"
_WRITTEN: Final[dict[Kind, Callable[[str], object]]] = {
    kind: re.compile(pattern).fullmatch
    for kind, pattern in {
        Kind.WHOLE: r"0|[1-9][0-9]{0,17}",
        Kind.SIGNED: r"0|-?[1-9][0-9]{0,17}",
        Kind.DECIMAL: r"-?(?:0|[1-9][0-9]{0,15})\.[0-9]{2}",
        Kind.DIGITS: r"[0-9]{1,18}",
        Kind.CODE: r"[0-9A-Za-z]{1,8}",
        Kind.TIME: _CLOCK,
        Kind.DATE: r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])",
        Kind.TEXT: r"[^^]{1,200}",
        Kind.SYMBOL: r"Q?[0-9A-Z]{6}",
    }.items()
}
_READ: Final[dict[Kind, Callable[[str], object]]] = {
    Kind.WHOLE: int,
    Kind.SIGNED: int,
    Kind.DECIMAL: Decimal,
}
_SHAPES: Final[dict[str, Callable[..., TypedRecord]]] = {
    "trade": TradeRecord,
    "book": BookRecord,
    "operation": MarketOperationRecord,
    "notice": ExecutionNotice,
    "program": ProgramTradeRecord,
}
