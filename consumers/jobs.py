"""Jobs on orders and the ledger: the trading decision's record, the settlement, the report."""

import html
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from consumers.execution import orders
from consumers.execution.state import Order
from infra.jobs import JobContext, Result, Stopped
from schemas.orders import OrderEvent
from schemas.portfolio import PerformanceStated, PortfolioStated
from schemas.topics import ORDERS, PERFORMANCE, POSITIONS

SETTLE_S_MAX: Final = 120.0
"""Wall seconds to wait for the last order and for the ledger to agree."""

SETTLE_STEP_S: Final = 0.25
IN_FLIGHT: Final = frozenset({"approved", "submitting", "open", "unknown"})
FIGURES: Final = ("return_", "win_rate", "sharpe", "max_drawdown")
"""The four figures of a day's result."""


class Account(NamedTuple):
    """What ``orders.events`` adds up to.

    Attributes:
        parents: Open parents.
        orders: By intent.
        counted: By intent: cumulative filled qty, amount, fee and tax already added.
        held: Shares by symbol, none at 0.
        cash: Won; opening cash and every fill, fees and taxes since.
        opened: The opening balance has come.
        closing: Brokerage's cash when it was asked again, None when it was not.
    """

    parents: set[str]
    orders: dict[str, Order]
    counted: dict[str, tuple[int, int, int, int]]
    held: dict[str, int]
    cash: int = 0
    opened: bool = False
    closing: int | None = None

    @property
    def in_flight(self) -> int:
        """How many orders may still move."""
        return sum(1 for each in self.orders.values() if each.status in IN_FLIGHT)


def trading_execution(context: JobContext) -> Result:
    """Leave a record of where trading stands: parents, orders in flight, positions.

    Thin: execution acts on signals by itself; this is the timetable's decision on record.
    """
    account = context.view.fold(ORDERS, empty, add)
    detail = (
        f"{len(account.parents)} parents open, {account.in_flight} orders in flight, "
        f"{len(account.held)} positions"
    )
    return Result("succeeded" if account.opened else "degraded", _opened(account, detail))


def daily_settlement(context: JobContext) -> Result:
    """Wait until no order is in flight, then hold the ledger to the sum of the fills, to the won.

    Thin: the brokerage's own balance is compared only when execution has asked it again.
    """
    account, stated = _settled(context)
    wrong = difference(account, stated)
    if account.closing is not None and account.closing != account.cash:
        wrong.append(f"brokerage cash {account.closing}, ours {account.cash}")
    if account.in_flight:
        wrong.append(f"{account.in_flight} orders in flight")
    if wrong:
        return Result("failed", f"expected one account, was {'; '.join(wrong)}")
    if not account.opened or stated is None:
        return Result("degraded", "expected an opening balance, was none; nothing to settle")
    asked = "agrees" if account.closing is not None else "not asked again"
    return Result(
        "succeeded",
        f"closing cut: cash {account.cash} won, {len(account.held)} positions, equity "
        f"{stated.equity}, realised {stated.pnl_realized}, unrealised {stated.pnl_unrealized}, "
        f"fees {stated.fees}, taxes {stated.taxes}; brokerage's balance {asked}",
    )


def daily_report(context: JobContext) -> Result:
    """Write the day's result as JSON and HTML under the reports' folder; again gives the same."""
    day = context.trigger.logical_date
    days = context.view.fold(PERFORMANCE, dict[int, PerformanceStated], by_day)
    stated = context.view.last_event(POSITIONS)
    result = days.get(day)
    told = report(day, result, stated)
    folder = context.settings.var_dir / "reports" / context.connection.namespace
    folder.mkdir(parents=True, exist_ok=True)
    _put(folder / f"{day}.json", json.dumps(told, indent=2) + "\n")
    _put(folder / f"{day}.html", page(told))
    if result is None:
        return Result(
            "degraded", f"expected a portfolio.performance of {day}, was none; {day}.html"
        )
    return Result(
        "succeeded",
        f"{day}.html: return {result.return_:.4%}, equity {result.equity}; skill {result.skill}",
    )


def empty() -> Account:
    """Return an account without a beginning."""
    return Account(set(), {}, {}, {})


