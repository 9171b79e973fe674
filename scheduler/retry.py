"""When a failed attempt is tried again: the brief's back-off, the same for everybody who asks.

    delay(n) = min(cap, base * 2 ** (n - 1) * (1 + jitter)),  0 <= jitter < 0.1

after the n-th attempt, with base 60 s and cap 300 s (scheduler document 3.3).  Three retries wait
60, 120 and 240 s: the cap is reached by a job with more of them (X14).  The jitter is drawn from
the fire's id and the attempt, so that a thousand jobs that fail together do not come back
together, and a replay waits exactly as long.
"""

from hashlib import sha256
from typing import Final

from schemas.units import SECOND, Micros

BASE: Final = Micros(60 * SECOND)
CAP: Final = Micros(300 * SECOND)
JITTER_PER_MILLE: Final = 100
_DOUBLINGS_MAX: Final = 16
"""More would only be cut by the cap."""


def delay(fire_id: str, attempt: int) -> Micros:
    """Return how long after the end of a failed attempt the next may start.

    Args:
        fire_id: Which fire.
        attempt: Which attempt failed, from 1.
    """
    drawn = int.from_bytes(sha256(f"{fire_id}|{attempt}".encode()).digest()[:8])
    plain = BASE << min(attempt - 1, _DOUBLINGS_MAX)
    per_mille = drawn % JITTER_PER_MILLE
    return Micros(min(CAP, plain + plain * per_mille // 1_000))
