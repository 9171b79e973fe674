"""Market time waits for decisions, and time is said when somebody needs it."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from infra.clock import SLACK_DECIDING
from scheduler import pacing, timetable
from scheduler.pacing import Hold, Said
from schemas.krx.sessions import kst_midnight
from schemas.units import HOUR, MINUTE, SECOND, Micros

DAY = kst_midnight(date(2026, 2, 10))
NINE = Micros(DAY + 9 * HOUR)


def test_time_is_held_at_the_oldest_run_that_decides_until_it_ends() -> None:
    holds = {"b": Hold(Micros(NINE + MINUTE), 0.0), "a": Hold(NINE, 0.0)}
    now = Micros(NINE + 2 * MINUTE)

    assert pacing.reached(holds, {"a", "b"}, now, 1.0) == (NINE, None, [])
    assert pacing.reached(holds, {"b"}, now, 1.0) == (NINE + MINUTE, None, [])
    assert pacing.reached(holds, set(), now, 1.0) == (now, None, [])


def test_a_hold_nobody_ends_is_let_go_after_its_limit_of_wall_time() -> None:
    holds = {"a": Hold(NINE, 0.0)}
    now = Micros(NINE + SECOND)

    assert pacing.reached(holds, {"a"}, now, pacing.HOLD_S_MAX) == (NINE, None, [])
    assert pacing.reached(holds, {"a"}, now, pacing.HOLD_S_MAX + 1) == (now, None, ["a"])
    assert pacing.reached(holds, {"a"}, now, pacing.HOLD_S_MAX + 2) == (now, None, [])


def test_what_scores_or_trades_is_waited_for_and_what_it_waits_for_but_no_settlement() -> None:
    assert pacing.deciding(timetable.default()) == {
        "morning_data_collection",
        "previous_day_cleaning",
        "ai_analysis",
        "rescoring",
        "market_monitoring",
        "trading_execution",
    }


def test_time_is_said_every_second_in_the_session_and_every_minute_outside() -> None:
    early = Micros(DAY + 8 * HOUR)

    def says(last: Micros, now: int) -> bool:
        return pacing.to_say(Said(last, Micros(0)), Micros(now), fired=False, standing=False)

    assert [says(NINE, NINE + s * SECOND // 2) for s in (1, 2)] == [False, True]
    assert [says(early, early + s * SECOND) for s in (59, 60)] == [False, True]


def test_a_decision_outside_the_session_becomes_due_a_second_after_its_t() -> None:
    early = Micros(DAY + 8 * HOUR)
    said = Said(early, early)

    assert pacing.to_say(said._replace(micros=DAY), early, fired=True, standing=False)
    assert not pacing.to_say(said, Micros(early + SECOND - 1), fired=False, standing=False)
    assert pacing.to_say(said, Micros(early + SECOND), fired=False, standing=False)


@given(st.lists(st.integers(0, 40 * SECOND), min_size=1, max_size=60), st.data())
def test_the_watermark_never_goes_back_nor_past_market_time(
    steps: list[int], data: st.DataObject
) -> None:
    said, now = Said(), Micros(DAY + 8 * HOUR + 50 * MINUTE)
    for each in steps:
        now = Micros(now + each)
        fired = data.draw(st.booleans())
        if pacing.to_say(said, now, fired=fired, standing=data.draw(st.booleans())):
            assert said.micros < now
            said = said._replace(micros=now)
        assert now - said.micros <= MINUTE


def test_a_score_lets_time_go_a_little_past_its_t_until_it_is_made() -> None:
    now = Micros(NINE + SECOND)
    holds = {"a": pacing.Hold(NINE, 0.0, scoring=True)}

    assert pacing.reached(holds, {"a"}, now, 1.0) == (NINE, NINE + SLACK_DECIDING, [])
    assert pacing.reached({}, set(), now, 1.0, Micros(NINE + MINUTE)) == (now, NINE + MINUTE, [])


def test_a_score_holds_on_a_moment_after_its_end_and_no_other_run_does() -> None:
    now = Micros(NINE + SECOND)
    holds = {"a": Hold(NINE, 0.0, scoring=True), "b": Hold(NINE, 0.0)}

    assert pacing.reached(holds, set(), now, 9.0) == (NINE, NINE + SLACK_DECIDING, [])
    assert set(holds) == {"a"}
    assert pacing.reached(holds, set(), now, 9.0 + pacing.SETTLE_S) == (
        NINE, NINE + SLACK_DECIDING, [],
    )  # fmt: skip
    assert pacing.reached(holds, set(), now, 9.01 + pacing.SETTLE_S) == (now, None, [])


def test_time_stops_at_the_next_slot_and_a_little_past_the_next_score() -> None:
    table = timetable.default()
    early = Micros(DAY + 7 * HOUR)

    assert pacing.next_stop(table, Micros(NINE - HOUR - MINUTE)) == NINE - HOUR
    assert pacing.next_stop(table, Micros(NINE + 14 * MINUTE)) == NINE + 15 * MINUTE
    assert pacing.next_stop(table, Micros(NINE - 31 * MINUTE)) == NINE - 30 * MINUTE
    assert pacing.next_stop(table, early) is None