def add(account: Account, event: OrderEvent) -> Account:
    """Add one order event; fills by the difference of their cumulative figures."""
    if event.intent_id:
        order = orders.apply(account.orders.get(event.intent_id), event)
        account.orders[event.intent_id] = order
    if event.kind == "parent_opened":
        account.parents.add(event.parent_id)
    elif event.kind == "parent_finished":
        account.parents.discard(event.parent_id)
    elif event.kind == "reconciled":
        return _reconciled(account, event)
    elif event.kind == "filled" and account.opened:
        return _filled(account, event)
    return account


def difference(account: Account, stated: PortfolioStated | None) -> list[str]:
    """Return where the ledger differs from the sum of the fills, one clause each."""
    if stated is None:
        return ["no portfolio.positions"] if account.opened else []
    ledger = {str(name): int(qty) for name, qty in zip(stated.symbols, stated.qtys, strict=True)}
    found = [
        f"{name}: ledger {ledger.get(name, 0)}, fills {account.held.get(name, 0)}"
        for name in sorted({*ledger, *account.held})
        if ledger.get(name, 0) != account.held.get(name, 0)
    ]
    if stated.cash != account.cash:
        found.append(f"cash: ledger {stated.cash}, fills {account.cash}")
    return found


def by_day(
    days: dict[int, PerformanceStated], event: PerformanceStated
) -> dict[int, PerformanceStated]:
    """Keep each day's newest result."""
    days[event.date] = event
    return days


def report(
    day: int, result: PerformanceStated | None, stated: PortfolioStated | None
) -> dict[str, Any]:
    """Return the day's result as plain values; a figure that is not known is null."""
    told: dict[str, Any] = {"date": day, "stated": result is not None}
    for name in (*FIGURES, "cost_share", "traded", "equity", "skill"):
        told[name.rstrip("_")] = getattr(result, name, None)
    told["cash"] = None if stated is None else stated.cash
    told["positions"] = (
        {} if stated is None else dict(zip(map(str, stated.symbols), stated.qtys, strict=True))
    )
    return told


def page(told: Mapping[str, Any]) -> str:
    """Return the result as one HTML page without scripts."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(_cell(value))}</td></tr>\n"
        for name, value in told.items()
    )
    title = f"AEGIS daily report {told['date']}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"</head><body><h1>{title}</h1>\n<table>\n{rows}</table></body></html>\n"
    )


def _settled(context: JobContext) -> tuple[Account, PortfolioStated | None]:
    """Return account and ledger once nothing is in flight and they agree, or after the limit."""
    for _ in range(round(SETTLE_S_MAX / SETTLE_STEP_S)):
        account = context.view.fold(ORDERS, empty, add)
        stated: PortfolioStated | None = context.view.last_event(POSITIONS)
        if not account.in_flight and not difference(account, stated):
            break
        if context.stopping.wait(SETTLE_STEP_S):
            raise Stopped
    return account, stated


def _reconciled(account: Account, event: OrderEvent) -> Account:
    if account.opened:
        return account if event.symbol else account._replace(closing=event.filled_amount)
    if event.symbol:
        account.held[event.symbol] = event.qty
        return account
    return account._replace(cash=event.filled_amount, opened=True)


def _filled(account: Account, event: OrderEvent) -> Account:
    qty, amount, fee, tax = account.counted.get(event.intent_id, (0, 0, 0, 0))
    more = event.filled_qty - qty
    if more <= 0:
        return account
    now = (event.filled_qty, event.filled_amount, event.fee, event.tax)
    account.counted[event.intent_id] = now
    sign = 1 if event.side == "buy" else -1
    held = account.held.get(event.symbol, 0) + sign * more
    account.held[event.symbol] = held
    if held == 0:
        del account.held[event.symbol]
    costs = event.fee - fee + event.tax - tax
    return account._replace(cash=account.cash - sign * (event.filled_amount - amount) - costs)


def _opened(account: Account, detail: str) -> str:
    return detail if account.opened else f"no opening balance yet; {detail}"


def _cell(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {qty}" for name, qty in value.items()) or "none"
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _put(path: Path, text: str) -> None:
    """Replace a file whole."""
    scratch = path.with_suffix(f"{path.suffix}.{os.getpid()}")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(path)
