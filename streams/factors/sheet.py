"""What does not change within a session, one row per name: books, past closes, risk.

The sheet is a function of the reference data alone.  It is formed once for the whole universe
and read by every screen of the day, so that a rescoring costs what the price-dependent factors
cost.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from streams.factors import measures
from streams.history import History, grid, on_axis

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.str_]

FACTS: Final = len(measures.Facts._fields)


class Sheet(NamedTuple):
    """The session's sheet.

    Attributes:
        symbols: (names) ascending.
        rows: (names, columns) float64: the fields of ``measures.Facts``, then of
            ``measures.Books``; NaN where unknown.
        date: Newest session that was read, yyyymmdd, 0 for none.
    """

    symbols: Codes
    rows: Floats
    date: int


def form(
    closes: Mapping[str, History],
    shares: Mapping[str, int],
    books: Mapping[str, tuple[int | None, ...]],
    market: History | None,
) -> Sheet:
    """Return the sheet of every name that has listed shares."""
    symbols = sorted(shares)
    sessions = grid([closes.get(symbol) for symbol in symbols], 1, measures.SESSIONS)
    levels = on_axis(market, sessions.dates)
    facts = measures.facts(
        np.array([shares[symbol] for symbol in symbols], dtype=np.float64),
        sessions.columns[0],
        levels,
    )
    unknown = (None,) * len(measures.Books._fields)
    known = np.array([books.get(symbol, unknown) for symbol in symbols], dtype=np.float64)
    rows = np.concatenate(
        [np.stack(facts, axis=1), known.reshape(len(symbols), len(unknown))], axis=1
    )
    date = int(sessions.dates[-1]) if len(sessions.dates) else 0
    return Sheet(np.array(symbols, dtype=np.str_), rows, date)


def read(sheet: Sheet, symbols: Codes) -> tuple[measures.Facts, measures.Books]:
    """Return the rows of ``symbols`` as columns, NaN for a name that is not on the sheet."""
    columns = FACTS + len(measures.Books._fields)
    rows = np.full((len(symbols), columns), np.nan)
    if len(sheet.symbols) > 0 and len(symbols) > 0:
        at = np.minimum(np.searchsorted(sheet.symbols, symbols), len(sheet.symbols) - 1)
        there = sheet.symbols[at] == symbols
        rows[there] = sheet.rows[at[there]]
    split = rows.T
    return measures.Facts(*split[:FACTS]), measures.Books(*split[FACTS:])
