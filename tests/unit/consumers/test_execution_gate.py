"""The gate: the largest quantity passes, one share more does not, and nothing unknown gets in."""

from datetime import date
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.execution import gate, sizing
from consumers.execution.gate import CHECKS, UNLIMITED, Facts
from consumers.execution.rules import RULES, Rules
from consumers.execution.slicing import cut
from schemas.krx.costs import commission
from schemas.units import SECOND, Micros, Shares, Won

EQUITY = 100_000_000


def facts(**said: Any) -> Facts:
    fields: dict[str, Any] = {
        "side": "buy", "now": Micros(10), "on": date(2026, 2, 10), "expires": Micros(20),
        "phase": "continuous", "halted": False, "breaker": "", "known": True, "stopped": False,
        "barred": False, "blocks": (), "reconciled": True, "quote_age": Micros(0),
        "price": Won(1_000), "limit_price": Won(1_000), "lower": Won(700), "upper": Won(1_300),
        "signal_price": Won(1_000), "depth": Shares(10**9), "equity": Won(EQUITY),
        "equity_previous": Won(EQUITY), "marks_fresh": True, "cash": Won(10**12),
        "symbol_value": Won(0), "sector_value": Won(0), "gross_value": Won(0), "busy": False,
        "opposed": False, "sellable": Shares(100), "market_percent": 20,
    }  # fmt: skip
    return Facts(**{**fields, **said})


def failed(given_: Facts, qty: int, rules: Rules = RULES) -> set[str]:
    return {e.name for e in gate.check(given_, Shares(qty), rules) if not e.passed}


@pytest.mark.parametrize(
    ("name", "said", "most"),
    [
        ("order", {}, 10_000),
        ("position", {"symbol_value": Won(4_000_000)}, 6_000),
        ("sector", {"sector_value": Won(29_000_000)}, 1_000),
        ("gross", {"gross_value": Won(99_500_000)}, 500),
        ("liquidity", {"depth": Shares(4_000)}, 1_000),
        ("holding", {"side": "sell"}, 100),
    ],
)
def test_the_limit_itself_passes_and_one_share_more_is_denied(
    name: str, said: dict[str, Any], most: int
) -> None:
    given_ = facts(market_percent=0, **said)

    assert gate.largest(gate.check(given_, Shares(1), RULES)) == most
    assert failed(given_, most) == set()
    assert name in failed(given_, most + 1)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("market", {"phase": "closing_auction"}),
        ("market", {"phase": "holiday"}),
        ("trading", {"halted": True}),
        ("trading", {"breaker": "loss"}),
        ("signal", {"now": Micros(20)}),
        ("instrument", {"known": False}),
        ("instrument", {"stopped": True}),
        ("instrument", {"barred": True}),
        ("ledger", {"reconciled": False}),
        ("quote", {"quote_age": None}),
        ("quote", {"quote_age": Micros(10 * SECOND)}),
        ("collar", {"price": Won(1_031)}),
        ("collar", {"limit_price": Won(1_301)}),
        ("daily_loss", {"equity": Won(98_000_000)}),
        ("daily_loss", {"marks_fresh": False}),
        ("daily_loss", {"equity_previous": Won(0)}),
        ("cash", {"cash": Won(999)}),
        ("duplicate", {"busy": True}),
        ("crossing", {"opposed": True}),
    ],
)
def test_each_check_alone_stops_an_entry(name: str, said: dict[str, Any]) -> None:
    assert failed(facts(**said), 1) == {name}


def test_a_loss_one_won_short_of_2_percent_still_lets_an_entry_in() -> None:
    assert failed(facts(equity=Won(98_000_001)), 1) == set()


def test_a_sale_is_not_held_back_by_risk() -> None:
    worst = facts(
        side="sell", breaker="loss", barred=True, equity=Won(1), marks_fresh=False, cash=Won(-5),
        depth=Shares(0), symbol_value=Won(10**12), sector_value=Won(10**12),
        gross_value=Won(10**12), phase="closing_auction",
    )  # fmt: skip

    assert failed(worst, 100) == set()
    assert failed(worst, 101) == {"holding"}


def test_all_checks_run_even_when_the_first_has_failed() -> None:
    checks = gate.check(facts(phase="closed", halted=True), Shares(1), RULES)

    assert [e.name for e in checks] == list(CHECKS)
    assert gate.reason(checks, facts(phase="closed")) == (
        "denied by market (closed), trading (at most 0)"
    )


def test_the_target_counts_what_is_already_held() -> None:
    assert sizing.wanted(facts(), RULES) == 2_000
    assert sizing.wanted(facts(symbol_value=Won(1_999_500)), RULES) == 0
    assert sizing.wanted(facts(price=Won(0)), RULES) == 0
    assert sizing.wanted(facts(side="sell"), RULES) == 100


