"""Windows of one second and one minute per symbol: the role ``features.windows``.

A symbol's running sums (``Tally``) never stop; an open window remembers the tally it opened with,
and is their difference when it closes.  Sums are integers, so the difference is exact.

* Windows are half-open.  They close when a record at or past their end comes, or the watermark
  does, and are emitted in the order ``(end, size, symbol)``.  A window nothing happened in is
  not emitted.
* The driver gives no record late.  One that came late all the same would count in the window
  that is open then: the sums conserve.
* Polled prices count in minutes only, and only when nothing streamed: ``polled`` is then true
  and every book feature null.
* A print that ``prints.judge`` does not believe, or has seen before, counts nowhere.
* Book features are read from the last book of continuous trading in the window, order flow
  between two such books in a row.
* ``ts_ingest`` is the newest the symbol has shown by the close.
"""

from typing import Final, NamedTuple

from schemas import topics
from schemas.features import LABEL_MINUTE, LABEL_SECOND, Window
from schemas.market import Book, Trade
from schemas.role import Batch, Output, Role, Step, paced
from schemas.units import DAY, KST_OFFSET, MINUTE, SECOND, Micros, Shares, Symbol, Won
from streams import prints
from streams.features import (
    imbalance,
    microprice,
    ofi,
    realized_vol,
    returns,
    signed_volume,
    spread,
    turnover,
    vwap,
)
from streams.windows import tumbling

SIZES: Final = (SECOND, MINUTE)
LABELS: Final = {SECOND: LABEL_SECOND, MINUTE: LABEL_MINUTE}
POLLED_SIZE: Final = MINUTE
"""Polls come once a minute: the shortest window they can fill."""

CONTINUOUS: Final = "0"


class Tally(NamedTuple):
    """A symbol's sums since its day began; differences of two are a window.

    Attributes:
        trades: Prints.
        volume: Shares of prints.
        turnover: Won of prints.
        signed: Buyers' minus sellers' shares.
        squares: Squared log returns between prints, in 1e-18.
        pairs: How many.
        polls: Polled prices.
        polled_volume: Shares between polls.
        polled_turnover: Won, at the polled price.
        last: Last price, 0 before the first.
        printed: Last printed price, 0 before the first.
        bid: Best bid a trade named last, 0 when none.
        ask: Best ask a trade named last, 0 when none.
        books: Snapshots.
        quotes: Snapshots of continuous trading with both sides.
        quote: The last of them.
        flow: Order-flow imbalance.
        flows: How many were added.
        chained: The last book was a quote: flow goes on from it.
        ts_ingest: The newest.
    """

    trades: int
    volume: int
    turnover: int
    signed: int
    squares: int
    pairs: int
    polls: int
    polled_volume: int
    polled_turnover: int
    last: int
    printed: int
    bid: int
    ask: int
    books: int
    quotes: int
    quote: ofi.Quote | None
    flow: int
    flows: int
    chained: bool
    ts_ingest: int


class Open(NamedTuple):
    """The open window of one size: ``end`` exclusive, and each symbol's tally when it opened."""

    size: Micros
    end: Micros
    tallies: dict[Symbol, Tally]


class State(NamedTuple):
    """Everything of one partition.

    Attributes:
        day: Day in Korea, since the epoch; a new one starts the sums over.
        reached: The watermark.
        tallies: Running sums.
        seen: What the prints have shown.
        opens: One per size.
    """

    day: int
    reached: Micros
    tallies: dict[Symbol, Tally]
    seen: dict[Symbol, prints.Seen]
    opens: tuple[Open, ...]


NOTHING: Final = Tally(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, None, 0, 0, False, 0)
INITIAL: Final = State(0, Micros(0), {}, {}, tuple(Open(size, Micros(0), {}) for size in SIZES))


def step(state: State, batch: Batch) -> Step:
    """Fold trades and books into windows and emit those that close."""
    day, tallies, seen = state.day, dict(state.tallies), dict(state.seen)
    opens = [Open(each.size, each.end, dict(each.tallies)) for each in state.opens]
    first_end = min(each.end for each in opens)
    outputs: list[Output] = []
    for record in batch.records:
        event = record.value
        instant = max(event.ts_event, state.reached)
        if instant >= first_end:
            _close_until(opens, instant, tallies, outputs)
            if (instant + KST_OFFSET) // DAY > day:
                day = (instant + KST_OFFSET) // DAY
                tallies.clear()
                seen.clear()
            opens = [_opened(each, instant) for each in opens]
            first_end = min(each.end for each in opens)
        symbol = event.symbol
        before = tallies.get(symbol, NOTHING)
        if isinstance(event, Trade):
            after = _believed(before, event, seen)
            if after is None:
                continue
        else:
            after = _booked(before, event)
        polled = after.polls != before.polls
        for each in opens:
            if symbol not in each.tallies and (not polled or each.size >= POLLED_SIZE):
                each.tallies[symbol] = before
        tallies[symbol] = after
    _close_until(opens, batch.watermark, tallies, outputs)
    reached = max(batch.watermark, state.reached)
    return Step(State(day, reached, tallies, seen, tuple(opens)), outputs)


def _opened(each: Open, instant: Micros) -> Open:
    """Return the window of this size that holds ``instant``; an open one stays."""
    if instant < each.end:
        return each
    return Open(each.size, tumbling(instant, each.size)[1], {})


