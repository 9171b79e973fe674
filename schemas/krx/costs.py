"""What a trade costs: the sell tax by the law of its trade date, and what the brokerage takes.

Sell tax in 0.001 % (transaction tax + rural special tax; each floored to the won on its own,
as brokers do).  ETF and ETN pay none.

    from        KOSPI      KOSDAQ   KONEX
    2021-01-01  80 + 150   230      100      (announced rates; not checked against a statement)
    2023-01-01  50 + 150   200      100
    2024-01-01  30 + 150   180      100
    2025-01-01   0 + 150   150      100
    2026-01-01  50 + 150   200      100

KIS list price online: 0.0140527 % of either side, the exchange's and the depository's share
(about 0.0036 %, charged in "free" accounts too) inside it.  Dividends and the tax of large
shareholders are not a cost of trading and not here.
"""

from bisect import bisect_right
from datetime import date
from typing import Final, NamedTuple

from schemas.errors import Poison
from schemas.krx.prices import EXCHANGE_TRADED, SEGMENTS
from schemas.units import Won

_TAX_UNIT: Final = 100_000
_FEE_UNIT: Final = 1_000_000_000
_KIS_LIST: Final = 140_527
_EXCHANGE_AND_DEPOSITORY: Final = 36_000


class _Rates(NamedTuple):
    """Parts of the sell tax per segment, in hundred-thousandths, from a day on."""

    since: date
    kospi: tuple[int, ...]
    kosdaq: tuple[int, ...]
    konex: tuple[int, ...]


_SELL_TAX: Final = (
    _Rates(date(2021, 1, 1), (80, 150), (230,), (100,)),
    _Rates(date(2023, 1, 1), (50, 150), (200,), (100,)),
    _Rates(date(2024, 1, 1), (30, 150), (180,), (100,)),
    _Rates(date(2025, 1, 1), (0, 150), (150,), (100,)),
    _Rates(date(2026, 1, 1), (50, 150), (200,), (100,)),
)


def sell_tax(amount: int, on: date, segment: str, kind: str = "COMMON") -> Won:
    """Return the tax on a sale.

    Args:
        amount: Price times quantity of the sale, in won, >= 0.
        on: Trade date in Korea, from 2021 on; settlement two sessions later changes nothing.
        segment: KOSPI, KOSDAQ or KONEX.
        kind: Security type; ETF and ETN are exempt.

    Raises:
        Poison: No rate is held for that day or segment.
    """
    if kind in EXCHANGE_TRADED:
        return Won(0)
    return Won(sum(amount * part // _TAX_UNIT for part in _tax_parts(on, segment)))


def commission(amount: int, on: date) -> Won:
    """Return the brokerage's list price for one side of ``amount`` won, exchange fees inside it."""
    _held(on)
    return Won(amount * _KIS_LIST // _FEE_UNIT)


def exchange_fees(amount: int, on: date) -> Won:
    """Return the part of the commission that goes to exchange and depository."""
    _held(on)
    return Won(amount * _EXCHANGE_AND_DEPOSITORY // _FEE_UNIT)


def _tax_parts(on: date, segment: str) -> tuple[int, ...]:
    if segment not in SEGMENTS:
        raise Poison(f"expected a segment of {', '.join(SEGMENTS)}, was {segment!r}")
    rates = _held(on)
    return {"KOSPI": rates.kospi, "KOSDAQ": rates.kosdaq, "KONEX": rates.konex}[segment]


def _held(on: date) -> _Rates:
    row = bisect_right(_SELL_TAX, on, key=lambda rates: rates.since) - 1
    if row < 0:
        raise Poison(f"expected a trade from {_SELL_TAX[0].since} on, was {on}; no rate is held")
    return _SELL_TAX[row]