@given(
    equity=st.integers(0, 10**9), price=st.integers(1, 10**6), cash=st.integers(-(10**6), 10**9),
    held=st.integers(0, 10**9), sector=st.integers(0, 10**9), depth=st.integers(0, 10**6),
    side=st.sampled_from(["buy", "sell"]), sellable=st.integers(0, 10**5),
    percent=st.integers(0, 100), previous=st.integers(0, 10**9),
)  # fmt: skip
def test_the_largest_quantity_passes_and_one_more_is_denied(**said: Any) -> None:
    given_ = facts(
        equity=said["equity"], price=said["price"], limit_price=said["price"],
        signal_price=said["price"], lower=1, upper=said["price"] * 13 // 10, cash=said["cash"],
        symbol_value=said["held"], sector_value=said["held"] + said["sector"],
        gross_value=said["held"] + said["sector"], depth=said["depth"], side=said["side"],
        sellable=said["sellable"], market_percent=said["percent"],
        equity_previous=said["previous"],
    )  # fmt: skip

    most = gate.largest(gate.check(given_, Shares(1), RULES))

    assert most < UNLIMITED
    assert most == 0 or failed(given_, most) == set()
    assert failed(given_, most + 1) != set()
    if given_.buys and most:
        assert gate.cash_needed(given_, most) <= given_.cash


def test_a_market_part_counts_at_the_upper_limit_as_it_does_once_it_is_on_its_way() -> None:
    given_ = facts()

    most = gate.largest(gate.check(given_, Shares(1), RULES))

    assert most == 9_433  # 7,546 x 1,000 + 1,887 x 1,300; priced at the ask it was 10,000
    assert gate.value_added(given_, most) == 9_999_100
    assert gate.value_added(given_, most + 1) == 10_000_100


def breaches(given_: Facts, qty: int) -> dict[str, bool]:
    """Say which limits ``qty`` shares would breach, from the rule's own words."""
    market = int(Fraction(qty * given_.market_percent, 100) + Fraction(1, 2))
    ours = max(given_.price, given_.limit_price)
    worth = (qty - market) * ours + market * given_.upper
    paid = (qty - market) * given_.limit_price + market * given_.upper
    tenth, third = Fraction(given_.equity, 10), Fraction(given_.equity * 3, 10)
    buys = given_.buys
    return {
        "liquidity": buys and qty > Fraction(given_.depth, 4),
        "order": buys and worth > tenth,
        "position": buys and given_.symbol_value + worth > tenth,
        "sector": buys and given_.sector_value + worth > third,
        "gross": buys and given_.gross_value + worth > given_.equity,
        "cash": buys and paid + commission(paid, given_.on) > given_.cash,
        "holding": not buys and qty > given_.sellable,
    }


@given(
    price=st.integers(1, 10**6), near=st.integers(0, 29), room=st.integers(0, 30),
    equity=st.integers(-(10**6), 10**9), cash=st.integers(-(10**6), 10**9),
    held=st.integers(0, 10**8), others=st.integers(0, 10**8), depth=st.integers(0, 10**6),
    side=st.sampled_from(["buy", "sell"]), sellable=st.integers(0, 10**5),
    percent=st.integers(0, 100),
)  # fmt: skip
def test_every_quantity_bound_is_the_last_share_inside_its_limit(**said: Any) -> None:
    price = said["price"]
    given_ = facts(
        price=price, limit_price=price - price * said["near"] // 100,
        upper=price + price * said["room"] // 100, equity=said["equity"], cash=said["cash"],
        symbol_value=said["held"], sector_value=said["held"] + said["others"],
        gross_value=said["held"] + 2 * said["others"], depth=said["depth"], side=said["side"],
        sellable=said["sellable"], market_percent=said["percent"],
    )  # fmt: skip

    bounds = {each.name: each.largest for each in gate.check(given_, Shares(1), RULES)}

    for name in breaches(given_, 1):
        most = bounds[name]
        assert most == 0 or not breaches(given_, most)[name], name
        assert most == UNLIMITED or breaches(given_, most + 1)[name], name
    least = min(bounds.values())
    assert least == 0 or not any(breaches(given_, least).values())


@given(qty=st.integers(0, 10**9), percent=st.integers(0, 100), most=st.integers(1, 6))
def test_children_add_up_to_the_parent_and_limit_sizes_differ(
    qty: int, percent: int, most: int
) -> None:
    children = cut(Shares(qty), percent, most)

    assert sum(each.qty for each in children) == qty
    assert all(each.qty > 0 for each in children)
    limits = [each.qty for each in children if each.order_type == "limit"]
    assert len(set(limits)) == len(limits) <= most


@pytest.mark.parametrize(
    ("qty", "slices", "sizes"),
    [
        (4, 9, [1, 3]),  # vn.py's TWAP trades none of these
        (1, 9, [1]),
        (95, 10, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]),  # and 90 of these
        (1_000, 10, [95, 96, 97, 98, 99, 100, 101, 102, 103, 109]),
    ],
)
def test_4_shares_in_9_slices_still_trade_4(qty: int, slices: int, sizes: list[int]) -> None:
    children = cut(Shares(qty), 0, slices)

    assert [each.qty for each in children] == sizes
    assert sum(sizes) == qty


@given(qty=st.integers(1, 10**6), percent=st.integers(0, 100))
def test_the_market_part_is_within_half_a_share_of_its_percent(qty: int, percent: int) -> None:
    market = sum(e.qty for e in cut(Shares(qty), percent, 4) if e.order_type == "market")

    assert abs(market - Fraction(qty * percent, 100)) <= Fraction(1, 2)


def test_a_fifth_goes_to_the_market_to_the_nearest_share() -> None:
    assert [tuple(e) for e in cut(Shares(10), 20)] == [("limit", 8), ("market", 2)]
    assert [tuple(e) for e in cut(Shares(2), 20)] == [("limit", 2)]
    assert [tuple(e) for e in cut(Shares(3), 20)] == [("limit", 2), ("market", 1)]
