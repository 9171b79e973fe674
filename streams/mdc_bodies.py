"""Bodies of the KRX data marketplace (data.krx.co.kr, MDC): typed rows, and events where one fits.

    {"OutBlock_1": [{...}, ...], "CURRENT_DATETIME": "..."}     or "output", or "block1"

One address answers every question, and the form's ``bld`` names the table.  A body does not say
its day or its symbol, so a record's resource is the form it was asked with, ``bld`` first:

    dbms/MDC/STAT/standard/MDCSTAT01501?mktId=ALL&trdDd=20210104

Every value is a text: ``4,540``, ``-`` or nothing when missing, ``2021/01/04``, names followed by
``<em class ="up"></em>``.  An empty list is an answer, and so are rows without any price: there
was no session.  ``LOGOUT`` or a page of HTML in place of a body is not.

Three tables give events; the other thirty-five are read and checked as fully and give none, for
the reason ``mdc_tables`` states beside each:

    01501  a market's day        a bar for each symbol
    01701  a symbol's days       its bars, if asked unadjusted (adjStkPrc=1): bars hold what was
                                 traded, and a price adjusted as of the day asked is not that;
                                 ``adjusts`` from base over previous close, a tick apart or more
    00301  an index's days       its levels; unnamed indices keep KRX's code, as in 1002
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

import orjson

from schemas.errors import Poison
from schemas.krx import codes
from schemas.krx.prices import tick_size
from schemas.market import DailyBars, IndexBars
from schemas.raw import RawDaily
from schemas.units import Shares, Symbol, Won
from streams.krx_bodies import close_of
from streams.mdc_tables import INDEX_DAYS, MARKET_DAY, SYMBOL_DAYS, TABLES, Table

Cell = str | int | float | None
Row = Mapping[str, Cell]
Form = Mapping[str, str]

PREFIX: Final = "dbms/"
UNADJUSTED: Final = "1"
INDEX_NAMES: Final = {"1001": "KOSPI", "1028": "KOSPI200", "2001": "KOSDAQ"}

_MISSING: Final = frozenset({"", "-"})
_MARKUP: Final = re.compile(r"</?em[^<>]*>")
_WHOLE: Final = re.compile(r"-?(\d{1,18}|\d{1,3}(,\d{3}){1,5})", re.ASCII)
_RATIO: Final = re.compile(_WHOLE.pattern + r"(\.\d+)?", re.ASCII)
_DAY: Final = re.compile(r"(\d{4})([/.]?)(\d\d)\2(\d\d)", re.ASCII)
_COMMON_ISIN: Final = re.compile(r"KR7(\w{5}0)00\d", re.ASCII)
_TRADED: Final = (
    "TDD_OPNPRC", "TDD_HGPRC", "TDD_LWPRC", "TDD_CLSPRC", "ACC_TRDVOL", "ACC_TRDVAL",
    "CMPPREVDD_PRC",
)  # fmt: skip


class _Traded(NamedTuple):
    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover: int
    change: int


def events_of(raw: RawDaily) -> list[DailyBars | IndexBars]:
    """Return what a body says; none for a table that is kept raw.

    Raises:
        Poison: An unknown table, or a body that is not the table's.
    """
    table, _, query = raw.resource.partition("?")
    rows = rows_of(table, raw.payload)
    make = _EVENTS.get(table)
    return [] if make is None else make(raw, dict(parse_qsl(query)), rows)


def rows_of(table: str, text: str) -> Sequence[Row]:
    """Return the rows of a body, each value of its column's kind.

    Args:
        table: The ``bld`` it was asked with.
        text: The body.

    Raises:
        Poison: An unknown table, or a body that is not the table's.
    """
    known = TABLES.get(table)
    if known is None:
        raise Poison(
            f"expected one of the {len(TABLES)} tables of mdc_tables, was {table!r}: "
            "add its block and columns there"
        )
    return [_row(table, known, line) for line in _lines(table, known.block, text)]


def common_share(isin: str) -> Symbol:
    """Return the code that a common share's ISIN holds.

    Only a common share's or a fund's is sure: the ISINs of preferred shares do not hold their
    codes.  The rule had no exception in the 3,840 pairs of the recorded lists.

    Raises:
        Poison: It is not a common share's ISIN.
    """
    found = _COMMON_ISIN.fullmatch(isin) if codes.is_isin(isin) else None
    if found is None:
        raise Poison(
            f"expected the ISIN of a common share like KR7005930003, was {isin!r}: "
            "ask for its market's day (MDCSTAT01501), which holds codes"
        )
    return codes.symbol(found[1])


def _lines(table: str, block: str, text: str) -> Sequence[Any]:
    try:
        body = orjson.loads(text)
    except ValueError as error:
        raise Poison(
            f"expected a body of {table}, was {text[:80]!r} ({len(text)} characters): "
            "log in and ask again"
        ) from error
    lines = body.get(block) if isinstance(body, dict) else None
    if not isinstance(lines, list):
        raise Poison(
            f"expected a list under {block!r} in a body of {table}, was {text[:80]!r}: "
            "compare the table's block in mdc_tables with the service"
        )
    return lines


def _row(table: str, known: Table, line: Any) -> Row:
    missing = sorted(known.columns.keys() - line.keys()) if isinstance(line, dict) else ["all"]
    if missing:
        raise Poison(
            f"expected every column of {table}, was {line!r} without {', '.join(missing)}: "
            "compare the table's columns in mdc_tables with the service"
        )
    row: dict[str, Cell] = {}
    for name, kind in known.columns.items():
        try:
            row[name] = _KINDS[kind](line[name])
        except (ValueError, TypeError, Poison) as error:
            raise Poison(
                f"expected a {kind} as {name} of {table}, was {line[name]!r} in {line!r}"
            ) from error
    return row


def _text(value: str) -> str:
    clean = _MARKUP.sub("", value).strip()
    return "" if clean in _MISSING else clean


def _whole(value: str) -> int | None:
    if value in _MISSING:
        return None
    return int(_matched(_WHOLE, value)[0].replace(",", ""))


def _ratio(value: str) -> float | None:
    if value in _MISSING:
        return None
    return float(_matched(_RATIO, value)[0].replace(",", ""))


def _day(value: str) -> int:
    found = _matched(_DAY, value)
    day = date(int(found[1]), int(found[3]), int(found[4]))
    return day.year * 10_000 + day.month * 100 + day.day


def _isin(value: str) -> str:
    if not codes.is_isin(value):
        raise ValueError(value)
    return value


def _matched(pattern: re.Pattern[str], value: str) -> re.Match[str]:
    found = pattern.fullmatch(value)
    if found is None:
        raise ValueError(value)
    return found


def _market_day(raw: RawDaily, form: Form, rows: Sequence[Row]) -> list[DailyBars | IndexBars]:
    try:
        day = _day(_asked(raw, form, "trdDd"))
    except ValueError as error:
        raise Poison(f"expected trdDd as yyyymmdd, was {raw.resource!r}") from error
    return [
        _bars(raw, Symbol(str(row["ISU_SRT_CD"])), {day: traded})
        for row in rows
        if (traded := _traded(raw, row)) is not None
    ]


def _symbol_days(raw: RawDaily, form: Form, rows: Sequence[Row]) -> list[DailyBars | IndexBars]:
    if _asked(raw, form, "adjStkPrc") != UNADJUSTED:
        return []
    code = common_share(_asked(raw, form, "isuCd"))
    days = _by_day(raw, rows, lambda row: _traded(raw, row))
    return [_bars(raw, code, days)] if days else []


def _index_days(raw: RawDaily, form: Form, rows: Sequence[Row]) -> list[DailyBars | IndexBars]:
    code = _asked(raw, form, "indIdx") + _asked(raw, form, "indIdx2")
    levels = _by_day(raw, rows, lambda row: row["CLSPRC_IDX"])
    if not levels:
        return []
    return [
        IndexBars(
            ts_event=close_of(max(levels)),
            ts_ingest=raw.ts_ingest,
            name=INDEX_NAMES.get(code, code),
            source=_source(raw),
            dates=tuple(levels),
            closes=tuple(float(level) for level in levels.values()),
        )
    ]


def _bars(raw: RawDaily, code: Symbol, days: Mapping[int, _Traded]) -> DailyBars:
    opens, highs, lows, closes, volumes, turnovers, _ = zip(*days.values(), strict=True)
    return DailyBars(
        ts_event=close_of(max(days)),
        ts_ingest=raw.ts_ingest,
        symbol=code,
        source=_source(raw),
        dates=tuple(days),
        opens=tuple(map(Won, opens)),
        highs=tuple(map(Won, highs)),
        lows=tuple(map(Won, lows)),
        closes=tuple(map(Won, closes)),
        volumes=tuple(map(Shares, volumes)),
        turnovers=tuple(map(Won, turnovers)),
        adjusts=_adjusts(days),
    )


def _adjusts(days: Mapping[int, _Traded]) -> tuple[float, ...]:
    factor, found = 1.0, [1.0]
    for (_, before), (day, after) in reversed(list(pairwise(days.items()))):
        base, last = after.close - after.change, before.close
        tick = tick_size(last, date(day // 10_000, day // 100 % 100, day % 100), "KOSPI")
        if min(base, last) > 0 and abs(base - last) >= tick:
            factor *= base / last
        found.append(factor)
    return tuple(reversed(found))


def _traded(raw: RawDaily, row: Row) -> _Traded | None:
    numbers = [number for name in _TRADED if isinstance(number := row[name], int)]
    if not numbers:
        return None
    if len(numbers) != len(_TRADED):
        raise Poison(f"expected all or none of {_TRADED} of {raw.resource}, was {dict(row)}")
    return _Traded(*numbers)


def _by_day(raw: RawDaily, rows: Sequence[Row], value: Callable[[Row], Any]) -> dict[int, Any]:
    days = sorted(((int(str(row["TRD_DD"])), value(row)) for row in rows), key=itemgetter(0))
    if len(dict(days)) != len(days):
        raise Poison(f"expected each day once in {raw.resource}, was {[day for day, _ in days]}")
    return {day: found for day, found in days if found is not None}


def _asked(raw: RawDaily, form: Form, name: str) -> str:
    if name not in form:
        raise Poison(
            f"expected {name} in the resource, was {raw.resource!r}: "
            "name a record by the whole form it was asked with"
        )
    return form[name]


def _source(raw: RawDaily) -> str:
    return raw.resource.partition("?")[0].rpartition("/")[2]


_KINDS: Final[Mapping[str, Callable[[str], Cell]]] = {
    "text": _text,
    "code": codes.symbol,
    "isin": _isin,
    "day": _day,
    "whole": _whole,
    "ratio": _ratio,
}

_EVENTS: Final = {
    MARKET_DAY: _market_day,
    SYMBOL_DAYS: _symbol_days,
    INDEX_DAYS: _index_days,
}
