"""Tumbling event-time windows: half-open, aligned to the epoch, integer micros.

A minute of the exchange is a minute of the epoch: Asia/Seoul is a whole number of hours away.
"""

from schemas.units import Micros


def tumbling(instant: Micros, size: Micros) -> tuple[Micros, Micros]:
    """Return the window that holds an instant.

    Args:
        instant: Any instant, also before the epoch.
        size: Length of a window, > 0.

    Returns:
        ``start`` and ``end`` with ``start <= instant < end`` and ``start % size == 0``.
    """
    start = instant - instant % size
    return Micros(start), Micros(start + size)
