"""The snapshot: no NaN, masked rows are empty, it fits a record, batches do not matter."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import snapshot
from schemas import model_features
from schemas.codec import codec_of
from schemas.features import FeatureSnapshot, Window
from schemas.role import Batch, Record
from schemas.topics import BARS, RECORD_BYTES_MAX, SCREEN, SNAPSHOTS, WINDOWS
from schemas.units import MINUTE, SECOND, Micros, Shares, Won
from streams import bench, snapshots

NAMES = 6
REFERENCES = bench.reference_records(NAMES)
SCREENED = bench.screen_of(NAMES)
ASKED = Record(SCREEN.name, "universe", SCREENED)


def taken(records: list[Record], cuts: list[int] | None = None) -> list[FeatureSnapshot]:
    state, found, start = snapshots.INITIAL, [], 0
    for end in [*sorted(cuts or []), len(records)]:
        step = snapshots.step(state, Batch(records[start:end], Micros(0)))
        found += [output.value for output in step.outputs]
        state = snapshot.unpack(snapshot.pack(step.state), snapshots.ROLE.states)
        start = end
    return found


def tensor(found: FeatureSnapshot) -> np.ndarray:
    shape = (len(found.symbols), found.steps, len(found.features))
    return np.frombuffer(found.tensor, dtype="<f4").reshape(shape)


def window(row: int, *, age: int = 0, polled: bool = False, size: int = MINUTE) -> Record:
    end = Micros(SCREENED.ts_event - age)
    event = Window(
        ts_event=end, ts_ingest=end, symbol=SCREENED.symbols[row], start=Micros(end - size),
        end=end, size=Micros(size), polled=polled, trades=1, books=1, volume=Shares(100),
        turnover=Won(1), ofi=Shares(50), imbalance=-0.25, signed_volume=Shares(0),
    )  # fmt: skip
    return Record(WINDOWS.name, event.symbol, event)


def test_the_last_step_is_closed_at_the_screen_s_price() -> None:
    close = next(each.value.closes[-1] for each in REFERENCES if each.topic == BARS.name)
    dear = replace(SCREENED, prices=(Won(close * 101 // 100), *SCREENED.prices[1:]))

    [found] = taken([*REFERENCES, Record(SCREEN.name, "universe", dear)])

    expected = np.log(dear.prices[0] / close) / model_features.RETURN_SCALE
    assert np.isclose(tensor(found)[0, -1, 0], expected, rtol=1e-6)
    assert not tensor(found)[:, -1, 2:4].any()


def test_microstructure_is_fresh_prints_of_a_minute_and_only_at_the_last_step() -> None:
    records = [
        window(0),
        window(1, age=6 * MINUTE),
        window(2, polled=True),
        window(3, size=SECOND),
        ASKED,
    ]

    values = tensor(taken([*REFERENCES, *records])[0])

    assert values[0, -1, 4:].tolist() == [-0.25, 0.5]
    assert not values[1:, -1, 4:].any()
    assert not values[:, :-1, 4:].any()


def test_a_name_without_history_is_masked_and_zero() -> None:
    young = [each for each in REFERENCES if each.key != SCREENED.symbols[2]]

    [found] = taken([*young, ASKED])

    assert list(found.mask) == [1, 1, 0, 1, 1, 1]
    assert not tensor(found)[2].any()
    assert np.isfinite(tensor(found)).all()
    assert found.coverage == 5 / 6


def test_a_full_snapshot_fits_a_record() -> None:
    many = bench.screen_of(model_features.ROWS_MAX + 20)

    [found] = taken([*REFERENCES, Record(SCREEN.name, "universe", many)])

    assert len(found.symbols) == model_features.ROWS_MAX
    assert len(codec_of(SNAPSHOTS).encode(found)) < RECORD_BYTES_MAX


@given(st.lists(st.integers(0, 24), max_size=4))
@settings(max_examples=20, deadline=None)
def test_any_split_into_batches_gives_the_same_snapshots(cuts: list[int]) -> None:
    records = [*REFERENCES[:10], ASKED, *REFERENCES[10:], window(0), ASKED]

    assert taken(records, [min(cut, len(records)) for cut in cuts]) == taken(records)


def test_an_empty_screen_is_answered() -> None:
    [found] = taken([Record(SCREEN.name, "universe", bench.screen_of(0))])

    assert (found.symbols, found.tensor, found.coverage) == ((), b"", 0.0)
