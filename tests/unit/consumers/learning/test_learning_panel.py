"""A market as arrays: seeded ones repeat, folders are chained over splits."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consumers.learning import panel
from schemas.errors import Misconfigured


def test_a_seeded_market_repeats_and_another_seed_differs() -> None:
    one, same = (panel.seeded(1, names=10, sessions=30) for _ in range(2))
    other = panel.seeded(2, names=10, sessions=30)

    assert (one.closes == same.closes).all()
    assert (one.closes != other.closes).any()
    assert (one.lows <= one.closes).all()
    assert (one.closes <= one.highs).all()


def test_a_split_is_not_a_return(tmp_path: Path) -> None:
    folder = tmp_path / "krx_daily"
    folder.mkdir()
    table = pa.table(
        {
            "date": ["2026-02-09", "2026-02-10", "2026-02-11"],
            "code": ["005930"] * 3,
            "high": [1_000, 110, 0],
            "low": [900, 90, 0],
            "close": [1_000, 110, 110],
            "change": [0, 10, 0],
            "volume": [5, 50, 0],
        }
    )
    pq.write_table(table, folder / "krx_daily_full_20260209_20260211.parquet")

    market = panel.read(tmp_path)

    assert market.closes[0, 1] / market.closes[0, 0] == pytest.approx(1.1)
    assert market.highs[0, 1] == pytest.approx(market.closes[0, 1])
    assert np.isnan(market.closes[0, 2])
    assert market.origin.startswith("bars of")


def test_a_folder_without_bars_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="leave --data out"):
        panel.read(tmp_path)
