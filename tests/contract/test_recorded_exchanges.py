"""Recorded exchanges with the KRX data marketplace and Naver: each is read whole, none is lost.

The cassettes are YAML as vcr.py writes it: scalars are single-quoted, double-quoted or base64,
folded over indented lines.  ``scalar`` reads these three and plain ones, and nothing else.
"""

import base64
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode

import pandas as pd
import pytest

from producers.dart import pages
from schemas.codec import codec_of
from schemas.raw import RawDaily
from schemas.role import Batch, Output, Record
from schemas.topics import BARS, INDICES, RAW_KRX
from schemas.units import Micros
from streams import daily, mdc_bodies, naver_bodies
from streams.mdc_tables import INDEX_DAYS, MARKET_DAY, SHORTS, STANDARD, SYMBOL_DAYS, TABLES

DATA = Path(__file__).parents[3] / "shared" / "data"
CASSETTES = "pykrx_vcr_cassettes.tar.xz"
MARKETPLACE = "https://data.krx.co.kr/comm/bldAttendant/getJsonData.cmd"
CHARTS = "http://fchart.stock.naver.com/sise.nhn"
SEARCHES = {
    "naver_news.json.gz": (naver_bodies.NEWS, 3),
    "naver_web.json.gz": (naver_bodies.WEB, 3),
    "naver_doc.json.gz": (naver_bodies.DOCUMENTS, 0),
}
NOT_BODIES = {
    "probe_run_log.json": "how the probe of the services went: counts of calls and warnings",
    "schema_summary.md": "a person's table of the fields that the probe saw",
}

READ = {
    "MDCSTAT00201": (4, 200), "MDCSTAT00301": (34, 305), "MDCSTAT00401": (33, 1_370),
    "MDCSTAT00601": (5, 4_250), "MDCSTAT01501": (6, 7_671), "MDCSTAT01602": (8, 7_286),
    "MDCSTAT01701": (2, 15), "MDCSTAT01901": (1, 2_882), "MDCSTAT02201": (4, 52),
    "MDCSTAT02202": (6, 36), "MDCSTAT02301": (2, 26), "MDCSTAT02302": (2, 12),
    "MDCSTAT02401": (3, 2_437), "MDCSTAT03501": (1, 895), "MDCSTAT03502": (5, 179),
    "MDCSTAT03701": (2, 935), "MDCSTAT03702": (1, 1), "MDCSTAT04301": (2, 941),
    "MDCSTAT04401": (2, 934), "MDCSTAT04501": (4, 116), "MDCSTAT04601": (1, 1_066),
    "MDCSTAT04801": (1, 13), "MDCSTAT04802": (1, 6), "MDCSTAT04901": (1, 13),
    "MDCSTAT04902": (1, 6), "MDCSTAT05001": (2, 205), "MDCSTAT11401": (3, 22),
    "MDCSTAT11402": (1, 20), "MDCSTAT30001": (4, 20), "MDCSTAT30101": (7, 5_286),
    "MDCSTAT30102": (6, 30), "MDCSTAT30301": (6, 30), "MDCSTAT30401": (4, 150),
    "MDCSTAT30501": (1, 919), "MDCSTAT30502": (3, 15), "MDCSTAT30801": (4, 150),
    "finder_stkisu": (1, 2_894), "finder_listdelisu": (1, 4_043), "sise.nhn": (3, 6_502),
}  # fmt: skip
"""Exchanges and rows: 178 exchanges, 51,933 rows."""

EMPTY = {
    "TestBondOtcTreasuryYiledByTicker.test_holiday.yaml/0": "2022-02-02, a holiday",
    "TestIndexOhlcvByDate.test_ohlcv_in_holiday.yaml/0": "2021-01-01, a holiday",
    "TestShortBalanceTop50.test_with_holiday.yaml/0": "2020-01-05, a Sunday",
    "TestShortVolumeByTicker.test_with_holiday.yaml/0": "2021-01-03, a Sunday",
    "TestShortVolumeTop50.test_with_holiday.yaml/0": "2020-01-05, a Sunday",
}
"""Answers without a row."""

NO_EXCHANGE = {
    f"Test{kind}TickerList.test_ticker_list_with_a_{day}.yaml": "its library had the list already"
    for kind in ("Elw", "Etf", "Etn")
    for day in ("businessday", "holiday")
}
"""Cassettes in which nothing was recorded."""

