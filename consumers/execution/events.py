"""One way to make an order event: what is not said is empty or zero."""

from typing import Any, Final

from schemas.orders import OrderEvent
from schemas.units import Micros

_BLANK: Final[dict[str, Any]] = {
    "parent_id": "", "intent_id": "", "signal_id": "", "symbol": "", "side": "",
    "order_type": "", "qty": 0, "price": 0, "order_no": "", "org_no": "", "filled_qty": 0,
    "filled_amount": 0, "leaves_qty": 0, "fee": 0, "tax": 0, "arrival_price": 0, "checks": (),
    "passed": (), "headrooms": (), "largest": (), "reason": "", "cause": "", "sector": "",
    "bid": 0, "ask": 0, "bid_depth": 0, "ask_depth": 0, "cancelled_qty": 0,
}  # fmt: skip


def order_event(
    kind: str, *, at: Micros, ingest: Micros, account: str, event_id: str, **said: Any
) -> OrderEvent:
    """Return an event of ``kind`` at ``at``; ``begun`` is ``at`` unless it is said."""
    fields = {**_BLANK, "begun": at, **said}
    return OrderEvent(
        ts_event=at, ts_ingest=ingest, event_id=event_id, kind=kind, account=account, **fields
    )
