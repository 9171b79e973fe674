"""The two hot records as text, straight from numbers.

``schemas/kis/encode`` writes any typed record; here the 47 fields of a print and the 63 of a book
are one formatted string each, because a day holds hundreds of thousands.  A test holds both to the
same bytes.  Meanings and units: ``reference/korea.md`` 1.4.
"""

from typing import NamedTuple

from schemas.kis.tables import BOOKS, TRADES

_SESSION = {True: ("20", "2"), False: ("21", "2")}
_HUNDRED = 100


class Day(NamedTuple):
    """What stays the same for a name all day.

    Attributes:
        base: Base price, won, > 0.
        shares: Listed shares.
        previous_volume: Shares of the session before.
        date: YYYYMMDD.
    """

    symbol: str
    base: int
    lower: int
    upper: int
    shares: int
    date: str


class Print(NamedTuple):
    """A print and the day up to it; won, shares, times HHMMSS."""

    time: str
    price: int
    qty: int
    code: str
    continuous: bool
    volume: int
    turnover: int
    open: int
    high: int
    low: int
    open_time: str
    high_time: str
    low_time: str
    ask: int
    bid: int
    ask_qty: int
    bid_qty: int
    ask_total: int
    bid_total: int
    sells: int
    buys: int
    sold: int
    bought: int
    previous: int


class Picture(NamedTuple):
    """A book: ten levels a side, best first, 0 where empty; expected values 0 when continuous."""

    time: str
    phase: str
    asks: list[int]
    bids: list[int]
    ask_qtys: list[int]
    bid_qtys: list[int]
    expected_price: int
    expected_qty: int
    expected_volume: int
    volume: int
    ask_change: int
    bid_change: int


def trade(day: Day, p: Print) -> str:
    """Write an H0STCNT0 record of 47 fields."""
    change = p.price - day.base
    to_open, to_high, to_low = p.price - p.open, p.price - p.high, p.price - p.low
    share = -(-_HUNDRED * p.bought // p.volume)
    operation, market = _SESSION[p.continuous]
    return (
        f"{day.symbol}^{p.time}^{p.price}^{_limit_sign(day, p.price, change)}^{change}"
        f"^{_percent(change, day.base)}^{p.turnover / p.volume:.2f}^{p.open}^{p.high}^{p.low}"
        f"^{p.ask}^{p.bid}^{p.qty}^{p.volume}^{p.turnover}^{p.sells}^{p.buys}^{p.buys - p.sells}"
        f"^{_percent(p.bought, p.sold)}^{p.sold}^{p.bought}^{p.code}"
        f"^{share // _HUNDRED}.{share % _HUNDRED:02d}^{_percent(p.volume, p.previous)}"
        f"^{p.open_time}^{_sign(to_open)}^{to_open}^{p.high_time}^{_sign(to_high)}^{to_high}"
        f"^{p.low_time}^{_sign(to_low)}^{to_low}^{day.date}^{operation}^N"
        f"^{p.ask_qty}^{p.bid_qty}^{p.ask_total}^{p.bid_total}^{_percent(p.volume, day.shares)}"
        f"^{p.previous}^{_percent(p.volume, p.previous)}^0^^{p.open}^{market}"
    )


def book(day: Day, p: Picture) -> str:
    """Write an H0STASP0 record of 63 fields."""
    change = p.expected_price - day.base
    middle = (p.asks[0] + p.bids[0]) // 2 if p.phase == "0" and p.asks[0] and p.bids[0] else 0
    levels = "^".join(map(str, [*p.asks, *p.bids, *p.ask_qtys, *p.bid_qtys]))
    return (
        f"{day.symbol}^{p.time}^{p.phase}^{levels}^{sum(p.ask_qtys)}^{sum(p.bid_qtys)}^0^0"
        f"^{p.expected_price}^{p.expected_qty}^{p.expected_volume}^{change}^{_sign(change)}"
        f"^{_percent(change, day.base)}^{p.volume}^{p.ask_change}^{p.bid_change}^0^0^0"
        f"^{middle}^0^0^2"
    )


def frame(tr_id: str, records: list[str]) -> str:
    """Write a data frame around records of one stream."""
    return f"0|{tr_id}|{len(records):03d}|{'^'.join(records)}"


def _sign(value: int) -> str:
    return "2" if value > 0 else "5" if value < 0 else "3"


def _limit_sign(day: Day, price: int, change: int) -> str:
    if change and price == day.upper:
        return "1"
    if change and price == day.lower:
        return "4"
    return _sign(change)


def _percent(part: int, whole: int) -> str:
    return f"{round(_HUNDRED * part / whole, 2) + 0.0:.2f}" if whole else "0.00"


__all__ = ["BOOKS", "TRADES", "Day", "Picture", "Print", "book", "frame", "trade"]