_KEY = re.compile(r"( *(?:- )?)(request|response|body|uri|string): ?(.*)")
_FOLD = re.compile(r" *\n *")
_BROKEN = re.compile(r"\\\n *(\\(?= ))?")

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is absent"),
]


class Exchange(NamedTuple):
    """One question and its answer, as the record that a producer would write."""

    name: str
    uri: str
    raw: RawDaily

    @property
    def table(self) -> str:
        return self.raw.resource.partition("?")[0]


def record(resource: str, payload: str) -> RawDaily:
    return RawDaily(
        ts_event=Micros(0), ts_ingest=Micros(0), source="krx", seq=0, resource=resource,
        payload=payload,
    )  # fmt: skip


def scalar(text: str) -> str:
    if text.startswith("!!binary |"):
        return base64.b64decode(text.removeprefix("!!binary |")).decode("euc-kr")
    if text.startswith('"'):
        joined = _FOLD.sub(" ", _BROKEN.sub("", text[1:-1]))
        return joined.encode("ascii").decode("unicode_escape")
    if text.startswith("'"):
        return _FOLD.sub(" ", text[1:-1]).replace("''", "'")
    return _FOLD.sub(" ", text)


def scalars(text: str) -> Iterator[tuple[str, str]]:
    """Yield the scalars we need in order: body and uri of a request, string of a response."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        found = _KEY.fullmatch(line)
        if found is not None and found[3]:
            end = at + 1
            while lines[end].startswith(" " * (len(found[1]) + 1)):
                end += 1
            yield found[2], scalar("\n".join([found[3], *lines[at + 1 : end]]))


@cache
def cassettes() -> Mapping[str, str]:
    with tarfile.open(DATA / "krx_raw" / CASSETTES) as archive:
        files = {member.name: archive.extractfile(member) for member in archive}
        return {
            name.removeprefix("tests/cassettes/"): file.read().decode()
            for name, file in files.items()
            if file is not None
        }


@cache
def exchanges() -> list[Exchange]:
    found = []
    for name, text in sorted(cassettes().items()):
        parts = list(scalars(text))
        assert [key for key, _ in parts] == ["body", "uri", "string"] * text.count("- request:")
        for at in range(0, len(parts), 3):
            (_, asked), (_, uri), (_, payload) = parts[at : at + 3]
            form = dict(parse_qsl(asked, keep_blank_values=True))
            resource = f"{form.pop('bld', '')}?{urlencode(form)}"
            if uri.startswith(CHARTS):
                resource = naver_bodies.CHART
            found.append(Exchange(f"{name}/{at // 3}", uri, record(resource, payload)))
    return found


@cache
def rows_of(exchange: Exchange) -> list[mdc_bodies.Row | naver_bodies.ChartDay]:
    if exchange.table == naver_bodies.CHART:
        return list(naver_bodies.chart_of(exchange.raw.payload).days)
    return list(mdc_bodies.rows_of(exchange.table, exchange.raw.payload))


def said(*raws: RawDaily) -> list[Output]:
    records = [Record(RAW_KRX.name, "krx", each) for each in raws]
    return list(daily.step(None, Batch(records, Micros(0))).outputs)


def asked(table: str, part: str = "") -> list[Exchange]:
    return [each for each in exchanges() if each.table == table and part in each.raw.resource]


def test_no_file_of_the_folder_is_left_untested() -> None:
    there = {path.name for path in (DATA / "krx_raw").iterdir()}
    elsewhere = {name for name in there if name.startswith(("krx_", "data_go"))}

    # test_daily_real_data holds the others to the same.
    assert there - elsewhere == {CASSETTES} | set(SEARCHES) | set(NOT_BODIES)


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_is_read_and_kept_raw(name: str) -> None:
    resource, items = SEARCHES[name]
    text = pages.read(DATA / "krx_raw" / name)

    found = naver_bodies.found_of(resource, text)

    assert len(found) == items
    assert said(record(resource, text)) == []
    assert naver_bodies.KEPT[resource]
    for each in found:
        assert each.link.startswith("https://")
        assert not re.search(r"<b>|&\w+;", each.title + each.description)
        assert "삼성" in each.title + each.description
        assert (each.published is None) == (resource != naver_bodies.NEWS)


def test_every_cassette_holds_exchanges_or_is_listed() -> None:
    full = {each.name.rpartition("/")[0] for each in exchanges()}

    assert len(cassettes()) == 115
    assert set(cassettes()) - full == set(NO_EXCHANGE)
    assert len(exchanges()) == 178


def test_every_exchange_is_data_not_a_login_or_a_page() -> None:
    assert {each.uri.partition("?")[0] for each in exchanges()} == {MARKETPLACE, CHARTS}


def test_every_exchange_gives_rows_or_is_listed_as_empty() -> None:
    count: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for each in exchanges():
        name = each.table.rpartition("/")[2]
        count[name] += 1
        rows[name] += len(rows_of(each))

    assert {each.name for each in exchanges() if not rows_of(each)} == set(EMPTY)
    assert {name: (count[name], rows[name]) for name in count} == READ
    assert {each.table for each in exchanges()} == set(TABLES) | {naver_bodies.CHART}


def test_every_recorded_column_is_read() -> None:
    for each in exchanges():
        if each.table in TABLES:
            keys = set(re.findall(r'"(\w+)":"', each.raw.payload)) - {"CURRENT_DATETIME"}
            assert keys <= set(TABLES[each.table].columns), each.name


def test_every_exchange_goes_through_the_role_without_a_dead_letter() -> None:
    outputs = said(*(each.raw for each in exchanges()))

    for each in outputs:
        codec_of(each.topic).encode(each.value)
    assert Counter(each.topic.name for each in outputs) == {BARS.name: 6_755, INDICES.name: 33}


def test_a_recorded_body_that_is_torn_is_a_dead_letter() -> None:
    for each in exchanges():
        payload = each.raw.payload[: len(each.raw.payload) // 2]
        [output] = said(record(each.raw.resource, payload))

        assert output.value.payload == payload.encode()
        assert output.value.reason.startswith("expected"), each.name


@cache
def marcap() -> pd.DataFrame:
    table = pd.read_parquet(DATA / "krx_daily" / "marcap_windows_2021_2026.parquet")
    return table[table["Date"] < "2021-02-01"]


def on(day: int) -> pd.DataFrame:
    table = marcap()
    return table[table["Date"] == pd.Timestamp(str(day))].set_index("Code")


def test_a_market_days_bars_equal_an_independent_file() -> None:
    [whole] = asked(MARKET_DAY, "mktId=ALL&trdDd=20210104")
    other = on(20210104)
    theirs = set(map(str, other.index))
    bars = {each.key: each.value for each in said(whole.raw)}

    assert (len(bars), len(theirs), theirs - set(bars)) == (2_531, 2_419, set())
    # The file leaves out what did not trade.
    assert all(bars[each].volumes == (0,) for each in set(bars) - theirs)
    for name, column in (
        ("opens", "Open"), ("highs", "High"), ("lows", "Low"), ("closes", "Close"),
        ("volumes", "Volume"), ("turnovers", "Amount"),
    ):  # fmt: skip
        ours = {symbol: getattr(bars[symbol], name)[0] for symbol in theirs}
        assert ours == other[column].to_dict(), name


def test_closes_of_a_day_equal_the_next_days_bases_but_for_corporate_actions() -> None:
    next_day = on(20210125)
    bases = (next_day["Close"] - next_day["Changes"]).to_dict()
    [kosdaq] = asked(MARKET_DAY, "mktId=KSQ&trdDd=20210122")
    kospi = asked(MARKET_DAY, "mktId=STK&trdDd=20210122")

    closes = {each.key: each.value.closes[0] for each in said(kospi[0].raw, kosdaq.raw)}

    both = closes.keys() & bases.keys()
    moved = [each for each in closes if each in both and closes[each] != bases[each]]
    assert (len(closes), len(both), len(moved)) == (2_389, 2_303, 6)


def test_a_day_without_a_session_gives_no_bar() -> None:
    [saturday] = asked(MARKET_DAY, "trdDd=20210123")

    assert (len(rows_of(saturday)), said(saturday.raw)) == (917, [])


def test_index_levels_equal_an_independent_file() -> None:
    table = pd.read_parquet(DATA / "index" / "kospi_daily_1995_20260821.parquet")
    levels = {
        int(day.strftime("%Y%m%d")): level
        for day, level in zip(table["Date"], table["Close"], strict=True)
    }

    bars = [each.value for each in said(*(each.raw for each in asked(INDEX_DAYS)))]

    assert {each.name for each in bars} == {"KOSPI"}
    assert sum(len(each.dates) for each in bars) == 305
    for each in bars:
        assert each.closes == tuple(levels[day] for day in each.dates)


@cache
def adjusted(symbol: str) -> Mapping[int, tuple[int, ...]]:
    """Return open, high, low, close, volume by day, adjusted as of years later."""
    found = {}
    for years in ("2008_2022", "2019_2025"):
        path = DATA / "krx_daily_long" / f"naver_adj_ohlcv_{years}.parquet"
        table = pd.read_parquet(path, filters=[("code", "=", symbol)])
        for row in table[["date", "open", "high", "low", "close", "volume"]].itertuples(
            index=False
        ):
            day = date.fromisoformat(str(row[0])[:10])
            found[day.year * 10_000 + day.month * 100 + day.day] = tuple(row[1:])
    return found


def test_days_across_a_split_adjust_to_an_independent_file() -> None:
    [samsung] = asked(SYMBOL_DAYS, "KR7005930003")
    [output] = said(samsung.raw)
    bars = output.value

    assert bars.adjusts == (0.02, 0.02, 0.02, 0.02, 1.0)
    ours = [close * adjust for close, adjust in zip(bars.closes, bars.adjusts, strict=True)]
    assert ours == [adjusted("005930")[day][3] for day in bars.dates]


def test_charts_equal_an_independent_file() -> None:
    for each in asked(naver_bodies.CHART):
        days = naver_bodies.chart_of(each.raw.payload).days
        both = [day for day in days if day.day in adjusted("005930")]

        assert (len(both), len(days)) in {(1_819, 1_835), (2_816, 2_832)}
        assert [tuple(day[1:]) for day in both] == [adjusted("005930")[day.day] for day in both]


@pytest.mark.parametrize(
    ("table", "part", "column", "theirs", "common"),
    [
        (SHORTS + "MDCSTAT30101", "trdDd=20210104&mktId=KSQ", "ACC_TRDVOL", "Volume", 1_394),
        (SHORTS + "MDCSTAT30501", "trdDd=20210127", "LIST_SHRS", "Stocks", 910),
        (STANDARD + "MDCSTAT00601", "trdDd=20210129", "TDD_CLSPRC", "Close", 787),
        (STANDARD + "MDCSTAT03501", "trdDd=20210108", "TDD_CLSPRC", "Close", 883),
        (STANDARD + "MDCSTAT03701", "isuLmtRto=0", "TDD_CLSPRC", "Close", 906),
    ],
)
def test_tables_that_are_kept_raw_equal_an_independent_file(
    table: str, part: str, column: str, theirs: str, common: int
) -> None:
    [each] = asked(table, part)
    code = next(name for name, kind in TABLES[table].columns.items() if kind == "code")
    found = re.search(r"trdDd=(\d+)", each.raw.resource)
    other = on(int(found[1]) if found else 0)[theirs].to_dict()

    ours = {str(row[code]): row[column] for row in rows_of(each) if isinstance(row, dict)}

    both = ours.keys() & other.keys()
    assert len(both) == common
    assert {symbol: ours[symbol] for symbol in both} == {symbol: other[symbol] for symbol in both}


def test_a_common_shares_isin_holds_its_code_and_no_other_is_asked() -> None:
    pairs = {
        (str(row[isin]), str(row[code]))
        for isin, code, table in (
            ("ISU_CD", "ISU_SRT_CD", STANDARD + "MDCSTAT01901"),
            ("ISU_CD", "ISU_SRT_CD", STANDARD + "MDCSTAT04601"),
            ("full_code", "short_code", "dbms/comm/finder/finder_stkisu"),
        )
        for each in asked(table)
        for row in rows_of(each)
        if isinstance(row, dict)
    }

    told = {pair for pair in pairs if mdc_bodies._COMMON_ISIN.fullmatch(pair[0])}

    assert all(mdc_bodies.common_share(isin) == code for isin, code in told)
    assert (len(pairs), len(told)) == (3_974, 3_840)
