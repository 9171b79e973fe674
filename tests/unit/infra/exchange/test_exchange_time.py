"""Market time: it keeps its slack, stands still when it must, and names who is gone."""

from datetime import date

import pytest

from infra.exchange.market_time import MarketTime
from schemas.errors import Fatal
from schemas.krx.sessions import session
from schemas.units import HOUR, SECOND

TODAY = session(date(2026, 2, 10))
assert TODAY is not None
OPEN = TODAY.open


def _time(at: int = OPEN, speed: float = 0.0) -> MarketTime:
    assert TODAY is not None
    pacing: dict[str, int | None] = {"kis": at, "features": at}
    return MarketTime(session=TODAY, now=at, end=OPEN + 9 * HOUR, pacing=pacing, speed=speed)


def _goes(time: MarketTime, *, calls: bool = False, orders: bool = False, wall: float = 0) -> int:
    return time.ceiling(calls_open=calls, stirring=orders, wall_s=wall) - time.now


@pytest.mark.parametrize(
    ("at", "orders", "step"),
    [
        (OPEN, False, 61 * SECOND),
        (OPEN, True, SECOND),
        (OPEN - HOUR, False, 120 * SECOND),
        (OPEN + 8 * HOUR, False, 120 * SECOND),
    ],
)
def test_a_step_is_at_most_half_the_slack(at: int, orders: bool, step: int) -> None:
    assert _goes(_time(at), orders=orders) == step


def test_a_step_is_made_while_the_one_before_is_worked_on() -> None:
    time = _time()
    time.now = OPEN + 61 * SECOND

    assert _goes(time) == 61 * SECOND
    time.now = OPEN + 122 * SECOND
    assert _goes(time) == 0


def test_time_waits_for_the_slowest_role() -> None:
    time = _time()
    time.report("features", OPEN - 100 * SECOND)

    assert _goes(time) == 22 * SECOND


def test_a_step_nobody_asked_for_is_made_later_and_longer() -> None:
    time = _time()
    time.report("features", OPEN - 110 * SECOND)

    assert _goes(time) == 0
    assert _goes(time, orders=True) == SECOND
    time.report("kis", OPEN, OPEN + 2 * SECOND)
    assert _goes(time) == 2 * SECOND


def test_the_last_step_of_a_day_may_be_short() -> None:
    time = _time()
    time.end = time.now + 2 * SECOND

    assert _goes(time) == 2 * SECOND


def test_time_stands_while_a_call_is_unanswered() -> None:
    assert _goes(_time(), calls=True) == 0


def test_time_stands_until_every_role_has_reported() -> None:
    time = _time()
    time.pacing["scheduler"] = None

    assert time.missing() == ["scheduler"]
    assert _goes(time) == 0
    time.report("scheduler", OPEN)
    assert _goes(time) == 61 * SECOND


def test_a_lost_role_freezes_time_and_after_a_minute_fails_by_name() -> None:
    time = _time()
    time.lose({"features"}, wall_s=100.0)

    assert _goes(time) == 0
    time.check(160.0)
    with pytest.raises(Fatal, match="features"):
        time.check(160.1)


def test_a_role_that_comes_back_lets_time_go_on_from_where_it_stands() -> None:
    time = _time()
    time.lose({"features"}, wall_s=0.0)
    time.report("features", OPEN - 100 * SECOND)

    time.check(1_000.0)
    assert _goes(time) == 22 * SECOND


def test_a_cut_session_stops_time_until_somebody_listens_and_after_a_minute_fails() -> None:
    time = _time()
    time.cut(wall_s=100.0)

    assert _goes(time) == 0
    with pytest.raises(Fatal, match="websocket"):
        time.check(160.1)
    time.mended()
    time.check(1_000.0)
    assert _goes(time) == 61 * SECOND


def test_a_day_that_nobody_paces_goes_on_without_a_session() -> None:
    time = _time()
    time.pacing.clear()
    time.cut(wall_s=0.0)

    assert time.missing() == []


def test_a_role_that_does_not_pace_holds_nobody_up() -> None:
    time = _time()
    time.report("console", OPEN - HOUR)

    assert _goes(time) == 61 * SECOND


def test_the_asked_speed_is_a_ceiling() -> None:
    time = _time(speed=4.0)

    assert _goes(time, wall=50.0) == 0
    assert _goes(time, wall=51.0) == 4 * SECOND
    assert _goes(time, wall=90.0) == 61 * SECOND
    assert time.capped_for_s(50.0) == pytest.approx(0.25)


def test_time_moves_by_whole_seconds_and_ends_at_its_end() -> None:
    time = _time()
    time.report("kis", OPEN + 300_000)
    assert _goes(time) == 61 * SECOND
    time.now = time.end - 5 * SECOND
    for role in time.pacing:
        time.report(role, time.now)

    assert _goes(time) == 5 * SECOND


def test_a_role_that_names_an_instant_lets_time_go_there_and_no_further() -> None:
    time = _time()
    time.report("features", OPEN, OPEN + 3 * SECOND)

    assert _goes(time) == 3 * SECOND
    time.report("features", OPEN, OPEN)
    assert _goes(time) == 0
    time.report("features", OPEN)
    assert _goes(time) == 61 * SECOND


def test_time_stops_at_the_whole_second_that_holds_a_named_instant() -> None:
    time = _time()
    time.report("features", OPEN, OPEN + 300_000)

    assert _goes(time) == SECOND


def test_a_named_instant_beyond_the_slack_lets_time_go_no_further_than_the_slack() -> None:
    time = _time()
    time.report("features", OPEN - 100 * SECOND, OPEN + HOUR)

    assert _goes(time) == 22 * SECOND


def test_an_open_order_shortens_the_slack_of_the_order_path_only() -> None:
    time = _time()

    assert _goes(time, orders=True) == SECOND
    del time.pacing["kis"]
    assert _goes(time, orders=True) == 61 * SECOND
