"""What the gate looks at, taken from the desk as of now."""

from consumers.execution.desk import Desk
from consumers.execution.gate import Facts
from consumers.execution.state import Listed, Order, Parent, Quote
from schemas.krx.costs import commission
from schemas.krx.prices import grid
from schemas.units import Micros, Shares, Symbol, Won


def facts(desk: Desk, parent: Parent, quote: Quote | None) -> Facts:
    """Return everything the checks need to judge a parent's next order."""
    listed = desk.listed(parent.symbol)
    lower, upper = desk.limits(listed)
    buys = parent.side == "buy"
    near, far = _touches(quote, buys=buys)
    crossing = parent.qty > 0 or desk.phase == "closing_auction"
    state = desk.state
    blocks = {*desk.blocks.get(parent.symbol, ()), *desk.blocks.get("*", ())}
    blocks |= set(quote.flags if quote is not None else ())
    if listed is None:
        blocks.add("unknown")
    return Facts(
        side=parent.side,
        now=desk.now,
        on=desk.today,
        expires=parent.expires,
        phase=desk.phase,
        halted=state.halted,
        breaker=state.breaker,
        known=listed is not None and listed.base_price > 0,
        stopped=listed is None or listed.halted or "halt" in blocks,
        barred=listed is None or listed.barred or bool(blocks),
        blocks=tuple(sorted(blocks)),
        reconciled=state.reconciled,
        quote_age=None if quote is None else Micros(desk.now - quote.at),
        price=far,
        limit_price=_on_grid(desk, listed, far if crossing else near, buys=buys),
        lower=lower,
        upper=upper,
        signal_price=parent.signal_price,
        depth=Shares(0) if quote is None else quote.ask_depth if buys else quote.bid_depth,
        equity=equity(desk),
        equity_previous=state.equity_previous,
        marks_fresh=marks_fresh(desk),
        cash=Won(state.cash - sum(_promised(desk, each) for each in _buying(desk))),
        symbol_value=_exposure(desk, {parent.symbol}),
        sector_value=_exposure(desk, _of_sector(desk, parent)),
        gross_value=_exposure(desk, None),
        busy=busy(desk, parent),
        opposed=_opposed(desk, parent),
        sellable=_sellable(desk, parent.symbol),
        market_percent=0 if crossing else desk.rules.market_percent,
    )


def equity(desk: Desk) -> Won:
    """Return cash and what is held at its marks; a missing mark counts as nothing."""
    held = sum(qty * _price(desk, symbol) for symbol, qty in desk.positions.items())
    return Won(desk.state.cash + held)


def stale(desk: Desk, symbol: Symbol, age_max: Micros) -> bool:
    """Say whether a mark is missing or old; the hours before the open do not age it."""
    mark, today = desk.marks.get(symbol), desk.session
    if mark is None or mark.price <= 0:
        return True
    since = mark.at if today is None else max(mark.at, min(today.open, desk.now))
    return desk.now - since > age_max


def marks_fresh(desk: Desk) -> bool:
    """Say whether every held symbol has a price that is young enough."""
    return not any(stale(desk, symbol, desk.rules.mark_age_max) for symbol in desk.positions)


def busy(desk: Desk, parent: Parent) -> bool:
    """Say whether another parent of the symbol is at work."""
    return any(
        each.symbol == parent.symbol
        and each.parent_id != parent.parent_id
        and each.status != "queued"
        for each in desk.parents.values()
    )


def _opposed(desk: Desk, parent: Parent) -> bool:
    """Say whether an order of the other side may still be filled: we do not trade with ourselves.

    A listed order that is not ours, or not bound yet, counts: the account is the same.
    """
    symbol, other = parent.symbol, "sell" if parent.side == "buy" else "buy"
    ours = any(each.symbol == symbol and each.side == other for each in desk.live)
    return ours or any(
        each.symbol == symbol and each.side == other and each.leaves_qty > 0
        for each in desk.unbound.values()
    )


def _touches(quote: Quote | None, *, buys: bool) -> tuple[Won, Won]:
    """Own side first, then the side that would be taken; a missing side borrows the other."""
    if quote is None:
        return Won(0), Won(0)
    near, far = (quote.bid, quote.ask) if buys else (quote.ask, quote.bid)
    return near or far, far or near


def _on_grid(desk: Desk, listed: Listed | None, price: Won, *, buys: bool) -> Won:
    if listed is None or price <= 0:
        return price
    steps = grid(desk.today, listed.segment, listed.kind)
    return steps.floor(price) if buys else steps.ceil(price)


def _price(desk: Desk, symbol: Symbol) -> int:
    mark = desk.marks.get(symbol)
    return 0 if mark is None else mark.price


def _buying(desk: Desk) -> list[Order]:
    return [each for each in desk.live if each.side == "buy"]


def _worst(desk: Desk, order: Order) -> int:
    return order.price or desk.limits(desk.listed(order.symbol)).upper


def _promised(desk: Desk, order: Order) -> int:
    amount = order.leaves * _worst(desk, order)
    return amount + commission(amount, desk.today) + 1


def _exposure(desk: Desk, symbols: set[Symbol] | None) -> Won:
    """Won held and on order in some symbols, in all of them for None."""
    held = sum(
        qty * _price(desk, symbol)
        for symbol, qty in desk.positions.items()
        if symbols is None or symbol in symbols
    )
    ordered = sum(
        each.leaves * _worst(desk, each)
        for each in _buying(desk)
        if symbols is None or each.symbol in symbols
    )
    return Won(held + ordered)


def _of_sector(desk: Desk, parent: Parent) -> set[Symbol]:
    symbols = {*desk.positions, *(each.symbol for each in _buying(desk)), parent.symbol}
    mine = _sector(desk, parent.symbol) or parent.sector
    return {each for each in symbols if each == parent.symbol or _sector(desk, each) == mine}


def _sector(desk: Desk, symbol: Symbol) -> str:
    listed = desk.listed(symbol)
    return "" if listed is None else listed.sector


def _sellable(desk: Desk, symbol: Symbol) -> Shares:
    selling = sum(e.leaves for e in desk.live if e.side == "sell" and e.symbol == symbol)
    return Shares(max(0, desk.positions.get(symbol, 0) - selling))
