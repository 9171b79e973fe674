"""A venue through its day: frames hold KIS's invariants, fills add up, the journal agrees."""

from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from infra.exchange.flow import CALL, PRINT, QUOTE, Rates, tape
from infra.exchange.frames import BOOKS, TRADES, frame
from infra.exchange.journal import read_journal
from infra.exchange.matching import BUY, SELL, Side
from infra.exchange.path import Ladder
from infra.exchange.venue import STIR, Said, Venue
from schemas.kis import encode
from schemas.kis.frames import DataFrame, parse
from schemas.kis.invariants import invariants
from schemas.kis.records import TradeRecord, TypedRecord, typed
from schemas.kis.tables import NOTICES
from schemas.krx.costs import commission, sell_tax
from schemas.units import MINUTE, SECOND, Micros


class MakeVenue(Protocol):
    def __call__(
        self, at: Micros, holdings: dict[str, int] | None = None, cash: int = 10**9
    ) -> Venue: ...


def _liquid(ladder: Ladder, rank: int = 0) -> str:
    return ladder.market.symbols[int(np.argsort(-ladder.market.turnover)[rank])]


def _order(venue: Venue, symbol: str, side: Side, price: int | None, qty: int) -> int:
    row = venue.market.row[symbol]
    return venue.book(
        original=0,
        symbol=symbol,
        segment=venue.market.segments[row],
        side=side,
        price=price,
        ceiling=price or int(venue.market.upper[row]),
        qty=qty,
        kind="00" if price else "01",
        tif="DAY",
    ).no


def _records(said: list[Said], tr_id: str) -> list[TypedRecord]:
    found = []
    for each in said:
        if each.tr_id == tr_id:
            parsed = parse(frame(tr_id, [each.text]))
            assert isinstance(parsed, DataFrame)
            found.append(typed(tr_id, parsed.records[0]))
    return found


def test_every_frame_of_a_watched_day_holds_the_wire_s_invariants(
    make_venue: MakeVenue, ladder: Ladder
) -> None:
    day = ladder.market.session
    symbols = [_liquid(ladder, rank) for rank in (0, 3, 60)]
    for begin, end in (
        (day.pre_open, day.open + 3 * MINUTE),
        (day.closing_auction - 2 * MINUTE, day.end),
    ):
        venue = make_venue(Micros(begin))
        for symbol in symbols:
            venue.watch(TRADES, symbol)
            venue.watch(BOOKS, symbol)
        venue.advance(end)

        assert len(venue.said) > 150
        assert [each.at for each in venue.said] == sorted(each.at for each in venue.said)
        for symbol in symbols:
            for tr_id in (TRADES, BOOKS):
                mine = [each for each in venue.said if each.key == symbol]
                before: TypedRecord | None = None
                for record in _records(mine, tr_id):
                    assert invariants(record, before) == ()
                    before = record


def test_a_record_is_written_as_the_encoder_of_typed_fields_writes_it(
    make_venue: MakeVenue, ladder: Ladder
) -> None:
    day = ladder.market.session
    venue = make_venue(Micros(day.open - 2 * MINUTE))
    for tr_id in (TRADES, BOOKS):
        venue.watch(tr_id, _liquid(ladder))
    venue.advance(day.open + 5 * MINUTE)

    for tr_id in (TRADES, BOOKS):
        texts = [each.text for each in venue.said if each.tr_id == tr_id]
        assert len(texts) > 50
        records = _records(venue.said, tr_id)
        assert [encode.frame(tr_id, [r]) for r in records] == [frame(tr_id, [t]) for t in texts]


def test_tape_minus_our_own_fills_is_the_bar(make_venue: MakeVenue, ladder: Ladder) -> None:
    day, symbol = ladder.market.session, _liquid(ladder)
    row = ladder.market.row[symbol]
    venue = make_venue(Micros(day.opening_auction + MINUTE))
    venue.watch(TRADES, symbol)
    _order(venue, symbol, BUY, None, 300)  # into the opening auction
    venue.advance(day.open + 30 * MINUTE)
    low = venue.live(symbol)
    assert low is not None
    _order(venue, symbol, BUY, low.touch()[2][0], 500)  # waits at the best bid
    _order(venue, symbol, BUY, None, 2_000)  # sweeps
    venue.advance(day.closing_auction + MINUTE)
    _order(venue, symbol, SELL, None, 100)  # into the closing auction
    venue.advance(day.end)

    own = sum(order.filled for order in venue.account.orders.values())
    records = _records(venue.said, TRADES)

    assert own > 2_500
    printed = 0
    for record in records:
        assert isinstance(record, TradeRecord)
        printed += record.qty or 0
    assert printed == int(ladder.market.volume[row]) + own
    assert records[-1].volume_day == ladder.market.volume[row] + own  # type: ignore[union-attr] # trades only
    assert records[-1].price == ladder.market.close[row]  # type: ignore[union-attr] # trades only
    before: TypedRecord | None = None
    for record in records[:400]:
        assert invariants(record, before) == ()
        before = record


