"""What the model sees as of a screen: a tensor of symbols x steps x features.

Steps are the last ``STEPS`` sessions, the last of them the one that is not over, closed at the
screen's price.  The arithmetic is ``schemas.model_features``, the same as in training.  The two
microstructure columns come from a name's newest 60 s window of prints, if it is not older than
``FRESH``.
"""

from typing import Final, NamedTuple

import numpy as np

from schemas import model_features
from schemas.features import LABEL_MINUTE, FeatureSnapshot, Window
from schemas.ids import content_id
from schemas.market import DailyBars, IndexBars
from schemas.role import Batch, Limits, Output, Role, Step, paced, reference
from schemas.scores import Screened
from schemas.topics import BARS, INDICES, SCREEN, SNAPSHOTS, WINDOWS
from schemas.units import HOUR, MINUTE, Micros
from streams import history
from streams.history import History

NAME: Final = "features.snapshots"
MARKET: Final = "KOSPI"
ANSWER_TIME: Final = Micros(60 * 1_000_000)
FRESH: Final = Micros(5 * MINUTE)
SESSIONS: Final = model_features.HISTORY_SESSIONS

SAVE_RECORDS_MAX: Final = 100_000
"""The state holds every name's sessions (8 MB): it is saved by time, not by every window."""


class Pressure(NamedTuple):
    """A name's order book and flow in its newest window of prints; NaN where not formed."""

    end: Micros
    imbalance: float
    flow: float


class State(NamedTuple):
    """Symbol to sessions, symbol to pressure, and KOSPI."""

    bars: dict[str, History]
    pressures: dict[str, Pressure]
    market: History | None


INITIAL: Final = State({}, {}, None)


def step(state: State, batch: Batch) -> Step:
    """Fold bars and windows; answer each screen with a snapshot."""
    state = _own(state, batch)
    outputs: list[Output] = []
    for record in batch.records:
        value = record.value
        if isinstance(value, Window):
            if value.size == MINUTE and not value.polled:
                state.pressures[value.symbol] = pressure(value)
        elif isinstance(value, DailyBars):
            old = state.bars.get(value.symbol)
            state.bars[value.symbol] = history.extend(old, value, history.BARS, SESSIONS)
        elif isinstance(value, IndexBars) and value.name == MARKET:
            longer = history.extend_index(state.market, value, SESSIONS)
            state = state._replace(market=longer)
        elif isinstance(value, Screened):
            outputs.append(Output(SNAPSHOTS, model_features.MODEL, snapshot(state, value)))
    return Step(state, outputs)


def snapshot(state: State, screened: Screened) -> FeatureSnapshot:
    """Return the model's input as of a screen; at most ``ROWS_MAX`` names, most liquid first."""
    symbols = screened.symbols[: model_features.ROWS_MAX]
    sessions = history.grid(
        [state.bars.get(symbol) for symbol in symbols], len(history.BARS), SESSIONS - 1
    )
    prices = np.array(screened.prices[: len(symbols)], dtype=np.float64)
    unknown = np.full((len(symbols), 1), np.nan)
    closes, highs, lows, volumes = sessions.columns
    market = history.on_axis(state.market, sessions.dates)
    pressures = [_fresh(state.pressures.get(symbol), screened.ts_event) for symbol in symbols]
    tensor, mask = model_features.features_of(
        np.concatenate([closes, prices[:, np.newaxis]], axis=1),
        np.concatenate([highs, unknown], axis=1),
        np.concatenate([lows, unknown], axis=1),
        np.concatenate([volumes, unknown], axis=1),
        np.append(market, np.nan),
        imbalance=np.array([each.imbalance for each in pressures], dtype=np.float64),
        flow=np.array([each.flow for each in pressures], dtype=np.float64),
    )
    body = tensor.astype("<f4").tobytes()
    return FeatureSnapshot(
        ts_event=screened.ts_event,
        ts_ingest=screened.ts_ingest,
        snapshot_id=content_id(screened.fire_id, model_features.MODEL, body.hex()),
        fire_id=screened.fire_id,
        model=model_features.MODEL,
        symbols=symbols,
        features=model_features.FEATURES,
        steps=model_features.STEPS,
        tensor=body,
        mask=mask.tobytes(),
        deadline=Micros(screened.ts_event + ANSWER_TIME),
        coverage=float(mask.sum()) / len(symbols) if symbols else 0.0,
        lineage={
            SCREEN.name: screened.fire_id,
            BARS.name: str(int(sessions.dates[-1]) if len(sessions.dates) else 0),
            INDICES.name: str(0 if state.market is None else int(state.market.dates[-1])),
            WINDOWS.name: str(max((each.end for each in pressures), default=0)),
        },
    )


def pressure(window: Window) -> Pressure:
    """Return what a window of prints says of its name's book and flow."""
    flow = float("nan")
    if window.ofi is not None and window.volume > 0:
        flow = window.ofi / window.volume
    imbalance = float("nan") if window.imbalance is None else window.imbalance
    return Pressure(window.end, imbalance, flow)


def _fresh(known: Pressure | None, now: Micros) -> Pressure:
    if known is None or known.end < now - FRESH:
        return Pressure(Micros(0), float("nan"), float("nan"))
    return known


def _own(state: State, batch: Batch) -> State:
    """A state whose containers may be written: only what this batch can touch is copied."""
    kinds = {type(record.value) for record in batch.records}
    return state._replace(
        bars=dict(state.bars) if DailyBars in kinds else state.bars,
        pressures=dict(state.pressures) if Window in kinds else state.pressures,
    )


ROLE: Final = Role(
    name=NAME,
    version=1,
    scope="universe",
    inputs=(paced(WINDOWS, LABEL_MINUTE), paced(SCREEN), reference(BARS), reference(INDICES)),
    outputs=(SNAPSHOTS,),
    initial=INITIAL,
    step=step,
    states=(State, History, Pressure),
    limits=Limits(save_interval=HOUR, save_records_max=SAVE_RECORDS_MAX),
)
