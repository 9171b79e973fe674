"""The breaker opens after failures in a row, rests in market time, and tries once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.inference.breaker import Breaker, Limits, ask, fail, succeed
from schemas.units import MINUTE, Micros

LIMITS = Limits(failures_max=3, rest=Micros(10 * MINUTE))


def minutes(count: float) -> Micros:
    return Micros(round(count * MINUTE))


def opened(at: Micros) -> Breaker:
    breaker = Breaker()
    for _ in range(LIMITS.failures_max):
        breaker = fail(breaker, at, "run: slow", LIMITS)
    return breaker


def test_it_opens_at_the_third_failure_in_a_row_and_not_before() -> None:
    twice = fail(fail(Breaker(), minutes(0), "a", LIMITS), minutes(1), "b", LIMITS)

    assert twice.position == "closed"
    assert fail(twice, minutes(2), "c", LIMITS) == Breaker("open", 3, minutes(2), "c")


def test_a_success_in_between_starts_the_count_again() -> None:
    twice = fail(fail(Breaker(), minutes(0), "a", LIMITS), minutes(1), "b", LIMITS)

    assert fail(succeed(twice), minutes(2), "c", LIMITS).position == "closed"


def test_it_rests_for_market_time_and_then_allows_a_trial() -> None:
    breaker = opened(minutes(0))

    assert ask(breaker, minutes(9.99), LIMITS) == (breaker, False)
    assert ask(breaker, minutes(10), LIMITS) == (breaker._replace(position="half_open"), True)


def test_a_failed_trial_opens_it_at_once_for_another_rest() -> None:
    trial, _ = ask(opened(minutes(0)), minutes(10), LIMITS)

    again = fail(trial, minutes(10), "still", LIMITS)

    assert (again.position, again.opened) == ("open", minutes(10))
    assert not ask(again, minutes(19), LIMITS)[1]


def test_a_trial_that_succeeds_closes_it() -> None:
    trial, _ = ask(opened(minutes(0)), minutes(10), LIMITS)

    assert succeed(trial) == Breaker()


@settings(deadline=None)  # a shared machine: time is not what is tested
@given(st.lists(st.booleans(), max_size=40))
def test_it_is_never_open_without_three_failures_on_record(outcomes: list[bool]) -> None:
    breaker, failures = Breaker(), 0
    for minute, good in enumerate(outcomes):
        breaker, allowed = ask(breaker, minutes(minute), LIMITS)
        if not allowed:
            continue
        breaker = succeed(breaker) if good else fail(breaker, minutes(minute), "x", LIMITS)
        failures = 0 if good else failures + 1
        assert (breaker.position == "open") == (failures >= LIMITS.failures_max)
