"""What execution remembers: values only, so that it can be saved, compared and rebuilt."""

from typing import NamedTuple

from schemas.units import Micros, Shares, Symbol, Won


class Order(NamedTuple):
    """A child order as ``orders.events`` tells it.

    Attributes:
        intent_id: H(signal, leg, slice, attempt).
        parent_id: Whose child it is.
        signal_id: The wish behind it.
        symbol: Short code.
        side: buy or sell.
        order_type: limit or market.
        qty: Ordered.
        price: Limit, 0 for market.
        status: intended, approved, submitting, unknown, open or done.
        end: Why it is done: filled, cancelled, rejected, withheld, resolved_absent, expired.
        order_no: Brokerage's number, empty while we do not know it.
        org_no: Brokerage's branch, for cancels.
        filled_qty: Cumulative.
        filled_amount: Cumulative won.
        fee: Cumulative.
        tax: Cumulative.
        submitted: When ``submitting`` was written.
        accepted: When the brokerage had it, 0 before.
        closed: When an unanswered request's socket was closed, 0 while none is.
        misses: Complete listings since then without it.
        cancels: Cancels asked for.
        cancelling: A cancel is on its way or accepted.
    """

    intent_id: str
    parent_id: str
    signal_id: str
    symbol: Symbol
    side: str
    order_type: str
    qty: Shares
    price: Won
    status: str = "intended"
    end: str = ""
    order_no: str = ""
    org_no: str = ""
    filled_qty: Shares = Shares(0)
    filled_amount: Won = Won(0)
    fee: Won = Won(0)
    tax: Won = Won(0)
    submitted: Micros = Micros(0)
    accepted: Micros = Micros(0)
    closed: Micros = Micros(0)
    misses: int = 0
    cancels: int = 0
    cancelling: bool = False

    @property
    def committed(self) -> Shares:
        """Shares of the parent this child holds: all it asked for, or what it got once done."""
        return self.filled_qty if self.status == "done" else self.qty

    @property
    def leaves(self) -> Shares:
        """Shares that may still be filled."""
        return Shares(0) if self.status == "done" else Shares(self.qty - self.filled_qty)


class Parent(NamedTuple):
    """What one signal asked for and how far it came.

    Attributes:
        parent_id: H(signal).
        signal_id: The wish.
        symbol: Short code.
        side: buy or sell.
        sector: Empty when unknown.
        signal_price: Newest price when the signal was made.
        opened: When it came.
        expires: Nothing new is sent from here on.
        status: queued (symbol busy), deferred (before the open), quoting, working, waiting, done.
        qty: Approved, 0 before.
        arrival_price: Mid of the first quote.
        decisions: Taken so far.
        quotes: Asked for the decision at hand.
        children: Intents, oldest first.
        stopping: Why nothing new is sent, empty while it may be.
        first_fill: When, 0 without one.
    """

    parent_id: str
    signal_id: str
    symbol: Symbol
    side: str
    sector: str
    signal_price: Won
    opened: Micros
    expires: Micros
    status: str = "quoting"
    qty: Shares = Shares(0)
    arrival_price: Won = Won(0)
    decisions: int = 0
    quotes: int = 0
    children: tuple[str, ...] = ()
    stopping: str = ""
    first_fill: Micros = Micros(0)


class Listed(NamedTuple):
    """What the gate needs of an instrument."""

    segment: str
    kind: str
    sector: str
    base_price: Won
    halted: bool
    barred: bool


class Register(NamedTuple):
    """Today's instruments, packed (see ``instruments``)."""

    sectors: tuple[str, ...] = ()
    rows: bytes = b""


class Mark(NamedTuple):
    """A price and when it was."""

    price: Won
    at: Micros


