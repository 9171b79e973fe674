"""Raw KIS payloads to market events: the role ``market.decode``.

    raw ws    H0STCNT0 -> Trade (print)    H0STASP0 -> Book    H0STMKO0, H0UNMKO0 -> MarketStatus
    raw rest  FHKST11300006 (30 names a call) -> Trade (polled) per name

* ``seq`` is the frame's plus the record's index, so a frame's records keep their order.
* ``ts_event`` is the record's own second, but never before its frame's: a source's time does not
  go back, so nothing is born late.  A book has no date and takes its frame's.  A status has no
  time at all and takes its frame's; so does a polled price, which is of the instant it was asked.
* What cannot be read is a dead letter with the reason; the rest of its frame goes on.
* A polled ``qty`` is what traded since the symbol's poll before: 0 at the first.  When the
  volume of the day went back, a day has begun and all of it is new.
* ACK, NACK and PINGPONG say nothing of the market.
"""

from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from schemas import topics
from schemas.errors import Poison
from schemas.kis import frames, tables
from schemas.kis.views import book_of, operation_of, seconds_of_day, trade_of
from schemas.krx.sessions import kst_midnight
from schemas.market import Book, MarketStatus, Trade
from schemas.ops import DeadLettered
from schemas.raw import RawFrame
from schemas.role import Batch, Output, Record, Role, Step, paced
from schemas.units import DAY, KST_OFFSET, MINUTE, SECOND, Micros, Shares, Symbol
from streams import operations, polled

NAME: Final = "market.decode"
VENUE: Final = "KRX"

AHEAD_MAX: Final = MINUTE
"""A record farther ahead of its frame is misread, and believing it would stop time for all."""


class State(NamedTuple):
    """What decoding has to remember.

    Attributes:
        volumes: Volume of the day at each symbol's last poll.
        operations: What each symbol's last market operation said.
    """

    volumes: dict[Symbol, Shares]
    operations: dict[Symbol, operations.Said]


def step(state: State, batch: Batch) -> Step:
    """Decode raw frames, each into the events of its records."""
    state = State(dict(state.volumes), dict(state.operations))
    outputs: list[Output] = []
    for record in batch.records:
        raw: RawFrame = record.value
        if raw.payload[:1] == "{" and raw.channel == "ws":
            continue
        try:
            refused = _decode(state, raw, outputs)
        except Poison as error:
            refused = [str(error)]
        if refused:
            outputs.append(_dead_letter(record, raw, refused))
    return Step(state, outputs)


def _decode(state: State, raw: RawFrame, outputs: list[Output]) -> list[str]:
    """Append the events of a frame and return why records of it were refused."""
    if raw.channel == "rest":
        return _decode_poll(state, raw, outputs)
    if raw.channel != "ws":
        raise Poison(f"expected channel ws or rest, was {raw.channel[:16]!r}")
    frame = frames.parse(raw.payload)
    if not isinstance(frame, frames.DataFrame):
        return []
    if frame.encrypted:
        raise Poison(f"expected plain market data, was encrypted {frame.tr_id[:16]!r}")
    if frame.tr_id == tables.TRADES:
        read = _trade
    elif frame.tr_id == tables.BOOKS:
        read = _book
    elif frame.tr_id in {tables.OPERATIONS, tables.OPERATIONS_UNIFIED}:
        return _decode_operations(state, raw, frame, outputs)
    else:
        raise Poison(f"expected trades, books or operations, was {frame.tr_id}; unsubscribe it")
    refused: list[str] = []
    for index, fields in enumerate(frame.records):
        try:
            outputs.append(read(raw, index, fields))
        except Poison as error:
            refused.append(f"record {index + 1} of {frame.count}: {error}")
    return refused


def _trade(raw: RawFrame, index: int, fields: frames.Record) -> Output:
    view = trade_of(fields)
    midnight = _midnight(view.business_date)
    if midnight != _midnight_of(raw.ts_event):
        raise Poison(f"expected a print of its frame's day, was {view.business_date}")
    trade = Trade(
        ts_event=_instant(raw, midnight, view.time),
        ts_ingest=raw.ts_ingest,
        symbol=view.symbol,
        venue=VENUE,
        seq=raw.seq + index,
        kind="print",
        price=view.price,
        qty=view.qty,
        aggressor=view.aggressor,
        volume_day=view.volume_day,
        turnover_day=view.turnover_day,
        bid=view.bid,
        ask=view.ask,
        bid_qty=view.bid_qty,
        ask_qty=view.ask_qty,
        phase=view.phase,
        halted=view.halted,
        vi_base=view.vi_base,
    )
    return Output(topics.TRADES, view.symbol, trade)


