"""Daily data: what a producer worked out becomes events, and what is torn a dead letter."""

import orjson
import pytest

from schemas.codec import codec_of
from schemas.raw import RawDaily
from schemas.role import Batch, Record
from schemas.testing import at
from schemas.topics import BARS, DEAD_LETTERS, FUNDAMENTALS, INDICES, INSTRUMENTS, RAW_KRX
from schemas.units import Micros
from streams import daily

INSTRUMENT = {
    "ts": at(-5400), "symbol": "005930", "isin": "KR7005930003", "name": "삼성전자",
    "segment": "KOSPI", "sector": None, "security_type": "COMMON", "listed_shares": 10,
    "base_price": 100, "market_cap": 1_000, "halted": False, "administrative": False,
    "delisting": False,
}  # fmt: skip
BAR = {
    "ts": at(-60_000), "dates": [20260209], "opens": [1], "highs": [3], "lows": [1], "closes": [2],
    "volumes": [5], "turnovers": [10], "adjusts": [0.5],
}  # fmt: skip
BEYOND_THE_CALENDAR = orjson.dumps({"OutBlock_1": [{
    "BAS_DD": "20350102", "ISU_CD": "005930", "TDD_OPNPRC": "1", "TDD_HGPRC": "1",
    "TDD_LWPRC": "1", "TDD_CLSPRC": "1", "ACC_TRDVOL": "1", "ACC_TRDVAL": "1",
}]}).decode()  # fmt: skip


def raw(payload: object, resource: str = daily.SYMBOL_RESOURCE) -> Record:
    text = payload if isinstance(payload, str) else orjson.dumps(payload).decode()
    event = RawDaily(
        ts_event=at(-5400), ts_ingest=at(-5400), source="krx", seq=0, resource=resource,
        payload=text,
    )  # fmt: skip
    return Record(RAW_KRX.name, "krx", event, 0, 7)


def symbol(**changed: object) -> dict[str, object]:
    return {"instrument": INSTRUMENT, "bars": BAR, "fundamentals": None, **changed}


def decoded(*records: Record) -> dict[str, object]:
    outputs = daily.step(None, Batch(records, Micros(0))).outputs
    for output in outputs:
        codec_of(output.topic).encode(output.value)
    return {output.topic.name: output.value for output in outputs}


def test_a_name_gives_an_instrument_and_bars_each_at_its_own_instant() -> None:
    found = decoded(raw(symbol()))

    assert set(found) == {INSTRUMENTS.name, BARS.name}
    assert found[INSTRUMENTS.name].ts_event == at(-5400)  # type: ignore[attr-defined] # an event
    assert found[BARS.name].ts_event == at(-60_000)  # type: ignore[attr-defined] # an event


def test_fundamentals_keep_what_is_unknown_unknown() -> None:
    known = {"ts": at(0), "period_end": 20250930, "basis": "CFS", "source": "x", "equity": 5}

    found = decoded(raw(symbol(fundamentals=known)))[FUNDAMENTALS.name]

    assert (found.equity, found.assets) == (5, None)  # type: ignore[attr-defined] # an event


def test_a_name_without_bars_gives_no_bars() -> None:
    none = {**BAR, **{name: [] for name in BAR if name != "ts"}}

    assert set(decoded(raw(symbol(bars=none)))) == {INSTRUMENTS.name}


def test_an_index_keeps_its_name_as_key() -> None:
    index = {"ts": at(0), "name": "KOSPI", "dates": [20260209], "closes": [5000.5]}

    [output] = daily.step(
        None, Batch([raw({"index": index}, daily.INDEX_RESOURCE)], Micros(0))
    ).outputs

    assert (output.topic, output.key) == (INDICES, "KOSPI")


@pytest.mark.parametrize(
    "record",
    [
        raw("{"),
        raw(symbol(bars={**BAR, "closes": [1, 2]})),
        raw({"instrument": INSTRUMENT}),
        raw(symbol(instrument={**INSTRUMENT, "symbol": "5930"})),
        raw({}, "unheard-of"),
        raw('{"response":{"header":{"resultCode":"99"},"body":{}}}', "getItemInfo"),
        raw('{"OutBlock_1":[{"BAS_DD":"20260513"}]}', "stk_bydd_trd"),
        raw("<html>", "stk_bydd_trd"),
        raw(BEYOND_THE_CALENDAR, "stk_bydd_trd"),
        raw(
            BEYOND_THE_CALENDAR.replace("20350102", "20260105").replace('"1"', f'"{2**63}"', 1),
            "stk_bydd_trd",
        ),
        raw("[" * 100_000, "stk_bydd_trd"),
    ],
)
def test_what_cannot_be_read_is_a_dead_letter_with_its_payload(record: Record) -> None:
    [output] = daily.step(None, Batch([record], Micros(0))).outputs

    assert output.topic is DEAD_LETTERS
    assert output.key == output.value.origin == "raw.krx/0/7"
    assert output.value.payload == record.value.payload.encode()
    assert output.value.reason.startswith("expected")
