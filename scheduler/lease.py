"""Who leads: the log lease and the epoch fence (Kafka Connect's KIP-618 with a lease on the log).

    standby --silence--> fence --> catch up --> lead
       ^                   ^----------|----------|     anything unclear
       |------------------------------|----------|     fenced

* A leader says that it leads in the transactions that carry its decisions, four times a lease.
* An instance that has heard nothing for a lease, by its own monotonic clock, fences: making the
  transactional producer aborts what the old leader has open and refuses whatever it sends later.
* Only then it reads the log to its end, and only then it decides.  Catching up before fencing
  lets the old leader commit in between: the slot fires twice (``tests/unit/scheduler``).
* After an answer that leaves open whether a transaction was committed the producer is thrown
  away and the log read again; nothing is sent twice under one epoch (KAFKA-17754).

Safety rests on the fence alone; clocks and the lease decide only how soon somebody leads.
"""

from hashlib import sha256
from typing import Final, Literal, NamedTuple

from schemas.control import LeadershipHeld
from schemas.errors import Fatal

Phase = Literal["standby", "fence", "catch_up", "lead"]
Outcome = Literal["ok", "silent", "fenced", "unclear"]

SHARD: Final = "0"
BEATS_PER_LEASE: Final = 4

_NEXT: Final[dict[tuple[Phase, Outcome], Phase]] = {
    ("standby", "ok"): "standby",
    ("standby", "silent"): "fence",
    ("standby", "unclear"): "standby",
    ("fence", "ok"): "catch_up",
    ("fence", "fenced"): "standby",
    ("fence", "unclear"): "fence",
    ("catch_up", "ok"): "lead",
    ("catch_up", "fenced"): "standby",
    ("catch_up", "unclear"): "fence",
    ("lead", "ok"): "lead",
    ("lead", "fenced"): "standby",
    ("lead", "unclear"): "fence",
}


class Lease(NamedTuple):
    """What an instance knows of the leader.

    Attributes:
        term: The newest term heard of; 0 before any.
        holder: Who leads, empty when nobody ever did or the last one has left.
        heard_s: Monotonic seconds when it was heard last, or when we began to listen.
    """

    term: int
    holder: str
    heard_s: float


def after(phase: Phase, outcome: Outcome) -> Phase:
    """Return what an instance does next.

    Raises:
        Fatal: The phase cannot end so.
    """
    following = _NEXT.get((phase, outcome))
    if following is None:
        raise Fatal(f"expected an outcome that {phase} can have, was {outcome}")
    return following


def begin(last: LeadershipHeld | None, node: str, now_s: float) -> Lease:
    """Return what an instance knows that has just come and read the newest record.

    One of our own name is our own last life: nobody else has to be waited for.
    """
    if last is None:
        return Lease(0, "", now_s)
    held = last.state != "left" and last.node != node
    return Lease(last.term, last.node if held else "", now_s)


def heard(lease: Lease, said: LeadershipHeld, now_s: float) -> Lease:
    """Take what a leader says; an older term says nothing."""
    if said.term < lease.term:
        return lease
    return Lease(said.term, "" if said.state == "left" else said.node, now_s)


def looked(lease: Lease, before_s: float, now_s: float, lease_s: float) -> Lease:
    """Take note of a look at the log; a long pause of our own is not the leader's silence."""
    return lease._replace(heard_s=now_s) if now_s - before_s > lease_s / 2.0 else lease


def silent(lease: Lease, node: str, now_s: float, lease_s: float) -> bool:
    """Tell whether it is on us to take over.

    The instances wait up to half a lease longer, each another time, so that two seldom try at once.
    """
    if not lease.holder:
        return True
    return now_s - lease.heard_s > lease_s * (1.0 + _share(node, lease.term) / 2.0)


def beat_due(said_s: float | None, now_s: float, lease_s: float) -> bool:
    """Tell whether a leader has to say that it leads."""
    return said_s is None or now_s - said_s >= lease_s / BEATS_PER_LEASE


def _share(node: str, term: int) -> float:
    """Return a number in [0, 1) that differs between instances and terms."""
    return int.from_bytes(sha256(f"{node}|{term}".encode()).digest()[:4]) / 2**32
