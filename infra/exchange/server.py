"""The simulated brokerage as one process: REST, websocket and market time on loopback ports.

Event-driven: every report, answer and registration moves time as far as it may go, at once.  One
hop plays the venue, sends the frames, then tells the clock's clients where time stands.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import time
from typing import Any, Final

from infra.exchange import faults as fault_list
from infra.exchange import opening
from infra.exchange.access import Access, Answer, Request
from infra.exchange.account import Account
from infra.exchange.day import load_day
from infra.exchange.flow import Rates
from infra.exchange.http import HEAD_BYTES_MAX, Http
from infra.exchange.journal import Journal
from infra.exchange.market_time import MarketTime
from infra.exchange.options import Options
from infra.exchange.path import build
from infra.exchange.rest import Rest
from infra.exchange.streams import Hub
from infra.exchange.venue import Venue
from schemas.errors import Fatal
from schemas.krx.sessions import kst_midnight
from schemas.units import HOUR, MINUTE, Micros

LOST_CHECK_S: Final = 1.0
HOST: Final = "127.0.0.1"
_PR_SET_PDEATHSIG: Final = 1


class Exchange:
    """The process's state; ``pump`` is its heart.

    Args:
        options: The day.
    """

    def __init__(self, options: Options) -> None:
        market = load_day(options.data, options.date)
        ladder = build(market, options.seed)
        held, cash = opening.holdings(market, options.holdings, options.cash)
        self.journal = Journal(options.journal)
        begin, end = (_instant(options, text) for text in (options.begin, options.end))
        self.journal.write(
            "opened",
            begin,
            account=options.account,
            date=options.date.isoformat(),
            seed=options.seed,
            synthetic=market.synthetic_seed is not None,
            cash=cash,
            holdings={symbol: (h.qty, h.cost) for symbol, h in held.items()},
            faults=options.faults,
        )
        self.account = Account(options.account, options.date, cash, held)
        self.venue = Venue(
            ladder=ladder,
            account=self.account,
            journal=self.journal,
            rates=Rates(options.trades_s, options.books_s),
            hts_id=options.hts_id,
            now=begin,
        )
        access = Access(
            app_key=options.app_key,
            app_secret=options.app_secret,
            account=options.account,
            environment=options.environment,
            seed=options.seed,
        )
        self.faults = fault_list.parse(options.faults, options.seed)
        self.hub = Hub(self.venue, access, options.hts_id)
        self.rest = Rest(self.venue, access, self.faults, time.monotonic)
        self.time = MarketTime(
            session=market.session,
            now=begin,
            end=end,
            pacing=dict.fromkeys(options.pacing),
            speed=options.speed,
        )
        self.hub.on_cut = lambda: self.time.cut(time.monotonic())
        self.hub.on_listening = self._listening
        self.calls_open = 0
        self.failed: Fatal | None = None
        self.done = asyncio.Event()
        self._clocks: set[ClockSession] = set()
        self._pumping = False
        self._alarm: asyncio.TimerHandle | None = None
        self._closed = False

    def answer(self, request: Request) -> Answer:
        """Answer a REST call and send what it made the exchange say."""
        answer = self.rest.answer(request)
        self.hub.flush()
        return answer

    def call_begun(self) -> None:
        """Stop time: a call is unanswered."""
        self.calls_open += 1

    def _listening(self) -> None:
        """Let time go on: a cut session has been taken up again."""
        if self.time.mended():
            asyncio.get_running_loop().call_soon(self.pump)

    def call_ended(self) -> None:
        """Let time go on when no call is left; the answer goes out first."""
        self.calls_open -= 1
        asyncio.get_running_loop().call_soon(self.pump)

    def pump(self) -> None:
        """Move time as far as it may go."""
        if self._pumping or self._closed:
            return
        self._pumping = True
        try:
            self._hop()
        finally:
            self._pumping = False

    def _hop(self) -> None:
        clock, wall = self.time, time.monotonic()
        while self._step(wall):  # a fill may widen the slack: look again, nobody else will
            if not clock.pacing:
                break
        # An order shortens the slack: what was said last may then be too old to go on from.
        self.hub.keep_alive(paced_by_order=self.venue.stirring())
        if clock.now >= clock.end:
            self._end()
        elif self.calls_open or clock.missing():
            return
        elif clock.speed:
            self._wake(clock.capped_for_s(wall))
        elif not clock.pacing:
            asyncio.get_running_loop().call_soon(self.pump)

    def _step(self, wall: float) -> bool:
        clock = self.time
        orders = self.venue.stirring()
        to = clock.ceiling(calls_open=self.calls_open > 0, stirring=orders, wall_s=wall)
        if to <= clock.now:
            return False
        clock.now = self.venue.advance(to, heed=True)
        self.hub.flush()
        self.tell()
        return True

    def _wake(self, after_s: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if after_s > 0 or not self.time.pacing:
            self._alarm = asyncio.get_running_loop().call_later(after_s, self.pump)

    def _end(self) -> None:
        self._closed = True
        self.hub.keep_alive(paced_by_order=True)  # so that every watermark reaches the end
        held = {symbol: h.qty for symbol, h in self.account.holdings.items() if h.qty}
        self.journal.write(
            "closed",
            self.time.now,
            cash=self.account.cash,
            holdings=held,
            faults=self.faults.counts,
            records=self.hub.records_sent,
        )
        self.tell()
        self.done.set()

    def line(self) -> bytes:
        """Return what the clock says now."""
        clock = self.time
        until = min(clock.now + clock.slack(stirring=self.venue.stirring()), clock.end)
        message: dict[str, Any] = {"now": clock.now, "until": until}
        if self._closed:
            message["end"] = True
        if self.failed is not None:
            message["error"] = str(self.failed)
        return json.dumps(message, separators=(",", ":")).encode() + b"\n"

    def tell(self) -> None:
        """Tell every clock client where time stands."""
        line = self.line()
        for session in self._clocks:
            session.send(line)

    def clock(self) -> "ClockSession":
        """Return a protocol for a clock client."""
        return ClockSession(self)

    def joined(self, session: "ClockSession") -> None:
        """Greet a clock client."""
        self._clocks.add(session)
        session.send(self.line())

    def left(self, session: "ClockSession") -> None:
        """Freeze time when a pacing role's connection is gone."""
        self._clocks.discard(session)
        here = {role for other in self._clocks for role in other.roles}
        self.time.lose(session.roles - here, time.monotonic())

    async def watch(self) -> None:
        """Fail the run when a pacing role stays away."""
        while not self._closed:
            await asyncio.sleep(LOST_CHECK_S)
            try:
                self.time.check(time.monotonic())
            except Fatal as error:
                self.failed = error
                self.tell()
                self.done.set()
                return


