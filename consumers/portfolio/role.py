"""Portfolio: a fold of ``orders.events`` and prices into positions and the day's result.

Positions are stated after every record that moves them, the day's result when the settlement
after the close and the daily report are triggered.  Until the opening balance has come, fills
move nothing and nothing is stated: a ledger without a beginning would be a guess.
"""

from datetime import date
from typing import Any, Final, NamedTuple

from consumers.portfolio import ledger as book
from consumers.portfolio import performance
from consumers.portfolio.ledger import Holding, Ledger, Seen
from schemas import topics
from schemas.control import JobTriggered
from schemas.krx.sessions import kst_date, session
from schemas.orders import OrderEvent
from schemas.portfolio import PortfolioStated
from schemas.role import Batch, Limits, Output, Record, Role, Step, command, reference
from schemas.scores import FinalScored
from schemas.topics import Topic
from schemas.units import Micros, Symbol

SETTLEMENTS: Final = frozenset({"daily_settlement", "daily_report"})
"""Jobs whose trigger asks for the day's result."""

RETURNS_MAX: Final = 1_000
"""Days of returns that are kept."""


class State(NamedTuple):
    """The ledger and what the days before left.

    Attributes:
        now: Newest instant seen.
        ingest: Of the record at hand.
        account: Keyed hash, empty until the balance came.
        day: Day in Korea as an ordinal.
        ledger: The account.
        returns: Of the days before.
        peak: Highest equity known.
        drawdown: Largest fall from a peak so far, 0..1.
    """

    now: Micros = Micros(0)
    ingest: Micros = Micros(0)
    account: str = ""
    day: int = 0
    ledger: Ledger = Ledger()
    returns: tuple[float, ...] = ()
    peak: int = 0
    drawdown: float = 0.0


def step(state: State, batch: Batch) -> Step:
    """Fold a batch of records; how the records are cut into batches changes nothing."""
    outputs: list[Output] = []
    for record in batch.records:
        state = _at(state, record.value.ts_event, record.value.ts_ingest)
        state = _take(state, record, outputs)
    return Step(state, outputs)


def _take(state: State, record: Record, outputs: list[Output]) -> State:
    value = record.value
    if record.topic == topics.FINAL.name:
        return _marks(state, value, outputs)
    if record.topic == topics.TRIGGERS.name:
        return _trigger(state, value, outputs)
    return _order(state, value, outputs)


def _order(state: State, event: OrderEvent, outputs: list[Output]) -> State:
    ledger = state.ledger
    if event.kind == "reconciled" and not ledger.opened:
        if event.symbol:
            return state._replace(ledger=book.hold(ledger, event))
        state = state._replace(account=event.account, ledger=book.open_cash(ledger, event))
        return _state(state, "opening", outputs)
    if not ledger.opened:
        return state
    if event.kind == "filled":
        moved = book.fill(ledger, event)
    elif event.kind == "quoted":
        moved = book.mark(ledger, event.symbol, event.price)
    else:
        return state
    if moved == ledger:
        return state
    return _state(state._replace(ledger=moved), event.event_id, outputs)


def _marks(state: State, final: FinalScored, outputs: list[Output]) -> State:
    ledger = state.ledger
    for symbol, price in zip(final.symbols, final.prices, strict=True):
        ledger = book.mark(ledger, symbol, price)
    if ledger == state.ledger or not ledger.opened:
        return state
    return _state(state._replace(ledger=ledger), final.fire_id, outputs)


def _trigger(state: State, job: JobTriggered, outputs: list[Output]) -> State:
    if job.job not in SETTLEMENTS or not state.ledger.opened:
        return state
    state = _state(state, "close", outputs)
    result = performance.stated(
        state.ledger, day=_today(state), account=state.account, returns=state.returns,
        drawdown=state.drawdown, at=state.now, ingest=state.ingest,
    )  # fmt: skip
    outputs.append(Output(topics.PERFORMANCE, state.account, result))
    return state


def _state(state: State, cause: str, outputs: list[Output]) -> State:
    """Say the ledger as it stands, and keep the highest equity and the deepest fall."""
    ledger = state.ledger
    rows = sorted(ledger.holdings.items())
    stated = PortfolioStated(
        ts_event=state.now,
        ts_ingest=state.ingest,
        account=state.account,
        cause=cause,
        cash=ledger.cash,
        symbols=tuple(Symbol(symbol) for symbol, _ in rows),
        qtys=tuple(each.qty for _, each in rows),
        costs=tuple(each.cost for _, each in rows),
        marks=tuple(each.mark for _, each in rows),
        sectors=tuple(each.sector for _, each in rows),
        equity=ledger.equity,
        equity_previous_close=ledger.equity_previous,
        pnl_realized=ledger.realized,
        pnl_unrealized=ledger.unrealized,
        fees=ledger.fees,
        taxes=ledger.taxes,
        bought=ledger.bought,
        sold=ledger.sold,
    )
    outputs.append(_output(topics.POSITIONS, state, stated))
    peak = max(state.peak, ledger.equity)
    fall = (peak - ledger.equity) / peak if peak > 0 else 0.0
    return state._replace(peak=peak, drawdown=max(state.drawdown, fall))


def _at(state: State, instant: Micros, ingest: Micros) -> State:
    now = max(state.now, instant)
    day = kst_date(now).toordinal()
    if day > state.day:
        state = _roll(state)._replace(day=day)
    return state._replace(now=now, ingest=ingest)


def _roll(state: State) -> State:
    """End a day; only days with a session have a return."""
    if not state.ledger.opened or session(_today(state)) is None:
        return state
    returns = (*state.returns, performance.day_return(state.ledger))[-RETURNS_MAX:]
    return state._replace(ledger=book.next_day(state.ledger), returns=returns)


def _today(state: State) -> date:
    return date.fromordinal(state.day)


def _output(topic: Topic, state: State, event: Any) -> Output:
    return Output(topic, state.account, event)


ROLE: Final = Role(
    name="portfolio",
    version=1,
    scope="universe",
    inputs=(reference(topics.FINAL), command(topics.ORDERS), command(topics.TRIGGERS)),
    outputs=(topics.POSITIONS, topics.PERFORMANCE),
    initial=State(),
    step=step,
    states=(State, Ledger, Holding, Seen),
    limits=Limits(),
)
