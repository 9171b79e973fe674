"""A layout with two fields exchanged is caught by the invariants, or the pair is listed here.

For every pair of same-typed positions of a layout, the two fields are swapped in all real frames,
as a wrong table would.  It is caught when one frame no longer parses or breaks an invariant.  What
is left must be exactly the list below: a pair that becomes distinguishable has to leave it.
Same-typed means: written alike, so that the swapped frame still parses (integers with integers).
"""

import json
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from schemas.errors import Poison
from schemas.kis import frames
from schemas.kis.invariants import invariants
from schemas.kis.records import TypedRecord, typed
from schemas.kis.tables import BOOKS, TABLES, TRADES, Field, Kind

KIS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kis"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not KIS.exists(), reason="../shared/data/kis is absent"),
]

Pair = frozenset[str]
ALIKE = {
    Kind.WHOLE: "integer",
    Kind.SIGNED: "integer",
    Kind.DECIMAL: "decimal",
    Kind.TIME: "time",
    Kind.DATE: "date",
}


class Run(NamedTuple):
    """Records of one frame, and the print of the same second when there is one."""

    tr_id: str
    records: list[list[str]]
    beside: TypedRecord | None = None


def _among(*elements: str) -> set[Pair]:
    return {frozenset(pair) for pair in combinations(elements, 2)}


def _between(one: str, *others: str) -> set[Pair]:
    return {frozenset(pair) for pair in product([one], others)}


def _levels(stem: str) -> list[str]:
    return [f"{stem}{level}" for level in range(1, 11)]


AFTER_HOURS = ("OVTM_TOTAL_ASKP_RSQN", "OVTM_TOTAL_BIDP_RSQN")
CHANGES = (
    "TOTAL_ASKP_RSQN_ICDC",
    "TOTAL_BIDP_RSQN_ICDC",
    "OVTM_TOTAL_ASKP_ICDC",
    "OVTM_TOTAL_BIDP_ICDC",
)

INDISTINGUISHABLE: dict[str, dict[str, set[Pair]]] = {
    "trade": {
        "best quantities and totals bind to nothing else in a print: the sides are symmetric": {
            *_between("ASKP_RSQN1", "BIDP_RSQN1"),
            *_between("TOTAL_ASKP_RSQN", "TOTAL_BIDP_RSQN"),
        },
        "the times of high and low fall between the open and now, in either order": {
            *_between("HGPR_HOUR", "LWPR_HOUR"),
        },
        "rates over numbers that the print does not carry (previous volume, listed shares)": {
            *_between("PRDY_VOL_VRSS_ACML_VOL_RATE", "VOL_TNRT"),
        },
        "equal in every frame: the VI base is the open until the first VI": {
            *_between("STCK_OPRC", "VI_STND_PRC"),
        },
        "equal in the one frame of 47 fields: 2 means up and regular session": {
            *_between("MARKET_CLS_CODE", "PRDY_VRSS_SIGN", "LWPR_VRSS_PRPR_SIGN"),
        },
    },
    "book": {
        "only the sum of the ten quantities of a side is bound": {
            *_among(*_levels("ASKP_RSQN")),
            *_among(*_levels("BIDP_RSQN")),
        },
        "after-hours totals: 0 in the session, unbound after it": {
            *_among(*AFTER_HOURS),
            *_between("OVTM_TOTAL_BIDP_ICDC", *AFTER_HOURS),
        },
        "a stale expected volume and resting mid-price quantity bind to nothing": {
            *_between("ANTC_VOL", *AFTER_HOURS, "OVTM_TOTAL_BIDP_ICDC", "KMID_TOTAL_RSQN"),
            *_between("KMID_TOTAL_RSQN", *AFTER_HOURS, *CHANGES[1:]),
        },
        "changes of totals: the book before is not on file": {*_among(*CHANGES)},
        "0 in every frame: no frame of a call auction is on file": {
            *_among("ANTC_CNPR", "ANTC_CNQN", "OVTM_TOTAL_BIDP_ICDC"),
        },
        "0 in every frame, or a code of unknown values": {
            *_between("STCK_DEAL_CLS_CODE", "HOUR_CLS_CODE", "KMID_CLS_CODE"),
        },
        "equal in the one frame of 63 fields": {*_between("KMID_CLS_CODE", "MARKET_CLS_CODE")},
    },
    "operation": {
        "N in every frame": {*_between("TRHT_YN", "VI_CLS_CODE")},
        "empty in every frame": {*_between("MRKT_TRTM_CLS_CODE", "DIVI_APP_CLS_CODE")},
    },
    "program": {},
    "notice": {
        "free texts: we know none of their values beforehand": {
            *_among("CUST_ID", "ACNT_NO", "ACNT_NAME"),
            *_between("CNTG_ISNM40", "CUST_ID", "ACNT_NO", "ACNT_NAME"),
        },
        "two order numbers of ten digits": {*_between("ODER_NO", "OODER_NO")},
        "small codes with the same values 0, 1, 2": {
            *_between("ODER_COND", "RCTF_CLS", "RFUS_YN"),
        },
        "a stop price is 0 but for stop orders": {
            *_between("ORD_COND_PRC", "RCTF_CLS", "RFUS_YN", "ODER_COND", "ODER_PRC", "CRDT_CLS"),
        },
        "order price: binds to no other field; equal to the fill's in the one fill on file": {
            *_between("ODER_PRC", "CNTG_UNPR", "CRDT_CLS"),
        },
        "empty in every vector": {*_among("ORD_EXG_GB", "FILLER", "CRDT_CLS")},
    },
}


