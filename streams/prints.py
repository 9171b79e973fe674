"""What can be believed of a print: one judgement, shared by all roles that use prices.

KIS numbers no trade, but the volume of the day grows with every print of a feed, so

    volume == volume before + qty     in order
    volume >  volume before + qty     gap: prints were lost (or a block trade was reported)
    volume <= volume before           seen before: duplicate; else out of order

A price is an outlier when it is impossible, or unlikely twice over:

* more than a day's price limits away from the static VI base (+30 % against -30 % of one base);
* farther from the last believed price than ``STEP_PERCENT`` (the widest dynamic VI would have
  stopped it; after a silence of ``SILENCE``: ``LIMIT_PERCENT``) and outside Tukey's far-out
  fence, three interquartile ranges beyond the quartiles of the last ``PRINTS_MAX`` prints.

A call auction may open anywhere, so its print is believed and the fence starts over.  Nor can a
real market be refused for long: the ``DOUBTS_MAX``-th print in a row at a new level is believed.
A limit-up day passes, a fat finger does not.
"""

from typing import Final, NamedTuple

from schemas.market import Trade
from schemas.units import DAY, KST_OFFSET, MINUTE, Micros, Shares, Won

PRINTS_MAX: Final = 64
FENCE_PRINTS_MIN: Final = 16
FENCE_RANGES: Final = 3
STEP_PERCENT: Final = 6
LIMIT_PERCENT: Final = 30
SILENCE: Final = MINUTE
DOUBTS_MAX: Final = 3

_VI_LOWEST_PERCENT: Final = 53
_VI_HIGHEST_PERCENT: Final = 186
"""70 / 130 and 130 / 70: the VI base is itself a price of the day."""


class Seen(NamedTuple):
    """What one symbol's prints of a day have shown.

    Attributes:
        at: Time of the last believed print.
        volume_day: The highest volume of the day seen.
        last: The last believed price.
        recent: ``(volume_day, price, qty)`` of the last prints, at most ``PRINTS_MAX``.
        doubts: Prints in a row that were not believed.
        doubted: The price of the last of them.
    """

    at: Micros
    volume_day: Shares
    last: Won
    recent: tuple[tuple[int, int, int], ...]
    doubts: int = 0
    doubted: int = 0


class Finding(NamedTuple):
    """Something wrong with a print; the fields are those of a ``QualityEvent``."""

    kind: str
    value: float
    expected: float
    detail: str


class Verdict(NamedTuple):
    """Whether a print counts, and what is wrong with it."""

    counts: bool
    findings: tuple[Finding, ...]


BELIEVED: Final = Verdict(counts=True, findings=())


def judge(seen: Seen | None, trade: Trade) -> tuple[Seen | None, Verdict]:
    """Judge a symbol's next trade.

    Args:
        seen: What its trades before have left; None before the first.
        trade: The next one.  A polled price is believed and ends the comparison: the volume of
            the day has moved on between the prints of a feed and a poll.

    Returns:
        What is known now, and the verdict.
    """
    if trade.kind != "print":
        return None, BELIEVED
    if seen is None or _day(seen.at) != _day(trade.ts_event):
        return _judge_first(trade)
    if trade.volume_day <= seen.volume_day:
        return _judge_old(seen, trade)
    entry = (trade.volume_day, trade.price, trade.qty)
    gap: tuple[Finding, ...] = ()
    if trade.volume_day - seen.volume_day != trade.qty:
        gap = (_misstep(seen, trade),)
    if trade.aggressor == "none" and _possible(trade):
        return _start(trade), Verdict(True, gap) if gap else BELIEVED
    outlier = _outlier(seen, trade)
    if outlier is not None:
        return _doubt(seen, trade, (*gap, outlier))
    recent = (*seen.recent[1 - PRINTS_MAX :], entry)
    after = Seen(trade.ts_event, trade.volume_day, trade.price, recent)
    return after, Verdict(True, gap) if gap else BELIEVED


