"""Limits over a whole day: whatever fills and prices come, our own order never breaches one.

The desk is the real one with a random account.  A limit is judged at the prices and the equity
of the decision; an order on its way may cost up to its limit price, a market order up to the
day's upper limit.
"""

from datetime import date
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.execution import control, instruments, parents
from consumers.execution.desk import Desk
from consumers.execution.rules import RULES, Rules
from consumers.execution.state import Mark, Order, Quote, Register, Row, State
from schemas.krx.costs import commission
from schemas.krx.sessions import session
from schemas.market import Instrument
from schemas.signals import Signal
from schemas.units import MINUTE, SECOND, Micros, Shares, Symbol, Won

DAY = date(2026, 2, 10)
FOUND = session(DAY)
assert FOUND is not None
TEN = Micros(FOUND.open + 60 * MINUTE)
CASH = 10_000_000
BASES = {"005930": 50_000, "000660": 200_000, "035720": 1_990, "035420": 4_980}
SYMBOLS = tuple(Symbol(each) for each in BASES)
SECTORS = dict(zip(SYMBOLS, ("chips", "chips", "chips", "web"), strict=True))
WIDE = RULES._replace(order_percent=40, position_percent=40, sector_percent=60)
"""So wide that four names reach every limit, the whole account's among them."""


def desk_of(target_percent: int = 8, rules: Rules = RULES, **said: Any) -> Desk:
    """Return a desk at ten o'clock that knows four names, its cash and their last prices."""
    listed = [
        Instrument(
            ts_event=TEN, ts_ingest=TEN, symbol=symbol, isin="", name="", sector=SECTORS[symbol],
            segment="KOSPI", security_type="COMMON", listed_shares=Shares(1), base_price=Won(price),
            market_cap=Won(1), halted=False, administrative=False, delisting=False,
        )
        for symbol, price in zip(SYMBOLS, BASES.values(), strict=True)
    ]  # fmt: skip
    fields: dict[str, Any] = {
        "now": TEN, "account": "a1", "reconciled": True, "day": DAY.toordinal(),
        "cash": Won(CASH), "equity_previous": Won(CASH),
        "instruments": instruments.put(Register(), listed),
        "marks": {s: Mark(Won(p), TEN) for s, p in zip(SYMBOLS, BASES.values(), strict=True)},
    }  # fmt: skip
    return Desk(State(**{**fields, **said}), rules._replace(target_percent=target_percent))


def price_of(desk: Desk, symbol: Symbol) -> Won:
    """Return the last price; the desk forgets it when nothing of the name is left."""
    return desk.marks[symbol].price if symbol in desk.marks else Won(BASES[symbol])


def wish(desk: Desk, symbol: Symbol, side: str) -> str:
    """Give the desk a signal; return its parent's id."""
    known = set(desk.parents)
    parents.open_parent(desk, Signal(
        ts_event=desk.now, ts_ingest=desk.now, signal_id=f"s{desk.state.ordinal}", fire_id="f",
        symbol=symbol, side=side, score=80.0, price=price_of(desk, symbol), sector="",
        reason="", level="full", expires=Micros(desk.now + 30 * MINUTE), lineage={},
    ))  # fmt: skip
    [parent_id] = set(desk.parents) - known
    return parent_id


def quote_of(desk: Desk, symbol: Symbol, spread: int, depth: int) -> Quote:
    price = price_of(desk, symbol)
    return Quote(Won(price), Won(price + spread), Shares(depth), Shares(depth), desk.now)


def upper(desk: Desk, symbol: Symbol) -> int:
    return desk.limits(desk.listed(symbol)).upper


def on_the_way(desk: Desk, symbol: Symbol) -> int:
    """Most won that live buys of a symbol may still take."""
    live = [e for e in desk.live if e.side == "buy" and e.symbol == symbol]
    return sum(e.leaves * (e.price or upper(desk, symbol)) for e in live)


def exposure(desk: Desk, symbol: Symbol) -> int:
    return desk.positions.get(symbol, 0) * price_of(desk, symbol) + on_the_way(desk, symbol)


def equity(desk: Desk) -> int:
    held = sum(qty * price_of(desk, symbol) for symbol, qty in desk.positions.items())
    return desk.state.cash + held


