"""Daily data: a session's records of ``raw.krx`` become bars, instruments, fundamentals, indices.

Two shapes come on ``raw.krx``: what ``producers.krx`` worked out for a session (resources
``session/symbol`` and ``session/index``) and untouched bodies: of the KRX services
(``krx_bodies``), of its data marketplace (``mdc_bodies``) and of Naver (``naver_bodies``).  What
cannot be read is a dead letter and nothing of it is said.
"""

from typing import Any, Final

import orjson

from schemas.errors import Poison
from schemas.krx.codes import symbol
from schemas.market import DailyBars, Fundamentals, IndexBars, Instrument
from schemas.raw import RawDaily
from schemas.role import Batch, Output, Role, Step, command
from schemas.topics import (
    BARS,
    DEAD_LETTERS,
    FUNDAMENTALS,
    INDICES,
    INSTRUMENTS,
    RAW_KRX,
    Topic,
)
from streams import krx_bodies, mdc_bodies, naver_bodies
from streams.letters import dead_letter

NAME: Final = "market.daily"
SYMBOL_RESOURCE: Final = "session/symbol"
INDEX_RESOURCE: Final = "session/index"
BARS_SOURCE: Final = "krx_daily"

_BARS: Final = ("dates", "opens", "highs", "lows", "closes", "volumes", "turnovers", "adjusts")


def step(state: None, batch: Batch) -> Step:
    """Decode each raw record by its resource."""
    outputs: list[Output] = []
    for record in batch.records:
        raw: RawDaily = record.value
        try:
            outputs.extend(decode(raw))
        except Poison as error:
            outputs.append(dead_letter(NAME, record, raw.payload, error))
    return Step(state, outputs)


def decode(raw: RawDaily) -> list[Output]:
    """Return what a raw record says.

    Raises:
        Poison: It cannot be read.
    """
    if raw.resource not in {SYMBOL_RESOURCE, INDEX_RESOURCE}:
        return [_body(event) for event in _events_of(raw)]
    try:
        payload = orjson.loads(raw.payload)
        if raw.resource == INDEX_RESOURCE:
            return [_index(raw, payload["index"])]
        return _symbol(raw, payload)
    except (ValueError, KeyError, TypeError) as error:
        raise Poison(
            f"expected a payload of {raw.resource}, was {raw.payload[:80]!r}: {error!r}"
        ) from error


def _events_of(raw: RawDaily) -> list[DailyBars | IndexBars]:
    if raw.resource.startswith(mdc_bodies.PREFIX):
        return mdc_bodies.events_of(raw)
    if raw.resource.startswith(naver_bodies.PREFIX):
        return naver_bodies.events_of(raw)
    return krx_bodies.events_of(raw)


def _symbol(raw: RawDaily, payload: dict[str, Any]) -> list[Output]:
    instrument = dict(payload["instrument"])
    code = symbol(instrument.pop("symbol"))
    common: dict[str, Any] = {"ts_ingest": raw.ts_ingest, "symbol": code}
    outputs: list[tuple[Topic, Any]] = [
        (INSTRUMENTS, Instrument(ts_event=instrument.pop("ts"), **common, **instrument))
    ]
    bars = payload["bars"]
    columns: dict[str, Any] = {name: tuple(bars[name]) for name in _BARS}
    if len({len(column) for column in columns.values()}) != 1:
        raise Poison(f"expected bars of equal length, was {raw.payload[:80]!r}")
    if columns["dates"]:
        outputs.append(
            (BARS, DailyBars(ts_event=bars["ts"], source=BARS_SOURCE, **common, **columns))
        )
    fundamentals = payload["fundamentals"]
    if fundamentals is not None:
        known = dict(fundamentals)
        outputs.append((FUNDAMENTALS, Fundamentals(ts_event=known.pop("ts"), **common, **known)))
    return [Output(topic, code, event) for topic, event in outputs]


def _index(raw: RawDaily, index: dict[str, Any]) -> Output:
    event = IndexBars(
        ts_event=index["ts"],
        ts_ingest=raw.ts_ingest,
        name=index["name"],
        source=BARS_SOURCE,
        dates=tuple(index["dates"]),
        closes=tuple(index["closes"]),
    )
    return Output(INDICES, event.name, event)


def _body(event: DailyBars | IndexBars) -> Output:
    if isinstance(event, IndexBars):
        return Output(INDICES, event.name, event)
    return Output(BARS, event.symbol, event)


ROLE: Final = Role(
    name=NAME,
    version=1,
    scope="key",
    inputs=(command(RAW_KRX),),
    outputs=(BARS, INSTRUMENTS, FUNDAMENTALS, INDICES, DEAD_LETTERS),
    initial=None,
    step=step,
)
