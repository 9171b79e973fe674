"""A circuit breaker per model, driven by the time of the snapshots.

    closed ──failures in a row──▶ open ──rest is over──▶ half_open ──success──▶ closed
                                   ▲                        │
                                   └────────failure─────────┘

An open breaker answers at once with a reason instead of waiting for a deadline again.
"""

from typing import Final, Literal, NamedTuple

from schemas.units import MINUTE, Micros

Position = Literal["closed", "open", "half_open"]

POSITION_NUMBERS: Final[dict[Position, int]] = {"closed": 0, "half_open": 1, "open": 2}
"""As the metric says it."""


class Limits(NamedTuple):
    """When it opens and how long it rests.

    Attributes:
        failures_max: Failures in a row that open it, >= 1.
        rest: Market time it stays open before one trial.
    """

    failures_max: int = 3
    rest: Micros = Micros(10 * MINUTE)


class Breaker(NamedTuple):
    """Where it stands.

    Attributes:
        position: closed, open or half_open.
        failures: In a row.
        opened: Market time of the last opening.
        reason: Why it opened, empty while closed.
    """

    position: Position = "closed"
    failures: int = 0
    opened: Micros = Micros(0)
    reason: str = ""


def ask(breaker: Breaker, at: Micros, limits: Limits) -> tuple[Breaker, bool]:
    """Return the breaker at ``at`` and whether a run may be tried."""
    if breaker.position == "open" and at - breaker.opened >= limits.rest:
        return breaker._replace(position="half_open"), True
    return breaker, breaker.position != "open"


def succeed(breaker: Breaker) -> Breaker:
    """Return the breaker after a run that gave scores: closed, whatever it was."""
    del breaker
    return Breaker()


def fail(breaker: Breaker, at: Micros, reason: str, limits: Limits) -> Breaker:
    """Return the breaker after a run that gave none."""
    failures = breaker.failures + 1
    if breaker.position == "half_open" or failures >= limits.failures_max:
        return Breaker("open", failures, at, reason)
    return breaker._replace(failures=failures)