def broken(desk: Desk, symbol: Symbol, fresh: list[Order]) -> list[str]:
    """Name the limits that the desk's book is beyond, right after it sent ``fresh``."""
    whole = equity(desk)
    mine = [each for each in SYMBOLS if SECTORS[each] == SECTORS[symbol]]
    rules = desk.rules
    figures = {
        "order": (
            sum(e.qty * (e.price or upper(desk, symbol)) for e in fresh),
            rules.order_percent,
        ),
        "position": (exposure(desk, symbol), rules.position_percent),
        "sector": (sum(exposure(desk, each) for each in mine), rules.sector_percent),
        "gross": (sum(exposure(desk, each) for each in SYMBOLS), rules.gross_percent),
    }
    names = [name for name, (won, percent) in figures.items() if 100 * won > percent * whole]
    promised = sum(on_the_way(desk, each) for each in SYMBOLS)
    return names + ["cash"] * (promised + commission(promised, DAY) > desk.state.cash)


def oversold(desk: Desk) -> bool:
    selling = dict.fromkeys(SYMBOLS, 0)
    for each in desk.live:
        selling[each.symbol] += each.leaves if each.side == "sell" else 0
    return any(qty > desk.positions.get(symbol, 0) for symbol, qty in selling.items())


class Act(NamedTuple):
    """One thing that happens; each kind reads the figures it needs."""

    kind: str
    which: int
    figure: int
    side: str


ACTS = st.lists(
    st.builds(
        Act,
        st.sampled_from(["wish", "enter", "enter", "quote", "fill", "cancel", "price"]),
        st.integers(0, 40),
        st.integers(0, 100),
        st.sampled_from(["buy", "buy", "buy", "sell"]),
    ),
    max_size=60,
)


