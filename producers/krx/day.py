"""A session's records of ``raw.krx``: one per name and one per index, compact JSON.

    {"session": 20260210, "instrument": {...}, "bars": {...}, "fundamentals": {...} or null}
    {"session": 20260210, "index": {...}}

Instants are micros: the instrument's is 07:30 in Korea, the bars' the close before, the
fundamentals' the midnight from which they are public.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd

from producers.krx import bars, books, indices, master, tables
from schemas.krx.sessions import kst_midnight, previous_session
from schemas.raw import RawDaily
from schemas.units import HOUR, MINUTE, Micros

SOURCE: Final = "krx"
BARS_SOURCE: Final = "krx_daily"
KNOWN_FROM: Final = Micros(7 * HOUR + 30 * MINUTE)
"""When a session's data is effective, after midnight in Korea."""

SYMBOL_RESOURCE: Final = "session/symbol"
INDEX_RESOURCE: Final = "session/index"
KOREAN: Final = frozenset(tables.INDICES)
_AMOUNTS: Final = {
    "equity": "equity",
    "liabilities": "liabilities",
    "assets": "assets",
    "sales": "sales_ttm",
    "sales_prior": "sales_prior_ttm",
    "operating_income": "operating_income_ttm",
    "net_income": "net_income_ttm",
    "net_income_prior": "net_income_prior_ttm",
    "operating_cash_flow": "operating_cash_flow_ttm",
}


def collect(folder: Path, session: date, ts_ingest: Micros) -> Iterator[RawDaily]:
    """Read a folder and yield what was known before a session, indices first.

    Raises:
        Misconfigured: A required file is missing or does not reach the session.
    """
    yield from records(tables.read(folder, session), ts_ingest)


def records(known: tables.Tables, ts_ingest: Micros) -> Iterator[RawDaily]:
    """Yield the records of what is known."""
    payloads = [*_indices(known), *_symbols(known)]
    ts_event = Micros(kst_midnight(known.session) + KNOWN_FROM)
    for seq, (resource, payload) in enumerate(payloads):
        yield RawDaily(
            ts_event=ts_event,
            ts_ingest=ts_ingest,
            source=SOURCE,
            seq=seq,
            resource=resource,
            payload=payload,
        )


def _indices(known: tables.Tables) -> Iterator[tuple[str, str]]:
    closed = previous_session(known.session).close
    effective = Micros(kst_midnight(known.session) + KNOWN_FROM)
    for name, closes in indices.collect(known.indices).items():
        index = {
            "ts": closed if name in KOREAN else effective,
            "name": name,
            "dates": closes.dates,
            "closes": closes.closes,
        }
        yield INDEX_RESOURCE, _text({"session": _yyyymmdd(known.session), "index": index})


def _symbols(known: tables.Tables) -> Iterator[tuple[str, str]]:
    names = master.collect(known)
    history = bars.collect(known.raw, known.long, known.master, known.session)
    companies = books.collect(known.quarters, known.bulk, known.session)
    statements = _statements(companies)
    closed = previous_session(known.session).close
    effective = Micros(kst_midnight(known.session) + KNOWN_FROM)
    for row, (code, name) in enumerate(
        zip(history.codes, names.loc[list(history.codes)].to_dict("records"), strict=True)
    ):
        payload = {
            "session": _yyyymmdd(known.session),
            "instrument": {"ts": effective, "symbol": code, **_instrument(name)},
            "bars": {"ts": closed, **_bars(history, row)},
            "fundamentals": statements.get(code),
        }
        yield SYMBOL_RESOURCE, _text(payload)


def _instrument(name: dict[Any, Any]) -> dict[str, Any]:
    return {
        "isin": name["isin"],
        "name": name["name"],
        "segment": str(name["market"]),
        "sector": name["sector"],
        "security_type": name["security_type"],
        "listed_shares": int(name["shares"]),
        "base_price": int(name["base"]),
        "market_cap": int(name["market_cap"]),
        "halted": bool(name["halted"]),
        "administrative": bool(name["administrative"]),
        "delisting": bool(name["delisting"]),
    }


def _bars(history: bars.Bars, row: int) -> dict[str, Any]:
    there = history.known[row]
    fields = np.ascontiguousarray(history.fields[:, row, there])
    opens, highs, lows, closes, volumes, values = fields
    return {
        "dates": history.dates[there],
        "opens": opens,
        "highs": highs,
        "lows": lows,
        "closes": closes,
        "volumes": volumes,
        "turnovers": values,
        "adjusts": history.adjusts[row, there],
    }


def _statements(companies: pd.DataFrame) -> dict[str, dict[str, Any]]:
    out: dict[str, dict[str, Any]] = {}
    for code, row in zip(companies.index, companies.to_dict("records"), strict=True):
        amounts = {
            name: None if np.isnan(row[column]) else int(row[column])
            for column, name in _AMOUNTS.items()
        }
        out[str(code)] = {
            "ts": kst_midnight(row["usable"].date()),
            "period_end": _yyyymmdd(row["period_end"].date()),
            "basis": row["basis"],
            "source": books.SOURCE,
            **amounts,
        }
    return out


def _yyyymmdd(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def _text(payload: dict[str, Any]) -> str:
    return orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY).decode()
