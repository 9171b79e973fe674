"""Execution against a scripted brokerage: nothing doubles, nothing is lost, everything adds up.

``World`` is the smallest driver there is: it feeds the fold, runs its effects at once, gives it
its own events back, fires timers on market time, and can cut an effect off like a crash does.
"""

import heapq
from collections import deque
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.execution import orders, results
from consumers.execution.results import Stamp
from consumers.execution.role import HALT_LATCH, ROLE, step
from consumers.execution.rules import RULES
from consumers.execution.state import STATES, State
from infra import snapshot
from infra.kis.models import AskingPrice, Balance, Cash, DailyOrder, Holding, MultiPrice, Price
from infra.kis.outcomes import Accepted, NotSent, Outcome, RejectedByBrokerage, Unknown
from schemas import topics
from schemas.control import CommandGiven
from schemas.krx.costs import commission, sell_tax
from schemas.krx.sessions import RANDOM_END_MAX, session
from schemas.market import Instrument, MarketStatus
from schemas.orders import NoticeReceived, OrderEvent, OrderReport
from schemas.role import (
    INTERRUPTED_TOPIC,
    TIMER_TOPIC,
    Batch,
    Effect,
    Interrupted,
    Output,
    Record,
    TimerFired,
)
from schemas.scores import FinalScored
from schemas.signals import Signal
from schemas.units import DAY as DAYS
from schemas.units import MINUTE, SECOND, Micros, Shares, Symbol, Won

TWO_CHILDREN = RULES._replace(limit_children=1, target_percent=3, poll_every=Micros(5 * SECOND))
"""One limit and one market child: enough to follow by eye."""


DAY = date(2026, 2, 10)
FOUND = session(DAY)
assert FOUND is not None
SESSION = FOUND
TEN = Micros(SESSION.open + 60 * MINUTE)
ACCOUNT = "a1"
CASH = 100_000_000
SAVE_EVERY = 8
SAMSUNG, HYNIX = Symbol("005930"), Symbol("000660")
BASE = {SAMSUNG: 50_000, HYNIX: 200_000}

Answer = Callable[["Brokerage", Effect], Outcome]


