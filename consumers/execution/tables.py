"""What the desk sees of orders and positions: requested, accepted, filled, as the brokerage says.

A figure that the brokerage has not confirmed is None, never our wish for it: an order without an
answer is neither accepted nor refused, and a name without a price has no value.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from consumers.execution import orders
from consumers.execution.state import Order
from schemas.orders import OrderEvent
from schemas.portfolio import PortfolioStated
from schemas.units import Shares, Symbol, Won

UNANSWERED: Final = frozenset({"submitting", "unknown"})
NONE: Final = frozenset({"order_no", "price", "average"})
"""Columns that may have nothing to say: a market order names no price."""

NEVER_THERE: Final = frozenset({"rejected", "withheld", "resolved_absent"})
"""Ends of an order that the brokerage never had."""

HEADINGS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "order_no": "order", "symbol": "symbol", "side": "side", "type": "type",
        "price": "price", "requested": "requested", "accepted": "accepted", "filled": "filled",
        "average": "average", "status": "status", "held": "held", "cost": "cost", "mark": "mark",
        "value": "value", "buying": "buying", "selling": "selling", "unanswered": "unanswered",
        "fill_rate": "fill rate", "denied": "denied", "cash": "cash", "equity": "equity",
        "orders": "orders", "unknown": "unknown",
    },
    "ko": {
        "order_no": "주문번호", "symbol": "종목", "side": "매매구분", "type": "주문유형",
        "price": "주문가", "requested": "요청수량", "accepted": "접수수량", "filled": "체결수량",
        "average": "평균체결가", "status": "상태", "held": "보유수량", "cost": "매입금액",
        "mark": "현재가", "value": "평가금액", "buying": "매수잔량", "selling": "매도잔량",
        "unanswered": "미확인", "fill_rate": "체결률", "denied": "거부", "cash": "예수금",
        "equity": "평가자산", "orders": "주문", "unknown": "확인불가",
    },
}  # fmt: skip
"""What a column is called, by language."""


class OrderRow(NamedTuple):
    """One child order; None is what the brokerage has not said.

    Attributes:
        order_no: Brokerage's number.
        symbol: Short code.
        side: buy or sell.
        type: limit or market.
        price: Won; None for a market order.
        requested: Shares we asked for.
        accepted: Shares the brokerage took.
        filled: Shares it confirmed as filled.
        average: Won per filled share, rounded down; None without a fill.
        status: Its state, or how it ended.
    """

    order_no: str | None
    symbol: Symbol
    side: str
    type: str
    price: Won | None
    requested: Shares
    accepted: Shares | None
    filled: Shares | None
    average: Won | None
    status: str


class PositionRow(NamedTuple):
    """One name held or on order.

    Attributes:
        symbol: Short code.
        held: Shares by confirmed fills.
        cost: Won paid for them.
        mark: Newest price; None without one.
        value: Won at the mark.
        buying: Shares of accepted buys still open.
        selling: Shares of accepted sells still open.
        unanswered: Shares of orders the brokerage has not answered for.
    """

    symbol: Symbol
    held: Shares
    cost: Won
    mark: Won | None
    value: Won | None
    buying: Shares
    selling: Shares
    unanswered: Shares


def order_table(events: Sequence[OrderEvent]) -> tuple[list[OrderRow], dict[str, Any]]:
    """Return every child order and their sums, from the whole of ``orders.events``.

    Returns:
        Rows in the order they were intended; sums in shares, and ``fill_rate`` of what was
        requested, None without a request.  Unanswered orders count as requested, not as filled.
    """
    rows = [_order(each) for each in orders.ledger(events).values()]
    requested = sum(row.requested for row in rows)
    filled = sum(row.filled or 0 for row in rows)
    return rows, {
        "orders": len(rows),
        "requested": requested,
        "accepted": sum(row.accepted or 0 for row in rows),
        "filled": filled,
        "unanswered": sum(row.requested for row in rows if row.accepted is None),
        "denied": sum(1 for event in events if event.kind == "denied"),
        "fill_rate": filled / requested if requested else None,
    }


def position_table(
    stated: PortfolioStated | None, events: Iterable[OrderEvent]
) -> tuple[list[PositionRow], dict[str, Any]]:
    """Return every name held or on order, and the account's sums.

    Args:
        stated: The ledger's newest word; None before its first.
        events: The whole of ``orders.events``.
    """
    book = orders.ledger(events).values()
    held: dict[Symbol, tuple[Shares, Won, Won]] = {}
    if stated is not None:
        held = {
            symbol: (qty, cost, mark)
            for symbol, qty, cost, mark in zip(
                stated.symbols, stated.qtys, stated.costs, stated.marks, strict=True
            )
        }
    live = [each for each in book if each.status != "done"]
    symbols = sorted({*held, *(each.symbol for each in live)})
    rows = [_position(symbol, held.get(symbol), live) for symbol in symbols]
    whole = stated is not None and all(row.value is not None for row in rows)
    return rows, {
        "cash": None if stated is None else stated.cash,
        "equity": stated.equity if stated is not None and whole else None,
        "unanswered": sum(row.unanswered for row in rows),
    }


def lines(rows: Sequence[NamedTuple], sums: dict[str, Any], language: str) -> list[str]:
    """Return a table as text under headings of a language; what was not confirmed is unknown."""
    names = HEADINGS[language]
    table = [[names[field] for field in rows[0]._fields]] if rows else []
    table += [
        [
            "-" if value is None and field in NONE else _text(value, names)
            for field, value in row._asdict().items()
        ]
        for row in rows
    ]
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    body = [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        )
        for row in table
    ]
    told = (f"{names[name]} {_text(value, names)}" for name, value in sums.items())
    return [*(line.rstrip() for line in body), " · ".join(told)]


def _order(order: Order) -> OrderRow:
    unanswered = order.status in UNANSWERED and not order.order_no
    accepted = Shares(0) if not order.order_no or order.end in NEVER_THERE else order.qty
    return OrderRow(
        order_no=order.order_no or None,
        symbol=order.symbol,
        side=order.side,
        type=order.order_type,
        price=order.price or None,
        requested=order.qty,
        accepted=None if unanswered else accepted,
        filled=None if unanswered else order.filled_qty,
        average=Won(order.filled_amount // order.filled_qty) if order.filled_qty else None,
        status=order.end or order.status,
    )


def _position(
    symbol: Symbol, held: tuple[Shares, Won, Won] | None, live: Iterable[Order]
) -> PositionRow:
    qty, cost, mark = held or (Shares(0), Won(0), Won(0))
    mine = [each for each in live if each.symbol == symbol]
    leaves = {
        side: sum(e.leaves for e in mine if e.status == "open" and e.side == side)
        for side in ("buy", "sell")
    }
    known = mark > 0 or qty == 0
    return PositionRow(
        symbol=symbol,
        held=qty,
        cost=cost,
        mark=mark if mark > 0 else None,
        value=Won(qty * mark) if known else None,
        buying=Shares(leaves["buy"]),
        selling=Shares(leaves["sell"]),
        unanswered=Shares(sum(e.leaves for e in mine if e.status in UNANSWERED)),
    )


def _text(value: Any, names: dict[str, str]) -> str:
    if value is None:
        return names["unknown"]
    if isinstance(value, float):
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _width(text: str) -> int:
    """Columns on a screen: a Korean letter takes two."""
    return sum(2 if "\uac00" <= letter <= "\ud7a3" else 1 for letter in text)
