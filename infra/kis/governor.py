"""One rate governor per app key: cancel before order before reconcile before quote.

The brokerage counts calls per second and app key over all our processes (real 18, mock 1; korea.md
2.2).  We hold a token bucket with headroom, ``rate + burst <= limit``, kept as one number, the
instant at which the bucket will be full again (GCRA).  Inside a process waiters are served by lane,
then by arrival.  Between processes that number lives in a small file under a lock; a low lane may
not empty the bucket, so a cancel elsewhere finds a token.

Time is the brokerage's: callers pass the market clock, which may run faster than the wall.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import heapq
import os
import struct
from collections.abc import Awaitable, Callable
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from infra.settings import Settings
from schemas.errors import Misconfigured, Transient
from schemas.units import SECOND, Micros


class Lane(IntEnum):
    """Who goes first."""

    CANCEL = 0
    ORDER = 1
    RECONCILE = 2
    QUOTE = 3


class Rate(NamedTuple):
    """A bucket.

    Attributes:
        interval: Micros per token in the long run.
        burst: Tokens it holds at most, >= 1.
    """

    interval: Micros
    burst: int


REAL: Final = Rate(interval=Micros(SECOND // 15), burst=3)
"""15 calls a second in the long run, 18 in any one second: the limit since 2026-04-20."""

WHOLE_SECONDS: Final = Rate(interval=Micros(SECOND // 9), burst=9)
"""For an accelerated clock, which stands between whole seconds: a second's calls at its instant.

Half of the limit, because what was granted at one instant may arrive in the next one's second.
"""

MOCK: Final = Rate(interval=Micros(SECOND + SECOND // 10), burst=1)
"""One call a second, with a tenth of room for the network."""

WAITING_MAX: Final = 1_000
HEADROOM: Final = {Lane.CANCEL: 0, Lane.ORDER: 0, Lane.RECONCILE: 1, Lane.QUOTE: 2}
"""Tokens a lane leaves in the bucket for the lanes above it."""


class Bucket(Protocol):
    """Where the bucket's one number lives."""

    def take(self, now: Micros, lane: Lane) -> Micros:
        """Take a token: 0 when granted, else the instant at which to ask again."""
        ...


class LocalBucket:
    """A bucket of one process."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._full_at = Micros(0)

    def take(self, now: Micros, lane: Lane) -> Micros:
        """Take a token: 0 when granted, else the instant at which to ask again."""
        retry_at, self._full_at = _take(self._rate, self._full_at, now, lane)
        return retry_at


class SharedBucket:
    """A bucket of all processes that name the same file; the lock is held for microseconds."""

    def __init__(self, rate: Rate, path: Path) -> None:
        self._rate = rate
        self._path = path

    def take(self, now: Micros, lane: Lane) -> Micros:
        """Take a token: 0 when granted, else the instant at which to ask again."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            kept = os.pread(handle, _NUMBER.size, 0)
            full_at = Micros(_NUMBER.unpack(kept)[0] if len(kept) == _NUMBER.size else 0)
            retry_at, full_at = _take(self._rate, full_at, now, lane)
            os.pwrite(handle, _NUMBER.pack(full_at), 0)
        finally:
            os.close(handle)
        return retry_at


def shared_bucket(settings: Settings) -> SharedBucket:
    """Return the bucket of our app key at our brokerage: one file for all processes that use it.

    Raises:
        Misconfigured: The brokerage's address or the app key is not set.
    """
    kis = settings.kis
    if kis.rest_url is None or kis.app_key is None:
        raise Misconfigured(
            "expected AEGIS_KIS__REST_URL and AEGIS_KIS__APP_KEY, was nothing; set both"
        )
    key = f"{kis.rest_url} {kis.app_key.get_secret_value()}"
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    rate = WHOLE_SECONDS if settings.clock == "exchange" else REAL
    return SharedBucket(rate, settings.var_dir / "kis" / f"rate-{name}")


class Governor:
    """Hands out turns.

    Args:
        bucket: The app key's bucket.
        now: Market time.
        sleep_until: Waits until market time reaches an instant.
        waiting_max: Callers that may wait; one more is refused.
    """

    def __init__(
        self,
        bucket: Bucket,
        *,
        now: Callable[[], Micros],
        sleep_until: Callable[[Micros], Awaitable[None]],
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._bucket = bucket
        self._now = now
        self._sleep_until = sleep_until
        self._waiting_max = waiting_max
        self._waiting: list[tuple[Lane, int, asyncio.Future[None]]] = []
        self._arrivals = 0
        self._pump: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()

    async def take(self, lane: Lane) -> None:
        """Wait for a turn in a lane.

        Args:
            lane: Who asks.

        Raises:
            Transient: Too many callers wait already.
        """
        if len(self._waiting) >= self._waiting_max:
            raise Transient(
                f"expected at most {self._waiting_max} calls waiting for the brokerage's rate, "
                "was one more; ask for less or use another app key"
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (lane, self._arrivals, turn))
        self._arrivals += 1
        self._arrived.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._serve())
        await turn

    async def close(self) -> None:
        """Let nobody wait any longer."""
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
        for _, _, turn in self._waiting:
            turn.cancel()
        self._waiting.clear()

    async def _serve(self) -> None:
        try:
            while self._waiting:
                lane, _, turn = self._waiting[0]
                if turn.done():  # its caller was cancelled
                    heapq.heappop(self._waiting)
                    continue
                retry_at = self._bucket.take(self._now(), lane)
                if retry_at:
                    await self._pause(retry_at)
                    continue
                heapq.heappop(self._waiting)
                turn.set_result(None)
        except Exception as error:  # noqa: BLE001 -- whoever waits must hear of it
            for _, _, turn in self._waiting:
                if not turn.done():
                    turn.set_exception(error)
            self._waiting.clear()

    async def _pause(self, until: Micros) -> None:
        """Wait for the instant, or for an arrival: it may stand in a higher lane."""
        self._arrived.clear()
        due = asyncio.ensure_future(self._sleep_until(until))
        arrived = asyncio.ensure_future(self._arrived.wait())
        try:
            await asyncio.wait({due, arrived}, return_when=asyncio.FIRST_COMPLETED)
            if due.done():
                due.result()
        finally:
            due.cancel()
            arrived.cancel()


_NUMBER: Final = struct.Struct("<q")


def _take(rate: Rate, full_at: Micros, now: Micros, lane: Lane) -> tuple[Micros, Micros]:
    """Return when to ask again (0: granted) and the instant at which the bucket is full."""
    deepest = now + rate.burst * rate.interval
    since = full_at if now < full_at <= deepest else now  # older or from another day: full
    room = max(rate.burst - 1 - HEADROOM[lane], 0) * rate.interval
    if since - now > room:
        return Micros(since - room), Micros(since)
    return Micros(0), Micros(since + rate.interval)
