"""Wrong keys are counted by address; beyond a limit an address is told to come back later.

A right key always opens the door: behind a proxy everybody has one address, and nobody may lock
the operators out by knocking.  Guessing 256 bits is hopeless anyway; what the limit protects is
the audit log, which takes one entry for every wrong key up to the limit and one at the limit.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from schemas.units import MINUTE, SECOND, Micros

WRONG_MAX: Final = 20
"""Wrong keys of one address in one window that are looked at one by one."""

WINDOW: Final = Micros(MINUTE)
ADDRESSES_MAX: Final = 10_000
"""The one that has been quiet longest is forgotten first."""


class Knock(NamedTuple):
    """What a wrong key leads to.

    Attributes:
        slowed: The limit is passed: 429, not 401.
        told: It goes on record.
        wait_s: Seconds until the window is over, at least 1.
    """

    slowed: bool
    told: bool
    wait_s: int


class Knocks:
    """The wrong keys of the last minute, by address."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, tuple[Micros, int]] = OrderedDict()

    def wrong(self, address: str, now: Micros) -> Knock:
        """Count a wrong key.

        Args:
            address: Where it came from.
            now: Wall time, micros UTC.
        """
        start, count = self._windows.pop(address, (now, 0))
        if not start <= now < start + WINDOW:
            start, count = now, 0
        self._windows[address] = start, count + 1
        if len(self._windows) > ADDRESSES_MAX:
            self._windows.popitem(last=False)
        wait_s = max(1, -((now - start - WINDOW) // SECOND))
        return Knock(count >= WRONG_MAX, count <= WRONG_MAX, wait_s)
