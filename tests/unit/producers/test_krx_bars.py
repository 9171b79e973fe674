"""Bars before a session: events of a price are undone, and no later day is read."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from producers.krx import bars, books, indices

SESSION = date(2026, 2, 10)
DAYS = pd.to_datetime(["2026-02-04", "2026-02-05", "2026-02-06", "2026-02-09"])


def raw(closes: list[int], changes: list[int]) -> pd.DataFrame:
    table = pd.DataFrame({"date": DAYS[-len(closes) :], "code": "005930", "close": closes})
    table = table.assign(open=closes, high=closes, low=closes, volume=10, change=changes)
    return table.assign(value=table["close"] * table["volume"])


def long(days: list[str], closes: list[int]) -> pd.DataFrame:
    table = pd.DataFrame({"date": pd.to_datetime(days), "code": "005930", "close": closes})
    return table.assign(open=closes, high=closes, low=closes, volume=10)


def master(base: int) -> pd.DataFrame:
    return pd.DataFrame({"code": ["005930"], "base": [base]})


def test_a_split_halves_what_was_before_and_rounding_does_not() -> None:
    table = raw([10_000, 10_000, 5_005, 5_100], [0, 0, 5, 90])

    found = bars.collect(table, long([], []), master(5_100), SESSION)

    assert found.adjusts[0].tolist() == [0.5, 0.5, 1.0, 1.0]


def test_an_event_on_the_session_itself_is_known_from_its_base_price() -> None:
    found = bars.collect(raw([100, 100], [0, 0]), long([], []), master(50), SESSION)

    assert found.adjusts[0].tolist() == [0.5, 0.5]


def test_the_longer_history_joins_at_the_first_common_session() -> None:
    older = long(["2026-02-02", "2026-02-03", "2026-02-04"], [40, 44, 50])

    found = bars.collect(raw([100, 110, 110, 110], [0, 10, 0, 0]), older, master(110), SESSION)

    closes = found.fields[bars.CLOSE][0] * found.adjusts[0]
    assert found.dates.tolist()[:3] == [20260202, 20260203, 20260204]
    assert closes.tolist() == [80.0, 88.0, 100.0, 110.0, 110.0, 110.0]
    assert found.fields[bars.VALUE][0, 0] == 400


def test_a_name_only_in_the_long_file_is_not_invented() -> None:
    older = long(["2026-02-02"], [40])

    found = bars.collect(raw([100], [0]), older, master(100), SESSION)

    assert found.known[0].tolist() == [False, True]


@pytest.mark.parametrize(
    ("session", "newest"),
    [(date(2025, 11, 14), 20250630), (date(2025, 11, 15), 20250930), (date(2026, 4, 1), 20251231)],
)
def test_a_quarter_is_used_the_day_after_its_deadline(session: date, newest: int) -> None:
    rows = [
        {"code": "005930", "fs": "CFS", "fy": 2025, "fq": quarter, "revenue": quarter,
         "operating_income": 1, "net_income": 1, "op_cash_flow": 1, "equity": 1, "liabilities": 1,
         "assets": 2}
        for quarter in (1, 2, 3, 4)
    ]  # fmt: skip
    empty = pd.DataFrame(columns=["code", "currency", "fy_month"])

    found = books.collect(pd.DataFrame(rows), empty, session)

    [row] = found.to_dict("records")
    assert row["period_end"] == pd.Timestamp(str(newest))
    assert row["sales"] == 10 or (newest < 20251231 and np.isnan(row["sales"]))


def test_a_level_that_jumps_away_and_back_is_left_out() -> None:
    good = indices.plausible(np.array([1_300.0, 1_310.0, 21_353.0, 1_305.0]))

    assert good.tolist() == [True, True, False, True]
