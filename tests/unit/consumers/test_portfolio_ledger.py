"""The ledger adds up to the won, whatever arrives twice, late or out of order."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from consumers.execution.events import order_event
from consumers.portfolio import ledger as book
from consumers.portfolio import performance
from consumers.portfolio.ledger import Ledger
from consumers.portfolio.role import ROLE, State, step
from infra import snapshot
from schemas import topics
from schemas.control import JobTriggered
from schemas.orders import OrderEvent
from schemas.portfolio import PerformanceStated, PortfolioStated
from schemas.role import Batch, Record
from schemas.scores import FinalScored
from schemas.units import Micros, Symbol, Won

NINE = Micros(1_770_681_600_000_000)
"""2026-02-10 09:00 KST."""

A, B = Symbol("005930"), Symbol("000660")


def event(kind: str, at: int = 0, **said: Any) -> OrderEvent:
    moment = Micros(NINE + at)
    return order_event(
        kind, at=moment, ingest=moment, account="a1", event_id=f"{kind}-{at}", **said
    )


def opening(cash: int = 1_000_000, **holding: Any) -> list[OrderEvent]:
    held = [event("reconciled", **holding)] if holding else []
    return [*held, event("reconciled", filled_amount=cash)]


def fill(intent: str, side: str, qty: int, amount: int, **said: Any) -> OrderEvent:
    fields = {"fee": 0, "tax": 0, "symbol": A, "parent_id": f"p-{intent}", "arrival_price": 100}
    return event(
        "filled", intent_id=intent, side=side, filled_qty=qty, filled_amount=amount,
        **{**fields, **said},
    )  # fmt: skip


def run(events: list[Any]) -> tuple[State, list[Any]]:
    names = {FinalScored: topics.FINAL.name, JobTriggered: topics.TRIGGERS.name}
    records = [Record(names.get(type(e), topics.ORDERS.name), "", e) for e in events]
    done = step(State(), Batch(records, Micros(0)))
    return done.state, [output.value for output in done.outputs]


def final(price: int, symbol: Symbol = A) -> FinalScored:
    return FinalScored(
        ts_event=NINE, ts_ingest=NINE, fire_id="f", symbols=(symbol,), scores=(50.0,),
        words=("neutral",), parts=(), contributions=(), prices=(Won(price),), sectors=("",),
        level="full", regime="", weights_version="", model_hash="", lineage={},
    )  # fmt: skip


def trigger(job: str, at: int = 0) -> JobTriggered:
    moment = Micros(NINE + at)
    return JobTriggered(
        ts_event=moment, ts_ingest=moment, fire_id=f"{job}-{at}", job=job, slot=moment,
        kind="auto", target="", group="", priority=1, logical_date=20260210, schedule_hash="",
        calendar_hash="", cause="",
    )  # fmt: skip


def test_a_cumulative_fill_moves_only_by_its_difference() -> None:
    one = fill("i1", "buy", 3, 300, fee=1)
    two = fill("i1", "buy", 5, 510, fee=2)

    state, _ = run([*opening(), one, two, one, two])

    held = state.ledger.holdings[A]
    assert (held.qty, held.cost) == (5, 510)
    assert state.ledger.cash == 1_000_000 - 510 - 2
    assert state.ledger.fees == 2


def test_a_sale_takes_its_share_of_the_cost_and_the_last_share_takes_the_rest() -> None:
    start = opening(symbol=A, qty=3, filled_amount=1_000, price=400)
    state, _ = run([*start, fill("i1", "sell", 1, 500)])
    after, _ = run([*start, fill("i1", "sell", 1, 500), fill("i2", "sell", 2, 900)])

    assert state.ledger.holdings[A].cost == 667
    assert state.ledger.realized == 500 - 333
    assert after.ledger.holdings == {}
    assert after.ledger.realized == 1_400 - 1_000


def test_nothing_is_stated_before_the_opening_balance() -> None:
    state, said = run([fill("i1", "buy", 1, 100), final(100), trigger("daily_report")])

    assert (said, state.ledger) == ([], Ledger())


def test_equity_follows_the_newest_price() -> None:
    _, said = run([*opening(symbol=A, qty=10, filled_amount=1_000, price=100), final(90)])

    assert [(e.cause, e.equity, e.pnl_unrealized) for e in said] == [
        ("opening", 1_001_000, 0), ("f", 1_000_900, -100),
    ]  # fmt: skip


def test_the_day_is_stated_at_settlement_to_the_won() -> None:
    buy = fill("i1", "buy", 10, 1_010, fee=3)
    sale = fill("i2", "sell", 10, 1_100, fee=3, tax=2)

    _, said = run([*opening(), buy, sale, trigger("daily_settlement")])

    result = said[-1]
    assert isinstance(result, PerformanceStated)
    assert result.equity == 1_000_000 - 1_010 - 3 + 1_100 - 5
    assert result.return_ == 82 / 1_000_000
    assert (result.win_rate, result.traded, result.date) == (1.0, 2_110, 20260210)
    assert result.cost_share == (6 + 2 + 10 - 100) / 2_110
    assert (result.sharpe, result.skill) == (None, "not shown")


def test_the_largest_fall_counts_from_the_highest_equity() -> None:
    start = opening(cash=0, symbol=A, qty=10, filled_amount=1_000, price=100)

    state, _ = run([*start, final(120), final(90), final(110)])

    assert state.drawdown == (1_200 - 900) / 1_200


def test_a_new_day_starts_from_the_equity_of_the_last_and_weekends_have_no_return() -> None:
    day = 86_400_000_000
    start = opening(cash=0, symbol=A, qty=10, filled_amount=1_000, price=100)

    state, _ = run([*start, final(110), trigger("x", 4 * day), trigger("x", 5 * day)])

    assert state.returns == (0.1,)
    assert (state.ledger.equity_previous, state.ledger.realized) == (1_100, 0)


def test_sharpe_needs_two_days_that_differ() -> None:
    assert performance.sharpe([0.01]) is None
    assert performance.sharpe([0.01, 0.01]) is None
    assert performance.sharpe([0.01, 0.03]) == 0.02 / 0.0002**0.5 * 252**0.5


def test_an_empty_ledger_has_neither_win_rate_nor_cost_share() -> None:
    assert performance.win_rate(Ledger()) is None
    assert performance.cost_share(Ledger()) is None
    assert performance.day_return(Ledger()) == 0.0


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell"]), st.sampled_from([A, B]), st.integers(1, 5),
        st.integers(1, 9), st.integers(0, 3), st.integers(0, 3),
    ),
    max_size=8,
)  # fmt: skip


@given(orders=ORDERS, data=st.data())
def test_cash_and_costs_equal_the_opening_and_what_was_realised(
    orders: list[Any], data: st.DataObject
) -> None:
    fills: list[OrderEvent] = []
    for index, (side, symbol, steps, price, fee, tax) in enumerate(orders):
        fills += [
            fill(f"i{index}", side, n, n * price, fee=n * fee, symbol=symbol,
                 tax=n * tax if side == "sell" else 0)
            for n in range(1, steps + 1)
        ]  # fmt: skip
    start = [
        event("reconciled", symbol=symbol, qty=50, filled_amount=487, price=10) for symbol in (A, B)
    ]
    noisy = [e for e in fills for _ in range(data.draw(st.integers(1, 2)))]
    state, said = run([*start, *opening(), *noisy])
    clean, _ = run([*start, *opening(), *fills])

    ledger = state.ledger
    costs = sum(each.cost for each in ledger.holdings.values())
    assert ledger.cash + costs == 1_000_000 + 2 * 487 + ledger.realized
    assert ledger.equity == ledger.cash + costs + ledger.unrealized
    assert ledger == clean.ledger
    last = said[-1]
    assert isinstance(last, PortfolioStated)
    assert last.equity == last.cash + sum(
        qty * mark for qty, mark in zip(last.qtys, last.marks, strict=True)
    )


@given(cuts=st.lists(st.integers(0, 6), max_size=4))
def test_batches_may_be_cut_anywhere_and_the_state_can_be_saved(cuts: list[int]) -> None:
    events: list[Any] = [
        *opening(), fill("i1", "buy", 3, 300), final(120), fill("i1", "buy", 5, 510),
        trigger("daily_report"),
    ]  # fmt: skip
    whole, said = run(events)
    names = {FinalScored: topics.FINAL.name, JobTriggered: topics.TRIGGERS.name}
    records = [Record(names.get(type(e), topics.ORDERS.name), "", e) for e in events]
    edges = sorted({0, len(records), *(min(cut, len(records)) for cut in cuts)})

    state = State()
    parts: list[Any] = []
    for start, end in pairwise(edges):
        done = ROLE.step(state, Batch(records[start:end], Micros(0)))
        state = snapshot.unpack(snapshot.pack(done.state), ROLE.states)
        parts += [output.value for output in done.outputs]

    assert (state, parts) == (whole, said)


def test_a_mark_of_nothing_held_changes_nothing() -> None:
    assert book.mark(Ledger(), A, 100) == Ledger()
