"""The quant score: twelve factors, scaled over the screened names and weighed by the regime.

    score = sum over the present factors of applied weight x winsorised z

Prices are those of the screen, so value and momentum are as of the trigger; everything else is
as of the session before.  Names are worked on in order of their code, so that a score does not
depend on the order in which the screener names them.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.learning import WeightsLearned
from schemas.market import DailyBars, Fundamentals, IndexBars, Instrument
from schemas.role import Batch, Limits, Output, Role, Step, paced, reference
from schemas.scores import QuantScored, Screened
from schemas.topics import BARS, FUNDAMENTALS, INDICES, INSTRUMENTS, QUANT, SCREEN, WEIGHTS
from schemas.units import HOUR
from streams.factors import measures, regime, scaling, table
from streams.factors.sheet import Sheet, form, read
from streams.history import CLOSES, History, extend, extend_index

Floats = npt.NDArray[np.float64]

NAME: Final = "scores.quant"
MARKET: Final = "KOSPI"
EVERY_REGIME: Final = "*"

_BOOKS: Final = (
    "equity",
    "liabilities",
    "assets",
    "sales_ttm",
    "sales_prior_ttm",
    "operating_income_ttm",
    "net_income_ttm",
    "net_income_prior_ttm",
    "operating_cash_flow_ttm",
)
"""Fields of ``Fundamentals`` in the order of ``measures.Books``."""


class Learned(NamedTuple):
    """The newest weights for a regime, in the order of ``table.FACTORS``."""

    version: str
    weights: tuple[float, ...]


class State(NamedTuple):
    """What is known as of now.

    Attributes:
        closes: Symbol to adjusted closes.
        shares: Symbol to listed shares.
        books: Symbol to the fields of ``measures.Books``, None where unknown.
        period: Newest quarter seen, yyyymmdd.
        market: KOSPI.
        learned: Regime (or ``*``) to weights.
        sheet: What follows from all of the above but the weights; None until a screen asks.
    """

    closes: dict[str, History]
    shares: dict[str, int]
    books: dict[str, tuple[int | None, ...]]
    period: int
    market: History | None
    learned: dict[str, Learned]
    sheet: Sheet | None


INITIAL: Final = State({}, {}, {}, 0, None, {}, None)


class Scored(NamedTuple):
    """A scored cross-section, rows as asked for.

    Attributes:
        scores: (names) weighted sum of exposures, 0 where nothing is present.
        exposures: (names, factors), 0 where missing.
        present: (names, factors).
    """

    scores: Floats
    exposures: Floats
    present: npt.NDArray[np.bool_]


def step(state: State, batch: Batch) -> Step:
    """Fold reference data; answer each screen with a quant score."""
    state = _own(state, batch)
    outputs: list[Output] = []
    for record in batch.records:
        value = record.value
        if isinstance(value, Screened):
            state = state._replace(sheet=_sheet(state))
            outputs.append(Output(QUANT, "universe", quant(state, value)))
        elif isinstance(value, WeightsLearned):
            state.learned[value.regime] = _learned(value)
        else:
            state = _fact(state, value)
    return Step(state, outputs)


def quant(state: State, screened: Screened) -> QuantScored:
    """Return the factor model's snapshot of the screened names."""
    levels = np.zeros(0) if state.market is None else state.market.columns[0]
    word, _ = regime.regime_of(levels)
    learned = state.learned.get(word, state.learned.get(EVERY_REGIME))
    if learned is None:
        learned = Learned(f"{table.BASE_VERSION}/{word}", table.base_weights(word))
    sheet = _sheet(state)
    scored = score(sheet, screened, np.asarray(learned.weights))
    names = max(len(screened.symbols), 1)
    counts = scored.present.sum(axis=0)
    return QuantScored(
        ts_event=screened.ts_event,
        ts_ingest=screened.ts_ingest,
        fire_id=screened.fire_id,
        job=screened.job,
        symbols=screened.symbols,
        scores=tuple(scored.scores.tolist()),
        factors=table.FACTORS,
        exposures=tuple(scored.exposures.ravel().tolist()),
        present=tuple(scored.present.ravel().astype(int).tolist()),
        weights=learned.weights,
        coverage={
            name: int(count) / names for name, count in zip(table.FACTORS, counts, strict=True)
        },
        regime=word,
        weights_version=learned.version,
        prices=screened.prices,
        sectors=screened.sectors,
        lineage={
            SCREEN.name: screened.fire_id,
            BARS.name: str(sheet.date),
            INDICES.name: str(0 if state.market is None else int(state.market.dates[-1])),
            FUNDAMENTALS.name: str(state.period),
            WEIGHTS.name: learned.version,
        },
    )


def score(sheet: Sheet, screened: Screened, weights: Floats) -> Scored:
    """Return the scored names in the order of the screen."""
    symbols = np.array(screened.symbols, dtype=np.str_)
    order = np.argsort(symbols, kind="stable")
    past, books = read(sheet, symbols[order])
    prices = np.array(screened.prices, dtype=np.float64)[order]
    scored = compose(measures.measure(prices, past, books), weights)
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return Scored(scored.scores[back], scored.exposures[back], scored.present[back])


def compose(raw: Floats, weights: Floats) -> Scored:
    """Return the scores of raw factors (names, factors), NaN where missing."""
    exposures, present = scaling.exposures(raw)
    applied = table.applied_weights(weights, present)
    scores = np.zeros(len(raw))
    for factor in range(raw.shape[1]):
        scores += applied[:, factor] * exposures[:, factor]
    return Scored(scores, exposures, present)


def _fact(state: State, value: Any) -> State:
    """Fold a record of reference data; the sheet no longer holds."""
    if isinstance(value, DailyBars):
        old = state.closes.get(value.symbol)
        state.closes[value.symbol] = extend(old, value, CLOSES, measures.SESSIONS)
    elif isinstance(value, Fundamentals):
        state.books[value.symbol] = tuple(getattr(value, name) for name in _BOOKS)
        state = state._replace(period=max(state.period, value.period_end))
    elif isinstance(value, Instrument):
        state.shares[value.symbol] = value.listed_shares
    elif isinstance(value, IndexBars) and value.name == MARKET:
        longer = extend_index(state.market, value, regime.INDEX_SESSIONS)
        state = state._replace(market=longer)
    return state._replace(sheet=None)


def _sheet(state: State) -> Sheet:
    if state.sheet is not None:
        return state.sheet
    return form(state.closes, state.shares, state.books, state.market)


def _learned(value: WeightsLearned) -> Learned:
    by_name = dict(zip(value.factors, value.weights, strict=True))
    return Learned(value.version, tuple(max(by_name.get(name, 0.0), 0.0) for name in table.FACTORS))


def _own(state: State, batch: Batch) -> State:
    """A state whose containers may be written: only what this batch can touch is copied."""
    kinds = {type(record.value) for record in batch.records}
    return state._replace(
        closes=dict(state.closes) if DailyBars in kinds else state.closes,
        shares=dict(state.shares) if Instrument in kinds else state.shares,
        books=dict(state.books) if Fundamentals in kinds else state.books,
        learned=dict(state.learned) if WeightsLearned in kinds else state.learned,
    )


ROLE: Final = Role(
    name=NAME,
    version=1,
    scope="universe",
    inputs=(
        paced(SCREEN),
        reference(BARS),
        reference(FUNDAMENTALS),
        reference(INDICES),
        reference(INSTRUMENTS),
        reference(WEIGHTS),
    ),
    outputs=(QUANT,),
    initial=INITIAL,
    step=step,
    states=(State, History, Learned, Sheet),
    limits=Limits(save_interval=HOUR),
)
