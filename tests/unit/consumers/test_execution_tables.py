"""The desk's tables: what the brokerage confirmed, and unknown where it said nothing."""

from typing import Any

import pytest

from consumers.execution.events import order_event
from consumers.execution.tables import HEADINGS, lines, order_table, position_table
from schemas.orders import OrderEvent
from schemas.portfolio import PortfolioStated
from schemas.units import Micros, Shares, Symbol, Won


def told(kind: str, intent: str = "i1", **said: Any) -> OrderEvent:
    fields = {
        "intent_id": intent, "qty": 10, "price": 100, "symbol": "005930", "side": "buy",
        "order_type": "limit", **said,
    }  # fmt: skip
    return order_event(kind, at=Micros(7), ingest=Micros(7), account="a1", event_id=kind, **fields)


def sent(intent: str = "i1", **said: Any) -> list[OrderEvent]:
    return [told(kind, intent, **said) for kind in ("intended", "approved", "submitting")]


def stated(**said: Any) -> PortfolioStated:
    fields: dict[str, Any] = {
        "ts_event": Micros(7), "ts_ingest": Micros(7), "account": "a1", "cause": "opening",
        "cash": Won(900), "symbols": (Symbol("005930"),), "qtys": (Shares(3),),
        "costs": (Won(300),), "marks": (Won(110),), "sectors": ("chips",), "equity": Won(1_230),
        "equity_previous_close": Won(1_200), "pnl_realized": Won(0), "pnl_unrealized": Won(30),
        "fees": Won(0), "taxes": Won(0), "bought": Won(300), "sold": Won(0),
    }  # fmt: skip
    return PortfolioStated(**{**fields, **said})


ACCEPTED = told("accepted", order_no="7")


@pytest.mark.parametrize(
    ("events", "accepted", "filled", "status"),
    [
        ([], None, None, "submitting"),
        ([told("unknown")], None, None, "unknown"),
        ([told("unknown"), told("resolved_absent")], 0, 0, "resolved_absent"),
        ([told("rejected")], 0, 0, "rejected"),
        ([told("withheld")], 0, 0, "withheld"),
        ([ACCEPTED, told("rejected")], 0, 0, "rejected"),
        ([ACCEPTED], 10, 0, "open"),
        ([ACCEPTED, told("filled", filled_qty=4, filled_amount=399)], 10, 4, "open"),
        ([ACCEPTED, told("filled", filled_qty=4, filled_amount=399), told("cancelled")],
         10, 4, "cancelled"),
        ([ACCEPTED, told("filled", filled_qty=10, filled_amount=1_000)], 10, 10, "filled"),
    ],
)  # fmt: skip
def test_an_order_shows_what_the_brokerage_said_and_no_more(
    events: list[OrderEvent], accepted: int | None, filled: int | None, status: str
) -> None:
    [row], sums = order_table([*sent(), *events])

    assert (row.requested, row.accepted, row.filled, row.status) == (10, accepted, filled, status)
    assert row.average == (None if not filled else 99 if filled == 4 else 100)
    assert sums["unanswered"] == (10 if accepted is None else 0)


def test_the_fill_rate_counts_unanswered_orders_as_not_filled() -> None:
    filled = [ACCEPTED, told("filled", filled_qty=10, filled_amount=1_000)]
    denied = told("denied", "", parent_id="p2")

    _, sums = order_table([*sent(), *filled, *sent("i2"), denied])

    assert (sums["fill_rate"], sums["denied"], sums["orders"]) == (0.5, 1, 2)
    assert order_table([])[1]["fill_rate"] is None


def test_a_position_counts_fills_and_shows_the_rest_beside_it() -> None:
    open_sell = [*sent("i2", side="sell"), told("accepted", "i2", side="sell", order_no="8"),
                 told("filled", "i2", side="sell", filled_qty=4, filled_amount=440)]  # fmt: skip

    [row], sums = position_table(stated(), [*sent(), *open_sell])

    assert row._asdict() == {
        "symbol": "005930", "held": 3, "cost": 300, "mark": 110, "value": 330, "buying": 0,
        "selling": 6, "unanswered": 10,
    }  # fmt: skip
    assert sums == {"cash": 900, "equity": 1_230, "unanswered": 10}


def test_a_name_without_a_price_makes_the_equity_unknown() -> None:
    [row], sums = position_table(stated(marks=(Won(0),)), [])

    assert (row.held, row.mark, row.value, sums["equity"]) == (3, None, None, None)
    assert position_table(None, []) == ([], {"cash": None, "equity": None, "unanswered": 0})


def test_the_same_columns_have_headings_in_both_languages() -> None:
    assert HEADINGS["ko"].keys() == HEADINGS["en"].keys()

    rows, sums = order_table(sent())

    assert lines(rows, sums, "ko")[0].split()[:2] == ["주문번호", "종목"]
    assert lines(rows, sums, "en")[1].split() == [
        "-", "005930", "buy", "limit", "100", "10", "unknown", "unknown", "-",
        "submitting",
    ]  # fmt: skip
    assert "fill rate 0.0%" in lines(rows, sums, "en")[-1]
    assert lines(*position_table(None, []), "ko") == [
        "예수금 확인불가 · 평가자산 확인불가 · 미확인 0"
    ]
