"""The websocket session against a server on a real socket: 41, echo, stale, reconnect, keys."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from infra.kis import notices
from infra.kis.stream import KisStream, RawEvent, sequence
from infra.kis.subscriptions import Registration
from schemas.errors import Fatal, Transient
from schemas.kis import encode, frames, views
from schemas.kis.tables import BOOKS, NOTICES, TRADES

KEY, IV = "k" * 32, "i" * 16
SAMSUNG = Registration(TRADES, "005930")
FRAME = "0|H0STPGM0|001|005930^092237^10^100^7^80^-3^-20^5^4^-1"
PING = encode.pingpong("20260210090000")


@dataclass
class Brokerage:
    """The other end: registers as KIS does, and notes what it was sent.

    Attributes:
        answer: Instead of an ACK, by registration.
        heard: Messages received, per session.
        held: Registrations of the current session.
        most: The most registrations ever held at once.
        sessions: Sockets, in order of opening.
    """

    answer: Callable[[Registration], str | None] = lambda _: None
    heard: list[list[str]] = field(default_factory=list)
    held: set[Registration] = field(default_factory=set)
    most: int = 0
    sessions: list[ServerConnection] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    async def serve(self, socket: ServerConnection) -> None:
        self.sessions.append(socket)
        self.paths.append(socket.request.path if socket.request else "")
        heard: list[str] = []
        self.heard.append(heard)
        self.held = set()
        async for text in socket:
            heard.append(str(text))
            reply = self._reply(json.loads(text))
            if reply:
                await socket.send(reply)

    def _reply(self, message: dict[str, Any]) -> str | None:  # JSON has no type
        if message["header"].get("tr_id") == "PINGPONG":
            return None
        self.keys.append(message["header"]["approval_key"])
        asked = Registration(**message["body"]["input"])
        if message["header"]["tr_type"] == encode.UNREGISTER:
            self.held.discard(asked)
            return encode.ack(*asked, key=KEY, iv=IV, code="OPSP0001")
        said = self.answer(asked)
        if said is not None:
            return said
        if len(self.held) >= 41:
            return encode.nack(*asked, code="OPSP0008", message="MAX SUBSCRIBE OVER")
        self.held.add(asked)
        self.most = max(self.most, len(self.held))
        return encode.ack(*asked, key=f"{asked.tr_id:k<32}", iv=IV)


Use = Callable[[Brokerage, KisStream, "Listener"], Awaitable[None]]


class Listener:
    """Takes the stream's events as they come."""

    def __init__(self, stream: KisStream) -> None:
        self.events: list[RawEvent] = []
        self._stream = stream

    async def run(self) -> None:
        async with contextlib.aclosing(self._stream.events()) as events:
            async for event in events:
                self.events.append(event)

    def of(self, kind: str) -> list[RawEvent]:
        return [each for each in self.events if each.kind == kind]

    async def until_count(self, kind: str, count: int) -> None:
        await self.until(lambda: len(self.of(kind)) == count)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 -- the other end has no event to wait for
                await asyncio.sleep(0.005)


