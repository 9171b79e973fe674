"""Windows are half-open and aligned."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.units import Micros
from streams.windows import tumbling


@given(instant=st.integers(-(10**15), 10**16), size=st.integers(1, 10**9))
def test_window_holds_its_instant_and_starts_on_a_multiple(instant: int, size: int) -> None:
    start, end = tumbling(Micros(instant), Micros(size))

    assert start <= instant < end
    assert (start % size, end - start) == (0, size)


def test_end_belongs_to_the_next_window() -> None:
    assert tumbling(Micros(10), Micros(10)) == (10, 20)