class ClockSession(asyncio.Protocol):
    """One client of market time: lines out, reports in."""

    def __init__(self, exchange: Exchange) -> None:
        self.roles: set[str] = set()
        self._exchange = exchange
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say where time stands."""
        self._transport = transport  # type: ignore[assignment] # a stream server gives a Transport
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._exchange.joined(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Note who is gone."""
        del error
        self._exchange.left(self)

    def send(self, line: bytes) -> None:
        """Send one line."""
        if self._transport is not None:
            self._transport.write(line)

    def data_received(self, data: bytes) -> None:
        """Take reports and let time move."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                report = json.loads(line)
                role, reached = str(report["role"]), int(report["reached"])
                until = int(report["until"]) if "until" in report else None
            except (ValueError, KeyError, TypeError):
                if self._transport is not None:
                    self._transport.abort()
                return
            self.roles.add(role)
            self._exchange.time.report(role, reached, until)
        self._exchange.pump()


def run(options: Options) -> int:
    """Play a day and return the exit code: 0 played or stopped, 1 a pacing role was lost."""
    _die_with_parent()
    return asyncio.run(_serve(options))


async def _serve(options: Options) -> int:
    exchange = Exchange(options)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    doors = Http(exchange.answer, exchange.call_begun, exchange.call_ended)
    rest = await asyncio.start_server(doors.serve, HOST, 0, limit=HEAD_BYTES_MAX)
    streams = await loop.create_server(exchange.hub.session, HOST, 0)
    clock = await loop.create_server(exchange.clock, HOST, 0)
    ports = [server.sockets[0].getsockname()[1] for server in (rest, streams, clock)]
    print(  # noqa: T201 -- the ready line is this process's interface
        json.dumps(
            {
                "rest": f"http://{HOST}:{ports[0]}",
                "ws": f"ws://{HOST}:{ports[1]}/tryitout",
                "clock": f"tcp://{HOST}:{ports[2]}",
                "names": len(exchange.venue.market.symbols),
                "date": options.date.isoformat(),
                "synthetic": exchange.venue.market.synthetic_seed is not None,
                "begin": exchange.time.now,
                "end": exchange.time.end,
                "faults": options.faults,
            }
        ),
        flush=True,
    )
    watch = asyncio.create_task(exchange.watch())
    exchange.pump()
    ends = [asyncio.create_task(event.wait()) for event in (stopped, exchange.done)]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if exchange.failed is None and not stopped.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), options.grace_s)
    for task in (watch, *ends):
        task.cancel()
    for server in (rest, streams, clock):
        server.close()
    held = {name: round(each, 1) for name, each in exchange.time.held_s.items()}
    print(json.dumps({"event": "time_was_held_by", **held}), file=sys.stderr, flush=True)  # noqa: T201 -- its log
    exchange.journal.close()
    if exchange.failed is not None:
        print(str(exchange.failed), file=sys.stderr, flush=True)  # noqa: T201 -- why it exits
        return 1
    return 0


def _instant(options: Options, text: str) -> Micros:
    hours, minutes = text.split(":")
    return Micros(kst_midnight(options.date) + int(hours) * HOUR + int(minutes) * MINUTE)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent died before its child began")
