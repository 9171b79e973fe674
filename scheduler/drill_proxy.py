"""A proxy before a broker that can cut at the worst place: a commit done, its answer lost.

It reads no more of Kafka's protocol than the head of each message: length, then of a request the
api key, its version and the correlation id, of an answer the correlation id.  When it is armed it
lets the next EndTxn (api key 26) through, waits until the broker has answered it, drops the
answer and hangs up.  The client cannot know whether its transaction was committed: it was.
"""

import asyncio
import socket
import struct
import threading
import time
from typing import Final

HOST: Final = "127.0.0.1"
END_TXN: Final = 26
JOIN_S_MAX: Final = 10.0
_LENGTH: Final = 4


class Proxy:
    """Stands before a broker; its port is there before the broker is.

    Attributes:
        port: Where it listens.
        cuts: How often it has cut.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self.cuts = 0
        self._target = 0
        self._armed_s: float | None = None
        self._shut_until_s = 0.0
        self._links: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._enough = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, target: int) -> None:
        """Pass everything on to a port of this machine."""
        self._target = target
        self._thread.start()

    def arm(self, shut_s: float) -> None:
        """Cut at the next EndTxn, and let nobody through for so many seconds after it."""
        self._armed_s = shut_s

    def close(self) -> None:
        """Hang up on everybody."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._enough.set)
            self._thread.join(JOIN_S_MAX)
        self._listener.close()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._listener)
        await self._enough.wait()
        server.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        links = list(self._links)
        for each in links:
            each.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if time.monotonic() < self._shut_until_s:
            writer.transport.abort()
            return
        link = self._loop.create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side, or we, hang up."""
        ends = [writer]
        ways: list[asyncio.Task[None]] = []
        try:
            there, onward = await asyncio.open_connection(HOST, self._target)
            ends.append(onward)
            doomed: set[int] = set()
            ways = [
                self._loop.create_task(self._ask(reader, onward, doomed)),
                self._loop.create_task(self._answer(there, writer, doomed)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:  # no broker listens: neither do we
            return
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)  # how they ended is all the same
            for end in ends:
                end.transport.abort()

    async def _ask(
        self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter, doomed: set[int]
    ) -> None:
        while True:
            message = await _message(reader)
            key, _, correlation = struct.unpack_from(">hhi", message, _LENGTH)
            if key == END_TXN and self._armed_s is not None:
                doomed.add(correlation)
            onward.write(message)
            await onward.drain()

    async def _answer(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: set[int]
    ) -> None:
        while True:
            message = await _message(there)
            (correlation,) = struct.unpack_from(">i", message, _LENGTH)
            if correlation in doomed:
                self._cut()
                return
            writer.write(message)
            await writer.drain()

    def _cut(self) -> None:
        shut_s, self._armed_s = self._armed_s or 0.0, None
        self.cuts += 1
        if shut_s > 0:
            self._shut_until_s = time.monotonic() + shut_s
            for each in self._links:
                each.cancel()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(_LENGTH)
    return head + await reader.readexactly(int.from_bytes(head))