class Brokerage:
    """Orders as the brokerage has them; fills happen when a test says so."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.rows: dict[int, dict[str, Any]] = {}
        self.cash = CASH
        self.held: dict[str, int] = {}
        self.hints: list[NoticeReceived] = []
        self.price = dict(BASE)
        self.fill_at_once = True
        self.depth = 100_000

    def take(self, call: Any) -> Accepted:
        number = 1_000 + len(self.rows)
        self.rows[number] = {
            "symbol": call.symbol, "side": call.side, "type": call.order_type, "qty": call.qty,
            "price": call.price, "filled": 0, "amount": 0, "cancelled": 0, "rejected": 0,
            "at": self.world.now,
        }  # fmt: skip
        if self.fill_at_once:
            self.fill(number, call.qty)
        return Accepted(number, "00950", "100000")

    def fill(self, number: int, qty: int) -> None:
        row = self.rows[number]
        qty = min(qty, self.left(number))
        if qty <= 0:
            return
        price = row["price"] or self.price[row["symbol"]]
        before = self.costs(row)
        row["filled"] += qty
        row["amount"] += qty * price
        sign = 1 if row["side"] == "buy" else -1
        self.held[row["symbol"]] = self.held.get(row["symbol"], 0) + sign * qty
        self.cash -= sign * qty * price + self.costs(row) - before
        self.hint(number, "filled")

    def left(self, number: int) -> int:
        row = self.rows[number]
        return int(row["qty"] - row["filled"] - row["cancelled"] - row["rejected"])

    @staticmethod
    def costs(row: dict[str, Any]) -> int:
        tax = sell_tax(row["amount"], DAY, "KOSPI") if row["side"] == "sell" else 0
        return commission(row["amount"], DAY) + tax

    def cancel(self, number: int) -> Outcome:
        left = self.left(number)
        if left == 0:
            return RejectedByBrokerage("APBK1359", "nothing left")
        self.rows[number]["cancelled"] += left
        self.hint(number, "confirmed")
        return Accepted(9_000 + number, "00950", "100000")

    def hint(self, number: int, kind: str) -> None:
        row = self.rows[number]
        self.hints.append(
            NoticeReceived(
                ts_event=self.world.now, ts_ingest=self.world.now, account=ACCOUNT, seq=0,
                tr_id="H0STCNI0", payload="", key_id="", order_no=str(number), original_no="",
                symbol=row["symbol"], side=row["side"], kind=kind, qty=Shares(1), price=Won(1),
                order_qty=row["qty"],
            )
        )  # fmt: skip

    def listing(self) -> list[DailyOrder]:
        return [
            DailyOrder.model_validate({
                "ord_dt": "20260210", "odno": str(number), "ord_gno_brno": "00950",
                "sll_buy_dvsn_cd": "02" if row["side"] == "buy" else "01",
                "pdno": row["symbol"], "ord_dvsn_cd": "00" if row["type"] == "limit" else "01",
                "ord_qty": str(row["qty"]), "ord_unpr": str(row["price"]),
                "ord_tmd": clock_text(row["at"]), "tot_ccld_qty": str(row["filled"]),
                "tot_ccld_amt": str(row["amount"]), "rmn_qty": str(self.left(number)),
                "rjct_qty": str(row["rejected"]), "cnc_cfrm_qty": str(row["cancelled"]),
                "cncl_yn": "NY"[row["cancelled"] > 0],
            })
            for number, row in self.rows.items()
        ]  # fmt: skip


class World:
    """Fold, log, effects, timers and market time, in one place."""

    def __init__(self, *, held: dict[str, int] | None = None, start: Micros = TEN) -> None:
        self.now = Micros(SESSION.pre_open)
        self.state: State = State()
        self.brokerage = Brokerage(self)
        self.brokerage.held = dict(held or {})
        self.answer: Answer = lambda brokerage, effect: brokerage.take(effect.payload)
        self.events: list[OrderEvent] = []
        self.reports: list[OrderReport] = []
        self.others: list[Any] = []
        self.effects: list[Effect] = []
        self.cut_at, self.cut_after = -1, False
        self.failing: set[str] = set()
        self.rules = TWO_CHILDREN
        self._queue: deque[Record] = deque()
        self._timers: list[tuple[int, str]] = []
        for symbol, price in BASE.items():
            self.feed(topics.INSTRUMENTS.name, instrument(symbol, price, self.now))
        self.goto(start)

    def feed(self, topic: str, value: Any) -> None:
        self._queue.append(Record(topic, "", value))
        self.pump()

    def signal(self, name: str, side: str = "buy", symbol: Symbol = SAMSUNG, **said: Any) -> None:
        self.feed(topics.SIGNALS.name, signal(name, side, symbol, self.now, **said))

    def goto(self, until: Micros) -> None:
        """Let market time pass, timers firing when they are due."""
        while self._timers and self._timers[0][0] <= until:
            at, name = heapq.heappop(self._timers)
            self.now = Micros(max(self.now, at))
            self.feed(TIMER_TOPIC, TimerFired(Micros(at), self.now, name))
        self.now = until

    def pump(self) -> None:
        while self._queue:
            done = step(self.state, Batch([self._queue.popleft()], Micros(0)), rules=self.rules)
            self.state = done.state
            if len(self.events) % SAVE_EVERY == 0:
                self.state = snapshot.unpack(snapshot.pack(done.state), STATES)
            for timer in done.timers:
                heapq.heappush(self._timers, (timer.at, timer.id))
            for output in done.outputs:
                self._publish(output)
            self._do(done.effects)

    def hint(self, which: list[int]) -> None:
        for index in which:
            if index < len(self.brokerage.hints):
                self.feed(topics.NOTICES.name, self.brokerage.hints[index])

    def kinds(self) -> list[str]:
        return [each.kind for each in self.events]

    def _publish(self, output: Output) -> None:
        if output.topic is topics.ORDERS:
            self.events.append(output.value)
            self._queue.append(Record(topics.ORDERS.name, output.key, output.value))
        elif output.topic is topics.REPORTS:
            self.reports.append(output.value)
        else:
            self.others.append(output.value)

    def _do(self, effects: Any) -> None:
        gone: list[Effect] = []
        for effect in effects:
            self.effects.append(effect)
            cut = self.cut_at >= 0 and len(self.effects) - 1 >= self.cut_at
            if cut and not self.cut_after:
                gone.append(effect)
                continue
            outputs = self._run(effect)
            if cut:
                gone.append(effect)
            else:
                for output in outputs:
                    self._publish(output)
        if gone:
            self.cut_at = -1
        for effect in reversed(gone):
            value = Interrupted(self.now, self.now, effect.id, effect.kind)
            self._queue.appendleft(Record(INTERRUPTED_TOPIC, effect.id, value))

    def _run(self, effect: Effect) -> list[Output]:
        stamp = Stamp(self.now, self.now, ACCOUNT)
        brokerage, call = self.brokerage, effect.payload
        if effect.kind == "submit":
            return results.submitted(effect, self.answer(brokerage, effect), stamp)
        if effect.kind == "cancel":
            return results.cancelled(effect, brokerage.cancel(int(call.order_no)), stamp)
        return self._read(effect, stamp)

    def _read(self, effect: Effect, stamp: Stamp) -> list[Output]:
        brokerage, call = self.brokerage, effect.payload
        if effect.kind in self.failing:
            return results.failed(effect, "no answer", stamp)
        if effect.kind == "quote":
            price = brokerage.price[call.symbol]
            book = asking(price, brokerage.depth)
            return results.quoted(effect, book, last(call.symbol, price), stamp)
        if effect.kind == "marks":
            rows = [multi(each, brokerage.price[each]) for each in call.symbols]
            return results.marked(effect, rows, stamp)
        if effect.kind == "listing":
            return results.listed(effect, brokerage.listing(), self.now, stamp)
        return results.reconciled(effect, balance(brokerage), stamp)


def clock_text(at: int) -> str:
    seconds = (at - (SESSION.open - 9 * 3_600 * SECOND)) // SECOND
    return f"{seconds // 3600:02}{seconds // 60 % 60:02}{seconds % 60:02}"


def instrument(symbol: Symbol, price: int, at: Micros) -> Instrument:
    return Instrument(
        ts_event=at, ts_ingest=at, symbol=symbol, isin="", name=symbol, segment="KOSPI",
        sector=f"sector of {symbol}", security_type="COMMON", listed_shares=Shares(10**9),
        base_price=Won(price), market_cap=Won(10**12), halted=False, administrative=False,
        delisting=False,
    )  # fmt: skip


def signal(name: str, side: str, symbol: Symbol, at: Micros, **said: Any) -> Signal:
    fields: dict[str, Any] = {
        "ts_event": at, "ts_ingest": at, "signal_id": name, "fire_id": "f", "symbol": symbol,
        "side": side, "score": 80.0, "price": Won(BASE[symbol]), "sector": "", "reason": "70 to 80",
        "level": "full", "expires": Micros(at + 30 * MINUTE), "lineage": {},
    }  # fmt: skip
    return Signal(**{**fields, **said})


def asking(price: int, depth: int) -> AskingPrice:
    level = (Won(price), *(Won(0),) * 9)
    above = (Won(price + 100), *(Won(0),) * 9)
    qtys = (Shares(depth), *(Shares(0),) * 9)
    return AskingPrice("100000", above, level, qtys, qtys, Shares(depth), Shares(depth))


def last(symbol: str, price: int) -> Price:
    names = (
        "stck_prpr", "prdy_vrss", "stck_sdpr", "stck_oprc", "stck_hgpr", "stck_lwpr", "stck_mxpr",
        "stck_llam", "acml_vol", "acml_tr_pbmn",
    )  # fmt: skip
    return Price.model_validate({"stck_shrn_iscd": symbol, **dict.fromkeys(names, str(price))})


def multi(symbol: str, price: int) -> MultiPrice:
    names = (
        "inter2_prpr", "inter2_oprc", "inter2_hgpr", "inter2_lwpr", "inter2_askp", "inter2_bidp",
        "acml_vol", "acml_tr_pbmn",
    )  # fmt: skip
    fields = dict.fromkeys(names, str(price))
    return MultiPrice.model_validate({"inter_shrn_iscd": symbol, **fields})


def balance(brokerage: Brokerage) -> Balance:
    holdings = tuple(
        Holding.model_validate({
            "pdno": symbol, "hldg_qty": str(qty), "ord_psbl_qty": str(qty),
            "pchs_avg_pric": "0", "prpr": str(brokerage.price[Symbol(symbol)]),
        })
        for symbol, qty in brokerage.held.items()
    )  # fmt: skip
    names = ("dnca_tot_amt", "nxdy_excc_amt", "prvs_rcdl_excc_amt", "tot_evlu_amt")
    cash = Cash.model_validate(dict.fromkeys(names, str(brokerage.cash)))
    return Balance(holdings, cash)


def assert_agrees(world: World) -> None:
    """Positions, cash and every order are the brokerage's, to the won; children add up."""
    brokerage = world.brokerage
    assert world.state.cash == brokerage.cash
    assert world.state.positions == {s: q for s, q in brokerage.held.items() if q}
    book = orders.ledger(world.events)
    theirs = {str(number): row for number, row in brokerage.rows.items()}
    ours = {each.order_no: each for each in book.values() if each.order_no}
    assert set(ours) == set(theirs)
    for number, row in theirs.items():
        assert (ours[number].filled_qty, ours[number].filled_amount) == (
            row["filled"], row["amount"],
        )  # fmt: skip
        assert ours[number].status == "done"
    for report in world.reports:
        children = [e for e in book.values() if e.parent_id == report.parent_id]
        assert sum(e.filled_qty for e in children) == report.filled_qty <= report.qty