def _book(raw: RawFrame, index: int, fields: frames.Record) -> Output:
    view = book_of(fields)
    book = Book(
        ts_event=_instant(raw, _midnight_of(raw.ts_event), view.time),
        ts_ingest=raw.ts_ingest,
        symbol=view.symbol,
        venue=VENUE,
        seq=raw.seq + index,
        ask_prices=view.ask_prices,
        ask_qtys=view.ask_qtys,
        bid_prices=view.bid_prices,
        bid_qtys=view.bid_qtys,
        ask_total=view.ask_total,
        bid_total=view.bid_total,
        phase=view.phase,
        expected_price=view.expected_price,
        expected_qty=view.expected_qty,
        volume_day=view.volume_day,
    )
    return Output(topics.BOOKS, view.symbol, book)


def _decode_operations(
    state: State, raw: RawFrame, frame: frames.DataFrame, outputs: list[Output]
) -> list[str]:
    for index, fields in enumerate(frame.records):
        view = operation_of(fields)
        said, changes = operations.changes(state.operations.get(view.symbol), view)
        state.operations[view.symbol] = said
        for change in changes:
            status = MarketStatus(
                ts_event=raw.ts_event,
                ts_ingest=raw.ts_ingest,
                symbol=view.symbol,
                seq=raw.seq + index,
                kind=change.kind,
                state=change.state,
                code=change.code,
            )
            outputs.append(Output(topics.STATUS, view.symbol, status))
    return []


def _decode_poll(state: State, raw: RawFrame, outputs: list[Output]) -> list[str]:
    if raw.tr_id != polled.TR_ID:
        raise Poison(f"expected {polled.TR_ID}, was {raw.tr_id[:16]!r}")
    refused: list[str] = []
    for index, row in enumerate(polled.rows(raw.payload)):
        try:
            quote = polled.quote_of(row)
        except Poison as error:
            refused.append(f"name {index + 1}: {error}")
            continue
        before = state.volumes.get(quote.symbol, quote.volume_day)
        state.volumes[quote.symbol] = quote.volume_day
        outputs.append(_polled_trade(raw, index, quote, before))
    return refused


def _polled_trade(raw: RawFrame, index: int, quote: polled.Quote, before: Shares) -> Output:
    grown = quote.volume_day - before
    trade = Trade(
        ts_event=raw.ts_event,
        ts_ingest=raw.ts_ingest,
        symbol=quote.symbol,
        venue=VENUE,
        seq=raw.seq + index,
        kind="polled",
        price=quote.price,
        qty=Shares(grown if grown >= 0 else quote.volume_day),
        aggressor="none",
        volume_day=quote.volume_day,
        turnover_day=quote.turnover_day,
        bid=quote.bid,
        ask=quote.ask,
        bid_qty=quote.bid_qty,
        ask_qty=quote.ask_qty,
        phase=quote.phase,
        halted=quote.halted,
        vi_base=polled.NO_PRICE,
    )
    return Output(topics.TRADES, quote.symbol, trade)


def _instant(raw: RawFrame, midnight: Micros, time: str) -> Micros:
    instant = Micros(midnight + seconds_of_day(time) * SECOND)
    if instant > raw.ts_event + AHEAD_MAX:
        raise Poison(f"expected a record within a minute of its frame, was at {time}")
    return max(instant, raw.ts_event)


@lru_cache(maxsize=64)
def _midnight(business_date: str) -> Micros:
    try:
        year, month, day = (
            int(business_date[:4]),
            int(business_date[4:6]),
            int(business_date[6:8]),
        )
        return kst_midnight(date(year, month, day))
    except ValueError as error:
        raise Poison(f"expected YYYYMMDD, was {business_date[:16]!r}") from error


def _midnight_of(instant: Micros) -> Micros:
    return Micros(instant - (instant + KST_OFFSET) % DAY)


def _dead_letter(record: Record, raw: RawFrame, refused: list[str]) -> Output:
    origin = f"{record.topic}/{record.partition}/{record.offset}"
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    letter = DeadLettered(
        ts_event=raw.ts_event,
        ts_ingest=raw.ts_ingest,
        origin=origin,
        role=NAME,
        error=Poison.__name__,
        reason=refused[0] + more,
        attempt=1,
        payload=raw.payload.encode(),
    )
    return Output(topics.DEAD_LETTERS, origin, letter)


ROLE: Final = Role(
    name=NAME,
    version=1,
    scope="key",
    inputs=(paced(topics.RAW_KIS),),
    outputs=(topics.TRADES, topics.BOOKS, topics.STATUS, topics.DEAD_LETTERS),
    initial=State({}, {}),
    step=step,
    states=(State, operations.Said),
)
