"""The small words that ``invariants`` is written in: each yields a violation or nothing."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

RATE_TOLERANCE: Final = Decimal("0.01")
UP: Final = frozenset({"1", "2"})
FLAT: Final = "3"
DOWN: Final = frozenset({"4", "5"})


class Violation(NamedTuple):
    """A rule that a record breaks.

    Attributes:
        rule: Its name.
        message: What was expected and what came.
    """

    rule: str
    message: str


def sign_of(name: str, sign: str, value: int) -> Iterator[Violation]:
    """Demand that a PRDY_VRSS_SIGN code agrees with the difference beside it."""
    agrees = (sign in UP and value > 0) or (sign in DOWN and value < 0)
    yield from rule(name, agrees or (sign == FLAT and value == 0), f"the sign of {value}", sign)


def near(name: str, value: Decimal | None, expected: Decimal) -> Iterator[Violation]:
    """Demand that a rate is within the wire's last place."""
    holds = value is not None and abs(value - expected) <= RATE_TOLERANCE
    yield from rule(name, holds, f"{expected:.4f} within 0.01", value)


def equal(name: str, value: int, expected: int) -> Iterator[Violation]:
    """Demand that two whole numbers are the same."""
    yield from rule(name, value == expected, str(expected), value)


def rule(name: str, holds: bool, expected: str, was: object) -> Iterator[Violation]:
    """Demand that a condition holds."""
    if not holds:
        yield Violation(name, f"expected {expected}, was {was}")


def number(value: int | None) -> int:
    """Return a number, 0 when the field is empty."""
    return value or 0


def numbers(values: Sequence[int | None]) -> list[int]:
    """Return levels as numbers, 0 where empty."""
    return [value or 0 for value in values]


def ordered(prices: Sequence[int], *, rising: bool) -> bool:
    """Tell whether levels go strictly one way and are 0 only at the end."""
    sign = -1 if rising else 1
    return all(
        worse == 0 if better == 0 else worse == 0 or sign * better > sign * worse
        for better, worse in pairwise(prices)
    )
