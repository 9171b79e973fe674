"""Codes: text with leading zeros and letters; ISINs with their check digit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Poison
from schemas.krx import codes
from schemas.units import Symbol


@pytest.mark.parametrize("text", ["005930", "000020", "0001A0", "00104K", "33637L", "0000Z0"])
def test_real_shapes_are_codes(text: str) -> None:
    assert codes.symbol(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "5930",
        "0059300",
        "A05930",
        "0001I0",
        "0001O0",
        "0001U0",
        "00593N",
        "00593k",
        "\uff10\uff10\uff15\uff19\uff13\uff10",  # full-width digits
        "",
    ],
)
def test_other_shapes_are_refused_with_the_text(text: str) -> None:
    assert not codes.is_code(text)
    with pytest.raises(Poison, match="read it as text"):
        codes.symbol(text)


def test_a_trailing_newline_is_not_a_code() -> None:
    assert not codes.is_code("005930\n")


@pytest.mark.parametrize("isin", ["KR7005930003", "KR7000660001", "KR7000020008", "US0378331005"])
def test_real_isins_check(isin: str) -> None:
    assert codes.is_isin(isin)


@given(st.from_regex(r"\A[0-9]{4}[0-9A-H]0\Z"))
def test_usual_isin_checks_and_holds_the_code(code: str) -> None:
    isin = codes.usual_isin(Symbol(code))

    assert codes.is_isin(isin)
    assert isin[3:9] == code


@given(st.integers(3, 10), st.integers(1, 9))
def test_one_wrong_digit_is_seen(place: int, shift: int) -> None:
    isin = "KR7005930003"
    wrong = str((int(isin[place]) + shift) % 10)

    assert not codes.is_isin(isin[:place] + wrong + isin[place + 1 :])
