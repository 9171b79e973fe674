"""The screener: which names are worth scoring as of a trigger.

    halted, administrative or being delisted    out
    mean daily value of 20 sessions             > 1,000,000,000 won, strictly
    market capitalisation                       > 50,000,000,000 won, strictly
    then the most liquid                        in at rank <= 175, out at rank > 200

A name counts in ``excluded`` once, under the first rule that it fails, so that ``considered`` is
the sum of all of them and of the names that passed.  Between rank 175 and 200 a name stays if it
was in the last screen: a rank that trembles does not make orders.  A mean is rounded up to the
won, which keeps the strict rule exact.

The price is the last of the newest 60 s window, else the session's base price.  Windows of any
other length are passed over.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.control import JobTriggered
from schemas.features import LABEL_MINUTE, Window
from schemas.market import DailyBars, Instrument, MarketStatus
from schemas.role import Batch, Limits, Output, Role, Step, paced, reference
from schemas.scores import Screened
from schemas.topics import BARS, INSTRUMENTS, SCREEN, STATUS, TRIGGERS, WINDOWS
from schemas.units import MINUTE, Micros, Symbol, Won

NAME: Final = "scores.screen"
TARGET: Final = f"role:{NAME}"

VALUE_SESSIONS: Final = 20
VALUE_WON_ABOVE: Final = 1_000_000_000
CAP_WON_ABOVE: Final = 50_000_000_000
RANK_ENTER_MAX: Final = 175
RANK_STAY_MAX: Final = 200
WINDOW_SIZE: Final = MINUTE

STATUS_RULE: Final = "status"
VALUE_RULE: Final = "value"
CAP_RULE: Final = "cap"
RANK_RULE: Final = "rank"
RULES: Final = (STATUS_RULE, VALUE_RULE, CAP_RULE, RANK_RULE)

HALTED: Final = "on"
RESUMED: Final = "off"
"""States of ``market.status`` kind ``halt`` that speak of one symbol."""


class Liquidity(NamedTuple):
    """The newest sessions of a name, oldest first: yyyymmdd and traded value in won."""

    dates: tuple[int, ...]
    values: tuple[int, ...]


class Listing(NamedTuple):
    """What the screener keeps of an instrument."""

    sector: str
    market_cap: Won
    base_price: Won
    halted: bool
    barred: bool


class Quote(NamedTuple):
    """The newest price of a name."""

    price: Won
    polled: bool
    end: Micros


class Candidate(NamedTuple):
    """A name with what the rules look at."""

    symbol: Symbol
    mean_value: Won
    market_cap: Won
    out: bool


class State(NamedTuple):
    """Everything known of the universe, and who was in last time."""

    liquidity: dict[str, Liquidity]
    listings: dict[str, Listing]
    quotes: dict[str, Quote]
    halts: dict[str, bool]
    members: tuple[Symbol, ...]


INITIAL: Final = State({}, {}, {}, {}, ())


class Chosen(NamedTuple):
    """What the rules made of the candidates: passed names, reasons, the rule that bound."""

    passed: tuple[Candidate, ...]
    excluded: dict[str, int]
    binding: str


def step(state: State, batch: Batch) -> Step:
    """Fold windows, states and master data; answer each trigger with a screen."""
    state = _own(state, batch)
    outputs: list[Output] = []
    for record in batch.records:
        value = record.value
        if isinstance(value, Window):
            _price(state, value)
        elif isinstance(value, MarketStatus):
            _status(state, value)
        elif isinstance(value, DailyBars):
            _bars(state, value)
        elif isinstance(value, Instrument):
            _listing(state, value)
        elif isinstance(value, JobTriggered) and value.target == TARGET:
            screened = screen(state, value)
            state = state._replace(members=screened.symbols)
            outputs.append(Output(SCREEN, "universe", screened))
    return Step(state, outputs)


def screen(state: State, trigger: JobTriggered) -> Screened:
    """Return the universe's snapshot as of a trigger."""
    candidates = [_candidate(state, symbol) for symbol in sorted(state.listings)]
    passed, excluded, binding = choose(candidates, state.members)
    quotes = [_quote(state, each.symbol) for each in passed]
    return Screened(
        ts_event=trigger.ts_event,
        ts_ingest=trigger.ts_ingest,
        fire_id=trigger.fire_id,
        job=trigger.job,
        considered=len(candidates),
        symbols=tuple(each.symbol for each in passed),
        prices=tuple(each.price for each in quotes),
        polled=tuple(int(each.polled) for each in quotes),
        mean_values=tuple(each.mean_value for each in passed),
        market_caps=tuple(each.market_cap for each in passed),
        sectors=tuple(state.listings[each.symbol].sector for each in passed),
        excluded=excluded,
        binding=binding,
        lineage={
            TRIGGERS.name: trigger.fire_id,
            BARS.name: str(max((each.dates[-1] for each in state.liquidity.values()), default=0)),
            WINDOWS.name: str(max((each.end for each in quotes), default=0)),
        },
    )


