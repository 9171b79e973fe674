"""What the cleaning of yesterday's bars calls torn, and what outside the limits."""

from datetime import date

from producers.jobs import Bar, is_outside, is_torn, newest_bar
from schemas.market import DailyBars, Instrument
from schemas.units import Micros, Shares, Symbol, Won

DAY = date(2026, 2, 9)
NONE = Micros(0)


def bar(o: int, h: int, low: int, c: int, *, volume: int = 10, before: int = 10_000) -> Bar:
    return Bar(20260209, o, h, low, c, volume, before)


def listed(segment: str = "KOSPI") -> Instrument:
    return Instrument(
        ts_event=NONE,
        ts_ingest=NONE,
        symbol=Symbol("005930"),
        isin="",
        name="A",
        segment=segment,
        security_type="COMMON",
        listed_shares=Shares(1),
        base_price=Won(10_000),
        market_cap=Won(1),
        halted=False,
        administrative=False,
        delisting=False,
    )


def bars(dates: tuple[int, ...], closes: tuple[int, ...], adjusts: tuple[float, ...]) -> DailyBars:
    same = tuple(Won(each) for each in closes)
    return DailyBars(
        ts_event=NONE,
        ts_ingest=NONE,
        symbol=Symbol("005930"),
        source="test",
        dates=dates,
        opens=same,
        highs=same,
        lows=same,
        closes=same,
        volumes=tuple(Shares(1) for _ in dates),
        turnovers=same,
        adjusts=adjusts,
    )


def test_a_traded_bar_with_a_zero_or_a_high_below_its_close_is_torn() -> None:
    assert not is_torn(bar(10_000, 10_100, 9_900, 10_050))
    assert is_torn(bar(0, 10_100, 0, 10_050))
    assert is_torn(bar(10_000, 10_040, 9_900, 10_050))
    assert not is_torn(bar(0, 0, 0, 10_050, volume=0))


def test_a_bar_is_outside_only_beyond_the_limit_of_its_segment() -> None:
    assert not is_outside(bar(10_000, 13_000, 7_000, 13_000), listed(), DAY)
    assert is_outside(bar(10_000, 13_010, 10_000, 13_010), listed(), DAY)
    assert is_outside(bar(10_000, 12_000, 10_000, 12_000), listed("KONEX"), DAY)


def test_the_close_before_a_split_is_told_in_the_newest_bars_money() -> None:
    split = bars((20260206, 20260209), (50_000, 10_100), (0.2, 1.0))

    kept = newest_bar({}, split)

    assert kept["005930"].before == 10_000
    assert newest_bar(kept, bars((20260206,), (1,), (1.0,))) == kept
