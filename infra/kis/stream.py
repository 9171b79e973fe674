"""A websocket session with the brokerage that comes back by itself.

One session per app key.  Every message is handed on as received, with the connection's epoch and
its number in it, so that ``epoch << 40 | frame << 10 | record`` orders what one second hides.
Keep-alives are echoed as received; our own pings are off, the server does not answer them reliably.
Registrations are state, not calls: ``want`` says what should be registered, the session paces the
messages, reads the answers, and registers all of it again after a reconnect (korea.md 1.1, 1.2).

Back-off, pacing and keep-alive are wall time: they concern a socket, not the market.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from infra.kis.notices import IV_CHARS, KEY_CHARS, NoticeKey
from infra.kis.registrar import Registrar
from infra.kis.subscriptions import Registration
from schemas.errors import Poison, Transient
from schemas.kis import frames

STALE_S: Final = 90.0
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0
QUEUE_FRAMES_MAX: Final = 1_024
FRAMES_PER_EPOCH_MAX: Final = 2**30 - 1
EPOCH_MAX: Final = 2**23 - 1
BACKOFF_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""KIS suspends app keys that reconnect in a loop."""

SESSION_LOST: Final = frozenset({"OPSP8996", "OPSP0011", "OPSP0010", "OPSP9994"})
"""The key is in use elsewhere, or the approval key is stale: open again with a fresh one."""

PATH: Final = "/tryitout"
CLOSED_BY_THEM: Final = "closed by the brokerage"

EventKind = Literal["data", "control", "opened", "closed"]


class RawEvent(NamedTuple):
    """What happened on the socket.

    Attributes:
        kind: data and control carry a message; opened and closed bound an epoch.
        text: The message as received; "" when opened, the reason when closed.
        epoch: Of the connection, grows with each.
        frame: Number of the message in its epoch, from 1.
    """

    kind: EventKind
    text: str
    epoch: int
    frame: int

    @property
    def seq(self) -> int:
        """Return the order of the message's first record."""
        return sequence(self.epoch, self.frame)


def sequence(epoch: int, frame: int, record: int = 0) -> int:
    """Return ``epoch << 40 | frame << 10 | record``, one positive long."""
    return epoch << 40 | frame << 10 | record


