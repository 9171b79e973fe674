"""The figures of a day, from its topics: pure functions of decoded events."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from infra.demo.scrape import Figures
from infra.exchange.journal import read_journal
from schemas import topics
from schemas.orders import OrderEvent

BUDGETS_S: Final = {
    "screen": 30, "quant": 45, "ai": 60, "final": 5, "signal": 5, "validate": 2,
}  # fmt: skip
"""The brief's times per stage (data-flow document, sections 3.2, 3.3 and 4)."""


def quantiles(values: Sequence[float]) -> dict[str, float | None]:
    """Return p50 and p99, None when there is nothing."""
    if not values:
        return {"p50": None, "p99": None}
    ranked = sorted(values)
    return {
        "p50": round(ranked[int(0.50 * (len(ranked) - 1))], 3),
        "p99": round(ranked[int(0.99 * (len(ranked) - 1))], 3),
    }


def order_counts(events: Sequence[OrderEvent]) -> dict[str, int]:
    """Return how many of each: parents, orders, fills, partial fills and so on."""
    kinds: dict[str, int] = {}
    for each in events:
        kinds[each.kind] = kinds.get(each.kind, 0) + 1
    unknown = {each.intent_id for each in events if each.kind == "unknown"}
    known = {
        each.intent_id
        for each in events
        if each.kind in {"accepted", "rejected", "resolved_absent"} and each.intent_id in unknown
    }
    return {
        "parents": kinds.get("parent_opened", 0),
        "orders": kinds.get("submitting", 0),
        "fills": kinds.get("filled", 0),
        "partial_fills": sum(e.kind == "filled" and e.filled_qty < e.qty for e in events),
        "cancels": kinds.get("cancelled", 0),
        "rejects": kinds.get("rejected", 0),
        "denied": kinds.get("denied", 0),
        "unknowns": len(unknown),
        "unknowns_resolved": len(known),
    }


def order_latency(events: Sequence[OrderEvent]) -> dict[str, dict[str, float | None]]:
    """Return signal to accepted order (wall ms) and order to fill (market ms)."""
    opened = {each.parent_id: each.ts_ingest for each in events if each.kind == "parent_opened"}
    accepted: dict[str, OrderEvent] = {}
    first: dict[str, float] = {}
    fills: list[float] = []
    for each in events:
        if each.kind == "accepted":
            accepted.setdefault(each.order_no, each)
            if each.parent_id in opened and each.parent_id not in first:
                first[each.parent_id] = (each.ts_ingest - opened[each.parent_id]) / 1e3
        if each.kind == "filled" and each.order_no in accepted:
            order = accepted.pop(each.order_no)
            fills.append(max(each.ts_event - order.ts_event, 0) / 1e3)
    return {
        "signal_to_order": quantiles(list(first.values())),
        "order_to_fill": quantiles(fills),
    }


def cost_share(reports: Sequence[Any]) -> float | None:
    """Return (fee + tax + slippage) / traded won over all reports, None when nothing traded."""
    traded = sum(each.filled_amount for each in reports)
    if not traded:
        return None
    return float(sum(each.fee + each.tax + each.slippage for each in reports) / traded)


def last_by_key(events: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    """Return each key's newest event."""
    return dict(events)


ROLES: Final = {
    "screen": "scores.screen", "quant": "scores.quant", "final": "scores.final",
    "signal": "signals", "validate": "execution",
}  # fmt: skip


def stages(run: Any, figures: Figures) -> dict[str, Any]:
    """Return each stage's p50 and p99 in seconds beside the brief's budget."""
    elapsed = [each.elapsed / 1e6 for each in run.of(topics.AI) if each.level == "on"]
    found: dict[str, Any] = {"ai": quantiles(elapsed)}
    for stage, role in ROLES.items():
        ms = figures.quantiles_ms("aegis_step_seconds", role)
        found[stage] = {k: None if v is None else round(v / 1e3, 4) for k, v in ms.items()}
    return {stage: {**found[stage], "budget": BUDGETS_S[stage]} for stage in BUDGETS_S}


def day_facts(run: Any, played: Any) -> dict[str, Any]:
    """Return the figures of a day's JSON line, from the run's own events."""
    screens, quants = run.of(topics.SCREEN), run.of(topics.QUANT)
    orders, reports = run.of(topics.ORDERS), run.of(topics.REPORTS)
    positions = run.of(topics.POSITIONS)
    last = positions[-1] if positions else None
    faults = read_journal(played.journal).faults if played.journal.exists() else []
    newest = screens[-1] if screens else None
    return {
        "universe": max((each.considered for each in screens), default=0),
        "screened": len(newest.symbols) if newest is not None else 0,
        "streamed": len(newest.polled) - sum(newest.polled) if newest is not None else 0,
        "polled": sum(newest.polled) if newest is not None else 0,
        "factor_coverage": dict(quants[-1].coverage) if quants else {},
        "events_by_topic": run.counts,
        "lag_seconds_max": round(max(played.figures.lag_s.values(), default=0.0), 1),
        "latency_ms": {
            "trade_to_feature": played.figures.quantiles_ms(
                "aegis_event_age_seconds", "features.windows"
            ),
            **order_latency(orders),
        },
        "stage_s": stages(run, played.figures),
        "speed_reached": round(played.market_s / played.day_s, 1),
        **order_counts(orders),
        "faults_injected": len(faults),
        "pnl": None if last is None else last.pnl_realized + last.pnl_unrealized,
        "portfolio": {} if last is None else dict(zip(last.symbols, last.qtys, strict=True)),
        "cost_share": cost_share(reports),
        "first_signals": [each.signal_id for each in run.of(topics.SIGNALS)[:5]],
        "restarts": played.restarts,
    }
