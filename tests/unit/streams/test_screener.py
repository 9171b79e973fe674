"""The screener: strict limits, one reason a name, a rank that trembles moves nobody."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import snapshot
from schemas.control import JobTriggered
from schemas.features import Window
from schemas.market import DailyBars, Instrument, MarketStatus
from schemas.role import Batch, Record
from schemas.scores import Screened
from schemas.testing import at
from schemas.topics import BARS, INSTRUMENTS, STATUS, TRIGGERS, WINDOWS
from schemas.units import MINUTE, SECOND, Micros, Shares, Symbol, Won
from streams import screener
from streams.screener import Candidate, choose

RICH = Won(10**12)


def candidate(number: int, value: int, cap: int = RICH, *, out: bool = False) -> Candidate:
    return Candidate(Symbol(f"{number:06d}"), Won(value), Won(cap), out)


def instrument(symbol: str, cap: int = RICH, *, halted: bool = False) -> Record:
    event = Instrument(
        ts_event=at(-3600),
        ts_ingest=at(-3600),
        symbol=Symbol(symbol),
        isin="",
        name=symbol,
        segment="KOSPI",
        sector="IT",
        security_type="COMMON",
        listed_shares=Shares(10**6),
        base_price=Won(1_000),
        market_cap=Won(cap),
        halted=halted,
        administrative=False,
        delisting=False,
    )
    return Record(INSTRUMENTS.name, symbol, event)


def bars(symbol: str, values: list[int], first: int = 20260101) -> Record:
    count = len(values)
    event = DailyBars(
        ts_event=at(-7200),
        ts_ingest=at(-7200),
        symbol=Symbol(symbol),
        source="test",
        dates=tuple(range(first, first + count)),
        opens=(Won(1),) * count,
        highs=(Won(1),) * count,
        lows=(Won(1),) * count,
        closes=(Won(1),) * count,
        volumes=(Shares(1),) * count,
        turnovers=tuple(Won(value) for value in values),
        adjusts=(1.0,) * count,
    )
    return Record(BARS.name, symbol, event)


def window(
    symbol: str, last: int | None, *, size: int = MINUTE, seconds: float = 0, polled: bool = False
) -> Record:
    event = Window(
        ts_event=at(seconds),
        ts_ingest=at(seconds),
        symbol=Symbol(symbol),
        start=Micros(at(seconds) - size),
        end=at(seconds),
        size=Micros(size),
        polled=polled,
        trades=1,
        books=0,
        volume=Shares(1),
        turnover=Won(last or 0),
        last=None if last is None else Won(last),
        signed_volume=Shares(0),
    )
    return Record(WINDOWS.name, symbol, event)


def halt(symbol: str, state: str) -> Record:
    event = MarketStatus(
        ts_event=at(0), ts_ingest=at(0), symbol=Symbol(symbol), seq=0, kind="halt", state=state,
        code="",
    )  # fmt: skip
    return Record(STATUS.name, symbol, event)


def trigger(fire_id: str = "fire", *, seconds: float = 1, target: str = screener.TARGET) -> Record:
    event = JobTriggered(
        ts_event=at(seconds),
        ts_ingest=at(seconds),
        fire_id=fire_id,
        job="rescoring",
        slot=at(seconds),
        kind="auto",
        target=target,
        group="",
        priority=1,
        logical_date=20260210,
        schedule_hash="",
        calendar_hash="",
        cause="",
    )
    return Record(TRIGGERS.name, "rescoring", event)


def screens(records: list[Record], cuts: list[int] | None = None) -> list[Screened]:
    """Fold records in batches cut at ``cuts``; the state goes through its bytes each time."""
    state, found, start = screener.INITIAL, [], 0
    for end in [*sorted(cuts or []), len(records)]:
        step = screener.step(state, Batch(records[start:end], Micros(0)))
        found += [output.value for output in step.outputs]
        state = snapshot.unpack(snapshot.pack(step.state), screener.ROLE.states)
        start = end
    return found


def universe(*symbols: str) -> list[Record]:
    return [each for symbol in symbols for each in (bars(symbol, [2 * 10**9]), instrument(symbol))]


@pytest.mark.parametrize(
    ("value", "cap", "rule"),
    [
        (1_000_000_000, 50_000_000_001, screener.VALUE_RULE),
        (1_000_000_001, 50_000_000_000, screener.CAP_RULE),
        (1_000_000_001, 50_000_000_001, None),
    ],
)
def test_both_limits_are_strict(value: int, cap: int, rule: str | None) -> None:
    assert screener.failed_rule(candidate(1, value, cap)) == rule


def test_a_mean_one_won_over_in_the_sum_of_twenty_passes() -> None:
    just_over = [10**9] * 19 + [10**9 + 1]

    [screened] = screens([bars("000010", just_over), instrument("000010"), trigger()])

    assert screened.symbols == ("000010",)


def test_only_the_last_twenty_sessions_count() -> None:
    [screened] = screens([bars("000010", [10**12] + [1] * 20), instrument("000010"), trigger()])

    assert screened.excluded["value"] == 1


def test_a_later_bar_extends_what_was_known() -> None:
    records = [bars("000010", [1] * 20), bars("000010", [10**12], first=20260201)]

    [screened] = screens([*records, instrument("000010"), trigger()])

    assert screened.mean_values == (-(-(10**12 + 19) // 20),)


def test_a_member_stays_until_rank_200_and_a_newcomer_waits_for_175() -> None:
    names = [candidate(number, 10**12 - number) for number in range(1, 301)]

    fresh = choose(names, ())
    kept = choose(names, [Symbol("000180"), Symbol("000201")])

    assert len(fresh.passed) == screener.RANK_ENTER_MAX
    assert [each.symbol for each in kept.passed[175:]] == ["000180"]
    assert kept.binding == "rank"


def test_without_surplus_the_rule_that_put_out_most_binds() -> None:
    names = [candidate(1, 2 * 10**9), candidate(2, 1), candidate(3, 2 * 10**9, 1), candidate(4, 1)]

    assert choose(names, ()).binding == "value"


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * 10**9), st.integers(0, 10**11), st.booleans()), max_size=400
    ),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_every_name_is_counted_once_in_any_order(
    rows: list[tuple[int, int, bool]], random: object
) -> None:
    names = [candidate(at, *row[:2], out=row[2]) for at, row in enumerate(rows)]
    mixed = list(names)
    random.shuffle(mixed)  # type: ignore[attr-defined] # hypothesis gives a random.Random

    chosen = choose(mixed, ())

    assert len(chosen.passed) + sum(chosen.excluded.values()) == len(names)
    assert chosen == choose(names, ())
    assert not any(each.out for each in chosen.passed)


def test_a_halted_name_is_gone_from_the_next_screen_and_back_when_it_resumes() -> None:
    records = [*universe("000010", "000020"), trigger("a"), halt("000010", "on"), trigger("b")]
    records += [halt("000010", "off"), trigger("c"), halt("000010", "market_suspended")]

    first, second, third, fourth = screens([*records, trigger("d")])

    assert first.symbols == third.symbols == fourth.symbols == ("000010", "000020")
    assert second.symbols == ("000020",)
    assert second.excluded["status"] == 1


def test_the_price_is_the_newest_minute_else_the_base() -> None:
    records = [
        *universe("000010", "000020", "000030"),
        window("000010", 1_111, seconds=-60),
        window("000010", 1_234),
        window("000010", 9_999, size=SECOND),
        window("000010", None),
        window("000020", 555, polled=True),
        trigger(),
    ]

    [screened] = screens(records)

    assert screened.prices == (1_234, 555, 1_000)
    assert screened.polled == (0, 1, 0)


def test_another_roles_trigger_is_left_alone() -> None:
    assert screens([*universe("000010"), trigger(target="role:other")]) == []


@given(st.lists(st.integers(0, 30), max_size=6))
@settings(deadline=None)
def test_any_split_into_batches_gives_the_same_screens(cuts: list[int]) -> None:
    records = [*universe("000010", "000020", "000030"), window("000010", 5), trigger("a")]
    records += [halt("000020", "on"), window("000030", 7, polled=True), trigger("b")]
    records += [halt("000020", "off"), instrument("000010", halted=True), trigger("c")]

    assert screens(records, [min(cut, len(records)) for cut in cuts]) == screens(records)
