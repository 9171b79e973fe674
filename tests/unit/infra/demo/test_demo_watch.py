"""The screen says what happened, and nothing before it happened."""

from infra.demo.watch import Seen, see, words
from schemas.testing import build
from schemas.topics import FINAL, ORDERS, POSITIONS


def test_the_screen_counts_orders_and_names_the_best_score_and_the_result() -> None:
    scored = build(FINAL, symbols=("005930", "000660"), scores=(61.0, 72.5))
    kinds = ("accepted", "accepted", "filled", "intended", "unknown")
    orders = [build(ORDERS, kind=kind) for kind in kinds]
    stated = build(POSITIONS, equity=1_007, equity_previous_close=2_000)

    once = see(Seen(), [scored, *orders])
    said = words(see(once, [scored, orders[0], stated]))

    assert said == {
        "scores": "2 rounds, best 000660 72.5",
        "orders": "3 accepted, 1 filled, 1 unknown",
        "P&L": "-993 won since the previous close",
    }


def test_the_screen_is_silent_about_what_has_not_happened() -> None:
    assert words(Seen()) == {}
    assert words(see(Seen(), [build(FINAL, symbols=(), scores=())])) == {"scores": "1 round"}
