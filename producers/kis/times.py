"""How far a source's time has come, read from the source itself.

A websocket frame says its second (prints and books), a keep-alive its date and second; an
operation says nothing and is of the time that has been reached.  Time never goes back, and a
second farther ahead of the clock than ``AHEAD_MAX`` is a misprint, not the time: believing it
would stop everybody who waits for the seconds before.
"""

import json
from datetime import UTC, datetime
from typing import Final

from schemas.kis.tables import BOOKS, TRADES
from schemas.units import DAY, KST_OFFSET, MINUTE, SECOND, Micros

AHEAD_MAX: Final = Micros(2 * MINUTE)
"""Live clocks differ by less."""

AHEAD_SIMULATED: Final = Micros(10 * MINUTE)
"""An accelerated exchange sends its steps' frames before its clock says so."""

TIMED: Final = frozenset({TRADES, BOOKS})
_TIME_CHARS: Final = 6


class SourceTime:
    """The time of one source.

    Args:
        reached: Where it was left before.
        ahead: How far ahead of the clock it is believed.
    """

    def __init__(self, reached: Micros, ahead: Micros = AHEAD_MAX) -> None:
        self.reached = reached
        self._ahead = ahead

    def advance(self, instant: Micros | None, now: Micros) -> bool:
        """Take an instant the source has shown; return whether time came further.

        Args:
            instant: What it said; None when it said no time.
            now: Market time.
        """
        if instant is None or not self.reached < instant <= now + self._ahead:
            return False
        self.reached = instant
        return True


def frame_tr(text: str) -> str:
    """Return the stream of a data message, "" when it names none."""
    parts = text.split("|", 2)
    return parts[1] if len(parts) > 2 else ""  # noqa: PLR2004 -- enc, tr_id, rest


def frame_time(text: str, now: Micros) -> Micros | None:
    """Return the second of a data message's first record on today's date.

    Args:
        text: The message as received.
        now: Market time; gives the date in Korea.

    Returns:
        The instant; None when its stream has no time, or it cannot be read.
    """
    head = text[:64].split("|", 3)
    if len(head) < 4 or head[1] not in TIMED:  # noqa: PLR2004 -- enc, tr_id, count, body
        return None
    fields = head[3].split("^", 2)
    return clock_time(fields[1], now) if len(fields) > 2 else None  # noqa: PLR2004 -- whole


def clock_time(text: str, now: Micros) -> Micros | None:
    """Return HHMMSS of today in Korea as an instant, None when it is no time."""
    if len(text) != _TIME_CHARS or not (text.isascii() and text.isdigit()):
        return None
    hours, minutes, seconds = int(text[:2]), int(text[2:4]), int(text[4:])
    if hours > 23 or minutes > 59 or seconds > 59:  # noqa: PLR2004 -- a clock
        return None
    midnight = now - (now + KST_OFFSET) % DAY
    return Micros(midnight + (hours * 3_600 + minutes * 60 + seconds) * SECOND)


def keep_alive_time(text: str) -> Micros | None:
    """Return the instant a PINGPONG names, None for any other message."""
    try:
        header = json.loads(text)["header"]
        if header["tr_id"] != "PINGPONG":
            return None
        wall = datetime.strptime(header["datetime"], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except (ValueError, KeyError, TypeError):
        return None
    return Micros(int(wall.timestamp()) * SECOND - KST_OFFSET)
