"""Who runs an attempt: a fold of ``control.runs``, so that every worker finds the same one.

    free ── running ──> held ── running of its worker ──> held, renewed
      ^                  │ │
      │<── let go ───────┘ └── running of another that names the newest record ──> held by it
    any ── succeeded, degraded, failed ──> ended, for good

``control.runs`` has one partition, so its order decides: a worker appends a claim, reads on to
its own record, and runs the attempt only if the fold says that it holds it.  A worker whose
holder has been silent appends a claim *after* the holder's newest record, named by its offset:
compare and set.  If the holder was heard in between, the offset is another one and the claim is
void.  No clock is part of the rule; silence only decides when somebody tries.

The first end counts, whoever wrote it, because the scheduler takes the first.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from schemas.control import RunReported

Key = tuple[str, int]
"""Fire id and attempt."""

ENDS: Final = frozenset({"succeeded", "degraded", "failed"})
RUNNING: Final = "running"
AFTER: Final = "after"
"""Header: offset of the silent holder's newest record, in decimal digits."""

BEAT: Final = "beat"
"""Header: which process wrote a ``running`` and its how-many-eth record it was."""

YIELD_S: Final = 0.02
"""At most so long does a worker that is busy let one that is less busy claim first."""


class Said(NamedTuple):
    """What the rule looks at in a record of ``control.runs``.

    Attributes:
        offset: Where it stands.
        worker: Who wrote it.
        state: running, succeeded, degraded or failed.
        lets_go: It is a ``running`` that has ended: the worker gives the attempt back.
        after: Offset of the record that it takes over after; None for one that takes nothing over.
    """

    offset: int
    worker: str
    state: str = RUNNING
    lets_go: bool = False
    after: int | None = None


class Claim(NamedTuple):
    """What is known of an attempt.

    Attributes:
        worker: Who holds it; None when it is free.
        at: Offset of the holder's newest record; None when it is free.
        end: How it ended; None before.
    """

    worker: str | None = None
    at: int | None = None
    end: str | None = None


FREE: Final = Claim()


def said(report: RunReported, offset: int, headers: Mapping[str, bytes]) -> Said:
    """Return what the rule looks at in a record."""
    after = headers.get(AFTER)
    return Said(
        offset,
        report.worker,
        report.state,
        report.state == RUNNING and report.ended is not None,
        None if after is None else int(after),
    )


def follow(claim: Claim, record: Said) -> Claim:
    """Fold the next record of an attempt into what is known of it."""
    if claim.end is not None:
        return claim
    if record.state in ENDS:
        return claim._replace(end=record.state)
    if record.lets_go:
        return FREE if record.worker == claim.worker else claim
    takes_over = record.after is not None and record.after == claim.at
    if claim.worker is None or claim.worker == record.worker or takes_over:
        return Claim(record.worker, record.offset)
    return claim


def preference(worker: str, key: Key) -> float:
    """Return where an attempt stands in a worker's own order, 0 to 1: lowest first.

    A hash, so that workers who look at the same free attempts seldom ask for the same one.
    """
    return sha256(f"{worker}|{key[0]}|{key[1]}".encode()).digest()[0] / 256


def yield_s(worker: str, key: Key, busy: int, slots: int) -> float:
    """Return how long a worker waits before it claims, so that the emptier one is first.

    Args:
        worker: Its name; of two that are equally busy, preference decides.
        key: The attempt.
        busy: How many of its slots are taken.
        slots: How many it has, >= 1.
    """
    return YIELD_S * (busy / slots + preference(worker, key)) / 2