def play(use: Use, brokerage: Brokerage | None = None, *, stale_s: float = 30.0) -> Brokerage:
    """Run ``use`` with a stream connected to a brokerage; back-offs take no time."""
    other = brokerage or Brokerage()

    async def main() -> None:
        issued = 0

        async def approval_key() -> str:
            nonlocal issued
            issued += 1
            if issued == 2:
                raise Transient("expected a key, was busy")
            return f"approval-{issued}"

        async def sleep(seconds: float) -> None:
            await asyncio.sleep(seconds / 1_000)

        async with serve(other.serve, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            stream = KisStream(
                f"ws://127.0.0.1:{port}",
                approval_key=approval_key,
                first_epoch=7,
                sleep=sleep,
                stale_s=stale_s,
                pace_s=0.0,
            )
            listener = Listener(stream)
            task = asyncio.create_task(listener.run())
            try:
                await use(other, stream, listener)
            finally:
                await stream.close()
                await asyncio.wait_for(task, 10)

    asyncio.run(asyncio.wait_for(main(), 30))
    return other


def test_a_keep_alive_is_echoed_as_received() -> None:
    async def use(brokerage: Brokerage, _: KisStream, listener: Listener) -> None:
        await listener.until(lambda: bool(brokerage.sessions))
        spaced = '{"header": {"tr_id":"PINGPONG",  "datetime":"20260210090000"}}'
        await brokerage.sessions[0].send(spaced)
        await listener.until(lambda: brokerage.heard[0] == [spaced])
        assert [each.text for each in listener.of("control")] == [spaced]

    play(use)


def test_messages_are_numbered_as_received() -> None:
    async def use(brokerage: Brokerage, _: KisStream, listener: Listener) -> None:
        await listener.until(lambda: bool(brokerage.sessions))
        for text in (FRAME, PING, "0|torn", "{torn", FRAME):
            await brokerage.sessions[0].send(text)
        await listener.until(lambda: len(listener.events) == 6)

    brokerage = Brokerage()
    listeners: list[Listener] = []

    async def keep(other: Brokerage, stream: KisStream, listener: Listener) -> None:
        await use(other, stream, listener)
        listeners.append(listener)

    play(keep, brokerage)

    assert brokerage.paths == ["/tryitout"]
    assert [(e.kind, e.text, e.epoch, e.frame) for e in listeners[0].events[:6]] == [
        ("opened", "", 7, 0),
        ("data", FRAME, 7, 1),
        ("control", PING, 7, 2),
        ("data", "0|torn", 7, 3),
        ("control", "{torn", 7, 4),
        ("data", FRAME, 7, 5),
    ]
    assert listeners[0].events[5].seq == 7 << 40 | 5 << 10


def test_sequence_orders_by_epoch_frame_record_and_fits_a_long() -> None:
    ordered = [sequence(1, 1, 1023), sequence(1, 2), sequence(1, 2**30 - 1), sequence(2, 1)]

    assert ordered == sorted(set(ordered))
    assert sequence(2**23 - 1, 2**30 - 1, 1023) == 2**63 - 1


def test_forty_one_are_held_and_never_more_while_names_change() -> None:
    first = [Registration(tr, f"{n:06d}") for n in range(20) for tr in (TRADES, BOOKS)]
    notice = Registration(NOTICES, "aegis")
    second = [Registration(tr, f"{n:06d}") for n in range(10, 30) for tr in (TRADES, BOOKS)]

    async def use(_: Brokerage, stream: KisStream, listener: Listener) -> None:
        stream.want([notice, *first])
        await listener.until(lambda: len(stream.live) == 41)
        stream.want([notice, *second])
        await listener.until(lambda: stream.live == {notice, *second})

    brokerage = play(use)

    assert (brokerage.most, len(brokerage.held)) == (41, 41)


def test_a_forty_second_registration_is_ours_to_refuse() -> None:
    async def use(_: Brokerage, stream: KisStream, __: Listener) -> None:
        with pytest.raises(Fatal, match="at most 41 registrations"):
            stream.want(Registration(TRADES, f"{n:06d}") for n in range(42))

    play(use)


def test_a_refused_registration_is_shown_and_the_rest_is_live() -> None:
    def answer(asked: Registration) -> str | None:
        over = asked == SAMSUNG
        return encode.nack(*asked, code="OPSP0008", message="MAX SUBSCRIBE OVER") if over else None

    other = Registration(BOOKS, "005930")

    async def use(brokerage: Brokerage, stream: KisStream, listener: Listener) -> None:
        stream.want([SAMSUNG, other])
        await listener.until(lambda: stream.live == {other} and bool(stream.refused))
        assert stream.refused == {SAMSUNG: "OPSP0008"}
        await asyncio.sleep(0.1)
        assert len(brokerage.heard[0]) == 2, "a refused one is not asked for again at once"

    play(use, Brokerage(answer))


def test_already_in_subscribe_is_success_and_then_quiet() -> None:
    def answer(asked: Registration) -> str:
        return encode.nack(*asked, code="OPSP0002", message="ALREADY IN SUBSCRIBE")

    async def use(brokerage: Brokerage, stream: KisStream, listener: Listener) -> None:
        stream.want([SAMSUNG])
        await listener.until(lambda: stream.live == {SAMSUNG})
        stream.want([])
        await asyncio.sleep(0.1)
        stream.want([SAMSUNG])
        await asyncio.sleep(0.1)
        assert len(brokerage.heard[0]) == 1
        assert stream.live == {SAMSUNG}

    play(use, Brokerage(answer))


def test_nothing_is_added_while_the_41_cannot_be_let_go() -> None:
    first = [Registration(TRADES, f"{n:06d}") for n in range(41)]

    def answer(asked: Registration) -> str:
        return encode.nack(*asked, code="OPSP0002", message="ALREADY IN SUBSCRIBE")

    async def use(brokerage: Brokerage, stream: KisStream, listener: Listener) -> None:
        stream.want(first)
        await listener.until(lambda: len(stream.live) == 41)
        stream.want([SAMSUNG])
        await asyncio.sleep(0.2)
        assert len(brokerage.heard[0]) == 41

    play(use, Brokerage(answer))


def test_sessions_without_data_are_opened_ever_more_slowly() -> None:
    waited: list[float] = []

    async def use(brokerage: Brokerage, stream: KisStream, listener: Listener) -> None:
        stream._sleep = _noting(waited, stream._sleep)
        for session in range(4):
            await listener.until_count("opened", session + 1)
            if session == 2:
                await brokerage.sessions[session].send(FRAME)
                await listener.until_count("data", 1)
            brokerage.sessions[session].transport.abort()
            await listener.until_count("closed", session + 1)
        await listener.until(lambda: len(waited) == 5)

    play(use)

    assert waited == [2.0, 2.0, 8.0, 1.0, 2.0], "the second is the approval key's refusal"


def _noting(
    waited: list[float], sleep: Callable[[float], Awaitable[None]]
) -> Callable[[float], Awaitable[None]]:
    async def noting(seconds: float) -> None:
        waited.append(seconds)
        await sleep(seconds)

    return noting


def test_a_lost_connection_comes_back_registered_under_the_next_epoch() -> None:
    async def use(brokerage: Brokerage, stream: KisStream, listener: Listener) -> None:
        stream.want([SAMSUNG])
        await listener.until(lambda: stream.live == {SAMSUNG})
        await brokerage.sessions[0].send(FRAME)
        await listener.until(lambda: bool(listener.of("data")))
        brokerage.sessions[0].transport.abort()
        await listener.until(lambda: len(listener.of("opened")) == 2 and bool(stream.live))
        await brokerage.sessions[1].send(FRAME)
        await listener.until(lambda: len(listener.of("data")) == 2)
        assert [each.epoch for each in listener.of("data")] == [7, 8]
        assert listener.of("data")[1].seq > listener.of("data")[0].seq
        [closed] = listener.of("closed")
        assert closed.text.startswith("closed by the brokerage")

    brokerage = play(use)

    assert brokerage.keys == ["approval-1", "approval-3"], "each session has a fresh key"


@pytest.mark.parametrize("code", ["OPSP8996", "OPSP0011"])
def test_a_session_refused_is_opened_again_with_a_fresh_key(code: str) -> None:
    refusals = [code]

    def answer(_: Registration) -> str | None:
        said = "" if not refusals else refusals.pop()
        return encode.nack("(null)", "", code=said, message="no", rt_cd="9") if said else None

    async def use(_: Brokerage, stream: KisStream, listener: Listener) -> None:
        stream.want([SAMSUNG])
        await listener.until(lambda: stream.live == {SAMSUNG})
        [closed] = listener.of("closed")
        assert closed.text.startswith(code)

    brokerage = play(use, Brokerage(answer))

    assert brokerage.keys == ["approval-1", "approval-3"]


def test_a_silent_socket_is_given_up() -> None:
    async def use(_: Brokerage, __: KisStream, listener: Listener) -> None:
        await listener.until(lambda: len(listener.of("opened")) == 2)
        [closed] = listener.of("closed")
        assert closed.text.startswith("no message for")

    play(use, stale_s=0.2)


def test_a_socket_with_keep_alives_is_kept() -> None:
    async def use(brokerage: Brokerage, _: KisStream, listener: Listener) -> None:
        await listener.until(lambda: bool(brokerage.sessions))
        for _round in range(10):
            await brokerage.sessions[0].send(PING)
            await asyncio.sleep(0.1)
        assert len(listener.of("opened")) == 1

    play(use, stale_s=0.45)


def test_a_quote_stream_does_not_overwrite_the_key_of_the_notices() -> None:
    notice = Registration(NOTICES, "aegis")
    plain = "aegis^5019920201^0000012345^0000000000^02^0^00^0^005930^3^250000^105531^0^2^2^00950^3"
    plain += "^name^0^^N^^^^issue^250000"

    async def use(brokerage: Brokerage, stream: KisStream, listener: Listener) -> None:
        assert stream.key_of(NOTICES) is None
        stream.want([notice, SAMSUNG])
        await listener.until(lambda: len(stream.live) == 2)
        secret = stream.key_of(NOTICES)
        assert secret is not None
        assert secret.key not in repr(secret)
        theirs = notices.NoticeKey(f"{NOTICES:k<32}", IV)
        await brokerage.sessions[0].send(encode.sealed(NOTICES, 1, notices.encrypt(plain, theirs)))
        await listener.until(lambda: bool(listener.of("data")))
        frame = frames.parse(listener.of("data")[0].text)
        assert isinstance(frame, frames.DataFrame)
        opened = notices.open_notice(frame, secret)
        assert views.notice_of(opened.records[0]).fill_qty == 3

    play(use)
