"""Naver's bodies: plain texts and whole charts; what is torn or refused is a dead letter."""

import orjson
import pytest

from schemas.raw import RawDaily
from schemas.role import Batch, Output, Record
from schemas.topics import DEAD_LETTERS, RAW_KRX
from schemas.units import Micros
from streams import daily, naver_bodies
from streams.naver_bodies import CHART, DOCUMENTS, KEPT, NEWS, WEB

ITEM = {
    "title": "<b>삼성전자</b> &quot;파운드리 &amp; 수주&quot;", "description": " 1 &lt; 2 ",
    "link": "https://n.example/1", "originallink": "https://o.example/1",
    "pubDate": "Thu, 14 May 2026 15:10:00 +0900",
}  # fmt: skip
DAYS = ["20180802|46550|46800|45500|45550|8560924", "20180803|45850|45900|45450|45750|8274944"]


def search(*items: object, total: int = 5, start: int = 1) -> str:
    return orjson.dumps(
        {"lastBuildDate": "x", "total": total, "start": start, "display": 3, "items": items}
    ).decode()


def chart(*days: str, count: int | None = None, head: str = 'timeframe="day"') -> str:
    items = "\n".join(f'<item data="{day}" />' for day in days)
    size = len(days) if count is None else count
    return (
        f'<?xml version="1.0" encoding="EUC-KR" ?>\n<protocol><chartdata symbol="005930" '
        f'name="S&amp;S" count="{size}" {head} precision="0">\n{items}\n</chartdata></protocol>'
    )


def said(resource: str, payload: str) -> list[Output]:
    raw = RawDaily(
        ts_event=Micros(0), ts_ingest=Micros(0), source="krx", seq=0, resource=resource,
        payload=payload,
    )  # fmt: skip
    return list(daily.step(None, Batch([Record(RAW_KRX.name, "krx", raw)], Micros(0))).outputs)


def test_news_are_plain_texts_with_an_instant() -> None:
    [found] = naver_bodies.found_of(NEWS, search(ITEM))

    assert found.title == '삼성전자 "파운드리 & 수주"'
    assert found.description == "1 < 2"
    assert (found.link, found.original_link) == ("https://n.example/1", "https://o.example/1")
    assert found.published == 1_778_739_000_000_000


@pytest.mark.parametrize("resource", [WEB, DOCUMENTS])
def test_a_page_has_no_date(resource: str) -> None:
    [found] = naver_bodies.found_of(resource, search({**ITEM, "pubDate": "?", "originallink": 1}))

    assert (found.original_link, found.published) == ("", None)


def test_a_chart_is_read_whole() -> None:
    found = naver_bodies.chart_of(chart(*DAYS))

    assert (found.symbol, found.name, len(found.days)) == ("005930", "S&S", 2)
    assert found.days[0] == (20180802, 46550, 46800, 45500, 45550, 8560924)


@pytest.mark.parametrize("resource", KEPT)
def test_what_is_read_gives_no_event_and_no_dead_letter(resource: str) -> None:
    assert said(resource, chart(*DAYS) if resource == CHART else search(ITEM)) == []


def test_no_items_are_an_answer_when_there_are_none() -> None:
    assert said(DOCUMENTS, search(total=0)) == []
    assert said(DOCUMENTS, search(total=5, start=6)) == []


@pytest.mark.parametrize(
    ("resource", "payload"),
    [
        (NEWS, search()),
        (NEWS, search(ITEM)[:-9]),
        (NEWS, '{"errorMessage":"Rate limit exceeded","errorCode":"012"}'),
        (NEWS, "<html>"),
        (NEWS, "[]"),
        (NEWS, search("item")),
        *[(NEWS, search({k: v for k, v in ITEM.items() if k != gone})) for gone in ITEM],
        *[(WEB, search({**ITEM, each: 5})) for each in ("title", "description", "link")],
        (NEWS, search({**ITEM, "pubDate": "yesterday"})),
        (NEWS, search({**ITEM, "pubDate": "Thu, 14 May 2026 15:10:00 -0000"})),
        ("naver/search/blog", search(ITEM)),
        (CHART, search(ITEM)),
        (CHART, chart(*DAYS, count=3)),
        (CHART, chart(*DAYS)[:-80]),
        (CHART, chart(*DAYS, head='timeframe="week"')),
        (CHART, chart(*DAYS).replace("005930", "5930")),
        (CHART, chart("20180802|46550|46800|45500|45550")),
        (CHART, chart("20181302|46550|46800|45500|45550|1")),
        (CHART, chart("20180802|46550|null|45500|45550|1")),
    ],
)
def test_what_cannot_be_read_is_a_dead_letter_with_its_payload(resource: str, payload: str) -> None:
    [output] = said(resource, payload)

    assert output.topic is DEAD_LETTERS
    assert output.value.payload == payload.encode()
    assert output.value.reason.startswith("expected")