def finish(world: World) -> None:
    world.goto(Micros(SESSION.close + 10 * MINUTE))
    assert not world.state.parents
    assert not world.state.orders


def test_a_buy_is_80_percent_limit_and_20_percent_market_and_reported_to_the_won() -> None:
    world = World()

    world.signal("s1")
    finish(world)

    [report] = world.reports
    book = list(orders.ledger(world.events).values())
    assert [(e.order_type, e.qty) for e in book] == [("limit", 47), ("market", 12)]
    assert (report.qty, report.filled_qty, report.reason) == (59, 59, "filled")
    assert report.arrival_price == 50_050
    assert report.slippage == 59 * 50_000 - 59 * 50_050
    assert report.fee == sum(commission(e.filled_amount, DAY) for e in book)
    assert_agrees(world)


def test_submitting_is_written_before_the_call_is_made() -> None:
    world = World()
    seen: list[bool] = []

    def look(brokerage: Brokerage, effect: Effect) -> Outcome:
        intent = effect.payload.intent_id
        seen.append(any(e.kind == "submitting" and e.intent_id == intent for e in world.events))
        return brokerage.take(effect.payload)

    world.answer = look
    world.signal("s1")

    assert seen == [True, True]


def test_the_same_signal_a_hundred_times_is_one_order() -> None:
    world = World()
    given_ = signal("s1", "buy", SAMSUNG, world.now)

    for _ in range(50):
        world.feed(topics.SIGNALS.name, given_)
    world.goto(Micros(TEN + MINUTE))
    assert not world.state.parents
    for _ in range(50):
        world.feed(topics.SIGNALS.name, given_)
    finish(world)

    assert len(world.reports) == world.kinds().count("parent_opened") == 1
    assert len(world.brokerage.rows) == 2