class KisStream:
    """One session per app key.

    Args:
        ws_url: ``ws://host:port``; the path is added when there is none.
        approval_key: Fetches a key for one session.
        first_epoch: Above every epoch used before for this source.
        sleep: Waits seconds of wall time.
        stale_s: Seconds without any message after which the session is given up.
        pace_s: Seconds between two registration messages.
    """

    def __init__(
        self,
        ws_url: str,
        *,
        approval_key: Callable[[], Awaitable[str]],
        first_epoch: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        stale_s: float = STALE_S,
        pace_s: float = 0.05,
    ) -> None:
        self._url = ws_url if urlsplit(ws_url).path.strip("/") else ws_url.rstrip("/") + PATH
        self._approval_key = approval_key
        self._epoch = first_epoch - 1
        self._sleep = sleep
        self._stale_s = stale_s
        self._registrar = Registrar(pace_s=pace_s)
        self._keys: dict[str, NoticeKey] = {}
        self._frame = 0
        self._socket: ClientConnection | None = None
        self._closing = False
        self._lost = ""

    @property
    def live(self) -> frozenset[Registration]:
        """Return what the brokerage has confirmed."""
        return self._registrar.live

    @property
    def refused(self) -> dict[Registration, str]:
        """Return what the brokerage refused, with its code; asked again after 300 s."""
        return self._registrar.refused

    def want(self, registrations: Iterable[Registration]) -> None:
        """Say what should be registered from now on, at most 41.

        Raises:
            Fatal: More than 41 are asked for.
        """
        self._registrar.want(registrations)

    def key_of(self, tr_id: str) -> NoticeKey | None:
        """Return the AES key of a stream, None before its registration was confirmed."""
        return self._keys.get(tr_id)

    async def close(self) -> None:
        """End the session; ``events`` ends after it."""
        self._closing = True
        if self._socket is not None:
            await self._socket.close()

    async def events(self) -> AsyncGenerator[RawEvent, None]:
        """Yield every message, for ever; reconnect with a growing back-off.

        Take it under ``contextlib.aclosing``: leaving the loop must close the socket.

        Raises:
            Misconfigured: The brokerage does not know our app key.
        """
        failures = 0
        while not self._closing:
            try:
                socket = await self._open()
            except (OSError, TimeoutError, WebSocketException, Transient):
                await self._sleep(_backoff(failures))
                failures += 1
                continue
            if self._closing:  # asked to end while the socket was opening
                await socket.close()
                return
            self._epoch += 1
            yield RawEvent("opened", "", self._epoch, 0)
            had_data = False
            async with contextlib.aclosing(self._session(socket)) as messages:
                async for event in messages:
                    had_data = had_data or event.kind == "data"
                    yield event
            yield RawEvent("closed", self._lost or CLOSED_BY_THEM, self._epoch, self._frame)
            failures = 0 if had_data else failures + 1
            if not self._closing:
                await self._sleep(_backoff(failures))

    async def _open(self) -> ClientConnection:
        key = await self._approval_key()
        socket = await connect(
            self._url,
            ping_interval=None,
            max_size=frames.FRAME_CHARS_MAX,
            max_queue=QUEUE_FRAMES_MAX,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            compression=None,
            proxy=None,
        )
        self._keys.clear()
        self._registrar.opened(key)
        self._socket = socket
        self._frame = 0
        self._lost = ""
        return socket

    async def _session(self, socket: ClientConnection) -> AsyncGenerator[RawEvent, None]:
        helpers = (
            asyncio.create_task(self._register(socket)),
            asyncio.create_task(self._watch(socket)),
        )
        epoch = self._epoch
        try:
            async for message in socket:
                text = message if isinstance(message, str) else message.decode(errors="replace")
                self._frame += 1
                if text[:1] == "0" or text[:1] == "1":
                    yield RawEvent("data", text, epoch, self._frame)
                else:
                    await self._control(socket, text)
                    yield RawEvent("control", text, epoch, self._frame)
                if self._frame >= FRAMES_PER_EPOCH_MAX:
                    self._lost = "the epoch is full"
                    break
        except ConnectionClosed as error:
            why = error.rcvd.code if error.rcvd else "without a close frame"
            self._lost = self._lost or f"{CLOSED_BY_THEM}: {why}"
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            await socket.close()
            self._socket = None

    async def _control(self, socket: ClientConnection, text: str) -> None:
        try:
            control = frames.parse(text)
        except Poison:
            return  # handed on as received: decoding makes it a dead letter
        if not isinstance(control, frames.Control):
            return
        if control.kind == "pingpong":
            with contextlib.suppress(ConnectionClosed):
                await socket.send(text)
            return
        if control.code in SESSION_LOST:
            self._lost = f"{control.code} {control.message}"
            await socket.close()
            return
        if len(control.key) == KEY_CHARS and len(control.iv) == IV_CHARS:
            self._keys[control.tr_id] = NoticeKey(control.key, control.iv)
        self._registrar.answered(control)

    async def _register(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for request in self._registrar.requests():
                await socket.send(request)

    async def _watch(self, socket: ClientConnection) -> None:
        seen, quiet_s, step_s = self._frame, 0.0, self._stale_s / 9
        while quiet_s < self._stale_s:
            await asyncio.sleep(step_s)
            quiet_s = quiet_s + step_s if seen == self._frame else 0.0
            seen = self._frame
        self._lost = f"no message for {self._stale_s:.0f} s"
        await socket.close()


def _backoff(failures: int) -> float:
    return BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
