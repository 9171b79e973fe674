"""Jobs on what producers bring in: the master data, the morning's collection, yesterday's bars.

Thin: nothing is fetched here (producers listen on their own); a job looks at what has come, says
the figures, and fails when a decision could not be taken on it.
"""

from datetime import date
from typing import Final, NamedTuple

from infra.jobs import JobContext, Result, Stopped
from schemas.krx.prices import price_limits
from schemas.krx.sessions import kst_date, previous_session, session
from schemas.market import DailyBars, Disclosure, Instrument
from schemas.topics import BARS, DISCLOSURES, INSTRUMENTS, RAW_DART, RAW_KRX
from schemas.units import Micros

COVERAGE_MIN: Final = 0.9
"""Of the instruments, with a bar of the previous session; fewer is degraded."""

FLAGGED_SHARE_MAX: Final = 0.05
ARRIVAL_S_MAX: Final = 20.0
"""Wall seconds that bars may still take to come: an accelerated day waits for this job."""

ARRIVAL_STEP_S: Final = 0.2


class Bar(NamedTuple):
    """A symbol's newest daily bar, and the close before it in the same money (0: none)."""

    date: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    before: int


def pre_open_prepare(context: JobContext) -> Result:
    """Check the calendar and that instruments are loaded; degraded while there are none."""
    day = logical_day(context)
    today = session(day)
    if today is None:
        return Result("degraded", f"expected a session on {day}, was a closed day")
    known = context.view.fold(INSTRUMENTS, dict[str, Instrument], listing)
    halted = sum(1 for each in known.values() if each.halted)
    special = f", {today.special}" if today.special else ""
    detail = f"session of {day}{special}; {len(known)} instruments, {halted} of them halted"
    return Result("succeeded" if known else "degraded", detail)


def morning_data_collection(context: JobContext) -> Result:
    """Count what has come since the previous session; fails without bars of that session."""
    previous = previous_session(logical_day(context))
    wanted = int(f"{previous.date:%Y%m%d}")
    fresh, of = _arrived(context, wanted)
    since = context.view.fold(DISCLOSURES, list[Micros], filed)
    filings = sum(1 for each in since if previous.close <= each <= context.trigger.ts_event)
    detail = (
        f"{fresh} of {of} instruments have a bar of {previous.date}; {filings} disclosures since "
        f"its close; newest raw.krx {_newest(context, 'krx')}, raw.dart {_newest(context, 'dart')}"
    )
    if fresh == 0:
        return Result("failed", f"expected bars of {previous.date}, was none; {detail}")
    return Result("succeeded" if fresh >= COVERAGE_MIN * of else "degraded", detail)


def previous_day_cleaning(context: JobContext) -> Result:
    """Flag bars of the previous session that contradict themselves or the day's price limits.

    Thin: it counts and names them, the bars stay as they came.
    """
    previous = previous_session(logical_day(context)).date
    wanted = int(f"{previous:%Y%m%d}")
    bars = context.view.fold(BARS, dict[str, Bar], newest_bar)
    known = context.view.fold(INSTRUMENTS, dict[str, Instrument], listing)
    day = {name: bar for name, bar in bars.items() if bar.date == wanted}
    untraded = sum(1 for bar in day.values() if bar.volume == 0)
    torn = sorted(name for name, bar in day.items() if is_torn(bar))
    outside = sorted(
        name
        for name, bar in day.items()
        if name in known and name not in torn and is_outside(bar, known[name], previous)
    )
    named = ", ".join([*torn, *outside][:5])
    detail = (
        f"{len(day)} bars of {previous}: {untraded} untraded, {len(torn)} torn, "
        f"{len(outside)} outside the limits{f' ({named})' if named else ''}"
    )
    if not day:
        return Result("failed", f"expected bars of {previous}, was none")
    clean = len(torn) + len(outside) <= FLAGGED_SHARE_MAX * len(day)
    return Result("succeeded" if clean else "degraded", detail)


def is_torn(bar: Bar) -> bool:
    """Say whether a traded bar has a price of 0, or prices that contradict each other."""
    if bar.volume == 0:
        return False
    prices = (bar.open, bar.high, bar.low, bar.close)
    return min(prices) <= 0 or bar.high != max(prices) or bar.low != min(prices)


def is_outside(bar: Bar, instrument: Instrument, day: date) -> bool:
    """Say whether a traded bar leaves the price limits of the close before it."""
    if bar.volume == 0 or bar.before <= 0:
        return False
    limits = price_limits(bar.before, day, instrument.segment, instrument.security_type)
    return bar.low < limits.lower or bar.high > limits.upper


def newest_bar(bars: dict[str, Bar], event: DailyBars) -> dict[str, Bar]:
    """Keep each symbol's newest bar."""
    if not event.dates:
        return bars
    had = bars.get(event.symbol)
    if had is not None and had.date >= event.dates[-1]:
        return bars
    before = had.close if had is not None else 0
    if len(event.dates) > 1 and event.adjusts[-1] > 0:
        before = round(event.closes[-2] * event.adjusts[-2] / event.adjusts[-1])
    bars[event.symbol] = Bar(
        event.dates[-1],
        event.opens[-1],
        event.highs[-1],
        event.lows[-1],
        event.closes[-1],
        event.volumes[-1],
        before,
    )
    return bars


def listing(known: dict[str, Instrument], event: Instrument) -> dict[str, Instrument]:
    """Keep each symbol's newest master data."""
    known[event.symbol] = event
    return known


def filed(instants: list[Micros], event: Disclosure) -> list[Micros]:
    """Keep when each filing was made public."""
    instants.append(event.ts_event)
    return instants


def logical_day(context: JobContext) -> date:
    """Return the day a fire is about."""
    return date.fromisoformat(str(context.trigger.logical_date))


def _arrived(context: JobContext, wanted: int) -> tuple[int, int]:
    """Return how many instruments have a bar of a day, and how many there are; wait a little."""
    for _ in range(round(ARRIVAL_S_MAX / ARRIVAL_STEP_S)):
        bars = context.view.fold(BARS, dict[str, Bar], newest_bar)
        of = len(context.view.fold(INSTRUMENTS, dict[str, Instrument], listing))
        fresh = sum(1 for bar in bars.values() if bar.date == wanted)
        if of > 0 and fresh >= COVERAGE_MIN * of:
            break
        if context.stopping.wait(ARRIVAL_STEP_S):
            raise Stopped
    return fresh, of


def _newest(context: JobContext, source: str) -> str:
    mark = context.view.time_of(RAW_KRX if source == "krx" else RAW_DART)
    return "never" if mark is None else f"of {kst_date(mark)}"