def test_two_partial_fills_pay_the_fee_of_their_sum_once() -> None:
    world = World()
    world.brokerage.fill_at_once = False
    world.signal("s1")

    for turn in range(2):
        world.brokerage.fill(1_000, 20)
        world.hint([turn])

    assert world.kinds().count("filled") == 2
    assert world.state.cash == world.brokerage.cash == CASH - 2_000_000 - commission(2_000_000, DAY)


def test_an_unfilled_child_is_cancelled_at_30_seconds_and_only_its_rest() -> None:
    world = World()
    world.brokerage.fill_at_once = False
    world.signal("s1")
    world.brokerage.fill(1_000, 10)
    world.hint([0])

    world.goto(Micros(TEN + 30 * SECOND - 1))
    before = world.kinds().count("cancel_submitting")
    world.goto(Micros(TEN + 30 * SECOND))

    cancels = [e for e in world.events if e.kind == "cancel_submitting"]
    assert before == 0
    assert [(e.ts_event, e.leaves_qty) for e in cancels] == [(TEN + 30 * SECOND, 37), (
        TEN + 30 * SECOND, 12,
    )]  # fmt: skip
    assert world.brokerage.rows[1_000]["filled"] == 10


def test_a_residual_is_repriced_at_once_and_then_decided_every_ten_minutes() -> None:
    world = World()
    world.brokerage.fill_at_once = False

    world.signal("s1")
    world.goto(Micros(TEN + 40 * MINUTE))

    decided = [e for e in world.events if e.kind == "parent_decided"]
    assert [(e.ts_event - TEN) // SECOND for e in decided] == [0, 30, 600, 600, 1200, 1200, 1800]
    assert decided[1].reason == "re-price: 59 shares at 50100 won"
    assert decided[-1].reason == "end: the signal expired, 59 shares stay unfilled"
    assert world.reports[0].reason == "signal expired"
    assert world.reports[0].cancels == 5


def test_a_lost_answer_is_found_by_one_listing_and_never_sent_again() -> None:
    world = World()

    def lose(brokerage: Brokerage, effect: Effect) -> Outcome:
        brokerage.take(effect.payload)
        return Unknown("no answer")

    world.answer = lose
    world.signal("s1")
    finish(world)

    assert world.kinds().count("unknown") == 2
    assert len(world.brokerage.rows) == 2
    assert world.reports[0].filled_qty == 59
    assert_agrees(world)


def test_an_order_that_never_arrived_is_absent_only_after_the_settle_time() -> None:
    world = World()
    world.answer = lambda *_: Unknown("no answer")
    world.signal("s1")

    world.goto(Micros(TEN + 5 * SECOND - 1))
    blocked = world.kinds().count("resolved_absent")
    world.signal("s2")
    world.answer = lambda brokerage, effect: brokerage.take(effect.payload)
    world.goto(Micros(TEN + 5 * SECOND))

    assert blocked == 0
    assert world.kinds().count("resolved_absent") == 2
    [denied] = [e for e in world.events if e.kind == "denied"]
    assert denied.passed[denied.checks.index("duplicate")] == 0
    finish(world)
    assert_agrees(world)


def test_two_candidates_call_somebody_and_nothing_is_chosen() -> None:
    world = World()

    def twice(brokerage: Brokerage, effect: Effect) -> Outcome:
        if effect.payload.order_type == "limit":
            brokerage.take(effect.payload)
        brokerage.take(effect.payload)
        return Unknown("no answer")

    world.answer = twice
    world.signal("s1")
    world.goto(Micros(TEN + 60 * SECOND))

    assert [e.alert_key.split("-")[0] for e in world.others] == ["candidates"]
    [blocked] = [e for e in world.state.orders.values() if e.status != "done"]
    assert (blocked.status, blocked.order_type) == ("unknown", "limit")


def test_a_rejected_order_is_asked_for_again_once_with_a_new_intent() -> None:
    world = World()
    world.answer = lambda *_: RejectedByBrokerage("APBK0919", "cash")

    world.signal("s1")
    finish(world)

    tried = [e for e in world.effects if e.kind == "submit"]
    assert len({e.payload.intent_id for e in tried}) == len(tried) == 5
    assert not world.brokerage.rows
    assert_agrees(world)


def test_after_a_halt_nothing_but_cancels_goes_out() -> None:
    world = World()
    world.brokerage.fill_at_once = False
    world.signal("s1")
    mark = len(world.effects)

    world.feed(topics.COMMANDS.name, halt(world.now))
    world.signal("s2", symbol=HYNIX)
    finish(world)

    after = {e.kind for e in world.effects[mark:]}
    assert after <= {"cancel", "listing", "quote"}
    assert "cancel" in after
    assert all(world.brokerage.left(number) == 0 for number in world.brokerage.rows)
    [denied] = [e for e in world.events if e.kind == "denied"]
    assert denied.passed[denied.checks.index("trading")] == 0


def test_a_set_latch_withholds_the_order_and_halts() -> None:
    world = World()
    world.answer = lambda *_: NotSent(HALT_LATCH)

    world.signal("s1")

    assert world.state.halted
    assert not world.state.parents
    assert not world.brokerage.rows


def test_resume_lets_orders_go_again() -> None:
    world = World()
    world.feed(topics.COMMANDS.name, halt(world.now))
    world.feed(topics.COMMANDS.name, halt(world.now, verb="resume"))

    world.signal("s1")

    assert len(world.brokerage.rows) == 2


def test_a_loss_of_exactly_2_percent_stops_entries_until_two_people_release() -> None:
    world = World(held={SAMSUNG: 1_000})
    world.feed(topics.FINAL.name, final(world.now, SAMSUNG, 47_001))
    before = world.state.breaker
    world.feed(topics.FINAL.name, final(world.now, SAMSUNG, 47_000))

    world.signal("s1", symbol=HYNIX)
    for actor in ("kim", "kim", "lee"):
        world.feed(topics.COMMANDS.name, halt(world.now, "release", actor))

    assert before == ""
    assert [e.kind for e in world.events if e.kind.startswith("breaker")] == [
        "breaker_set", "breaker_released",
    ]  # fmt: skip
    assert [e.level for e in world.others if hasattr(e, "level")] == ["reduce_only", "normal"]
    [denied] = [e for e in world.events if e.kind == "denied"]
    failed = {name for name, ok in zip(denied.checks, denied.passed, strict=True) if not ok}
    assert failed == {"trading", "daily_loss"}


def test_everything_held_is_marked_by_one_call_at_the_brokerages_prices() -> None:
    world = World(held={SAMSUNG: 10, HYNIX: 7}, start=Micros(SESSION.open))
    world.brokerage.price[HYNIX] = 199_000

    world.goto(Micros(SESSION.open + 16 * MINUTE))

    [asked] = [e for e in world.effects if e.kind == "marks"]
    assert asked.payload.symbols == (HYNIX, SAMSUNG)
    marks = world.state.marks
    assert {s: marks[s].price for s in marks} == {HYNIX: 199_000, SAMSUNG: 50_000}
    assert not world.state.pending


def test_more_names_than_a_call_takes_are_marked_by_several() -> None:
    world = World(held={SAMSUNG: 10, HYNIX: 7}, start=Micros(SESSION.open))
    world.rules = world.rules._replace(marks_max=1)

    world.goto(Micros(SESSION.open + 16 * MINUTE))

    asked = [e.payload.symbols for e in world.effects if e.kind == "marks"]
    assert asked == [(HYNIX,), (SAMSUNG,)]


def test_marks_that_do_not_come_let_no_entry_through_and_are_asked_for_again() -> None:
    world = World(held={HYNIX: 7}, start=Micros(SESSION.open))
    world.failing = {"marks"}
    world.goto(Micros(SESSION.open + 22 * MINUTE))

    world.signal("s1")
    world.failing = set()
    world.goto(Micros(SESSION.open + 26 * MINUTE))
    world.signal("s2")
    finish(world)

    [denied] = [e for e in world.events if e.kind == "denied"]
    assert (denied.signal_id, "mark" in denied.reason) == ("s1", True)
    assert [e.signal_id for e in world.reports] == ["s2"]
    assert_agrees(world)


def test_a_sell_closes_what_is_held_and_pays_the_tax() -> None:
    world = World(held={SAMSUNG: 101})

    world.signal("s1", "sell")
    finish(world)

    assert world.state.positions == {}
    assert world.reports[0].tax == sum(
        sell_tax(e.filled_amount, DAY, "KOSPI") for e in orders.ledger(world.events).values()
    )
    assert_agrees(world)


def test_a_sell_stops_a_buy_of_the_symbol_and_goes_after_it() -> None:
    world = World(held={SAMSUNG: 10})
    world.brokerage.fill_at_once = False
    world.signal("s1")
    world.brokerage.fill_at_once = True

    world.signal("s2", "sell")
    finish(world)

    assert [(e.side, e.reason) for e in world.reports] == [
        ("buy", "a sell signal came"), ("sell", "filled"),
    ]  # fmt: skip
    assert_agrees(world)


@pytest.mark.parametrize("after", [-10 * MINUTE, 0, 30 * SECOND])
def test_a_signal_waits_until_every_opening_auction_has_ended(after: int) -> None:
    world = World(start=Micros(SESSION.open + after))
    world.signal("s1")

    world.goto(Micros(SESSION.open + RANDOM_END_MAX + SECOND - 1))
    early = len(world.brokerage.rows)
    world.goto(Micros(SESSION.open + RANDOM_END_MAX + SECOND))

    assert (early, len(world.brokerage.rows)) == (0, 2)


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (Micros(SESSION.open - 30 * MINUTE), "denied by market (opening_auction)"),
        (SESSION.closing_auction, "denied by market (closing_auction)"),
        (Micros(SESSION.close + MINUTE), "denied by market (after_hours)"),
        (Micros(SESSION.open + 7 * DAYS), "denied by market (holiday)"),
    ],
)
def test_outside_continuous_trading_an_entry_is_denied(at: Micros, reason: str) -> None:
    world = World(start=Micros(min(at, SESSION.close)))
    world.goto(at)

    world.signal("s1", expires=Micros(at + 5 * MINUTE))

    [denied] = [e for e in world.events if e.kind == "denied"]
    assert denied.reason.startswith(reason)
    assert not world.brokerage.rows


