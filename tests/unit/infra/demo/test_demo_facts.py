"""The figures of a day's JSON line, from a handful of events counted by hand."""

from typing import Any

from consumers.execution.events import order_event
from infra.demo.facts import cost_share, order_counts, order_latency, quantiles
from schemas.orders import OrderEvent, OrderReport
from schemas.units import MILLISECOND, SECOND, Micros, Shares, Symbol, Won

NINE = Micros(1_770_681_600_000_000)


def event(kind: str, market_s: int = 0, wall_ms: int = 0, **said: Any) -> OrderEvent:
    at, seen = Micros(NINE + market_s * SECOND), Micros(NINE + wall_ms * MILLISECOND)
    return order_event(kind, at=at, ingest=seen, account="a", event_id="e", **said)


LIFE = [
    event("parent_opened", parent_id="p1", wall_ms=100),
    event("submitting", parent_id="p1", intent_id="i1"),
    event("unknown", parent_id="p1", intent_id="i1"),
    event("accepted", 1, 130, parent_id="p1", intent_id="i1", order_no="1", qty=10),
    event("filled", 4, intent_id="i1", order_no="1", qty=10, filled_qty=4),
    event("filled", 9, intent_id="i1", order_no="1", qty=10, filled_qty=10),
    event("submitting", parent_id="p1", intent_id="i2"),
    event("accepted", 10, 900, parent_id="p1", intent_id="i2", order_no="2", qty=5),
    event("cancelled", 20, intent_id="i2", order_no="2", qty=5),
    event("parent_opened", parent_id="p2", wall_ms=200),
    event("denied", parent_id="p2", intent_id="i3"),
    event("submitting", parent_id="p2", intent_id="i4"),
    event("rejected", parent_id="p2", intent_id="i4"),
    event("submitting", parent_id="p2", intent_id="i5"),
    event("unknown", parent_id="p2", intent_id="i5"),
]


def test_orders_are_counted_by_what_became_of_them() -> None:
    assert order_counts(LIFE) == {
        "parents": 2,
        "orders": 4,
        "fills": 2,
        "partial_fills": 1,
        "cancels": 1,
        "rejects": 1,
        "denied": 1,
        "unknowns": 2,
        "unknowns_resolved": 1,
    }


def test_latency_runs_from_the_parent_to_its_first_order_and_from_an_order_to_its_first_fill() -> (
    None
):
    assert order_latency(LIFE) == {
        "signal_to_order": {"p50": 30.0, "p99": 30.0},
        "order_to_fill": {"p50": 3_000.0, "p99": 3_000.0},
    }
    assert order_latency([])["order_to_fill"] == {"p50": None, "p99": None}


def test_quantiles_are_values_that_occurred() -> None:
    assert quantiles([5.0, 1.0, 4.0, 2.0, 3.0]) == {"p50": 3.0, "p99": 4.0}


def report(amount: int, fee: int, tax: int, slippage: int) -> OrderReport:
    return OrderReport(
        ts_event=NINE, ts_ingest=NINE, parent_id="p", account="a", signal_id="s",
        symbol=Symbol("005930"), side="sell", qty=Shares(1), filled_qty=Shares(1),
        filled_amount=Won(amount), arrival_price=Won(1), fee=Won(fee), tax=Won(tax),
        slippage=Won(slippage), children=1, cancels=0, opened=NINE, reason="",
    )  # fmt: skip


def test_the_cost_share_is_of_all_won_traded() -> None:
    assert cost_share([report(1_000, 1, 2, -5), report(3_000, 3, 4, 15), report(0, 0, 0, 0)]) == (
        20 / 4_000
    )
    assert cost_share([report(0, 0, 0, 0)]) is None
