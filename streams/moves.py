"""Price moves: a symbol is ``BPS_MIN`` or more away from a price of the last ``HORIZON``.

The reference is the lowest or the highest price of the horizon, whichever is farther away.  A
move starts the horizon over, so one run-up of 9 % is three moves of 3 %, not hundreds.

Per second only the lowest and the highest price are kept: at most ``HORIZON`` seconds of them.
Prints that ``prints.judge`` does not believe move nothing.
"""

from bisect import bisect_left
from typing import Final, NamedTuple

from schemas import topics
from schemas.features import Move
from schemas.market import Trade
from schemas.role import Batch, Output, Role, Step, paced
from schemas.units import MINUTE, SECOND, Symbol, Won
from streams import prints

BPS_MIN: Final = 300
HORIZON: Final = MINUTE


class Path(NamedTuple):
    """A symbol's last ``HORIZON``, a column per second it traded in, oldest first.

    Attributes:
        starts: When each second began.
        lows: Its lowest price.
        highs: Its highest price.
        seen: What the symbol's prints have shown.
    """

    starts: tuple[int, ...] = ()
    lows: tuple[int, ...] = ()
    highs: tuple[int, ...] = ()
    seen: prints.Seen | None = None


NEW: Final = Path()


def step(paths: dict[Symbol, Path], batch: Batch) -> Step:
    """Fold trades into paths and emit each move."""
    paths = dict(paths)
    outputs: list[Output] = []
    for record in batch.records:
        trade: Trade = record.value
        path = paths.get(trade.symbol, NEW)
        seen, verdict = prints.judge(path.seen, trade)
        if not verdict.counts:
            paths[trade.symbol] = path._replace(seen=seen)
            continue
        path = _within(path, trade)
        reference = _reference(path, trade.price)
        if abs(trade.price - reference) * 10_000 >= BPS_MIN * reference:
            outputs.append(Output(topics.MOVES, trade.symbol, _move(trade, reference)))
            path = NEW
        paths[trade.symbol] = _extended(path, trade, seen)
    return Step(paths, outputs)


def _within(path: Path, trade: Trade) -> Path:
    """Drop the seconds that began more than ``HORIZON`` ago: a poll sees the one before it."""
    oldest = trade.ts_event - HORIZON
    if not path.starts or path.starts[0] >= oldest:
        return path
    keep = bisect_left(path.starts, oldest)
    return Path(path.starts[keep:], path.lows[keep:], path.highs[keep:])


def _reference(path: Path, price: Won) -> int:
    if not path.starts:
        return price
    low, high = min(path.lows), max(path.highs)
    return low if (price - low) * high >= (high - price) * low else high


def _extended(path: Path, trade: Trade, seen: prints.Seen | None) -> Path:
    start, price = trade.ts_event - trade.ts_event % SECOND, int(trade.price)
    if not path.starts or path.starts[-1] < start:
        return Path((*path.starts, start), (*path.lows, price), (*path.highs, price), seen)
    low, high = min(path.lows[-1], price), max(path.highs[-1], price)
    return Path(path.starts, (*path.lows[:-1], low), (*path.highs[:-1], high), seen)


def _move(trade: Trade, reference: int) -> Move:
    return Move(
        ts_event=trade.ts_event,
        ts_ingest=trade.ts_ingest,
        symbol=trade.symbol,
        seq=trade.seq,
        reference=Won(reference),
        price=trade.price,
        bps=10_000 * (trade.price - reference) / reference,
    )


ROLE: Final = Role(
    name="features.moves",
    version=1,
    scope="key",
    inputs=(paced(topics.TRADES),),
    outputs=(topics.MOVES,),
    initial={},
    step=step,
    states=(Path, prints.Seen),
)