@pytest.mark.parametrize("kind", ["vi", "halt", "circuit_breaker"])
def test_the_exchange_stops_an_entry_until_it_says_off(kind: str) -> None:
    world = World()
    symbol = "*" if kind == "circuit_breaker" else SAMSUNG
    world.feed(topics.STATUS.name, status(world.now, symbol, kind, "on"))
    world.signal("s1")
    world.feed(topics.STATUS.name, status(world.now, symbol, kind, "off"))
    world.signal("s2")

    [denied] = [e for e in world.events if e.kind == "denied"]
    assert denied.reason == f"denied by instrument ({kind})"
    assert len(world.brokerage.rows) == 2


def test_entries_end_when_the_closing_auction_begins() -> None:
    world = World()
    world.brokerage.fill_at_once = False
    world.goto(Micros(SESSION.closing_auction - 10 * SECOND))
    world.signal("s1")

    world.goto(Micros(SESSION.closing_auction + SECOND))

    assert all(world.brokerage.left(number) == 0 for number in world.brokerage.rows)
    assert [e.reason for e in world.reports] == ["the closing auction began"]


def test_what_is_open_after_the_close_expires_and_is_reported() -> None:
    world = World(held={SAMSUNG: 10})
    world.brokerage.fill_at_once = False
    world.goto(Micros(SESSION.closing_auction + 5 * MINUTE))

    world.signal("s1", "sell")
    world.goto(Micros(SESSION.close + 2 * MINUTE))

    assert world.kinds().count("expired") == 1
    assert not any(e.order_type == "market" for e in world.events if e.kind == "intended")
    assert world.reports[0].filled_qty == 0


