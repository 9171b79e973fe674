"""Bodies of the KRX daily services: KRX OPEN API and data.go.kr.

    {"OutBlock_1": [...]}                                              KRX OPEN API
    {"response": {"header": {...}, "body": {"items": {"item": [...]}}}}  data.go.kr

Every value is a text.  An empty list is an answer: data.go.kr publishes a day after the fact.
A resource is the name of the service's call.  Daily trades give bars, index trades give index
levels; lists of issues and company data are checked and give no event, because an
``Instrument`` needs a session's base price, which they do not have.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from schemas.errors import Misconfigured, Poison
from schemas.kis.tables import INTEGER_DIGITS_MAX
from schemas.krx.codes import symbol
from schemas.krx.sessions import kst_midnight, session
from schemas.market import DailyBars, IndexBars
from schemas.raw import RawDaily
from schemas.units import HOUR, MINUTE, Micros, Shares, Symbol, Won

Row = Mapping[str, Any]

INDEX_NAMES: Final = {"코스피": "KOSPI", "코스닥": "KOSDAQ", "코스피 200": "KOSPI200"}
NORMAL: Final = "00"
_CLOSE: Final = Micros(15 * HOUR + 30 * MINUTE)
_SEGMENTS: Final = {"KOSPI": "KOSPI", "KOSDAQ": "KOSDAQ", "KOSDAQ GLOBAL": "KOSDAQ"} | {
    "KONEX": "KONEX"
}


class Issue(NamedTuple):
    """A line of a list of issues."""

    symbol: Symbol
    isin: str
    name: str
    segment: str
    listed_shares: Shares | None


class _Fields(NamedTuple):
    day: str
    code: str
    prices: tuple[str, str, str, str]
    volume: str
    value: str


_OPEN_API: Final = _Fields(
    "BAS_DD", "ISU_CD", ("TDD_OPNPRC", "TDD_HGPRC", "TDD_LWPRC", "TDD_CLSPRC"), "ACC_TRDVOL",
    "ACC_TRDVAL",
)  # fmt: skip
_DATA_GO: Final = _Fields(
    "basDt", "srtnCd", ("mkp", "hipr", "lopr", "clpr"), "trqu", "trPrc"
)  # fmt: skip


def rows_of(text: str) -> Sequence[Row]:
    """Return the rows of a body of either service.

    Raises:
        Poison: It is no such body, or it says that the call failed.
    """
    try:
        body = json.loads(text)
        if "OutBlock_1" in body:
            return list(body["OutBlock_1"])
        response = body["response"]
        code = response.get("header", {}).get("resultCode", NORMAL)
        if code != NORMAL:
            raise Poison(f"expected resultCode {NORMAL}, was {code}: {response['header']}")
        return list(response["body"]["items"]["item"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Poison(f"expected a KRX or data.go.kr body, was {text[:80]!r}") from error


def events_of(raw: RawDaily) -> list[DailyBars | IndexBars]:
    """Return what a body says; none for lists of issues and companies.

    Raises:
        Poison: An unknown resource, or a row that cannot be read.
    """
    decoder = _DECODERS.get(raw.resource)
    if decoder is None:
        raise Poison(f"expected a resource of {sorted(_DECODERS)}, was {raw.resource!r}")
    found: list[DailyBars | IndexBars] = []
    for row in rows_of(raw.payload):
        try:
            event = decoder(raw, row)
        except (KeyError, ValueError, TypeError) as error:
            raise Poison(f"expected a row of {raw.resource}, was {dict(row)}: {error!r}") from error
        if event is not None:
            found.append(event)
    return found


def close_of(day: int) -> Micros:
    """Return the instant a day's prices are final; half past three where there was no session.

    Args:
        day: yyyymmdd.

    Raises:
        Poison: A day that the calendar does not reach.
        ValueError: It is no day.
    """
    when = date(day // 10_000, day // 100 % 100, day % 100)
    try:
        known = session(when)
    except Misconfigured as error:
        raise Poison(f"expected a day that the calendar reaches, was {day}: {error}") from error
    return Micros(kst_midnight(when) + _CLOSE) if known is None else known.close


def issue_of(row: Row) -> Issue:
    """Return a line of a list of issues of either service.

    Raises:
        Poison: The code cannot be one.
        KeyError: It is no such line.
    """
    if "ISU_SRT_CD" in row:
        segment = _SEGMENTS[row["MKT_TP_NM"]]
        shares = Shares(int(row["LIST_SHRS"]))
        return Issue(symbol(row["ISU_SRT_CD"]), row["ISU_CD"], row["ISU_ABBRV"], segment, shares)
    code = row["srtnCd"].removeprefix("A")
    return Issue(symbol(code), row["isinCd"], row["itmsNm"], _SEGMENTS[row["mrktCtg"]], None)


def _bars(fields: _Fields) -> Callable[[RawDaily, Row], DailyBars]:
    def decode(raw: RawDaily, row: Row) -> DailyBars:
        day = int(row[fields.day])
        opened, high, low, close = (Won(_whole(row[name])) for name in fields.prices)
        return DailyBars(
            ts_event=close_of(day),
            ts_ingest=raw.ts_ingest,
            symbol=symbol(row[fields.code]),
            source=raw.resource,
            dates=(day,),
            opens=(opened,),
            highs=(high,),
            lows=(low,),
            closes=(close,),
            volumes=(Shares(_whole(row[fields.volume])),),
            turnovers=(Won(_whole(row[fields.value])),),
            adjusts=(1.0,),
        )

    return decode


def _whole(text: str) -> int:
    """Return a number that an Avro long can hold; ValueError for any other."""
    if len(text) > INTEGER_DIGITS_MAX:
        raise ValueError(f"expected at most {INTEGER_DIGITS_MAX} digits, was {len(text)}")
    return int(text)


def _index(raw: RawDaily, row: Row) -> IndexBars | None:
    day = int(row["BAS_DD"])
    if row["CLSPRC_IDX"] == "":
        return None
    return IndexBars(
        ts_event=close_of(day),
        ts_ingest=raw.ts_ingest,
        name=INDEX_NAMES.get(str(row["IDX_NM"]), str(row["IDX_NM"])),
        source=raw.resource,
        dates=(day,),
        closes=(float(row["CLSPRC_IDX"]),),
    )


def _listed(_: RawDaily, row: Row) -> None:
    issue_of(row)


def _company(_: RawDaily, row: Row) -> None:
    int(row["crno"])


_DECODERS: Final[Mapping[str, Callable[[RawDaily, Row], DailyBars | IndexBars | None]]] = {
    "stk_bydd_trd": _bars(_OPEN_API),
    "ksq_bydd_trd": _bars(_OPEN_API),
    "knx_bydd_trd": _bars(_OPEN_API),
    "kospi_dd_trd": _index,
    "kosdaq_dd_trd": _index,
    "stk_isu_base_info": _listed,
    "ksq_isu_base_info": _listed,
    "getStockPriceInfo": _bars(_DATA_GO),
    "getItemInfo": _listed,
    "getCorpOutline_V2": _company,
    "getDiviDiscInfo_V2": _company,
    "getSummFinaStat_V2": _company,
}
"""Resource to decoder; data.go.kr's calls by their operation names."""
