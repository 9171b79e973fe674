"""What one record of the KIS wire must agree with: itself, and the record before it.

A layout that moved by one field, or an edited price, breaks one of these.
The rules hold on every real frame we have (korea.md 1.4), except the one published frame whose
poster changed a price.  Rules between records need the previous record of the same symbol and feed.

    base        = price - change                 the session's base price, constant over the day
    change_rate = round(change / base * 100, 2)
    strength    = buy_volume / sell_volume * 100
    buy_share   = buy_volume / volume_day, rounded up at two places (measured on 16 prints)
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from schemas.kis.records import (
    BookRecord,
    ExecutionNotice,
    MarketOperationRecord,
    ProgramTradeRecord,
    TradeRecord,
    TypedRecord,
)
from schemas.kis.rules import Violation, equal, near, number, numbers, ordered, rule, sign_of

VWAP_TOLERANCE: Final = Decimal("0.00002")
"""Share of the day's VWAP by which the wire's may differ from turnover / volume (0.001 % seen)."""

CONTINUOUS: Final = "0"
FLAGS: Final = frozenset({"Y", "N"})
PHASES: Final = frozenset({"0", "A", "B", "C", "D"})
AGGRESSOR_CODES: Final = frozenset({"1", "3", "5"})
MARKET_CODES: Final = frozenset({"1", "2", "3", "5"})
RANDOM_END_CODES: Final = frozenset({"", "1", "2", "3", "4", "5", "6"})
EXPECTED_OPERATION_CODES: Final = frozenset({"", "112", "121", "129", "311"})
ISSUE_STATES: Final = frozenset({"00", "51", "52", "53", "54", "55", "57", "58", "59"})
ORDER_KINDS: Final = frozenset(
    {*(f"{n:02}" for n in (0, 1, 2, 3, 4, 5, 6, 7, *range(11, 17), *range(21, 25)))}
    | {*(str(n) for n in (*range(27, 30), *range(41, 48)))}
)
VOLUME_NEAR: Final = Decimal("0.01")
"""Share by which a book's volume may differ from the print's of the same second."""


def invariants(record: TypedRecord, previous: TypedRecord | None = None) -> tuple[Violation, ...]:
    """Return the rules a record breaks.

    Args:
        record: A typed record.
        previous: The record before it of the same symbol and day: of the same feed, or, for a
            book, the symbol's last print; None when unknown.

    Returns:
        The violations, in the order of the rules; empty when the record is consistent.
    """
    if isinstance(record, TradeRecord):
        found = [*_trade(record)]
        if isinstance(previous, TradeRecord) and previous.symbol == record.symbol:
            found += _after_trade(record, previous)
        return tuple(found)
    if isinstance(record, BookRecord):
        found = [*_book(record)]
        if isinstance(previous, BookRecord) and previous.symbol == record.symbol:
            found += _after_book(record, previous)
        if isinstance(previous, TradeRecord) and previous.symbol == record.symbol:
            found += _beside_trade(record, previous)
        return tuple(found)
    if isinstance(record, MarketOperationRecord):
        return tuple(_operation(record))
    if isinstance(record, ProgramTradeRecord):
        return tuple(_program(record))
    return tuple(_notice(record))


def _trade(record: TradeRecord) -> Iterator[Violation]:
    yield from _filled(record, _TRADE_NUMBERS)
    if any(getattr(record, name) is None for name in _TRADE_NUMBERS):
        return
    for check in (_trade_change, _trade_extremes, _trade_flow, _trade_quotes, _trade_codes):
        yield from check(record)


def _trade_change(r: TradeRecord) -> Iterator[Violation]:
    price, change = number(r.price), number(r.change)
    base = price - change
    yield from sign_of("sign_agrees", r.change_sign, change)
    yield from rule("base_positive", base > 0, "a base price above 0", base)
    if base > 0:
        yield from near("change_rate", r.change_rate, Decimal(100 * change) / base)
    yield from equal("open_plus_difference", number(r.open) + number(r.from_open), price)
    yield from equal("high_plus_difference", number(r.high) + number(r.from_high), price)
    yield from equal("low_plus_difference", number(r.low) + number(r.from_low), price)
    yield from sign_of("open_sign_agrees", r.open_sign, number(r.from_open))
    yield from sign_of("high_sign_agrees", r.high_sign, number(r.from_high))
    yield from sign_of("low_sign_agrees", r.low_sign, number(r.from_low))


def _trade_extremes(r: TradeRecord) -> Iterator[Violation]:
    low, high = number(r.low), number(r.high)
    inside = (
        low <= min(number(r.price), number(r.open)) and max(number(r.price), number(r.open)) <= high
    )
    yield from rule("price_within_day", inside, f"within {low}..{high}", r.price)
    yield from rule(
        "times_in_order",
        r.open_time <= min(r.high_time, r.low_time) and max(r.high_time, r.low_time) <= r.time,
        "open <= high, low <= now",
        (r.open_time, r.high_time, r.low_time, r.time),
    )
    volume, turnover = number(r.volume_day), number(r.turnover_day)
    yield from rule("volume_positive", volume > 0, "volume above 0", volume)
    if volume > 0:
        vwap = Decimal(turnover) / volume
        far = abs((r.vwap or Decimal(0)) - vwap) > vwap * VWAP_TOLERANCE
        yield from rule("vwap", not far, f"about {vwap:.2f}", r.vwap)


def _trade_flow(r: TradeRecord) -> Iterator[Violation]:
    sells, buys = number(r.sell_volume), number(r.buy_volume)
    volume = number(r.volume_day)
    yield from equal(
        "net_trades", number(r.buy_trades) - number(r.sell_trades), number(r.net_buy_trades)
    )
    if sells > 0:
        yield from near("strength", r.strength, Decimal(100 * buys) / sells)
    yield from rule("sides_within_volume", sells + buys <= volume, f"<= {volume}", sells + buys)
    counted = number(r.sell_trades) <= sells and number(r.buy_trades) <= buys
    yield from rule("a_trade_has_shares", counted, "trades <= shares", (r.sell_trades, sells))
    yield from rule("print_within_volume", 0 < number(r.qty) <= volume, f"1..{volume}", r.qty)
    if volume > 0:
        share = Decimal(-(-100 * buys // volume)) / 100
        yield from rule("buy_share", r.buy_share == share, f"{share}", r.buy_share)
    before = number(r.previous_volume)
    if before > 0:
        yield from near("volume_rate", r.previous_volume_rate, Decimal(100 * volume) / before)


def _trade_quotes(r: TradeRecord) -> Iterator[Violation]:
    ask, bid = number(r.ask), number(r.bid)
    if r.phase == CONTINUOUS and ask > 0 and bid > 0:
        yield from rule("not_crossed", bid < ask, f"bid below ask {ask}", bid)
    yield from rule(
        "best_within_total",
        number(r.ask_qty) <= number(r.total_ask_qty)
        and number(r.bid_qty) <= number(r.total_bid_qty),
        "best <= ten levels",
        (r.ask_qty, r.total_ask_qty, r.bid_qty, r.total_bid_qty),
    )


def _trade_codes(r: TradeRecord) -> Iterator[Violation]:
    yield from rule("halt_flag", r.halted in FLAGS, "Y or N", r.halted)
    yield from rule("phase", r.phase in PHASES, "0 A B C D", r.phase)
    known = r.aggressor_code in AGGRESSOR_CODES
    yield from rule("aggressor_code", known, "1 3 5", r.aggressor_code)
    random_end = r.random_end_code in RANDOM_END_CODES
    yield from rule("random_end_code", random_end, "1..6 or none", r.random_end_code)
    if r.market_code is not None:
        yield from rule("market_code", r.market_code in MARKET_CODES, "1 2 3 5", r.market_code)
    two = len(r.operation_code) == 2  # noqa: PLR2004 -- NEW_MKOP_CLS_CODE: session, then kind
    yield from rule("operation_code", two, "two characters", r.operation_code)


def _after_trade(r: TradeRecord, before: TradeRecord) -> Iterator[Violation]:
    if r.business_date != before.business_date:
        return
    base, was = number(r.price) - number(r.change), number(before.price) - number(before.change)
    yield from equal("base_constant", base, was)
    qty = number(r.qty)
    grown = number(r.volume_day) - number(before.volume_day)
    yield from equal("volume_grows_by_print", grown, qty)
    if grown != qty:
        return
    won = number(r.turnover_day) - number(before.turnover_day)
    yield from equal("turnover_grows_by_print", won, qty * number(r.price))
    sold = qty if r.aggressor_code == "5" else 0
    bought = qty if r.aggressor_code == "1" else 0
    yield from equal("sells_grow", number(r.sell_volume) - number(before.sell_volume), sold)
    yield from equal("buys_grow", number(r.buy_volume) - number(before.buy_volume), bought)


def _book(r: BookRecord) -> Iterator[Violation]:
    asks, bids = numbers(r.ask_prices), numbers(r.bid_prices)
    ask_qtys, bid_qtys = numbers(r.ask_qtys), numbers(r.bid_qtys)
    yield from rule("asks_ascend", ordered(asks, rising=True), "ascending, then 0", asks)
    yield from rule("bids_descend", ordered(bids, rising=False), "descending, then 0", bids)
    levels = [*zip(asks, ask_qtys, strict=True), *zip(bids, bid_qtys, strict=True)]
    empty = all(price > 0 or qty == 0 for price, qty in levels)
    yield from rule("an_empty_level_has_no_shares", empty, "0 shares at price 0", levels)
    yield from equal("ask_total", sum(ask_qtys), number(r.total_ask_qty))
    yield from equal("bid_total", sum(bid_qtys), number(r.total_bid_qty))
    yield from rule("phase", r.phase in PHASES, "0 A B C D", r.phase)
    if r.phase == CONTINUOUS and asks[0] and bids[0]:
        yield from rule("not_crossed", bids[0] < asks[0], f"below {asks[0]}", bids[0])
        if r.mid_price is not None:
            yield from equal("mid_price", r.mid_price, (asks[0] + bids[0]) // 2)
    if r.market_code is not None:
        yield from rule("market_code", r.market_code in MARKET_CODES, "1 2 3 5", r.market_code)
    yield from _expected(r)


def _expected(r: BookRecord) -> Iterator[Violation]:
    price, change = number(r.expected_price), number(r.expected_change)
    base = price - change
    yield from sign_of("expected_sign_agrees", r.expected_sign, change)
    yield from rule("expected_base_positive", base > 0, "a base price above 0", base)
    if base > 0:
        yield from near("expected_rate", r.expected_rate, Decimal(100 * change) / base)
    if r.phase == CONTINUOUS:
        quiet = price == 0 and number(r.expected_qty) == 0
        yield from rule("no_expected_price", quiet, "0 and 0", (price, r.expected_qty))


def _after_book(r: BookRecord, before: BookRecord) -> Iterator[Violation]:
    if r.time >= before.time:
        grows = number(r.volume_day) >= number(before.volume_day)
        yield from rule("volume_grows", grows, f">= {before.volume_day}", r.volume_day)
    base = number(r.expected_price) - number(r.expected_change)
    was = number(before.expected_price) - number(before.expected_change)
    yield from equal("base_constant", base, was)


def _beside_trade(r: BookRecord, trade: TradeRecord) -> Iterator[Violation]:
    if r.time != trade.time:
        return
    volume, traded = number(r.volume_day), number(trade.volume_day)
    near = abs(volume - traded) <= traded * VOLUME_NEAR
    yield from rule("volume_near_print", near, f"about {traded}", volume)


def _operation(r: MarketOperationRecord) -> Iterator[Violation]:
    yield from rule("halt_flag", r.halted in FLAGS, "Y or N", r.halted)
    yield from rule("vi_flag", r.vi in FLAGS, "Y or N", r.vi)
    after = r.after_hours_vi in {*FLAGS, ""}
    yield from rule("after_hours_vi_flag", after, "Y, N or empty", r.after_hours_vi)
    expected = r.expected_operation_code in EXPECTED_OPERATION_CODES
    yield from rule("expected_operation", expected, "a known code", r.expected_operation_code)
    random_end = r.random_end_code in RANDOM_END_CODES
    yield from rule("random_end_code", random_end, "1..6 or none", r.random_end_code)
    state = r.issue_state_code in ISSUE_STATES
    yield from rule("issue_state", state, "a known code", r.issue_state_code)
    for name, size in (("operation_code", 3), ("allocation_code", 2)):
        value = getattr(r, name)
        yield from rule(name, len(value) in {0, size}, f"{size} characters or none", value)


def _notice(r: ExecutionNotice) -> Iterator[Violation]:
    for name, known in _NOTICE_CODES.items():
        value = getattr(r, name)
        if value is not None:
            yield from rule(name, value in known, f"one of {sorted(known)}", value)
    for name, size in (("order_no", 10), ("original_order_no", 10), ("branch_no", 5)):
        value = getattr(r, name)
        yield from rule(name, len(value) == size, f"{size} digits", value)
    yield from rule("filler", r.filler == "", "nothing", r.filler)
    yield from rule("named", bool(r.account and r.customer_id), "an account", "none")
    ordered = int(r.order_qty or 0)
    yield from rule("order_has_shares", ordered > 0, "shares above 0", ordered)
    if r.fill_code == "2":
        qty, price = int(r.fill_qty or 0), int(r.fill_price or 0)
        filled = 0 < qty <= ordered and price > 0 and r.rejected_code == "0"
        yield from rule("a_fill_has_shares", filled, "shares and a price", (qty, price))


def _program(r: ProgramTradeRecord) -> Iterator[Violation]:
    yield from equal("net_qty", number(r.buy_qty) - number(r.sell_qty), number(r.net_buy_qty))
    won = number(r.buy_turnover) - number(r.sell_turnover)
    yield from equal("net_turnover", won, number(r.net_buy_turnover))
    resting = number(r.buy_resting_qty) - number(r.sell_resting_qty)
    yield from equal("net_resting", resting, number(r.net_resting_qty))


def _filled(record: TypedRecord, names: Sequence[str]) -> Iterator[Violation]:
    for name in names:
        yield from rule(f"has_{name}", getattr(record, name) is not None, "a number", None)


_NOTICE_CODES: Final = {
    "side_code": frozenset({"01", "02"}),
    "revision_code": frozenset({"0", "1", "2"}),
    "order_kind": ORDER_KINDS,
    "condition_code": frozenset({"0", "1", "2"}),
    "rejected_code": frozenset({"0", "1"}),
    "fill_code": frozenset({"1", "2"}),
    "accepted_code": frozenset({"1", "2", "3"}),
    "exchange_code": frozenset({"", "1", "2", "3", "4"}),
    "popup": FLAGS,
}
_TRADE_NUMBERS: Final = (
    "price",
    "change",
    "qty",
    "volume_day",
    "turnover_day",
    "open",
    "high",
    "low",
)