def _close_until(
    opens: list[Open], instant: Micros, tallies: dict[Symbol, Tally], outputs: list[Output]
) -> None:
    """Emit every window that ends by ``instant`` and leave it empty."""
    ended = [each for each in opens if each.end <= instant and each.tallies]
    for each in sorted(ended, key=lambda window: (window.end, window.size)):
        for symbol in sorted(each.tallies):
            window = _window(each, symbol, each.tallies[symbol], tallies[symbol])
            outputs.append(Output(topics.WINDOWS, symbol, window, LABELS[each.size]))
        each.tallies.clear()


def _believed(before: Tally, trade: Trade, seen: dict[Symbol, prints.Seen]) -> Tally | None:
    known, verdict = prints.judge(seen.get(trade.symbol), trade)
    if known is None:
        seen.pop(trade.symbol, None)
    else:
        seen[trade.symbol] = known
    if not verdict.counts:
        return None
    return _printed(before, trade) if trade.kind == "print" else _polled(before, trade)


def _printed(before: Tally, trade: Trade) -> Tally:
    price, qty, printed = trade.price, trade.qty, before.printed
    return Tally(
        before.trades + 1,
        before.volume + qty,
        before.turnover + turnover.won(price, qty),
        before.signed + signed_volume.signed(trade.aggressor, qty),
        before.squares + realized_vol.squared(Won(printed), price) if printed else before.squares,
        before.pairs + 1 if printed else before.pairs,
        before.polls,
        before.polled_volume,
        before.polled_turnover,
        price,
        price,
        trade.bid,
        trade.ask,
        before.books,
        before.quotes,
        before.quote,
        before.flow,
        before.flows,
        before.chained,
        max(before.ts_ingest, trade.ts_ingest),
    )


def _polled(before: Tally, trade: Trade) -> Tally:
    return before._replace(
        polls=before.polls + 1,
        polled_volume=before.polled_volume + trade.qty,
        polled_turnover=before.polled_turnover + turnover.won(trade.price, trade.qty),
        last=trade.price,
        bid=trade.bid,
        ask=trade.ask,
        ts_ingest=max(before.ts_ingest, trade.ts_ingest),
    )


def _booked(before: Tally, book: Book) -> Tally:
    quote = _quote_of(book)
    linked = before.quote if before.chained and quote is not None else None
    flow, flows = before.flow, before.flows
    if linked is not None and quote is not None:
        flow, flows = flow + ofi.flow(linked, quote), flows + 1
    return Tally(
        *before[:13],
        before.books + 1,
        before.quotes + 1 if quote is not None else before.quotes,
        quote if quote is not None else before.quote,
        flow,
        flows,
        quote is not None,
        max(before.ts_ingest, book.ts_ingest),
    )


def _quote_of(book: Book) -> ofi.Quote | None:
    """Return the book's best level; None in an auction or when a side is empty."""
    bid, ask = book.bid_prices[0], book.ask_prices[0]
    if book.phase != CONTINUOUS or not bid or not ask:
        return None
    return ofi.Quote(bid, book.bid_qtys[0], ask, book.ask_qtys[0], book.bid_total, book.ask_total)


def _window(each: Open, symbol: Symbol, start: Tally, end: Tally) -> Window:
    trades, books = end.trades - start.trades, end.books - start.books
    polled = not trades and not books
    if polled:
        volume, moved = end.polled_volume - start.polled_volume, end.polled_turnover
        moved -= start.polled_turnover
    else:
        volume, moved = end.volume - start.volume, end.turnover - start.turnover
    counted = trades + end.polls - start.polls
    last = end.last if counted else 0
    quote = end.quote if end.quotes > start.quotes else None
    bid, ask = Won(0), Won(0)
    if quote is not None:
        bid, ask = quote.bid, quote.ask
    elif counted:
        bid, ask = Won(end.bid), Won(end.ask)
    return Window(
        ts_event=each.end,
        ts_ingest=Micros(end.ts_ingest),
        symbol=symbol,
        start=Micros(each.end - each.size),
        end=each.end,
        size=each.size,
        polled=polled,
        trades=counted if polled else trades,
        books=books,
        volume=Shares(volume),
        turnover=Won(moved),
        last=Won(last) if last else None,
        bid=bid or None,
        ask=ask or None,
        vwap=vwap.close(moved, volume),
        ofi=Shares(end.flow - start.flow) if end.flows > start.flows else None,
        imbalance=imbalance.close(quote.bid_total, quote.ask_total) if quote else None,
        microprice_bps=microprice.close(bid, quote.bid_qty, ask, quote.ask_qty) if quote else None,
        spread_bps=spread.close(bid, ask) if quote else None,
        realized_vol=realized_vol.close(end.squares - start.squares, end.pairs - start.pairs),
        return_bps=returns.close(start.last, last),
        signed_volume=Shares(end.signed - start.signed),
    )


ROLE: Final = Role(
    name="features.windows",
    version=1,
    scope="key",
    inputs=(paced(topics.TRADES), paced(topics.BOOKS)),
    outputs=(topics.WINDOWS,),
    initial=INITIAL,
    step=step,
    states=(State, Open, Tally, ofi.Quote, prints.Seen),
)