def choose(candidates: Sequence[Candidate], members: Sequence[Symbol]) -> Chosen:
    """Apply the rules.

    Args:
        candidates: Every name looked at, each once.
        members: Who passed last time.

    Returns:
        The passed names, most liquid first (equal ones by code); reason to count, 0 included;
        and the rule that bound: ``rank`` when liquid names were left out, else the rule that
        put out most.
    """
    excluded = dict.fromkeys(RULES, 0)
    eligible = []
    for each in candidates:
        rule = failed_rule(each)
        if rule is None:
            eligible.append(each)
        else:
            excluded[rule] += 1
    eligible.sort(key=lambda each: (-each.mean_value, each.symbol))
    known = frozenset(members)
    passed = tuple(
        each
        for rank, each in enumerate(eligible[:RANK_STAY_MAX], start=1)
        if rank <= RANK_ENTER_MAX or each.symbol in known
    )
    excluded[RANK_RULE] = len(eligible) - len(passed)
    binding = RANK_RULE if excluded[RANK_RULE] > 0 else max(RULES, key=lambda rule: excluded[rule])
    return Chosen(passed, excluded, binding)


def failed_rule(candidate: Candidate) -> str | None:
    """Return the first rule that a name fails, None when it may be ranked."""
    if candidate.out:
        return STATUS_RULE
    if candidate.mean_value <= VALUE_WON_ABOVE:
        return VALUE_RULE
    if candidate.market_cap <= CAP_WON_ABOVE:
        return CAP_RULE
    return None


def _own(state: State, batch: Batch) -> State:
    """A state whose containers may be written: only what this batch can touch is copied."""
    kinds = {type(record.value) for record in batch.records}
    listed = Instrument in kinds
    return state._replace(
        liquidity=dict(state.liquidity) if DailyBars in kinds else state.liquidity,
        listings=dict(state.listings) if listed else state.listings,
        quotes=dict(state.quotes) if listed or Window in kinds else state.quotes,
        halts=dict(state.halts) if listed or MarketStatus in kinds else state.halts,
    )


def _candidate(state: State, symbol: str) -> Candidate:
    listing = state.listings[symbol]
    values = state.liquidity.get(symbol, Liquidity((), ())).values
    mean = -(-sum(values) // len(values)) if values else 0
    out = listing.barred or state.halts.get(symbol, listing.halted)
    return Candidate(Symbol(symbol), Won(mean), listing.market_cap, out)


def _quote(state: State, symbol: str) -> Quote:
    base = Quote(state.listings[symbol].base_price, polled=False, end=Micros(0))
    return state.quotes.get(symbol, base)


def _price(state: State, window: Window) -> None:
    if window.size == WINDOW_SIZE and window.last is not None:
        state.quotes[window.symbol] = Quote(window.last, window.polled, window.end)


def _status(state: State, status: MarketStatus) -> None:
    if status.kind == "halt" and status.state in {HALTED, RESUMED}:
        state.halts[status.symbol] = status.state == HALTED


def _bars(state: State, bars: DailyBars) -> None:
    if not bars.dates:
        return
    old = state.liquidity.get(bars.symbol, Liquidity((), ()))
    keep = sum(1 for date in old.dates if date < bars.dates[0])
    dates = (*old.dates[:keep], *bars.dates)[-VALUE_SESSIONS:]
    values = (*old.values[:keep], *bars.turnovers)[-VALUE_SESSIONS:]
    state.liquidity[bars.symbol] = Liquidity(dates, values)


def _listing(state: State, instrument: Instrument) -> None:
    state.listings[instrument.symbol] = Listing(
        instrument.sector or "",
        instrument.market_cap,
        instrument.base_price,
        instrument.halted,
        instrument.administrative or instrument.delisting,
    )
    state.halts.pop(instrument.symbol, None)
    state.quotes.pop(instrument.symbol, None)


ROLE: Final = Role(
    name=NAME,
    version=1,
    scope="universe",
    inputs=(
        paced(WINDOWS, LABEL_MINUTE),
        paced(STATUS),
        paced(TRIGGERS),
        reference(BARS),
        reference(INSTRUMENTS),
    ),
    outputs=(SCREEN,),
    initial=INITIAL,
    step=step,
    states=(State, Liquidity, Listing, Quote),
    limits=Limits(save_interval=Micros(10 * MINUTE)),
)
