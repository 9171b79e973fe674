"""What one worker knows of the attempts there are, and which of them it should claim next.

Time comes in by argument: ``now_s`` is a monotonic wall clock in seconds, ``market`` the
exchange's clock in microseconds.
"""

from collections.abc import Container
from typing import Final, NamedTuple

from infra.jobs.claims import FREE, Claim, Key, Said, follow, preference, yield_s
from schemas.control import JobTriggered, ScheduleDecided
from schemas.units import Micros

CLOSING: Final = frozenset({"expired", "cancelled"})

LOOKED_AT: Final = 4
"""Of the oldest free attempts a worker chooses among so many for each of its slots."""


class Offer(NamedTuple):
    """An attempt that is to be run by some worker.

    Attributes:
        free_s: Since when it can be claimed.
    """

    trigger: JobTriggered
    free_s: float


class Wanted(NamedTuple):
    """An attempt to claim.

    Attributes:
        after: Offset of the silent holder's newest record; None when it is free.
        holder: Who was silent; None when it is free.
    """

    trigger: JobTriggered
    after: int | None = None
    holder: str | None = None


class Board:
    """Offers, claims and decisions, as the log told them so far.

    Args:
        worker: Whose board it is.
        slots: How many attempts it runs at once.
        silent_s: Seconds of silence after which an attempt is taken over.

    Attributes:
        yields: A free attempt was left to others for a moment when ``wanted`` was last asked.
    """

    def __init__(self, worker: str, slots: int, silent_s: float) -> None:
        self._worker, self._slots, self._silent_s = worker, slots, silent_s
        self._offers: dict[Key, Offer] = {}
        self._claims: dict[Key, Claim] = {}
        self._heard_s: dict[Key, float] = {}
        self._expired: dict[str, int] = {}
        self._cancelled: dict[str, str] = {}
        self._others_s = float("-inf")
        self.yields = False

    def offer(self, trigger: JobTriggered, now_s: float) -> None:
        """Note an attempt that a worker is to run; again changes nothing."""
        key = key_of(trigger)
        if self._claims.get(key, FREE).end is None:
            self._offers.setdefault(key, Offer(trigger, now_s))

    def decide(self, decision: ScheduleDecided) -> None:
        """Note that the scheduler has given up a fire, or attempts of it."""
        if decision.decision == "cancelled":
            self._cancelled[decision.fire_id] = f"cancelled: {decision.reason}"
        elif decision.decision == "expired":
            before = self._expired.get(decision.fire_id, 0)
            self._expired[decision.fire_id] = max(before, decision.attempt)

    def withdraw(self, key: Key) -> None:
        """Claim an attempt no more: this worker has just written its end."""
        self._offers.pop(key, None)

    def closed(self, key: Key) -> str | None:
        """Return why nobody wants an attempt any more, None when it is wanted."""
        if key[0] in self._cancelled:
            return self._cancelled[key[0]]
        return "timed out: expired" if key[1] <= self._expired.get(key[0], 0) else None

    def hear(self, key: Key, record: Said, now_s: float) -> Claim:
        """Fold a record of ``control.runs``; return what is known of its attempt now."""
        claim = follow(self._claims.get(key, FREE), record)
        self._claims[key] = claim
        if claim.end is not None:
            self._offers.pop(key, None)
            self._heard_s.pop(key, None)
            return claim
        if claim.at == record.offset:
            self._heard_s[key] = now_s
        if claim.worker is None and key in self._offers:
            self._offers[key] = self._offers[key]._replace(free_s=now_s)
        if record.worker != self._worker and key in self._offers:
            self._others_s = now_s
        return claim

    def wanted(
        self, now_s: float, market: Micros, taken: Container[Key], busy: int
    ) -> Wanted | None:
        """Return the attempt to claim now, the most urgent first; None when there is none.

        Args:
            now_s: The monotonic clock.
            market: Market time; an attempt whose ``ends_by`` it has reached is not begun.
            taken: Attempts that this worker has claimed already.
            busy: How many of its slots are taken.
        """
        self._drop(market)
        self.yields = False
        if busy >= self._slots:
            return None
        free: list[JobTriggered] = []
        for offer in sorted(self._offers.values(), key=lambda each: each.trigger.priority):
            key = key_of(offer.trigger)
            claim = self._claims.get(key, FREE)
            if key in taken:
                continue
            if claim.worker not in {None, self._worker}:
                if now_s - self._heard_s[key] >= self._silent_s:
                    return Wanted(offer.trigger, claim.at, claim.worker)
            elif self._is_my_turn(key, offer, now_s, busy):
                free.append(offer.trigger)
            else:
                self.yields = True
            if len(free) >= LOOKED_AT * self._slots:
                break
        return min((Wanted(each) for each in free), key=self._rank, default=None)

    def _rank(self, wanted: Wanted) -> tuple[int, float]:
        return wanted.trigger.priority, preference(self._worker, key_of(wanted.trigger))

    def _drop(self, market: Micros) -> None:
        """Forget what is not to be begun any more."""
        for key, (trigger, _) in list(self._offers.items()):
            late = trigger.ends_by is not None and market >= trigger.ends_by
            if late or self.closed(key) is not None:
                del self._offers[key]

    def _is_my_turn(self, key: Key, offer: Offer, now_s: float, busy: int) -> bool:
        """Whether a less busy worker, if there is one, has had its chance."""
        if now_s - self._others_s >= self._silent_s:
            return True
        return now_s - offer.free_s >= yield_s(self._worker, key, busy, self._slots)


def key_of(trigger: JobTriggered) -> Key:
    """Return what names an attempt."""
    return trigger.fire_id, trigger.attempt
