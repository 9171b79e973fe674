"""Short codes and ISINs: six characters of text, never a number.

A code is four digits, a digit or (issues since 2024-01-01) a letter without I, O, U, and a last
digit or K, L, M for a class of preferred shares.  The grammar holds for all 4,821 tickers seen,
377 of which are not numeric.

An ISIN of a Korean stock is ``KR7``, six characters, two digits and a check digit.  Its
characters 4 to 9 equal the short code of most issues (96 %), not of preferred shares of old
companies: look the code up in ``market.instruments``, do not derive it.
"""

import re
from typing import Final

from schemas.errors import Poison
from schemas.units import Symbol

_CODE: Final = re.compile(r"[0-9]{4}[0-9A-HJ-NP-TV-Z][0-9KLM]", re.ASCII)
_ISIN: Final = re.compile(r"[A-Z]{2}[0-9A-Z]{9}[0-9]", re.ASCII)
_ISIN_DIGITS_BEFORE_CHECK: Final = 11
_TEN: Final = 10


def is_code(text: str) -> bool:
    """Say whether ``text`` can be a short code."""
    return _CODE.fullmatch(text) is not None


def symbol(text: str) -> Symbol:
    """Return ``text`` as a symbol.

    Raises:
        Poison: It cannot be a code; a lost leading zero is the usual cause.
    """
    if not is_code(text):
        raise Poison(f"expected a short code like 005930 or 0001A0, was {text!r}; read it as text")
    return Symbol(text)


def is_isin(text: str) -> bool:
    """Say whether ``text`` is an ISIN whose check digit is right (ISO 6166)."""
    if _ISIN.fullmatch(text) is None:
        return False
    return text[-1] == isin_check_digit(text[:_ISIN_DIGITS_BEFORE_CHECK])


def isin_check_digit(head: str) -> str:
    """Return the check digit of an ISIN's first eleven characters (Luhn, letters as 10..35)."""
    digits = "".join(str(int(character, 36)) for character in head)
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character) * (2 if place % 2 == 0 else 1)
        total += value // _TEN + value % _TEN
    return str(-total % _TEN)


def usual_isin(code: Symbol) -> str:
    """Return the ISIN a common share of this code has: a guess to check, right for most issues."""
    head = f"KR7{code}00"
    return head + isin_check_digit(head)
