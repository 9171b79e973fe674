"""Orders, instruments, listings and the latch: small parts that must not be wrong."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.execution import instruments, latch, orders, results
from consumers.execution.events import order_event
from consumers.execution.results import Stamp
from consumers.execution.state import CancelCall, ListingCall, QuoteCall, Register
from infra.kis.models import DailyOrder
from infra.kis.outcomes import NotSent, RejectedByBrokerage, Unknown
from schemas.errors import Fatal, Poison
from schemas.krx.sessions import kst_midnight
from schemas.market import Instrument
from schemas.orders import OrderEvent
from schemas.role import Effect
from schemas.units import SECOND, Micros, Shares, Symbol, Won

STAMP = Stamp(Micros(5), Micros(6), "a1")


def told(kind: str, **said: Any) -> OrderEvent:
    fields = {"intent_id": "i1", "qty": 10, "price": 100, **said}
    return order_event(kind, at=Micros(7), ingest=Micros(7), account="a1", event_id=kind, **fields)


LIFE = [told("intended"), told("approved"), told("submitting")]
ANY = st.sampled_from([
    told("approved"), told("submitting"), told("accepted", order_no="7"), told("rejected"),
    told("unknown"), told("withheld"), told("resolved_absent"), told("cancel_submitting"),
    told("cancel_accepted"), told("cancel_rejected"), told("cancel_unknown"), told("cancelled"),
    told("expired"), told("filled", filled_qty=4, filled_amount=400),
    told("filled", filled_qty=7, filled_amount=700),
    told("filled", filled_qty=10, filled_amount=1000),
])  # fmt: skip


@given(events=st.lists(ANY, max_size=12))
def test_quantities_never_fall_and_nothing_leaves_done(events: list[OrderEvent]) -> None:
    order = orders.ledger(LIFE)["i1"]
    for event in events:
        after = orders.apply(order, event)
        assert after.filled_qty >= order.filled_qty
        assert order.status != "done" or after.status == "done"
        assert after.committed <= after.qty
        order = after


@given(events=st.lists(ANY, max_size=12), data=st.data())
def test_an_event_told_again_changes_no_quantity(
    events: list[OrderEvent], data: st.DataObject
) -> None:
    twice = [e for e in events for _ in range(data.draw(st.integers(1, 2)))]

    once, again = orders.ledger([*LIFE, *events])["i1"], orders.ledger([*LIFE, *twice])["i1"]

    assert (once.status, once.end, once.filled_qty) == (again.status, again.end, again.filled_qty)


def test_an_unknown_kind_stops_us() -> None:
    with pytest.raises(Fatal, match="teleported"):
        orders.ledger([*LIFE, told("teleported")])
    with pytest.raises(Fatal, match="expected an intent"):
        orders.ledger([told("teleported", intent_id="")])


def test_an_order_nobody_intended_stops_us() -> None:
    with pytest.raises(Fatal, match="intended"):
        orders.ledger([told("accepted")])


def instrument(symbol: str, **said: Any) -> Instrument:
    fields: dict[str, Any] = {
        "ts_event": 0, "ts_ingest": 0, "symbol": symbol, "isin": "", "name": "", "sector": "chips",
        "segment": "KOSDAQ", "security_type": "SPAC", "listed_shares": 1, "base_price": 1_234_000,
        "market_cap": 1, "halted": False, "administrative": False, "delisting": False,
    }  # fmt: skip
    return Instrument(**{**fields, **said})


def test_an_instrument_comes_out_of_the_register_as_it_went_in() -> None:
    register = instruments.put(Register(), [instrument("0126Z0"), instrument("005930")])
    register = instruments.put(register, [instrument("005930", delisting=True, sector=None)])

    first = instruments.find(register, Symbol("0126Z0"))
    second = instruments.find(register, Symbol("005930"))

    assert first is not None
    assert second is not None
    assert (first.segment, first.kind, first.sector, first.base_price, first.barred) == (
        "KOSDAQ", "SPAC", "chips", 1_234_000, False,
    )  # fmt: skip
    assert (second.barred, second.halted, second.sector) == (True, False, "")
    assert instruments.find(register, Symbol("000660")) is None
    assert len(register.rows) == 26


def test_an_instrument_outside_the_rulebook_is_poison() -> None:
    with pytest.raises(Poison, match="005930"):
        instruments.put(Register(), [instrument("005930", segment="NASDAQ")])


def listed_row(number: int, **said: str) -> DailyOrder:
    fields = {
        "ord_dt": "20260210", "odno": f"{number:010d}", "sll_buy_dvsn_cd": "02", "pdno": "005930",
        "ord_dvsn_cd": "00", "ord_qty": "10", "ord_unpr": "100", "ord_tmd": "090001",
        "tot_ccld_qty": "4", "tot_ccld_amt": "400", "rmn_qty": "6", "rjct_qty": "0",
        "cnc_cfrm_qty": "0",
    }  # fmt: skip
    return DailyOrder.model_validate({**fields, **said})


def test_a_listing_tells_only_what_is_new_and_never_a_cancel_as_an_order() -> None:
    known = (("1", Shares(4), Shares(6)), ("2", Shares(3), Shares(7)), ("3", Shares(-1), Shares(0)))
    effect = Effect("e1", "listing", ListingCall("a1", known, twice=False))
    rows = [listed_row(n) for n in (4, 3, 2, 1)] + [listed_row(5, orgn_odno="0000000004")]

    told_ = [out.value for out in results.listed(effect, rows, Micros(1), STAMP)]

    assert [(e.kind, e.order_no) for e in told_] == [
        ("listed", "2"), ("listed", "4"), ("listing_ended", ""),
    ]  # fmt: skip
    assert told_[1].begun == kst_midnight(date(2026, 2, 10)) + (9 * 3_600 + 1) * SECOND
    assert (told_[2].qty, told_[2].begun) == (5, 1)
    assert {e.cause for e in told_} == {"e1"}
    assert len({e.event_id for e in told_}) == 3


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (RejectedByBrokerage("APBK1359", "gone"), "cancel_rejected"),
        (NotSent("no connection"), "cancel_rejected"),
        (Unknown("no answer"), "cancel_unknown"),
    ],
)
def test_a_cancel_that_was_not_taken_may_be_asked_for_again(outcome: Any, kind: str) -> None:
    call = CancelCall(
        "a1", "i1", "p1", "s1", Symbol("005930"), "buy", "limit", Shares(1), Won(100), "7", "1"
    )

    [out] = results.cancelled(Effect("e1", "cancel", call), outcome, STAMP)

    assert (out.value.kind, out.value.intent_id, out.value.order_no) == (kind, "i1", "7")


def test_a_quote_that_did_not_come_says_for_whom() -> None:
    effect = Effect("e1", "quote", QuoteCall("a1", "p1", Symbol("005930")))

    [out] = results.failed(effect, "timeout", STAMP)

    assert (out.value.kind, out.value.parent_id, out.value.symbol) == (
        "quote_failed", "p1", "005930",
    )  # fmt: skip


def test_the_latch_is_a_file_that_anybody_can_put_and_lift(tmp_path: Path) -> None:
    before = latch.is_set(tmp_path)
    latch.put(tmp_path, "drill")
    between = latch.is_set(tmp_path)
    latch.lift(tmp_path)

    assert (before, between, latch.is_set(tmp_path)) == (False, True, False)
