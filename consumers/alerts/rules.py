"""What goes where, and how it stands: a fold of what the sender wrote on ``ops.audit``.

A *delivery* is one alert on one channel.  Its acts, in order:

    delivering → delivered
               → refused    not taken: ask again
               → failed     nobody knows whether it was taken: ask again, marked
               → undelivered   the last try, or it will never be taken

``delivering`` stands on record before the channel is asked, so a life that dies between the two
leaves it open; the next life asks again and marks the alert "(may repeat)".
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple

from schemas.ops import ActAudited, AlertRaised

SERVICE: Final = "alerts"
DELIVERING: Final = "delivering"
DELIVERED: Final = "delivered"
REFUSED: Final = "refused"
FAILED: Final = "failed"
UNDELIVERED: Final = "undelivered"
ENDS: Final = frozenset({DELIVERED, UNDELIVERED})

URGENT: Final = "urgent"
RANKS: Final[Mapping[str, int]] = {"info": 0, "warning": 1, URGENT: 2}
MARK: Final = "(may repeat)"
WAIT_S_MAX: Final = 60.0
TITLE_CHARS_MAX: Final = 200

Place = tuple[str, int]


class Delivery(NamedTuple):
    """One alert on one channel."""

    channel: str
    key: str

    @property
    def subject(self) -> str:
        """How ``ops.audit`` names it; a channel's name has no colon."""
        return f"{self.channel}:{self.key}"

    @property
    def id(self) -> str:
        """The same for every try: receivers that drop repeats go by it."""
        return hashlib.sha256(self.subject.encode()).hexdigest()[:32]


class Story(NamedTuple):
    """How a delivery stands.

    Attributes:
        tries: Begun so far.
        open: A try began and its end is not on record.
        doubtful: An earlier try may have been taken.
        ended: Nothing more is sent.
    """

    tries: int = 0
    open: bool = False
    doubtful: bool = False
    ended: bool = False

    @property
    def may_repeat(self) -> bool:
        """Whether the next try may be a second message."""
        return self.open or self.doubtful

    def after(self, act: str) -> "Story":
        """Return how it stands after one more act."""
        if act == DELIVERING:
            return Story(self.tries + 1, open=True, doubtful=self.may_repeat)
        return Story(
            self.tries, doubtful=self.doubtful or act == FAILED, ended=self.ended or act in ENDS
        )


def stories(acts: Iterable[ActAudited]) -> dict[Delivery, Story]:
    """Fold every delivery's story out of ``ops.audit``; acts of other services are not ours."""
    found: dict[Delivery, Story] = {}
    for each in acts:
        if each.service == SERVICE:
            channel, _, key = each.subject.partition(":")
            delivery = Delivery(channel, key)
            found[delivery] = found.get(delivery, Story()).after(each.act)
    return found


def passes(severity: str, least: str) -> bool:
    """Whether a channel that begins at ``least`` is told; an unknown severity is urgent."""
    return RANKS.get(severity, RANKS[URGENT]) >= RANKS[least]


def marked(alert: AlertRaised) -> AlertRaised:
    """Return the alert saying that it may have been sent before."""
    return replace(alert, summary=f"{alert.summary} {MARK}")


def wait_s(tries: int, first_s: float) -> float:
    """Return the wall seconds before the next try: doubled each time, at most a minute."""
    return min(first_s * 2.0 ** (tries - 1), WAIT_S_MAX)


def title(alert: AlertRaised) -> str:
    """Return one line of at most 200 characters."""
    line = " ".join(f"[{alert.severity}] {alert.service}: {alert.summary}".split())
    return line if len(line) <= TITLE_CHARS_MAX else f"{line[: TITLE_CHARS_MAX - 1]}…"


def body(alert: AlertRaised) -> str:
    """Return what happened, what to do and the key."""
    return f"{alert.summary}\n{alert.detail}\n\nseverity {alert.severity}, key {alert.alert_key}"


class Progress:
    """How far a topic is done: the first record that somebody still works on."""

    def __init__(self) -> None:
        self._next: dict[Place, int] = {}
        self._open: dict[Place, dict[int, int]] = {}

    def taken(self, place: Place, offset: int, parts: int) -> None:
        """Note a record that was read, and how many deliveries it made."""
        self._next[place] = offset + 1
        if parts:
            self._open.setdefault(place, {})[offset] = parts

    def ended(self, place: Place, offset: int) -> None:
        """Note that one delivery of a record has ended."""
        left = self._open[place]
        left[offset] -= 1
        if not left[offset]:
            del left[offset]

    def positions(self) -> dict[Place, int]:
        """Return where a next life begins to read."""
        return {
            place: min(self._open.get(place) or (following,))
            for place, following in self._next.items()
        }