def test_how_records_are_cut_into_batches_changes_nothing() -> None:
    world = World()
    records = [
        Record(topics.INSTRUMENTS.name, "", instrument(s, p, world.now)) for s, p in BASE.items()
    ] + [
        Record(topics.SIGNALS.name, "", signal(f"s{i}", "buy", SAMSUNG, Micros(TEN + i)))
        for i in range(3)
    ]

    whole = step(State(), Batch(records, Micros(0)))
    state = State()
    outputs: list[Output] = []
    effects: list[Effect] = []
    for each in records:
        done = step(state, Batch([each], Micros(0)))
        state, outputs, effects = (
            done.state, [*outputs, *done.outputs], [*effects, *done.effects],
        )  # fmt: skip

    assert (whole.state, list(whole.outputs), list(whole.effects)) == (state, outputs, effects)


def test_every_effect_the_role_returns_is_declared() -> None:
    world = World(held={SAMSUNG: 1})
    world.brokerage.fill_at_once = False
    world.signal("s1", symbol=HYNIX)
    world.goto(Micros(SESSION.close + 2 * MINUTE))

    assert {e.kind for e in world.effects} == set(ROLE.effects)


@pytest.mark.parametrize("ran", [False, True])
@pytest.mark.parametrize("at", range(1, 24))
def test_a_crash_at_any_effect_never_doubles_an_order(at: int, ran: bool) -> None:
    world = World()
    world.brokerage.fill_at_once = at % 2 == 0
    world.cut_at, world.cut_after = at, ran

    world.signal("s1")
    world.signal("s2", symbol=HYNIX)
    finish(world)

    sent = [e.payload.intent_id for e in world.effects if e.kind == "submit"]
    assert len(sent) == len(set(sent))
    assert len(world.brokerage.rows) <= len(sent)
    for symbol in BASE:
        asked = sum(e.qty for e in world.reports if e.symbol == symbol)
        assert world.brokerage.held.get(symbol, 0) <= asked
    assert_agrees(world)


