"""What is wrong with the market data of a symbol: the role ``quality``.

    duplicate, gap, out_of_order, outlier_iqr    of a print: see ``prints``
    outlier_zscore    a print's qty is ``SIGMAS`` standard deviations or more above the mean of
                      the ``QTYS_MAX`` prints before it, and at least half above the mean
    crossed_book      best bid at or above best ask in continuous trading, once until it ends

Everything is exact integer arithmetic.  The state holds ``prints.PRINTS_MAX`` prints and
``QTYS_MAX`` quantities per symbol, no more; a day starts it over.
"""

from typing import Final, NamedTuple

from schemas import topics
from schemas.market import Book, Trade
from schemas.quality import QualityEvent
from schemas.role import Batch, Output, Role, Step, paced
from schemas.units import Symbol
from streams import prints

QTYS_MAX: Final = 128
QTYS_MIN: Final = 30
SIGMAS: Final = 6

CONTINUOUS: Final = "0"


class Watch(NamedTuple):
    """One symbol.

    Attributes:
        seen: What its prints have shown.
        qtys: Of the last believed prints of continuous trading, oldest first.
        total: Their sum.
        squares: The sum of their squares.
        crossed: Its book is crossed.
    """

    seen: prints.Seen | None = None
    qtys: tuple[int, ...] = ()
    total: int = 0
    squares: int = 0
    crossed: bool = False


NEW: Final = Watch()


def step(watches: dict[Symbol, Watch], batch: Batch) -> Step:
    """Fold trades and books into watches and emit what is wrong."""
    watches = dict(watches)
    outputs: list[Output] = []
    for record in batch.records:
        event = record.value
        watch = watches.get(event.symbol, NEW)
        if isinstance(event, Trade):
            watches[event.symbol], findings = _traded(watch, event)
        else:
            watches[event.symbol], findings = _booked(watch, event)
        outputs.extend(_said(event, finding) for finding in findings)
    return Step(watches, outputs)


def _traded(watch: Watch, trade: Trade) -> tuple[Watch, tuple[prints.Finding, ...]]:
    seen, verdict = prints.judge(watch.seen, trade)
    if seen is None:
        return Watch(crossed=watch.crossed), verdict.findings
    if not verdict.counts or trade.aggressor == "none":
        return watch._replace(seen=seen), verdict.findings
    findings = verdict.findings
    count, qty = len(watch.qtys), trade.qty
    if count >= QTYS_MIN and 2 * count * qty >= 3 * watch.total:
        above = count * qty - watch.total
        spread = count * watch.squares - watch.total * watch.total
        if spread and above * above >= SIGMAS * SIGMAS * spread:
            findings = (*findings, _too_large(qty, watch.total // count))
    return _with_qty(watch, seen, qty), findings


def _with_qty(watch: Watch, seen: prints.Seen, qty: int) -> Watch:
    total, squares = watch.total + qty, watch.squares + qty * qty
    if len(watch.qtys) < QTYS_MAX:
        return Watch(seen, (*watch.qtys, qty), total, squares, watch.crossed)
    oldest = watch.qtys[0]
    rest = watch.qtys[1:]
    return Watch(seen, (*rest, qty), total - oldest, squares - oldest * oldest, watch.crossed)


def _booked(watch: Watch, book: Book) -> tuple[Watch, tuple[prints.Finding, ...]]:
    bid, ask = book.bid_prices[0], book.ask_prices[0]
    crossed = book.phase == CONTINUOUS and 0 < ask <= bid
    if crossed == watch.crossed:
        return watch, ()
    watch = watch._replace(crossed=crossed)
    if not crossed:
        return watch, ()
    finding = prints.Finding("crossed_book", bid, ask, "best bid at or above best ask")
    return watch, (finding,)


def _too_large(qty: int, mean: int) -> prints.Finding:
    detail = f"qty {SIGMAS} standard deviations or more above the mean"
    return prints.Finding("outlier_zscore", qty, mean, detail)


def _said(event: Trade | Book, finding: prints.Finding) -> Output:
    said = QualityEvent(
        ts_event=event.ts_event,
        ts_ingest=event.ts_ingest,
        subject=event.symbol,
        seq=event.seq,
        kind=finding.kind,
        value=float(finding.value),
        expected=float(finding.expected),
        detail=finding.detail,
    )
    return Output(topics.QUALITY, event.symbol, said)


ROLE: Final = Role(
    name="quality",
    version=1,
    scope="key",
    inputs=(paced(topics.TRADES), paced(topics.BOOKS)),
    outputs=(topics.QUALITY,),
    initial={},
    step=step,
    states=(Watch, prints.Seen),
)
