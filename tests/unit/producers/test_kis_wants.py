"""Who is streamed: open parents, then holdings, then the newest screen, else the largest."""

from typing import Any, TypeVar

from producers.kis import wants
from schemas.market import Instrument
from schemas.orders import OrderEvent
from schemas.portfolio import PortfolioStated
from schemas.scores import Screened
from schemas.units import Micros, Shares, Symbol, Won

Event = TypeVar("Event")
EMPTY: dict[str, object] = {
    "int": 0, "Won": 0, "Shares": 0, "Micros": 0, "str": "", "Symbol": "", "bool": False,
}  # fmt: skip


def build(record: type[Event], /, **said: Any) -> Event:
    """Return an event with these fields; the others are zeros and empties by their type."""
    hints = record.__annotations__.items()
    fields = {name: EMPTY.get(getattr(hint, "__name__", ""), ()) for name, hint in hints}
    return record(**{**fields, **said})


def master(symbol: str, cap: int, **said: Any) -> Instrument:
    given = {"security_type": "COMMON", "halted": False, "delisting": False, **said}
    return build(Instrument, symbol=Symbol(symbol), market_cap=Won(cap), **given)


def know(*events: Any) -> wants.Known:
    known = wants.fresh()
    for event in events:
        known = wants.know(known, event)
    return known


def screened(at: int, *symbols: str) -> Screened:
    return build(Screened, ts_event=Micros(at), symbols=tuple(map(Symbol, symbols)))


def order(kind: str, parent: str, symbol: str) -> OrderEvent:
    return build(OrderEvent, kind=kind, parent_id=parent, symbol=Symbol(symbol))


def test_before_a_screen_the_largest_common_stocks_are_candidates() -> None:
    many = [master(f"{number:06d}", number) for number in range(1, 31)]
    known = know(
        *many, master("ETF001", 10**9, security_type="ETF"), master("HALTED", 10**9, halted=True)
    )

    assert wants.candidates(known)[:2] == ("000030", "000029")
    assert len(wants.candidates(known)) == wants.FIRST_NAMES


def test_a_name_that_is_halted_later_is_no_candidate() -> None:
    known = know(master("000001", 5), master("000001", 5, halted=True))

    assert wants.candidates(known) == ()


def test_the_newest_screen_decides_in_its_order() -> None:
    known = know(master("000009", 1), screened(20, "000002", "000001"), screened(10, "000003"))

    assert wants.candidates(known) == ("000002", "000001")


def test_open_parents_are_known_until_they_finish() -> None:
    known = know(
        order("parent_opened", "a", "000001"),
        order("parent_opened", "b", "000002"),
        order("filled", "b", "000002"),
        order("parent_finished", "a", "000001"),
    )

    assert known.parents == {"b": "000002"}


def test_holdings_come_by_value_and_what_was_sold_is_gone() -> None:
    known = know(
        build(
            PortfolioStated,
            symbols=(Symbol("000001"), Symbol("000002"), Symbol("000003")),
            qtys=(Shares(1), Shares(9), Shares(0)),
            marks=(Won(100), Won(100), Won(100)),
        )
    )

    assert known.held == ("000002", "000001")
