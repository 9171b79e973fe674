"""Orders, from intent to report, and the brokerage's notices."""

from dataclasses import dataclass

from schemas.units import Micros, Shares, Symbol, Won


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeReceived:
    """An execution notice as received (account and name stay encrypted).

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        account: Keyed hash; also the key.
        seq: Connection epoch << 40 | frame << 10.
        tr_id: H0STCNI0 or H0STCNI9.
        payload: The frame, encrypted as received.
        key_id: Which session key decrypts it.
        order_no: Brokerage's order number.
        original_no: Of the order a cancel or revision names.
        symbol: Short code.
        side: buy or sell.
        kind: accepted, confirmed, cancelled, rejected, filled.
        qty: Of this fill when filled.
        price: Of this fill when filled.
        order_qty: Of the order.
    """

    ts_event: Micros
    ts_ingest: Micros
    account: str
    seq: int
    tr_id: str
    payload: str
    key_id: str
    order_no: str
    original_no: str
    symbol: Symbol
    side: str
    kind: str
    qty: Shares
    price: Won
    order_qty: Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """One step in an order's life; the ledger is the fold of these.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        event_id: Function of content.
        kind: intended, denied, approved, submitting, accepted, rejected, unknown, withheld,
            resolved_absent, filled, cancel_submitting, cancel_accepted, cancel_rejected,
            cancel_unknown, cancelled, expired, parent_opened, parent_decided, parent_finished,
            quoted, quote_failed, marks_ended, marks_failed, listed, listing_ended,
            listing_failed, reconciled, balance_failed, halted, resumed, breaker_set,
            breaker_released.
        account: Keyed hash; also the key.
        parent_id: H(signal).
        intent_id: H(signal, leg, slice, attempt); empty for parents.
        signal_id: The wish behind it.
        symbol: Short code.
        side: buy or sell.
        order_type: limit or market.
        qty: Of the order, parent or slice; reconciled: held.
        price: Limit, 0 for market; quoted and reconciled: last price.
        order_no: Brokerage's number, empty before.
        org_no: Brokerage's branch for cancels.
        filled_qty: Cumulative.
        filled_amount: Cumulative won; reconciled: cost basis of the holding, or the cash when
            symbol is empty.
        leaves_qty: Still open.
        fee: Cumulative.
        tax: Cumulative.
        arrival_price: Mid or last when the parent opened.
        checks: Names of all checks.
        passed: 1 passed, 0 failed.
        headrooms: Left before the limit, in the check's unit.
        largest: Largest quantity that would pass each.
        reason: One sentence.
        cause: Id of the event that caused it.
        sector: Empty when unknown.
        bid: quoted: best bid, 0 when none.
        ask: quoted: best ask, 0 when none.
        bid_depth: quoted: ten bid levels.
        ask_depth: quoted: ten ask levels.
        cancelled_qty: listed: confirmed as cancelled or rejected.
        begun: listed: when the brokerage took the order; listing_ended: when the listing began;
            else equal to ts_event.
    """

    ts_event: Micros
    ts_ingest: Micros
    event_id: str
    kind: str
    account: str
    parent_id: str
    intent_id: str
    signal_id: str
    symbol: Symbol
    side: str
    order_type: str
    qty: Shares
    price: Won
    order_no: str
    org_no: str
    filled_qty: Shares
    filled_amount: Won
    leaves_qty: Shares
    fee: Won
    tax: Won
    arrival_price: Won
    checks: tuple[str, ...]
    passed: tuple[int, ...]
    headrooms: tuple[float, ...]
    largest: tuple[Shares, ...]
    reason: str
    cause: str
    sector: str
    bid: Won
    ask: Won
    bid_depth: Shares
    ask_depth: Shares
    cancelled_qty: Shares
    begun: Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """One finished parent.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        parent_id: H(signal).
        account: Keyed hash; also the key.
        signal_id: The wish.
        symbol: Short code.
        side: buy or sell.
        qty: Asked.
        filled_qty: Got.
        filled_amount: For.
        arrival_price: When it opened.
        fee: Fees.
        tax: Sell tax.
        slippage: Signed, against arrival, positive is a cost.
        children: Child orders.
        cancels: Cancelled children.
        opened: When.
        first_fill: When, null without a fill.
        reason: Why it ended.
    """

    ts_event: Micros
    ts_ingest: Micros
    parent_id: str
    account: str
    signal_id: str
    symbol: Symbol
    side: str
    qty: Shares
    filled_qty: Shares
    filled_amount: Won
    arrival_price: Won
    fee: Won
    tax: Won
    slippage: Won
    children: int
    cancels: int
    opened: Micros
    first_fill: Micros | None = None
    reason: str