def test_a_day_of_orders_conserves_shares_and_won_and_the_journal_agrees(
    make_venue: MakeVenue, ladder: Ladder, tmp_path: Path
) -> None:
    day = ladder.market.session
    symbols = [_liquid(ladder, rank) for rank in range(5)]
    venue = make_venue(day.open, dict.fromkeys(symbols, 1_000))
    for step in range(40):
        venue.advance(day.open + MINUTE + step * 40 * SECOND)
        symbol = symbols[step % 5]
        row = ladder.market.row[symbol]
        side: Side = BUY if step % 3 else SELL
        price = None if step % 4 == 0 else int(ladder.at(venue.now, np.array([row])).price[0])
        number = _order(venue, symbol, side, price, 10 + step)
        if step % 7 == 0:
            venue.advance(venue.now + 20 * SECOND)
            order = venue.account.orders[number]
            if order.left:
                venue.cancel(order, order.left)
    venue.advance(day.end)
    venue.journal.close()

    record = read_journal(tmp_path / "exchange.jsonl")

    orders = venue.account.orders.values()
    assert sum(order.filled > 0 for order in orders) > 20
    for order in orders:
        assert order.left == 0
        line = record.orders[order.no]
        assert (line.filled, line.cancelled, line.amount) == (
            order.filled,
            order.cancelled,
            order.amount,
        )
        fills = [fill for fill in record.fills if fill["order_no"] == order.no]
        assert sum(fill["qty"] for fill in fills) == order.filled
        assert sum(fill["qty"] * fill["price"] for fill in fills) == order.amount
        assert order.fee == commission(order.amount, day.date)
        sold = order.side == SELL
        assert order.tax == (sell_tax(order.amount, day.date, order.segment) if sold else 0)
    assert record.cash == venue.account.cash
    held = {symbol: h.qty for symbol, h in venue.account.holdings.items() if h.qty}
    assert record.holdings == held


def test_the_same_seed_and_orders_give_the_same_day(make_venue: MakeVenue, ladder: Ladder) -> None:
    def play() -> list[Said]:
        venue = make_venue(ladder.market.session.open)
        venue.watch(TRADES, _liquid(ladder))
        venue.advance(ladder.market.session.open + 10 * MINUTE)
        _order(venue, _liquid(ladder), BUY, None, 5_000)
        venue.advance(ladder.market.session.open + 20 * MINUTE)
        return venue.said

    assert play() == play()


def test_a_cancel_takes_back_what_is_left_and_says_so(
    make_venue: MakeVenue, ladder: Ladder
) -> None:
    day, symbol = ladder.market.session, _liquid(ladder)
    venue = make_venue(Micros(day.open + MINUTE))
    number = _order(venue, symbol, BUY, int(ladder.market.lower[ladder.market.row[symbol]]), 10)
    venue.advance(venue.now + 5 * SECOND)
    assert venue.orders_open()

    venue.cancel(venue.account.orders[number], 10)

    assert not venue.orders_open()
    accepted, cancelled = _records(venue.said, NOTICES)
    assert (accepted.fill_code, accepted.accepted_code) == ("1", "1")  # type: ignore[union-attr] # notices only
    assert (cancelled.revision_code, cancelled.accepted_code) == ("2", "2")  # type: ignore[union-attr] # notices only
    assert int(cancelled.original_order_no) == number  # type: ignore[union-attr] # notices only


def test_heeded_time_stands_at_the_second_after_each_notice_and_stirs_for_a_while(
    make_venue: MakeVenue, ladder: Ladder
) -> None:
    day, symbol = ladder.market.session, _liquid(ladder)
    far = day.open + 30 * MINUTE
    plain, heeding = (make_venue(Micros(day.open + MINUTE)) for _ in range(2))
    for venue in (plain, heeding):
        venue.watch(TRADES, symbol)
        price = int(ladder.at(venue.now, np.array([ladder.market.row[symbol]])).price[0])
        _order(venue, symbol, BUY, price, 2_000)
    stands = []
    while heeding.now < far:
        stands.append(heeding.advance(far, heed=True))
    plain.advance(far)

    assert heeding.said == plain.said, "where time stands changes nothing of what is said"
    told = [each.at for each in plain.said if each.tr_id == NOTICES and each.at < far]
    fills = sorted({-(-(at + 1) // SECOND) * SECOND for at in told[1:]})
    assert fills
    assert stands == [*fills, far]


def test_an_open_order_stirs_until_nothing_was_said_for_a_while(
    make_venue: MakeVenue, ladder: Ladder
) -> None:
    day, symbol = ladder.market.session, _liquid(ladder)
    venue = make_venue(Micros(day.open + MINUTE))
    assert not venue.stirring()
    number = _order(venue, symbol, BUY, int(ladder.market.lower[ladder.market.row[symbol]]), 10)

    assert venue.stirring()
    venue.advance(venue.now + STIR - SECOND)
    assert venue.stirring()
    venue.advance(venue.now + SECOND)
    assert venue.orders_open()
    assert not venue.stirring()
    venue.cancel(venue.account.orders[number], 4)
    assert venue.stirring()
    venue.cancel(venue.account.orders[number], 6)
    assert not venue.stirring(), "no order is open"


def test_what_the_day_leaves_over_expires(make_venue: MakeVenue, ladder: Ladder) -> None:
    day, symbol = ladder.market.session, _liquid(ladder)
    venue = make_venue(Micros(day.closing_auction - MINUTE))
    number = _order(venue, symbol, BUY, int(ladder.market.lower[ladder.market.row[symbol]]), 10)

    venue.advance(day.end)

    order = venue.account.orders[number]
    assert (order.filled, order.cancelled, order.left) == (0, 10, 0)


def test_a_name_nobody_watches_is_put_away(make_venue: MakeVenue, ladder: Ladder) -> None:
    day, symbol = ladder.market.session, _liquid(ladder)
    venue = make_venue(Micros(day.open + MINUTE))
    venue.watch(TRADES, symbol)
    venue.unwatch(TRADES, symbol)

    venue.advance(day.open + 3 * MINUTE)

    assert venue.live(symbol) is None
    assert venue.said == []


@pytest.mark.parametrize("kind", [PRINT, QUOTE, CALL])
def test_a_tape_holds_every_kind_of_event(ladder: Ladder, kind: int) -> None:
    row = ladder.market.row[_liquid(ladder)]

    assert (tape(ladder, row, Rates()).kind == kind).sum() > 50
