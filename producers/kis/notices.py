"""An execution notice as an event: its figures in the clear, its payload as it came.

The account becomes a keyed hash, its name stays in the encrypted payload.  A notice is a hint:
positions move by the brokerage's listing (``reference/trading.md``).
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Final

from infra.kis.notices import NoticeKey, open_notice
from producers.kis.times import clock_time
from schemas.errors import Poison
from schemas.kis import frames
from schemas.kis.tables import NOTICES, NOTICES_MOCK
from schemas.kis.views import NoticeView, notice_of
from schemas.orders import NoticeReceived
from schemas.units import Micros

TR_IDS: Final = frozenset({NOTICES, NOTICES_MOCK})
ACCOUNT_HEX: Final = 16

Name = Callable[[str], str]


def namer(secret: str) -> Name:
    """Return how an account is called on topics: a hash keyed by the app secret."""

    def name(account: str) -> str:
        digits = account.replace("-", "").encode()
        return hmac.new(secret.encode(), digits, hashlib.sha256).hexdigest()[:ACCOUNT_HEX]

    return name


def received(
    text: str,
    secret: NoticeKey | None,
    *,
    name: Name,
    seq: int,
    key_id: str,
    now: Micros,
    ingested: Micros,
) -> list[NoticeReceived]:
    """Read the notices of one encrypted message.

    Args:
        text: The message as received.
        secret: Of its stream; None when its registration was not confirmed.
        name: Turns an account into what it is called on topics.
        seq: Of the message's first record.
        key_id: Which session's key ``secret`` is.
        now: Market time; gives the date.
        ingested: The wall clock.

    Returns:
        One event per record.

    Raises:
        Poison: It cannot be decrypted or read.
    """
    frame = frames.parse(text)
    if not isinstance(frame, frames.DataFrame) or secret is None:
        raise Poison("expected a notice and its stream's key, was one without the other")
    plain = open_notice(frame, secret) if frame.encrypted else frame
    return [
        NoticeReceived(
            **_figures(notice_of(record), name, now),
            ts_ingest=ingested,
            seq=seq + index,
            tr_id=plain.tr_id,
            payload=text,
            key_id=key_id,
        )
        for index, record in enumerate(plain.records)
    ]


def _figures(view: NoticeView, name: Name, now: Micros) -> dict[str, Any]:  # by field
    return {
        "ts_event": clock_time(view.time, now) or now,
        "account": name(view.account),
        "order_no": str(view.order_no),
        "original_no": str(view.original_order_no) if view.original_order_no else "",
        "symbol": view.symbol,
        "side": view.side,
        "kind": view.kind,
        "qty": view.fill_qty,
        "price": view.fill_price,
        "order_qty": view.order_qty,
    }
