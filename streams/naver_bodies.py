"""Bodies of Naver: its search services, and a symbol's daily chart.

    {"lastBuildDate": "...", "total": 7731, "start": 1, "display": 3, "items": [{...}]}
    <protocol><chartdata symbol="005930" count="1835" ...><item data="20180802|..." />...

A record's resource is the service: ``naver/search/news``, ``naver/search/webkr``,
``naver/search/doc`` or ``naver/sise.nhn``.  Texts come with ``<b>`` around what was searched for
and with HTML entities; both are taken away.  No items for a total of 0 is an answer.

Nothing here becomes an event; ``KEPT`` says why.  Each body is read and checked in full, and
kept as it came on ``raw.krx``.
"""

import html
import re
from collections.abc import Mapping, Sequence
from datetime import date
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import orjson

from schemas.errors import Poison
from schemas.krx.codes import symbol
from schemas.market import DailyBars, IndexBars
from schemas.raw import RawDaily
from schemas.units import SECOND, Micros, Shares, Symbol, Won

PREFIX: Final = "naver/"
NEWS: Final = "naver/search/news"
WEB: Final = "naver/search/webkr"
DOCUMENTS: Final = "naver/search/doc"
CHART: Final = "naver/sise.nhn"

KEPT: Final[Mapping[str, str]] = {
    NEWS: "articles: no event holds a text, and no score reads one",
    WEB: "pages of the web: no event holds a text, and no score reads one",
    DOCUMENTS: "documents: no event holds a text, and no score reads one",
    CHART: "prices adjusted as of the day asked, without turnover: a bar holds what was traded",
}

_BOLD: Final = re.compile(r"</?b>")
_CHART: Final = re.compile(
    r'<chartdata symbol="([^"]*)" name="([^"]*)" count="(\d+)" timeframe="day"', re.ASCII
)
_ITEM: Final = re.compile(r'<item data="([^"]*)"')
_ITEM_DATA: Final = re.compile(r"(\d{8})" + r"\|(\d{1,18})" * 5, re.ASCII)


class Found(NamedTuple):
    """Something that a search found.

    Attributes:
        title: Plain text.
        description: Plain text.
        link: Where Naver sends a reader.
        original_link: Where it was published; empty when not told.
        published: When; None when not told.
    """

    title: str
    description: str
    link: str
    original_link: str
    published: Micros | None


class ChartDay(NamedTuple):
    """One day of a chart, adjusted as of the day asked."""

    day: int
    open: Won
    high: Won
    low: Won
    close: Won
    volume: Shares


class Chart(NamedTuple):
    """A symbol's days, oldest first."""

    symbol: Symbol
    name: str
    days: Sequence[ChartDay]


def events_of(raw: RawDaily) -> list[DailyBars | IndexBars]:
    """Read a body and return none.

    Raises:
        Poison: An unknown service, or a body that is not the service's.
    """
    if raw.resource == CHART:
        chart_of(raw.payload)
    else:
        found_of(raw.resource, raw.payload)
    return []


def found_of(resource: str, text: str) -> Sequence[Found]:
    """Return what a search found.

    Raises:
        Poison: An unknown service, or no answer of a search.
    """
    if resource not in KEPT or resource == CHART:
        raise Poison(
            f"expected a service of {sorted(KEPT)}, was {resource!r}: add it to naver_bodies"
        )
    try:
        body = orjson.loads(text)
        items = [_found(item, dated=resource == NEWS) for item in body["items"]]
        total, start = int(body["total"]), int(body["start"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Poison(
            f"expected items of {resource}, was {text[:80]!r}: {error!r}; "
            "check the key and its quota, and ask again"
        ) from error
    if not items and start <= total:
        raise Poison(f"expected items of {resource} from {start} of {total}, was none: ask again")
    return items


def chart_of(text: str) -> Chart:
    """Return a chart's days.

    Raises:
        Poison: It is no daily chart, or days are missing.
    """
    head = _CHART.search(text)
    if head is None:
        raise Poison(f"expected a daily chart, was {text[:80]!r}: ask again")
    items = _ITEM.findall(text)
    if len(items) != int(head[3]):
        raise Poison(f"expected {head[3]} days of a chart, was {len(items)}: ask again")
    return Chart(symbol(head[1]), html.unescape(head[2]), [_chart_day(each) for each in items])


def _found(item: Mapping[str, Any], *, dated: bool) -> Found:
    return Found(
        title=_plain(item["title"]),
        description=_plain(item["description"]),
        link=item["link"].strip(),
        original_link=item["originallink"].strip() if dated else "",
        published=_instant(item["pubDate"]) if dated else None,
    )


def _plain(text: str) -> str:
    return html.unescape(_BOLD.sub("", text)).strip()


def _instant(text: str) -> Micros:
    when = parsedate_to_datetime(text)
    if when.tzinfo is None:
        raise ValueError(text)
    return Micros(round(when.timestamp()) * SECOND)


def _chart_day(data: str) -> ChartDay:
    found = _ITEM_DATA.fullmatch(data)
    try:
        day, opened, high, low, close, volume = map(int, found.groups() if found else ())
        date(day // 10_000, day // 100 % 100, day % 100)
    except ValueError as error:
        raise Poison(f"expected day|open|high|low|close|volume, was {data!r}: ask again") from error
    return ChartDay(day, Won(opened), Won(high), Won(low), Won(close), Shares(volume))
