"""The units every room agrees on: integers with names.

Money is whole won, quantity whole shares, an instant microseconds since the epoch in UTC.
Ratios are floats, born once, at the end of a calculation.
"""

from typing import Final, NewType

Micros = NewType("Micros", int)
"""Microseconds: an instant since 1970-01-01T00:00Z, or a length of time."""

Won = NewType("Won", int)
Shares = NewType("Shares", int)

Symbol = NewType("Symbol", str)
"""A short code of the exchange: six characters, text, never a number."""

MILLISECOND: Final = Micros(1_000)
SECOND: Final = Micros(1_000_000)
MINUTE: Final = Micros(60_000_000)
HOUR: Final = Micros(3_600_000_000)
DAY: Final = Micros(86_400_000_000)

KST_OFFSET: Final = Micros(9 * HOUR)
"""Asia/Seoul is UTC+9 without daylight saving since October 1988 (tzdata)."""
