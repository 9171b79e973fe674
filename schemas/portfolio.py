"""The ledger's state."""

from dataclasses import dataclass

from schemas.units import Micros, Shares, Symbol, Won


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioStated:
    """The account as the ledger has it, after one event.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        account: Keyed hash; also the key.
        cause: Event id, or opening or close.
        cash: Trade-date cash, fees and tax taken.
        symbols: Held.
        qtys: Held.
        costs: Total cost basis of each.
        marks: Last known price of each.
        sectors: Of each.
        equity: Cash plus marks.
        equity_previous_close: Of the session before.
        pnl_realized: Today, fees and tax in.
        pnl_unrealized: Of what is held.
        fees: Today.
        taxes: Today.
        bought: Today.
        sold: Today.
    """

    ts_event: Micros
    ts_ingest: Micros
    account: str
    cause: str
    cash: Won
    symbols: tuple[Symbol, ...]
    qtys: tuple[Shares, ...]
    costs: tuple[Won, ...]
    marks: tuple[Won, ...]
    sectors: tuple[str, ...]
    equity: Won
    equity_previous_close: Won
    pnl_realized: Won
    pnl_unrealized: Won
    fees: Won
    taxes: Won
    bought: Won
    sold: Won


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceStated:
    """A day's result.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        account: Keyed hash; also the key.
        date: yyyymmdd.
        equity: At the close.
        return_: On the previous close's equity.
        win_rate: Share of closed trades with a gain, null when none closed.
        sharpe: Annualised, null under two days.
        max_drawdown: Of the days known.
        cost_share: (fee + tax + slippage) / traded won.
        traded: Bought plus sold.
        skill: shown or not shown.
    """

    ts_event: Micros
    ts_ingest: Micros
    account: str
    date: int
    equity: Won
    return_: float
    win_rate: float | None = None
    sharpe: float | None = None
    max_drawdown: float | None = None
    cost_share: float | None = None
    traded: Won
    skill: str
