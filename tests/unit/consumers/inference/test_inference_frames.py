"""Frames between a supervisor and its child survive any cut, and garbage is named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.inference.frames import RUN, SCORES, Assembler, Frame, pack
from schemas.errors import Fatal

FRAMES = st.builds(
    Frame,
    st.integers(RUN, SCORES),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=3),
    st.binary(max_size=40),
)


@settings(deadline=None)  # a shared machine: time is not what is tested
@given(frames=st.lists(FRAMES, max_size=5), cuts=st.lists(st.integers(1, 30), max_size=30))
def test_any_cut_of_the_bytes_gives_the_same_frames(frames: list[Frame], cuts: list[int]) -> None:
    data, assembler, found = b"".join(map(pack, frames)), Assembler(), []
    for cut in [*cuts, len(data)]:
        found += assembler.feed(data[:cut])
        data = data[cut:]

    assert found + assembler.feed(data) == frames


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x05\x09\x00\x00\x00\x00"])
def test_bytes_that_are_no_frame_are_refused(data: bytes) -> None:
    with pytest.raises(Fatal, match="expected a"):
        Assembler().feed(data)
