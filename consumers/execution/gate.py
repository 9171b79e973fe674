"""May this order be sent?  Every check runs, and says how much it would have let through.

A check gives the largest quantity that passes and the room left before its limit; an order
passes when its quantity is at most the smallest of them.  So the largest quantity always passes
and one share more is always denied.  What is unknown or stale lets nothing in; a sale of what
is held is held back only by the market, the instrument and a halt, never by risk.

    market       continuous trading; in the closing auction sales only          1 open, 0 closed
    trading      not halted; breaker not set (entries)                          1 or 0
    signal       now < expires                                                  micros
    instrument   known, not halted; entries: no managed or delisting issue, VI  1 or 0
    ledger       the balance is known                                           1 or 0
    quote        present and younger than the limit                             micros
    collar       within the price limits; entries: near the signal's price      won
    liquidity    share of the ten levels it could take from                     shares
    order        10 % of equity, market part at the upper limit                 won
    position     10 % of equity, open orders counted, as above                  won
    sector       30 % of equity, open orders counted, as above                  won
    gross        100 % of equity, open orders counted, as above                 won
    daily_loss   -2 % of the previous close's equity, unrealised counted        won
    cash         covers price and commission, market part at the upper limit    won
    duplicate    no other order or unknown of the symbol                        1 or 0
    crossing     no live order of the other side, ours or a stranger's          1 or 0
    holding      a sale of at most what is held                                 shares

An entry is valued by the most it may take, like the orders on their way: whatever it fills at,
it is inside the limits it was judged by.
"""

from collections.abc import Callable
from datetime import date
from typing import Final, NamedTuple

from consumers.execution.rules import Rules
from consumers.execution.slicing import market_part
from schemas.krx.costs import commission
from schemas.units import Micros, Shares, Won

UNLIMITED: Final = Shares(10**12)
"""More shares than any company has."""


class Facts(NamedTuple):
    """What the checks look at, as of one instant.

    Attributes:
        side: buy or sell.
        now: The instant.
        on: Its day in Korea.
        expires: Of the signal.
        phase: Of the exchange (``schemas.krx.sessions.PHASES``), or holiday.
        halted: An operator said so.
        breaker: Why entries stopped, empty when they may be made.
        known: The instrument is known.
        stopped: The instrument is halted.
        barred: Entries are forbidden: managed, delisting, VI, circuit breaker.
        blocks: What forbids it, in words.
        reconciled: Positions and cash are known.
        quote_age: Of the quote, None without one.
        price: What a share is valued at: the price it could be taken for, 0 when unknown.
        limit_price: Of the limit child, 0 when unknown.
        lower: Lowest price of the day.
        upper: Highest price of the day.
        signal_price: What the signal saw.
        depth: Shares on the ten levels it could take from.
        equity: Cash and marks.
        equity_previous: At the previous close.
        marks_fresh: Every held symbol has a fresh price.
        cash: Not yet promised to open orders.
        symbol_value: Held and on order, won.
        sector_value: Held and on order, won.
        gross_value: Held and on order, won.
        busy: Another order or an unknown of this symbol is on its way.
        opposed: A live order of the other side could trade with this one.
        sellable: Held and not on order.
        market_percent: Share of the market child.
    """

    side: str
    now: Micros
    on: date
    expires: Micros
    phase: str
    halted: bool
    breaker: str
    known: bool
    stopped: bool
    barred: bool
    blocks: tuple[str, ...]
    reconciled: bool
    quote_age: Micros | None
    price: Won
    limit_price: Won
    lower: Won
    upper: Won
    signal_price: Won
    depth: Shares
    equity: Won
    equity_previous: Won
    marks_fresh: bool
    cash: Won
    symbol_value: Won
    sector_value: Won
    gross_value: Won
    busy: bool
    opposed: bool
    sellable: Shares
    market_percent: int

    @property
    def buys(self) -> bool:
        """Whether it adds risk."""
        return self.side == "buy"


class Check(NamedTuple):
    """One check's answer for one quantity."""

    name: str
    passed: bool
    headroom: float
    largest: Shares


Room = tuple[float, int]
"""Headroom in the check's unit, largest quantity that passes."""


def check(facts: Facts, qty: Shares, rules: Rules) -> tuple[Check, ...]:
    """Run every check for ``qty`` shares, in the order of ``CHECKS``."""
    answers = []
    for name, room in CHECKS.items():
        headroom, most = room(facts, rules)
        largest = Shares(max(0, min(most, UNLIMITED)))
        answers.append(Check(name, qty <= largest, headroom, largest))
    return tuple(answers)


def largest(checks: tuple[Check, ...]) -> Shares:
    """Return the largest quantity that passes all of them."""
    return min(each.largest for each in checks)


def reason(checks: tuple[Check, ...], facts: Facts) -> str:
    """Return one sentence about those that failed, with what the exchange says where it does."""
    said = {"market": facts.phase, "instrument": " ".join(facts.blocks) or "not tradable"}
    if facts.buys and not facts.marks_fresh:
        said["daily_loss"] = "the mark of a held name is missing or old"
    failed = [
        f"{each.name} ({said.get(each.name, f'at most {each.largest}')})"
        for each in checks
        if not each.passed
    ]
    return "denied by " + ", ".join(failed) if failed else "all checks passed"