def _judge_first(trade: Trade) -> tuple[Seen | None, Verdict]:
    if _possible(trade):
        return _start(trade), BELIEVED
    finding = Finding(
        "outlier_iqr", trade.price, trade.vi_base, "price beyond the limits around the VI base"
    )
    return None, Verdict(False, (finding,))


def _judge_old(seen: Seen, trade: Trade) -> tuple[Seen, Verdict]:
    entry = (trade.volume_day, trade.price, trade.qty)
    expected = seen.volume_day + trade.qty
    if entry in seen.recent:
        finding = Finding("duplicate", trade.volume_day, expected, "the same print came again")
        return seen, Verdict(False, (finding,))
    finding = Finding("out_of_order", trade.volume_day, expected, "the volume of the day went back")
    within = trade.volume_day > seen.recent[0][0] and _outlier(seen, trade) is None
    after = seen._replace(recent=(*seen.recent[1 - PRINTS_MAX :], entry)) if within else seen
    return after, Verdict(within, (finding,))


def _misstep(seen: Seen, trade: Trade) -> Finding:
    expected = seen.volume_day + trade.qty
    if trade.volume_day > expected:
        lost = trade.volume_day - expected
        return Finding("gap", trade.volume_day, expected, f"{lost} shares traded unseen")
    return Finding(
        "out_of_order", trade.volume_day, expected, "the volume grew by less than the print"
    )


def _doubt(seen: Seen, trade: Trade, findings: tuple[Finding, ...]) -> tuple[Seen, Verdict]:
    near = seen.doubts and _percent_apart(seen.doubted, trade.price, STEP_PERCENT) <= 0
    doubts = seen.doubts + 1 if near else 1
    if doubts >= DOUBTS_MAX and _possible(trade):
        return _start(trade), Verdict(True, findings[:-1])
    entry = (trade.volume_day, trade.price, trade.qty)
    keep = (*seen.recent[1 - PRINTS_MAX :], entry)
    after = Seen(seen.at, trade.volume_day, seen.last, keep, doubts, trade.price)
    return after, Verdict(False, findings)


def _outlier(seen: Seen, trade: Trade) -> Finding | None:
    if not _possible(trade):
        detail = "price beyond the limits around the VI base"
        return Finding("outlier_iqr", trade.price, seen.last, detail)
    quiet = trade.ts_event - seen.at >= SILENCE
    if _percent_apart(seen.last, trade.price, LIMIT_PERCENT if quiet else STEP_PERCENT) <= 0:
        return None
    fence = _fence(seen)
    if fence is None or fence[0] <= trade.price <= fence[1]:
        return None
    detail = f"price outside {fence[0]}..{fence[1]}, {FENCE_RANGES} interquartile ranges"
    return Finding("outlier_iqr", trade.price, seen.last, detail)


def _fence(seen: Seen) -> tuple[int, int] | None:
    prices = sorted(price for _, price, _ in seen.recent)
    count = len(prices)
    if count < FENCE_PRINTS_MIN:
        return None
    low, high = prices[count // 4], prices[(3 * count) // 4]
    reach = FENCE_RANGES * (high - low)
    return low - reach, high + reach


def _percent_apart(before: int, price: int, percent: int) -> int:
    """Return a number above zero when ``price`` is more than ``percent`` away from ``before``."""
    return 100 * abs(price - before) - percent * before


def _possible(trade: Trade) -> bool:
    base = trade.vi_base
    return not base or (
        _VI_LOWEST_PERCENT * base <= 100 * trade.price <= _VI_HIGHEST_PERCENT * base
    )


def _start(trade: Trade) -> Seen:
    entry = (trade.volume_day, trade.price, trade.qty)
    return Seen(trade.ts_event, trade.volume_day, trade.price, (entry,))


def _day(instant: Micros) -> int:
    return (instant + KST_OFFSET) // DAY
