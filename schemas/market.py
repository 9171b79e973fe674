"""What the market says, decoded."""

from dataclasses import dataclass

from schemas.units import Micros, Shares, Symbol, Won


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A print of the exchange, or a polled last price (kind polled).

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        symbol: Short code.
        venue: KRX or NXT.
        seq: Orders what one second hides.
        kind: print or polled.
        price: Trade price.
        qty: Shares of this trade; polled: shares since the last poll.
        aggressor: buy, sell or none.
        volume_day: Accumulated volume of the day (ACML_VOL).
        turnover_day: Accumulated turnover of the day.
        bid: Best bid, 0 when none.
        ask: Best ask, 0 when none.
        bid_qty: At the best bid.
        ask_qty: At the best ask.
        phase: HOUR_CLS_CODE as received: 0 continuous, A B C D expected.
        halted: TRHT_YN.
        vi_base: Static VI base, 0 when unknown.
    """

    ts_event: Micros
    ts_ingest: Micros
    symbol: Symbol
    venue: str
    seq: int
    kind: str
    price: Won
    qty: Shares
    aggressor: str
    volume_day: Shares
    turnover_day: Won
    bid: Won
    ask: Won
    bid_qty: Shares
    ask_qty: Shares
    phase: str
    halted: bool
    vi_base: Won


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A snapshot of ten price levels a side; level 1 is the best.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        symbol: Short code.
        venue: KRX or NXT.
        seq: Orders what one second hides.
        ask_prices: Ascending, 0 when empty.
        ask_qtys: Resting at each.
        bid_prices: Descending, 0 when empty.
        bid_qtys: Resting at each.
        ask_total: Ten levels.
        bid_total: Ten levels.
        phase: HOUR_CLS_CODE as received.
        expected_price: Of the auction, 0 outside one.
        expected_qty: Of the auction, 0 outside one.
        volume_day: Accumulated volume of the day.
    """

    ts_event: Micros
    ts_ingest: Micros
    symbol: Symbol
    venue: str
    seq: int
    ask_prices: tuple[Won, ...]
    ask_qtys: tuple[Shares, ...]
    bid_prices: tuple[Won, ...]
    bid_qtys: tuple[Shares, ...]
    ask_total: Shares
    bid_total: Shares
    phase: str
    expected_price: Won
    expected_qty: Shares
    volume_day: Shares


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketStatus:
    """A change of phase, a VI, a halt or a circuit breaker.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        symbol: Short code, or * for the whole market.
        seq: Order.
        kind: phase, vi, halt or circuit_breaker.
        state: The new state.
        code: The code as received.
    """

    ts_event: Micros
    ts_ingest: Micros
    symbol: Symbol
    seq: int
    kind: str
    state: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyBars:
    """Consecutive daily bars of one symbol, oldest first; a day's update holds one.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        symbol: Short code.
        source: Where the bars came from.
        dates: yyyymmdd.
        opens: 0 when the symbol did not trade.
        highs: 0 when it did not trade.
        lows: 0 when it did not trade.
        closes: Last price.
        volumes: Shares.
        turnovers: Won.
        adjusts: Multiply a close by it to compare with the newest close.
    """

    ts_event: Micros
    ts_ingest: Micros
    symbol: Symbol
    source: str
    dates: tuple[int, ...]
    opens: tuple[Won, ...]
    highs: tuple[Won, ...]
    lows: tuple[Won, ...]
    closes: tuple[Won, ...]
    volumes: tuple[Shares, ...]
    turnovers: tuple[Won, ...]
    adjusts: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """Master data of one symbol for one session.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        symbol: Short code.
        isin: ISIN, empty when unknown.
        name: Korean name.
        segment: KOSPI, KOSDAQ or KONEX.
        sector: Industry, null when unknown.
        security_type: COMMON, PREFERRED, SPAC, ETF, ETN, REIT.
        listed_shares: Listed.
        base_price: The session's base price.
        market_cap: Previous close times listed shares.
        halted: Trading halted.
        administrative: Managed issue.
        delisting: Delisting trades.
    """

    ts_event: Micros
    ts_ingest: Micros
    symbol: Symbol
    isin: str
    name: str
    segment: str
    sector: str | None = None
    security_type: str
    listed_shares: Shares
    base_price: Won
    market_cap: Won
    halted: bool
    administrative: bool
    delisting: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fundamentals:
    """What was publicly known of a company from ts_event on (point in time).

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        symbol: Short code.
        period_end: yyyymmdd of the newest quarter.
        basis: CFS or OFS.
        source: File.
        equity: Book equity.
        liabilities: Total liabilities.
        assets: Total assets.
        sales_ttm: Four quarters.
        sales_prior_ttm: The four before.
        operating_income_ttm: Four quarters.
        net_income_ttm: Four quarters.
        net_income_prior_ttm: The four before.
        operating_cash_flow_ttm: Four quarters.
    """

    ts_event: Micros
    ts_ingest: Micros
    symbol: Symbol
    period_end: int
    basis: str
    source: str
    equity: Won | None = None
    liabilities: Won | None = None
    assets: Won | None = None
    sales_ttm: Won | None = None
    sales_prior_ttm: Won | None = None
    operating_income_ttm: Won | None = None
    net_income_ttm: Won | None = None
    net_income_prior_ttm: Won | None = None
    operating_cash_flow_ttm: Won | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexBars:
    """Consecutive daily closes of an index or rate, oldest first.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        name: KOSPI, KOSDAQ, KOSPI200, USDKRW, ...
        source: File.
        dates: yyyymmdd.
        closes: Level.
    """

    ts_event: Micros
    ts_ingest: Micros
    name: str
    source: str
    dates: tuple[int, ...]
    closes: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """A DART filing.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        receipt_no: 14 digits, unique.
        corp_code: 8 digits.
        symbol: Short code, null when unlisted.
        corp_name: Name.
        corp_class: Y K N E.
        report_name: Trimmed title.
        filer: Who filed.
        filed_on: yyyymmdd.
        remark: rm as received.
        corrects: A correction of an earlier filing.
    """

    ts_event: Micros
    ts_ingest: Micros
    receipt_no: str
    corp_code: str
    symbol: Symbol | None = None
    corp_name: str
    corp_class: str
    report_name: str
    filer: str
    filed_on: int
    remark: str
    corrects: bool