def _runs(shape: str) -> list[Run]:
    if shape == "notice":
        vectors = json.loads((KIS / "execution_notice_vectors.json").read_text())
        return [Run("H0STCNI9", [v["plaintext"].split("^")]) for v in vectors if "frame" in v]
    lines = (KIS / "ws_frames_real.jsonl").read_text().splitlines()
    found = [_run(each) for each in map(json.loads, lines) if "suspect" not in each]
    runs = [run for run in found if TABLES[run.tr_id][len(run.records[0])].shape == shape]
    return [_beside(run, found) for run in runs] if shape == "book" else runs


def _run(each: dict[str, Any]) -> Run:  # JSON of the data files has no type
    data = frames.parse(each["frame"])
    assert isinstance(data, frames.DataFrame)
    return Run(data.tr_id, [list(record) for record in data.records])


def _beside(book: Run, found: list[Run]) -> Run:
    at = (book.records[0][0], book.records[0][1], len(book.records[0]) == 63)
    for run in found:
        for record in run.records if run.tr_id == TRADES else ():
            if (record[0], record[1], len(record) == 47) == at:
                return book._replace(beside=typed(TRADES, record))
    return book


def _pairs(fields: tuple[Field, ...]) -> Iterator[tuple[int, int]]:
    for one, other in combinations(range(len(fields)), 2):
        if ALIKE.get(fields[one].kind, "text") == ALIKE.get(fields[other].kind, "text"):
            yield one, other


def _caught(run: Run, one: int, other: int) -> bool:
    before = run.beside
    for record in run.records:
        swapped = list(record)
        if other < len(record):
            swapped[one], swapped[other] = swapped[other], swapped[one]
        try:
            after = typed(run.tr_id, swapped)
        except Poison:
            return True
        if invariants(after, before):
            return True
        before = after
    return False


@pytest.mark.parametrize("shape", list(INDISTINGUISHABLE))
def test_swapped_fields_are_caught_or_listed(shape: str) -> None:
    runs = _runs(shape)
    layouts = [TABLES[run.tr_id][len(run.records[0])] for run in runs]
    fields = max(layouts, key=lambda table: table.width).fields

    uncaught = {
        frozenset((fields[one].element, fields[other].element))
        for one, other in _pairs(fields)
        if not any(_caught(run, one, other) for run in runs)
    }

    listed = {pair for pairs in INDISTINGUISHABLE[shape].values() for pair in pairs}
    assert sorted(map(sorted, uncaught - listed)) == [], "distinguish these or list them"
    assert sorted(map(sorted, listed - uncaught)) == [], "these are caught now: unlist them"


def test_a_book_has_a_print_beside_it_on_file() -> None:
    assert sum(run.beside is not None for run in _runs("book") if run.tr_id == BOOKS) == 2
