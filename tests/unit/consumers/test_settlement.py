"""The settlement's own sum of the fills, and how it is held against the ledger."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consumers import jobs
from consumers.execution.events import order_event
from consumers.jobs import Account
from schemas.orders import OrderEvent
from schemas.portfolio import PortfolioStated
from schemas.units import Micros, Shares, Symbol, Won

AT = Micros(1)


def event(kind: str, **said: Any) -> OrderEvent:
    return order_event(kind, at=AT, ingest=AT, account="a", event_id="", cause="", **said)


def opening(cash: int, **held: int) -> list[OrderEvent]:
    rows = [event("reconciled", symbol=name, qty=qty) for name, qty in held.items()]
    return [*rows, event("reconciled", symbol="", filled_amount=cash)]


def order(name: str, side: str, qty: int, price: int, symbol: str = "X") -> list[OrderEvent]:
    fields: dict[str, Any] = {"intent_id": name, "symbol": symbol, "side": side, "qty": qty}
    half = qty // 2
    return [
        event("intended", **fields),
        event("approved", **fields),
        event("submitting", **fields),
        event("accepted", **fields),
        event("filled", **fields, filled_qty=half, filled_amount=half * price, fee=1),
        event("filled", **fields, filled_qty=half, filled_amount=half * price, fee=1),
        event("filled", **fields, filled_qty=qty, filled_amount=qty * price, fee=3, tax=2),
    ]


def account(events: list[OrderEvent]) -> Account:
    found = jobs.empty()
    for each in events:
        found = jobs.add(found, each)
    return found


def stated(cash: int, **held: int) -> PortfolioStated:
    none = tuple(Won(0) for _ in held)
    return PortfolioStated(
        ts_event=AT,
        ts_ingest=AT,
        account="a",
        cause="",
        cash=Won(cash),
        symbols=tuple(Symbol(each) for each in held),
        qtys=tuple(Shares(each) for each in held.values()),
        costs=none,
        marks=none,
        sectors=tuple("" for _ in held),
        equity=Won(cash),
        equity_previous_close=Won(cash),
        pnl_realized=Won(0),
        pnl_unrealized=Won(0),
        fees=Won(0),
        taxes=Won(0),
        bought=Won(0),
        sold=Won(0),
    )


def test_a_repeated_cumulative_fill_counts_once_and_cash_is_exact() -> None:
    found = account([*opening(10_000, X=4), *order("1", "buy", 10, 100)])

    assert (found.held, found.cash, found.in_flight) == ({"X": 14}, 10_000 - 1_000 - 5, 0)
    assert jobs.difference(found, stated(8_995, X=14)) == []


def test_one_won_or_one_share_of_difference_is_named() -> None:
    found = account([*opening(10_000), *order("1", "buy", 10, 100)])

    assert jobs.difference(found, stated(8_996, X=9)) == [
        "X: ledger 9, fills 10",
        "cash: ledger 8996, fills 8995",
    ]


def test_an_order_is_in_flight_from_its_approval_to_its_end() -> None:
    steps = order("1", "sell", 10, 100)[:4]

    assert [account(steps[: n + 1]).in_flight for n in range(4)] == [0, 1, 1, 1]
    over = event("cancelled", intent_id="1", symbol="X", side="sell", qty=10)
    assert account([*steps, over]).in_flight == 0


@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(2, 50)), max_size=8))
def test_shares_and_cash_are_the_sum_of_whole_fills(trades: list[tuple[str, int]]) -> None:
    events = [*opening(1_000_000, X=1_000)]
    for number, (side, qty) in enumerate(trades):
        events += order(str(number), side, qty, 100)
    found = account(events)

    net = sum(qty if side == "buy" else -qty for side, qty in trades)
    assert found.held == {"X": 1_000 + net}
    assert found.cash == 1_000_000 - 100 * net - 5 * len(trades)


def test_the_reports_page_says_not_known_for_a_figure_that_is_null() -> None:
    told = jobs.report(20260210, None, stated(5, X=2))

    assert told["stated"] is False
    assert (told["sharpe"], told["cash"], told["positions"]) == (None, 5, {"X": 2})
    assert "<td>not known</td>" in jobs.page(told)
    assert "X 2" in jobs.page(told)
