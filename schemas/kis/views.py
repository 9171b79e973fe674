"""What the hot path needs of a record: a few fields, converted once, in a named tuple.

A view trusts the layout that ``frames.parse`` checked and converts with ``int``; a field that is no
number, is above 18 digits or below zero where nothing can be is ``Poison``.  ``records.typed``
reads everything.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.errors import Poison
from schemas.kis.tables import BOOK_LEVELS, INTEGER_DIGITS_MAX
from schemas.units import Shares, Symbol, Won

AGGRESSORS: Final = {"1": "buy", "5": "sell"}
"""CCLD_DVSN; 3 is a call auction's print and has none."""

PHASE_CONTINUOUS: Final = "0"

SYMBOL_CHARS: Final = (6, 7)
"""A short code; an ETN has a leading Q."""

_LIMIT: Final = 10**INTEGER_DIGITS_MAX


class TradeView(NamedTuple):
    """A print (H0STCNT0).

    Attributes:
        symbol: Short code.
        time: HHMMSS, KST, one-second resolution.
        business_date: YYYYMMDD.
        price: Won; may be off the tick grid.
        qty: Shares of this print.
        volume_day: Shares today; grows with every print of the feed, so it identifies one.
        turnover_day: Won today.
        aggressor: buy, sell or none.
        bid: Best bid, won.
        ask: Best ask, won.
        bid_qty: Shares at the best bid.
        ask_qty: Shares at the best ask.
        phase: HOUR_CLS_CODE as received: 0 continuous, A B C D expected.
        halted: TRHT_YN is Y.
        vi_base: Static VI base, won.
    """

    symbol: Symbol
    time: str
    business_date: str
    price: Won
    qty: Shares
    volume_day: Shares
    turnover_day: Won
    aggressor: str
    bid: Won
    ask: Won
    bid_qty: Shares
    ask_qty: Shares
    phase: str
    halted: bool
    vi_base: Won


class BookView(NamedTuple):
    """Ten levels a side (H0STASP0); it has no date of its own.

    Attributes:
        symbol: Short code.
        time: HHMMSS, KST.
        phase: HOUR_CLS_CODE as received.
        ask_prices: Ascending won, 0 when empty.
        bid_prices: Descending won, 0 when empty.
        ask_qtys: Shares.
        bid_qtys: Shares.
        ask_total: Ten levels, shares.
        bid_total: Ten levels, shares.
        expected_price: Won; 0 in continuous trading.
        expected_qty: Shares; 0 in continuous trading.
        volume_day: Shares today.
    """

    symbol: Symbol
    time: str
    phase: str
    ask_prices: tuple[Won, ...]
    bid_prices: tuple[Won, ...]
    ask_qtys: tuple[Shares, ...]
    bid_qtys: tuple[Shares, ...]
    ask_total: Shares
    bid_total: Shares
    expected_price: Won
    expected_qty: Shares
    volume_day: Shares


class OperationView(NamedTuple):
    """A market operation (H0STMKO0).

    Attributes:
        symbol: Short code.
        halted: TRHT_YN is Y.
        reason: Why it is halted, "" when none is given.
        code: MKOP_CLS_CODE as received, "" when none; codes we do not know occur.
        expected_code: ANTC_MKOP_CLS_CODE as received.
        vi: VI_CLS_CODE is Y.
    """

    symbol: Symbol
    halted: bool
    reason: str
    code: str
    expected_code: str
    vi: bool


class NoticeView(NamedTuple):
    """An execution notice, decrypted; a hint, positions move by the listing.

    Attributes:
        account: As received; notices of all accounts of the HTS id arrive: filter.
        order_no: As a number: the wire pads it, REST may not.
        original_order_no: Of a correction or a cancel, 0 when none.
        symbol: Short code.
        side: buy or sell, "" when unknown.
        kind: filled, rejected, cancelled, confirmed or accepted.
        fill_qty: Shares of this fill; 0 unless ``kind`` is filled.
        fill_price: Won; 0 unless ``kind`` is filled.
        order_qty: Shares ordered.
        order_price: Won, 0 when absent.
        time: HHMMSS, KST.
        branch_no: Needed as KRX_FWDG_ORD_ORGNO.
    """

    account: str
    order_no: int
    original_order_no: int
    symbol: Symbol
    side: str
    kind: str
    fill_qty: Shares
    fill_price: Won
    order_qty: Shares
    order_price: Won
    time: str
    branch_no: str

    def __repr__(self) -> str:
        """Return the notice without its account."""
        return f"NoticeView(order_no={self.order_no}, kind={self.kind}, symbol={self.symbol})"


