"""Two times, never mixed.

Market time governs sessions, order timers, rate limits and misfires; wall time governs leases,
Kafka, HTTP and back-off.  Live they are the same clock.  In an accelerated day the simulated
exchange owns market time and serves it as JSON lines on a loopback port (DESIGN 5):
``{"now": micros, "until": micros}`` out, ``{"role": name, "reached": micros}`` back.
"""

import time
from typing import Protocol

from schemas.units import Micros


def wall_now() -> Micros:
    """Return the wall clock."""
    return Micros(time.time_ns() // 1_000)


class Clock(Protocol):
    """Market time."""

    def now(self) -> Micros:
        """Return market time; it never goes back."""
        ...

    def report(self, role: str, reached: Micros) -> None:
        """Say how far a pacing role has come; does nothing on the wall clock."""
        ...

    def wait(self, until: Micros, timeout_s: float) -> Micros:
        """Block until market time reaches ``until`` or ``timeout_s`` of wall time is over."""
        ...

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        ...


class WallClock:
    """Market time of a live day: the wall clock."""

    def now(self) -> Micros:
        """Return the wall clock."""
        return wall_now()

    def report(self, role: str, reached: Micros) -> None:
        """Do nothing: nobody waits for us."""

    def wait(self, until: Micros, timeout_s: float) -> Micros:
        """Sleep until ``until``, at most ``timeout_s``."""
        left_s = (until - self.now()) / 1e6
        if left_s > 0:
            time.sleep(min(left_s, timeout_s))
        return self.now()

    def close(self) -> None:
        """Do nothing."""
