"""Small builders of events for tests: say what matters, the rest is plausible."""

import json
from collections.abc import Mapping
from typing import Any, Final

from schemas.codec import schema_text
from schemas.market import Book, Trade
from schemas.topics import Topic
from schemas.units import SECOND, Micros, Shares, Symbol, Won

SYMBOL: Final = Symbol("005930")

MORNING: Final = Micros(1_770_681_600_000_000)
"""2026-02-10 09:00 in Korea, when the market opens."""

TICK: Final = 100
LEVELS: Final = 10


def at(seconds: float) -> Micros:
    """Return the instant ``seconds`` after ``MORNING``."""
    return Micros(MORNING + round(seconds * SECOND))


def trade(
    price: int = 50_000,
    qty: int = 1,
    *,
    seconds: float = 0,
    symbol: str = SYMBOL,
    volume_day: int = 0,
    aggressor: str = "buy",
    kind: str = "print",
    seq: int = 0,
    vi_base: int = 0,
) -> Trade:
    """Return a trade ``seconds`` after ``MORNING``; ``volume_day`` 0 says ``qty``."""
    return Trade(
        ts_event=at(seconds),
        ts_ingest=at(seconds),
        symbol=Symbol(symbol),
        venue="KRX",
        seq=seq,
        kind=kind,
        price=Won(price),
        qty=Shares(qty),
        aggressor=aggressor,
        volume_day=Shares(volume_day or qty),
        turnover_day=Won(price * (volume_day or qty)),
        bid=Won(price - TICK if price > TICK else 0),
        ask=Won(price),
        bid_qty=Shares(10),
        ask_qty=Shares(10),
        phase="0",
        halted=False,
        vi_base=Won(vi_base),
    )


def book(
    bid: int = 49_900,
    ask: int = 50_000,
    *,
    bid_qty: int = 10,
    ask_qty: int = 10,
    seconds: float = 0,
    symbol: str = SYMBOL,
    phase: str = "0",
    seq: int = 0,
) -> Book:
    """Return a book of ten levels, a tick apart, each holding the quantity of the best."""
    return Book(
        ts_event=at(seconds),
        ts_ingest=at(seconds),
        symbol=Symbol(symbol),
        venue="KRX",
        seq=seq,
        ask_prices=tuple(Won(ask + TICK * level) for level in range(LEVELS)),
        ask_qtys=(Shares(ask_qty),) * LEVELS,
        bid_prices=tuple(Won(max(bid - TICK * level, 0)) for level in range(LEVELS)),
        bid_qtys=(Shares(bid_qty),) * LEVELS,
        ask_total=Shares(ask_qty * LEVELS),
        bid_total=Shares(bid_qty * LEVELS),
        phase=phase,
        expected_price=Won(0),
        expected_qty=Shares(0),
        volume_day=Shares(0),
    )


def build(topic: Topic, **changed: Any) -> Any:
    """Return an event of a topic with every field filled, each with a value of its own.

    What may be absent is there; give it as None to leave it out.

    Args:
        topic: Whose record to build; its schema says what a field may hold.
        changed: Fields that matter to the test.
    """
    fields = json.loads(schema_text(topic.schema_name))["fields"]
    values = {each["name"]: sample(each, number) for number, each in enumerate(fields)}
    return topic.record(**{**values, **changed})


def sample(field: Mapping[str, Any], number: int) -> Any:
    """Return a small valid value for an Avro field; its number in the record makes it unlike."""
    kind = field["type"]
    value = kind[1] if isinstance(kind, list) else kind
    if isinstance(value, str) or "logicalType" in value:
        return _sampled(value, field, number)
    if value["type"] == "array":
        return tuple(_sampled(value["items"], field, number + each) for each in (0, 100))
    return {name: _sampled(value["values"], field, number) for name in (field["name"], "b")}


def _sampled(kind: Any, field: Mapping[str, Any], number: int) -> Any:
    match kind:
        case {"logicalType": "timestamp-micros"}:
            return at(number)
        case "long":
            return 20_260_210 + number if field.get("unit") == "yyyymmdd" else 1_000 + number
        case "double":
            return number + 0.25
        case "boolean":
            return number % 2 == 0
        case "bytes":
            return f"{field['name']}-{number}".encode()
        case "string":
            return SYMBOL if field.get("unit") == "symbol" else f"{field['name']}-{number}"
    raise ValueError(f"expected a type of our schemas, was {kind!r}; teach it here")