def trade_of(record: Sequence[str]) -> TradeView:
    """Read what ``market.trades`` needs.

    Args:
        record: Fields of an H0STCNT0 record, 46 or 47, as ``frames.parse`` gave them.

    Returns:
        The print.

    Raises:
        Poison: A number is not one, or is out of range.
    """
    try:
        price = int(record[2])
        qty = int(record[12])
        volume = int(record[13])
        turnover = int(record[14])
        ask = int(record[10])
        bid = int(record[11])
        ask_qty = int(record[36])
        bid_qty = int(record[37])
        vi_base = int(record[45] or 0)
    except ValueError as error:
        raise Poison(f"expected whole numbers in H0STCNT0, was {_brief(record)}") from error
    if (
        price <= 0
        or qty < 0
        or min(ask, bid, ask_qty, bid_qty, vi_base) < 0
        or volume < qty
        or turnover < 0
        or max(price, volume, turnover, ask, bid, ask_qty, bid_qty, vi_base) >= _LIMIT
    ):
        raise Poison(f"expected a print with price > 0 and counts >= 0, was {_brief(record)}")
    return TradeView(
        _symbol(record[0]),
        _time(record[1]),
        record[33],
        Won(price),
        Shares(qty),
        Shares(volume),
        Won(turnover),
        AGGRESSORS.get(record[21], "none"),
        Won(bid),
        Won(ask),
        Shares(bid_qty),
        Shares(ask_qty),
        record[43],
        record[35] == "Y",
        Won(vi_base),
    )


def book_of(record: Sequence[str]) -> BookView:
    """Read what ``market.books`` needs.

    Args:
        record: Fields of an H0STASP0 record, 59, 62 or 63, as ``frames.parse`` gave them.

    Returns:
        The snapshot.

    Raises:
        Poison: A number is not one, or is out of range.
    """
    try:
        numbers = tuple(map(int, record[3:45]))
        expected_price = int(record[47] or 0)
        expected_qty = int(record[48] or 0)
        volume = int(record[53] or 0)
    except ValueError as error:
        raise Poison(f"expected whole numbers in H0STASP0, was {_brief(record)}") from error
    if (
        min(numbers) < 0
        or max(numbers) >= _LIMIT
        or not 0 <= expected_price < _LIMIT
        or not 0 <= expected_qty < _LIMIT
        or not 0 <= volume < _LIMIT
    ):
        raise Poison(f"expected a book with numbers >= 0, was {_brief(record)}")
    a, b, c, d = BOOK_LEVELS, 2 * BOOK_LEVELS, 3 * BOOK_LEVELS, 4 * BOOK_LEVELS
    return BookView(
        _symbol(record[0]),
        _time(record[1]),
        record[2],
        numbers[:a],  # type: ignore[arg-type] # ints become Won and Shares by name only
        numbers[a:b],  # type: ignore[arg-type] # ints become Won and Shares by name only
        numbers[b:c],  # type: ignore[arg-type] # ints become Won and Shares by name only
        numbers[c:d],  # type: ignore[arg-type] # ints become Won and Shares by name only
        Shares(numbers[d]),
        Shares(numbers[d + 1]),
        Won(expected_price),
        Shares(expected_qty),
        Shares(volume),
    )


def operation_of(record: Sequence[str]) -> OperationView:
    """Read a market operation: fields of an H0STMKO0 record, 10 or 11."""
    return OperationView(
        symbol=_symbol(record[0]),
        halted=record[1] == "Y",
        reason="" if record[2] == "(null)" else record[2],
        code=record[3],
        expected_code=record[4],
        vi=record[8] == "Y",
    )


def notice_of(record: Sequence[str]) -> NoticeView:
    """Read an execution notice.

    Args:
        record: Fields of a decrypted H0STCNI0 or H0STCNI9 record, 23 or 26.

    Returns:
        What happened to which order.

    Raises:
        Poison: A number is not one.
    """
    kind = _notice_kind(record)
    filled = kind == "filled"
    return NoticeView(
        account=record[1],
        order_no=_digits(record[2]),
        original_order_no=_digits(record[3] or "0"),
        symbol=_symbol(record[8]),
        side={"01": "sell", "02": "buy"}.get(record[4], ""),
        kind=kind,
        fill_qty=Shares(_digits(record[9]) if filled else 0),
        fill_price=Won(_digits(record[10]) if filled else 0),
        order_qty=Shares(_digits(record[16] or "0")),
        order_price=Won(_digits(record[-1] or "0")),
        time=_time(record[11]),
        branch_no=record[15],
    )


def seconds_of_day(time: str) -> int:
    """Return the seconds since midnight of a checked HHMMSS."""
    return int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:])


def _symbol(text: str) -> Symbol:
    if len(text) in SYMBOL_CHARS and text.isascii() and text.isalnum():
        return Symbol(text)
    raise Poison(f"expected a short code of 6 characters, was {text[:16]!r}")


def _time(text: str) -> str:
    if text in _TIMES:
        return text
    raise Poison(f"expected HHMMSS, was {text[:16]!r}")


def _notice_kind(record: Sequence[str]) -> str:
    if record[12] in {"1", "Y"}:
        return "rejected"
    if record[13] == "2":
        return "filled"
    if record[5] == "2" or record[14] == "3":
        return "cancelled"
    return "confirmed" if record[14] == "2" else "accepted"


def _digits(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= INTEGER_DIGITS_MAX:
        return int(text)
    raise Poison(f"expected digits, was {text[:32]!r}")


def _brief(record: Sequence[str]) -> str:
    return repr("^".join(record[:16])[:120])


_TIMES: Final = frozenset(
    f"{hour:02}{minute:02}{second:02}"
    for hour in range(24)
    for minute in range(60)
    for second in range(60)
)
"""Every second of a day: a look-up is the cheapest complete check."""
