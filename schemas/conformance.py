"""One test role per kind: every driver that honours a kind runs them through the same suite.

``TALLY`` (key scope) merges trades and books of a symbol and closes a window per second.
``LEAGUE`` (universe scope) merges windows and triggers of everybody and ranks on a trigger; it
reads the windows in which something traded, by their label.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from schemas.features import Window
from schemas.market import Trade
from schemas.role import Batch, Limits, Output, Role, Step, paced
from schemas.scores import Screened
from schemas.topics import BOOKS, SCREEN, TRADES, TRIGGERS, WINDOWS
from schemas.units import MINUTE, SECOND, Micros, Shares, Symbol, Won

UNIVERSE: Final = "universe"
TRADED: Final = "traded"
QUIET: Final = "quiet"


class Tally(NamedTuple):
    """One symbol's open second."""

    end: int
    volume: int
    turnover: int
    trades: int
    books: int
    last: int
    seen: int


def tally(states: Mapping[str, Tally], batch: Batch) -> Step:
    """Close a window per symbol and second, when time has passed its end."""
    following = dict(states)
    closed: list[Output] = []
    for record in batch.records:
        event = record.value
        end = event.ts_event - event.ts_event % SECOND + SECOND
        now = following.get(record.key)
        if now is not None and now.end < end:
            closed.append(_close(record.key, now))
            now = None
        now = now or Tally(end, 0, 0, 0, 0, 0, 0)
        seen = max(now.seen, event.ts_ingest)
        if isinstance(event, Trade):
            following[record.key] = now._replace(
                volume=now.volume + event.qty,
                turnover=now.turnover + event.price * event.qty,
                trades=now.trades + 1,
                last=event.price,
                seen=seen,
            )
        else:
            following[record.key] = now._replace(books=now.books + 1, seen=seen)
    done = [key for key, now in following.items() if now.end <= batch.watermark]
    done.sort(key=lambda each: (following[each].end, each))
    closed += [_close(key, following.pop(key)) for key in done]
    return Step(following, closed)


def _close(key: str, now: Tally) -> Output:
    return Output(
        WINDOWS,
        key,
        Window(
            ts_event=Micros(now.end),
            ts_ingest=Micros(now.seen),
            symbol=Symbol(key),
            start=Micros(now.end - SECOND),
            end=Micros(now.end),
            size=SECOND,
            polled=False,
            trades=now.trades,
            books=now.books,
            volume=Shares(now.volume),
            turnover=Won(now.turnover),
            last=Won(now.last),
            signed_volume=Shares(0),
        ),
        TRADED if now.trades else QUIET,
    )


def league(turnovers: Mapping[str, int], batch: Batch) -> Step:
    """Rank everybody by turnover so far, at each trigger."""
    following = dict(turnovers)
    outputs = []
    for record in batch.records:
        event = record.value
        if isinstance(event, Window):
            following[record.key] = following.get(record.key, 0) + event.turnover
            continue
        ranked = sorted(following, key=lambda each: (-following[each], each))
        outputs.append(
            Output(
                SCREEN,
                UNIVERSE,
                Screened(
                    ts_event=event.ts_event,
                    ts_ingest=event.ts_ingest,
                    fire_id=event.fire_id,
                    job=event.job,
                    considered=len(ranked),
                    symbols=tuple(Symbol(each) for each in ranked),
                    prices=tuple(Won(following[each]) for each in ranked),
                    polled=(0,) * len(ranked),
                    mean_values=(Won(0),) * len(ranked),
                    market_caps=(Won(0),) * len(ranked),
                    sectors=("",) * len(ranked),
                    excluded={},
                    binding="none",
                    lineage={},
                ),
            )
        )
    return Step(following, outputs)


LIMITS: Final = Limits(save_interval=Micros(5 * SECOND), save_records_max=500)

TALLY: Final = Role(
    name="conformance.tally",
    version=1,
    scope="key",
    inputs=(paced(TRADES), paced(BOOKS)),
    outputs=(WINDOWS,),
    initial={},
    step=tally,
    states=(Tally,),
    limits=LIMITS,
)

LEAGUE: Final = Role(
    name="conformance.league",
    version=1,
    scope="universe",
    inputs=(paced(WINDOWS, TRADED), paced(TRIGGERS)),
    outputs=(SCREEN,),
    initial={},
    step=league,
    limits=Limits(save_interval=MINUTE, save_records_max=500),
)