class Quote(NamedTuple):
    """Best prices, the depth of ten levels, and flags that forbid an entry."""

    bid: Won
    ask: Won
    bid_depth: Shares
    ask_depth: Shares
    at: Micros
    flags: tuple[str, ...] = ()

    @property
    def mid(self) -> Won:
        """Half way, or the only side there is."""
        return Won((self.bid + self.ask) // 2) if self.bid and self.ask else self.bid or self.ask


class Row(NamedTuple):
    """An order of a listing that is not bound to one of ours."""

    symbol: Symbol
    side: str
    order_type: str
    qty: Shares
    price: Won
    filled_qty: Shares
    filled_amount: Won
    leaves_qty: Shares
    cancelled_qty: Shares
    org_no: str
    taken: Micros
    reason: str


class Pending(NamedTuple):
    """An effect whose result has not come."""

    kind: str
    subject: str


class SubmitCall(NamedTuple):
    """An order to be sent."""

    account: str
    intent_id: str
    parent_id: str
    signal_id: str
    symbol: Symbol
    side: str
    order_type: str
    qty: Shares
    price: Won
    send_by: Micros


class CancelCall(NamedTuple):
    """An order's rest to be cancelled."""

    account: str
    intent_id: str
    parent_id: str
    signal_id: str
    symbol: Symbol
    side: str
    order_type: str
    qty: Shares
    price: Won
    order_no: str
    org_no: str


class QuoteCall(NamedTuple):
    """Best prices and ten levels of one symbol, for a parent's decision."""

    account: str
    parent_id: str
    symbol: Symbol


class MarksCall(NamedTuple):
    """Last prices of held symbols, all in one call."""

    account: str
    symbols: tuple[Symbol, ...]


class ListingCall(NamedTuple):
    """Today's orders; ``known`` are (number, filled, leaves) that need no telling again."""

    account: str
    known: tuple[tuple[str, Shares, Shares], ...]
    twice: bool


class BalanceCall(NamedTuple):
    """Holdings and cash."""

    attempt: int


class State(NamedTuple):
    """Everything.

    Attributes:
        now: Newest instant seen; never goes back.
        ingest: Of the record at hand.
        ordinal: Events and effects made so far.
        account: Keyed hash, empty until the brokerage has told the balance.
        reconciled: The balance is known.
        day: Day in Korea as an ordinal, 0 at first.
        halted: Nothing but cancels.
        breaker: Why entries stopped, empty while they may be made.
        releases: Who has released the breaker.
        cash: Trade-date cash, fees and taxes taken.
        equity_previous: At the previous close.
        positions: Shares held.
        marks: Newest price of what is held or being decided.
        instruments: Today's.
        blocks: Symbol (``*``: all) to the kinds of market status that forbid an entry.
        parents: Live ones, by parent id.
        orders: Of live parents, by intent id.
        finished: Today's parents that ended.
        numbers: Brokerage's number to intent id, empty when that order is over.
        unbound: Brokerage's number to a listed order that is not ours, so far.
        pending: Effect id to what it is about.
        listing: Id of the listing on its way, empty when none.
        listing_again: Something happened meanwhile.
        polling: The poll timer is set.
        alerted: Intents somebody was called for.
    """

    now: Micros = Micros(0)
    ingest: Micros = Micros(0)
    ordinal: int = 0
    account: str = ""
    reconciled: bool = False
    day: int = 0
    halted: bool = False
    breaker: str = ""
    releases: tuple[str, ...] = ()
    cash: Won = Won(0)
    equity_previous: Won = Won(0)
    positions: dict[Symbol, Shares] = {}  # noqa: RUF012 -- a fold copies before it changes
    marks: dict[Symbol, Mark] = {}  # noqa: RUF012 -- as above
    instruments: Register = Register()
    blocks: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 -- as above
    parents: dict[str, Parent] = {}  # noqa: RUF012 -- as above
    orders: dict[str, Order] = {}  # noqa: RUF012 -- as above
    finished: dict[str, int] = {}  # noqa: RUF012 -- as above
    numbers: dict[str, str] = {}  # noqa: RUF012 -- as above
    unbound: dict[str, Row] = {}  # noqa: RUF012 -- as above
    pending: dict[str, Pending] = {}  # noqa: RUF012 -- as above
    listing: str = ""
    listing_again: bool = False
    polling: bool = False
    alerted: tuple[str, ...] = ()


STATES = (
    State, Order, Parent, Register, Mark, Row, Pending,
    SubmitCall, CancelCall, QuoteCall, MarksCall, ListingCall, BalanceCall,
)  # fmt: skip
"""What a saved state may hold."""
