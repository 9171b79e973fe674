"""``aegis explain``: the chain of an order, signal or score, from the log alone."""

from typing import Any, Final

from infra.connection import Connection
from infra.log_model import effective
from infra.reader import read_all
from infra.registry import Serde
from schemas import topics
from schemas.errors import Misconfigured
from schemas.units import MINUTE

FRAMES_MAX: Final = 5


def explain(connection: Connection, serde: Serde, what: str) -> dict[str, Any]:
    """Return the chain of an id: order number, event, intent, parent, signal or score.

    A score is named by its fire, or by ``FIRE/SYMBOL`` down to that symbol's features and frames.

    Raises:
        Misconfigured: No event of the run has this id.
    """

    def of(topic: topics.Topic) -> list[tuple[Any, Any]]:
        return [
            (each, serde.decode(topic, each.value or b""))
            for each in effective(read_all(connection, topic))
        ]

    orders = of(topics.ORDERS)
    mine = [
        event
        for _, event in orders
        if what in {event.event_id, event.intent_id, event.parent_id, event.signal_id}
        or (event.order_no and event.order_no.lstrip("0") == what.lstrip("0"))
    ]
    signals = [event for _, event in of(topics.SIGNALS)]
    wanted = {event.signal_id for event in mine if event.signal_id} or {what}
    signal = next((event for event in signals if event.signal_id in wanted), None)
    every = of(topics.FINAL)
    head, _, scored = what.rpartition("/")
    fire = signal.fire_id if signal is not None else what
    if not mine and signal is None and any(e.fire_id == head for _, e in every):
        fire = head
    finals = [(r, e) for r, e in every if e.fire_id == fire]
    if not mine and signal is None and not finals:
        raise Misconfigured(
            f"expected an order, a signal or FIRE/SYMBOL of {connection.namespace}, was {what!r}; "
            f"ids are in {topics.ORDERS.name}, {topics.SIGNALS.name} and {topics.FINAL.name}"
        )
    symbol = signal.symbol if signal is not None else (mine[0].symbol if mine else "")
    symbol = scored if fire == head and not symbol else symbol
    return {
        "id": what,
        "symbol": symbol,
        "orders": [_order(event) for event in mine],
        "signal": None if signal is None else _signal(signal),
        "score": _score(finals, symbol),
        "quant": _quant([e for _, e in of(topics.QUANT) if e.fire_id == fire], symbol),
        "ai": _ai([e for _, e in of(topics.AI) if e.fire_id == fire], symbol),
        "trigger": [_trigger(e) for _, e in of(topics.TRIGGERS) if e.fire_id == fire],
        **_evidence(connection, serde, finals, symbol),
    }


def _order(event: Any) -> dict[str, Any]:
    said = {
        "at": event.ts_event,
        "kind": event.kind,
        "order_no": event.order_no,
        "type": event.order_type,
        "qty": event.qty,
        "price": event.price,
        "filled_qty": event.filled_qty,
        "reason": event.reason,
    }
    if event.checks:
        said["checks"] = {
            name: {"passed": bool(ok), "headroom": room, "largest": most}
            for name, ok, room, most in zip(
                event.checks, event.passed, event.headrooms, event.largest, strict=True
            )
        }
    return said


def _signal(event: Any) -> dict[str, Any]:
    return {
        "signal_id": event.signal_id,
        "as_of": event.ts_event,
        "side": event.side,
        "score": event.score,
        "previous_score": event.previous_score,
        "reason": event.reason,
        "level": event.level,
        "lineage": dict(event.lineage),
    }


def _score(finals: list[tuple[Any, Any]], symbol: str) -> dict[str, Any] | None:
    for record, event in finals:
        if symbol not in event.symbols:
            continue
        row, width = event.symbols.index(symbol), len(event.parts)
        parts = event.contributions[row * width : (row + 1) * width]
        return {
            "as_of": event.ts_event,
            "at": f"{record.topic}/{record.partition}/{record.offset}",
            "score": event.scores[row],
            "word": event.words[row],
            "contributions": dict(zip(event.parts, parts, strict=True)),
            "sum": sum(parts),
            "weights_version": event.weights_version,
            "model_hash": event.model_hash,
            "regime": event.regime,
            "level": event.level,
            "lineage": dict(event.lineage),
        }
    return None


def _quant(found: list[Any], symbol: str) -> dict[str, Any] | None:
    for event in found:
        if symbol in event.symbols:
            row, width = event.symbols.index(symbol), len(event.factors)
            here = slice(row * width, (row + 1) * width)
            return {
                "score": event.scores[row],
                "exposures": dict(zip(event.factors, event.exposures[here], strict=True)),
                "present": dict(zip(event.factors, event.present[here], strict=True)),
                "weights": dict(zip(event.factors, event.weights, strict=True)),
                "lineage": dict(event.lineage),
            }
    return None


def _ai(found: list[Any], symbol: str) -> dict[str, Any] | None:
    for event in found:
        row = event.symbols.index(symbol) if symbol in event.symbols else None
        return {
            "model": event.model,
            "model_hash": event.model_hash,
            "provider": event.provider,
            "level": event.level,
            "reason": event.reason,
            "score": None if row is None else event.scores[row],
            "skill": "not shown",
        }
    return None


def _trigger(event: Any) -> dict[str, Any]:
    return {
        "fire_id": event.fire_id,
        "job": event.job,
        "slot": event.slot,
        "as_of": event.ts_event,
        "schedule_hash": event.schedule_hash,
        "calendar_hash": event.calendar_hash,
    }


def _evidence(
    connection: Connection, serde: Serde, finals: list[tuple[Any, Any]], symbol: str
) -> dict[str, Any]:
    """Return the symbol's last windows before the decision, and the frames they came from."""
    if not finals or not symbol:
        return {"windows": [], "frames": []}
    until = finals[0][1].ts_event
    windows = [
        {"end": event.end, "size": event.size, "last": event.last, "polled": event.polled}
        for each in effective(read_all(connection, topics.WINDOWS))
        if each.key == symbol and until - 5 * MINUTE < each.timestamp_ms * 1_000 <= until
        for event in (serde.decode(topics.WINDOWS, each.value or b""),)
    ]
    frames = []
    for each in read_all(connection, topics.RAW_KIS):
        at = each.timestamp_ms * 1_000
        if each.value is None or not until - 5 * MINUTE < at < until:
            continue
        event = serde.decode(topics.RAW_KIS, each.value)
        if symbol in event.payload:
            frames.append(
                {
                    "at": f"{each.topic}/{each.partition}/{each.offset}",
                    "seq": event.seq,
                    "tr_id": event.tr_id,
                    "payload": event.payload[:160],
                }
            )
    return {"windows": windows[-FRAMES_MAX:], "frames": frames[-FRAMES_MAX:]}