ANSWERS: dict[str, Answer] = {
    "taken": lambda brokerage, effect: brokerage.take(effect.payload),
    "rejected": lambda *_: RejectedByBrokerage("APBK0919", "cash"),
    "lost": lambda brokerage, effect: (brokerage.take(effect.payload), Unknown("lost"))[1],
    "gone": lambda *_: Unknown("gone"),
    "late": lambda *_: NotSent("late"),
}


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_lost_repeated_and_reordered_notices_converge_to_the_listing(data: st.DataObject) -> None:
    world = World(held={HYNIX: 7})
    world.brokerage.fill_at_once = False
    words = st.sampled_from(sorted(ANSWERS))

    def answer(brokerage: Brokerage, effect: Effect) -> Outcome:
        return ANSWERS[data.draw(words)](brokerage, effect)

    world.answer = answer

    for turn in range(data.draw(st.integers(1, 5))):
        side = data.draw(st.sampled_from(["buy", "sell"]))
        world.signal(f"s{turn}", side, data.draw(st.sampled_from([SAMSUNG, HYNIX])))
        for number in list(world.brokerage.rows):
            world.brokerage.fill(number, data.draw(st.integers(0, 20)))
        world.hint(data.draw(st.lists(st.integers(0, 30), max_size=6)))
        world.failing = {"listing"} if data.draw(st.booleans()) else set()
        world.goto(Micros(world.now + data.draw(st.integers(0, 900)) * SECOND))
    world.failing = set()
    finish(world)

    assert_agrees(world)
    limit_share = {e.qty for e in world.reports}
    assert all(qty > 0 for qty in limit_share)


def halt(at: Micros, verb: str = "halt", actor: str = "kim") -> CommandGiven:
    return CommandGiven(
        ts_event=at, ts_ingest=at, command_id=f"{verb}-{actor}", verb=verb, subject="breaker",
        actor=actor, reason="drill",
    )  # fmt: skip


def status(at: Micros, symbol: str, kind: str, state: str) -> MarketStatus:
    return MarketStatus(
        ts_event=at, ts_ingest=at, symbol=Symbol(symbol), seq=0, kind=kind, state=state, code=""
    )


def final(at: Micros, symbol: Symbol, price: int) -> FinalScored:
    return FinalScored(
        ts_event=at, ts_ingest=at, fire_id="f", symbols=(symbol,), scores=(50.0,),
        words=("neutral",), parts=(), contributions=(), prices=(Won(price),), sectors=("",),
        level="full", regime="", weights_version="", model_hash="", lineage={},
    )  # fmt: skip
