"""Jobs on what streams think: the session's beginning, the minute's check, nights and weekends.

The nightly and weekly ones are thin: they read scores and write figures, no more.
"""

import json
from collections import Counter
from datetime import date
from typing import Any, Final

from infra.jobs import JobContext, Result
from schemas.krx.sessions import kst_date, session
from schemas.scores import FinalScored
from schemas.topics import FINAL, QUANT, TRADES, WINDOWS
from schemas.units import MINUTE, SECOND, Micros

STALE: Final = MINUTE
"""A fold this far behind a minute's T is called late."""

TARGETS_MAX: Final = 20
BUY: Final = "buy"


def market_open(context: JobContext) -> Result:
    """Say that the session begins, and whether decoded market data has come."""
    at = context.trigger.ts_event
    today = session(kst_date(at))
    if today is None:
        return Result("failed", f"expected a session on {kst_date(at)}, was a closed day")
    mark = context.view.time_of(TRADES)
    detail = f"open until {_clock(today.close)}; market.trades {_lag(mark, at)}"
    return Result("succeeded" if mark is not None else "degraded", detail)


def market_monitoring(context: JobContext) -> Result:
    """Check that the window fold lives: how far behind this minute its time is."""
    at = context.trigger.ts_event
    mark = context.view.time_of(WINDOWS)
    alive = mark is not None and at - mark <= STALE
    return Result("succeeded" if alive else "degraded", f"features.windows {_lag(mark, at)}")


def nightly_backtest(context: JobContext) -> Result:
    """Value the day's buy words by its last prices: the mean return of each snapshot's buys.

    Thin: one day, equal weights, no costs; a whole backtest is not in this version.
    """
    day = date.fromisoformat(str(context.trigger.logical_date))
    found = context.view.fold(FINAL, dict[str, Any], buys)
    prices: dict[str, int] = found.get("prices", {})
    moves = [
        prices[symbol] / paid - 1.0
        for at, symbol, paid in found.get("buys", [])
        if kst_date(at) == day and paid > 0 and prices.get(symbol, 0) > 0
    ]
    if not moves:
        return Result("degraded", f"expected buy words on {day}, was none; nothing to value")
    up = sum(1 for each in moves if each > 0)
    mean_bps = 1e4 * sum(moves) / len(moves)
    return Result(
        "succeeded",
        f"{len(moves)} buy words of {day}: {mean_bps:.1f} bps to the day's last price, {up} up, "
        "before costs; skill not shown",
    )


def weekly_rebalancing(context: JobContext) -> Result:
    """Write equal target weights of the newest buys for the next session; trades nothing.

    Thin: the newest snapshot's buys, the best ``TARGETS_MAX`` of them.
    """
    newest = context.view.last_event(FINAL)
    if newest is None:
        return Result("degraded", "expected a scores.final, was none; no targets")
    rows = zip(newest.scores, newest.symbols, newest.words, strict=True)
    chosen = sorted(((s, name) for s, name, word in rows if word == BUY), reverse=True)
    names = [str(name) for _, name in chosen[:TARGETS_MAX]]
    targets = {name: 1.0 / len(names) for name in names}
    folder = context.settings.var_dir / "targets" / context.connection.namespace
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{context.trigger.logical_date}.json"
    told = {"as_of": newest.ts_event, "fire_id": newest.fire_id, "targets": targets}
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return Result("succeeded" if names else "degraded", f"{len(names)} targets in {path.name}")


def factor_recalculation(context: JobContext) -> Result:
    """Say each factor's coverage and weight in the newest quant snapshot.

    Thin: factors are calculated at every snapshot anyway; weights are learned after each close.
    """
    newest = context.view.last_event(QUANT)
    if newest is None:
        return Result("degraded", "expected a scores.quant, was none; nothing to state")
    said = ", ".join(
        f"{name} {newest.coverage.get(name, 0.0):.0%} at {weight:.3f}"
        for name, weight in zip(newest.factors, newest.weights, strict=True)
    )
    return Result("succeeded", f"{newest.regime}: {said}")


def buys(found: dict[str, Any], event: FinalScored) -> dict[str, Any]:
    """Keep every buy word with its price, and the newest price of each name."""
    bought = found.setdefault("buys", [])
    prices = found.setdefault("prices", {})
    for symbol, word, price in zip(event.symbols, event.words, event.prices, strict=True):
        prices[str(symbol)] = int(price)
        if word == BUY:
            bought.append((event.ts_event, str(symbol), int(price)))
    counts = found.setdefault("words", Counter())
    counts.update(event.words)
    return found


def _lag(mark: Micros | None, at: Micros) -> str:
    if mark is None:
        return "has not begun"
    return f"is {max(at - mark, 0) / SECOND:.0f} s behind {_clock(at)}"


def _clock(at: Micros) -> str:
    minutes = (at // MINUTE + 9 * 60) % (24 * 60)
    return f"{minutes // 60:02}:{minutes % 60:02}"