def cash_needed(facts: Facts, qty: int) -> int:
    """Return the won that buying ``qty`` shares may take, commission in."""
    amount = _worst(facts, qty, facts.limit_price)
    return amount + commission(amount, facts.on)


def value_added(facts: Facts, qty: int) -> int:
    """Return the most won that buying ``qty`` shares may add to what is held."""
    return _worst(facts, qty, max(facts.price, facts.limit_price))


def _worst(facts: Facts, qty: int, limit_price: int) -> int:
    market = market_part(qty, facts.market_percent)
    return (qty - market) * limit_price + market * facts.upper


def _most(cost: Callable[[Facts, int], int], facts: Facts, won: int) -> int:
    """Return the largest quantity that costs at most ``won``."""
    low, high = 0, max(0, won) // max(1, min(facts.limit_price, facts.upper))
    while low < high:  # the cost grows with the quantity
        middle = (low + high + 1) // 2
        if cost(facts, middle) <= won:
            low = middle
        else:
            high = middle - 1
    return low


def _flag(*, good: bool) -> Room:
    return (1.0, UNLIMITED) if good else (0.0, 0)


def _span(left: int) -> Room:
    return float(left), UNLIMITED if left > 0 else 0


def _value(facts: Facts, percent: int, used: int) -> Room:
    """Room of an entry below a percentage of equity; the limit itself passes."""
    if not facts.buys:
        return float(facts.equity), UNLIMITED
    left = facts.equity * percent // 100 - used
    if facts.price <= 0 or facts.upper <= 0:
        return 0.0, 0
    return float(left), _most(value_added, facts, left)


def _market(facts: Facts, rules: Rules) -> Room:
    del rules
    sale = not facts.buys and facts.phase == "closing_auction"
    return _flag(good=facts.phase == "continuous" or sale)


def _trading(facts: Facts, rules: Rules) -> Room:
    del rules
    return _flag(good=not facts.halted and not (facts.buys and facts.breaker))


def _signal(facts: Facts, rules: Rules) -> Room:
    del rules
    return _span(facts.expires - facts.now)


def _instrument(facts: Facts, rules: Rules) -> Room:
    del rules
    return _flag(good=facts.known and not facts.stopped and not (facts.buys and facts.barred))


def _ledger(facts: Facts, rules: Rules) -> Room:
    del rules
    return _flag(good=facts.reconciled)


def _quote(facts: Facts, rules: Rules) -> Room:
    if facts.quote_age is None or facts.price <= 0:
        return 0.0, 0
    return _span(rules.quote_age_max - facts.quote_age)


def _collar(facts: Facts, rules: Rules) -> Room:
    inside = min(facts.limit_price - facts.lower, facts.upper - facts.limit_price)
    if facts.buys:
        away = abs(facts.price - facts.signal_price)
        inside = min(inside, facts.signal_price * rules.collar_percent // 100 - away)
    return float(inside), UNLIMITED if inside >= 0 and facts.limit_price > 0 else 0


def _liquidity(facts: Facts, rules: Rules) -> Room:
    most = facts.depth * rules.depth_percent // 100
    return (float(most), most) if facts.buys else (float(facts.depth), UNLIMITED)


def _order(facts: Facts, rules: Rules) -> Room:
    return _value(facts, rules.order_percent, 0)


def _position(facts: Facts, rules: Rules) -> Room:
    return _value(facts, rules.position_percent, facts.symbol_value)


def _sector(facts: Facts, rules: Rules) -> Room:
    return _value(facts, rules.sector_percent, facts.sector_value)


def _gross(facts: Facts, rules: Rules) -> Room:
    return _value(facts, rules.gross_percent, facts.gross_value)


def _daily_loss(facts: Facts, rules: Rules) -> Room:
    limit = facts.equity_previous * rules.loss_percent
    left = limit - 100 * (facts.equity_previous - facts.equity)
    if not facts.buys:
        return left / 100, UNLIMITED
    good = facts.marks_fresh and facts.equity_previous > 0 and left > 0
    return left / 100, UNLIMITED if good else 0


def _cash(facts: Facts, rules: Rules) -> Room:
    del rules
    if not facts.buys:
        return float(facts.cash), UNLIMITED
    if facts.limit_price <= 0 or facts.upper <= 0:
        return 0.0, 0
    return float(facts.cash), _most(cash_needed, facts, facts.cash)


def _duplicate(facts: Facts, rules: Rules) -> Room:
    del rules
    return _flag(good=not facts.busy)


def _crossing(facts: Facts, rules: Rules) -> Room:
    del rules
    return _flag(good=not facts.opposed)


def _holding(facts: Facts, rules: Rules) -> Room:
    del rules
    return float(facts.sellable), UNLIMITED if facts.buys else facts.sellable


CHECKS: Final[dict[str, Callable[[Facts, Rules], Room]]] = {
    "market": _market,
    "trading": _trading,
    "signal": _signal,
    "instrument": _instrument,
    "ledger": _ledger,
    "quote": _quote,
    "collar": _collar,
    "liquidity": _liquidity,
    "order": _order,
    "position": _position,
    "sector": _sector,
    "gross": _gross,
    "daily_loss": _daily_loss,
    "cash": _cash,
    "duplicate": _duplicate,
    "crossing": _crossing,
    "holding": _holding,
}
