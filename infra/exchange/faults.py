"""A small list of faults that the brokerage may inject into orders: seeded, counted, printed.

    reject   the brokerage takes the order and refuses it: rt_cd 7, a notice with RFUS_YN 1
    late     the order is booked; the answer stays away until the client gives up
    lost     the order is booked; the connection closes without an answer

The n-th order call of a day meets the same fault in every run with the same seed and rates.
"""

from dataclasses import dataclass, field
from typing import Final

from infra.exchange.noise import uniform
from schemas.errors import Misconfigured

KINDS: Final = ("reject", "late", "lost")
REFUSAL: Final = ("APBK0400", "주문 가능한 수량을 초과하였습니다(모의 장애)")
_SALT: Final = 41


@dataclass(slots=True)
class Faults:
    """What goes wrong, and what has.

    Attributes:
        seed: Of the draw.
        rates: Share of order calls per kind, 0 to 1, their sum at most 1.
        counts: Injected so far.
    """

    seed: int
    rates: dict[str, float]
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    calls: int = 0

    def next(self) -> str | None:
        """Return the fault of the next order call, or None; counts it."""
        self.calls += 1
        draw = float(uniform(self.seed, _SALT, self.calls)[0])
        for kind in KINDS:
            draw -= self.rates.get(kind, 0.0)
            if draw < 0:
                self.counts[kind] += 1
                return kind
        return None


def parse(text: str, seed: int) -> Faults:
    """Read ``reject=0.01,late=0.01,lost=0.01``; empty text is no faults.

    Raises:
        Misconfigured: A kind is unknown or the rates are no shares.
    """
    rates: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        kind, _, rate = part.partition("=")
        if kind not in KINDS:
            raise Misconfigured(f"expected faults of {', '.join(KINDS)}, was {kind!r}")
        try:
            rates[kind] = float(rate)
        except ValueError as error:
            raise Misconfigured(f"expected {kind}=<share 0..1>, was {part!r}") from error
    if sum(rates.values()) > 1 or any(rate < 0 for rate in rates.values()):
        raise Misconfigured(f"expected fault rates of 0 to 1 in sum, was {text!r}")
    return Faults(seed, rates)