def play(desk: Desk, act: Act, depth: int) -> None:
    """Let one thing happen, and judge the book when the desk sent something."""
    symbol = SYMBOLS[act.which % len(SYMBOLS)]
    live = [each for each in desk.live if each.status != "intended"]
    if act.kind == "wish":
        wish(desk, symbol, act.side)
    elif act.kind == "enter":
        _answer(desk, wish(desk, symbol, act.side), act.figure % 3, depth)
    elif act.kind == "quote":
        asking = [e for e in desk.parents.values() if e.status in {"quoting", "waiting"}]
        if asking:
            _answer(desk, asking[act.which % len(asking)].parent_id, act.figure % 3, depth)
    elif act.kind == "fill" and live:
        order = live[act.which % len(live)]
        worst = order.price or (upper(desk, order.symbol) if order.side == "buy" else 1)
        more = Shares(order.leaves * act.figure // 100)
        desk.fill(order, Shares(order.filled_qty + more), Won(order.filled_amount + more * worst))
        parents.advance(desk, order.parent_id)
    elif act.kind == "cancel" and live:
        order = live[act.which % len(live)]
        desk.say_of(order, "cancelled")
        parents.advance(desk, order.parent_id)
    elif act.kind == "price":
        base = BASES[symbol]
        desk.mark(symbol, Won(base - base // 5 + base * 2 * act.figure // 500))


def _answer(desk: Desk, parent_id: str, ticks: int, depth: int) -> None:
    parent = desk.parents[parent_id]
    before = set(desk.orders)
    desk.mark(parent.symbol, price_of(desk, parent.symbol))
    spread = ticks * (1_000 if price_of(desk, parent.symbol) >= 20_000 else 10)
    if parent.status not in {"quoting", "waiting"}:
        return
    parents.decide(desk, parent, quote_of(desk, parent.symbol, spread, depth))
    fresh = [order for intent, order in desk.orders.items() if intent not in before]
    if fresh and parent.side == "buy":
        assert broken(desk, parent.symbol, fresh) == []
    if any(order.side == "sell" for order in fresh):
        assert parent.side == "sell"


@settings(deadline=None, max_examples=200)
@given(
    acts=ACTS,
    target=st.sampled_from([8, 40]),
    rules=st.sampled_from([RULES, WIDE]),
    depth=st.sampled_from([100, 10**5]),
    cash=st.integers(10**5, CASH),
)
def test_no_order_takes_the_book_beyond_a_limit_whatever_fills_and_prices_came(
    acts: list[Act], target: int, rules: Rules, depth: int, cash: int
) -> None:
    held = {symbol: Shares((CASH - cash) // 4 // price) for symbol, price in BASES.items()}
    positions = {Symbol(symbol): qty for symbol, qty in held.items() if qty}
    desk = desk_of(target, rules, cash=Won(cash), positions=positions)

    for act in acts:
        play(desk, act, depth)

        assert not oversold(desk)
        for parent in desk.parents.values():
            children = sum(each.committed for each in desk.children(parent))
            assert children + desk.residual(parent) == parent.qty
            assert desk.residual(parent) >= 0


def test_a_market_child_that_fills_at_the_upper_limit_stays_inside_10_percent() -> None:
    desk = desk_of(target_percent=40)
    parent_id = wish(desk, SYMBOLS[0], "buy")

    _answer(desk, parent_id, 0, 10**4)
    for order in list(desk.live):
        price = order.price or upper(desk, order.symbol)
        desk.fill(order, order.qty, Won(order.qty * price))

    # Priced at the ask, 20 shares were let in and could have cost 1,060,000 won.
    assert desk.positions[SYMBOLS[0]] == 18
    assert CASH - desk.state.cash <= CASH // 10


def test_buys_on_their_way_count_toward_the_sector() -> None:
    desk = desk_of(40, WIDE)

    for symbol in SYMBOLS[:3]:
        _answer(desk, wish(desk, symbol, "buy"), 0, 10**6)

    on_order = [on_the_way(desk, symbol) for symbol in SYMBOLS[:3]]
    assert CASH * 58 // 100 < sum(on_order) <= CASH * 60 // 100
    assert min(on_order) > 0


def test_cash_promised_to_one_buy_is_not_spent_on_the_next() -> None:
    loose = WIDE._replace(gross_percent=500)
    held = {SYMBOLS[3]: Shares((CASH - 2_000_000) // 4_980)}
    desk = desk_of(40, loose, cash=Won(2_000_000), positions=held)

    for symbol in SYMBOLS[:2]:
        _answer(desk, wish(desk, symbol, "buy"), 0, 10**6)

    promised = sum(on_the_way(desk, symbol) for symbol in SYMBOLS[:2])
    assert 1_700_000 < promised <= 2_000_000


UNKNOWN = [
    ("no quote", {}, None),
    ("an old quote", {}, Micros(10 * SECOND)),
    ("no balance", {"reconciled": False}, Micros(0)),
    ("an old mark", {"marks": {SYMBOLS[0]: Mark(Won(50_000), TEN),
                               SYMBOLS[1]: Mark(Won(200_000), Micros(TEN - 20 * MINUTE - 1))}},
     Micros(0)),
    ("no mark", {"marks": {SYMBOLS[0]: Mark(Won(50_000), TEN)}}, Micros(0)),
    ("no instrument", {"instruments": Register()}, Micros(0)),
    ("no close of yesterday", {"equity_previous": Won(0)}, Micros(0)),
    ("a status", {"blocks": {SYMBOLS[0]: ("vi",)}}, Micros(0)),
    ("a stopped market", {"blocks": {"*": ("circuit_breaker",)}}, Micros(0)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "age"), [each[1:] for each in UNKNOWN], ids=[each[0] for each in UNKNOWN]
)
def test_what_is_unknown_or_old_lets_nothing_in_and_throws_nothing_out(
    said: dict[str, Any], age: Micros | None
) -> None:
    desk = desk_of(positions={SYMBOLS[1]: Shares(5)}, **said)
    quote = None
    if age is not None:
        quote = quote_of(desk, SYMBOLS[0], 0, 10**4)._replace(at=Micros(desk.now - age))

    parents.decide(desk, desk.parents[wish(desk, SYMBOLS[0], "buy")], quote)
    control.watch_loss(desk)
    control.timer(desk, "marks")

    assert desk.orders == {}
    assert (desk.state.breaker, desk.positions) == ("", {SYMBOLS[1]: 5})


def test_the_same_account_with_everything_known_does_enter() -> None:
    desk = desk_of(positions={SYMBOLS[1]: Shares(5)})

    _answer(desk, wish(desk, SYMBOLS[0], "buy"), 0, 10**4)

    assert {order.side for order in desk.live} == {"buy"}


@pytest.mark.parametrize(("leaves", "sent"), [(3, 0), (0, 5)])
def test_an_order_from_outside_on_the_other_side_is_not_traded_against(
    leaves: int, sent: int
) -> None:
    row = Row(
        SYMBOLS[1], "buy", "limit", Shares(3), Won(200_000), Shares(3 - leaves), Won(0),
        Shares(leaves), Shares(0), "", TEN, "",
    )  # fmt: skip
    desk = desk_of(positions={SYMBOLS[1]: Shares(5)}, unbound={"77": row})

    _answer(desk, wish(desk, SYMBOLS[1], "sell"), 0, 10**4)

    assert sum(order.qty for order in desk.live) == sent
