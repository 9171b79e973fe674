"""The websocket side: registrations, acknowledgements, frames in order, encrypted notices.

One session per app key, 41 registrations a session.  A frame of exchange second s goes out before
any frame of second s + 1 of the same connection, so a frame's time is that connection's watermark:
everything before it has been sent.  A notice is encrypted and nobody's watermark: it does not count
as having been heard.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from infra.exchange.access import Access, kst
from infra.exchange.frames import BOOKS, TRADES, frame
from infra.exchange.noise import uniform
from infra.exchange.venue import Said, Venue
from schemas.kis.encode import ack, nack, pingpong, sealed
from schemas.kis.tables import NOTICES, NOTICES_MOCK
from schemas.units import SECOND

REGISTRATIONS_MAX: Final = 41
UNSENT_BYTES_MAX: Final = 16 * 1_048_576
"""A client that lets more than this wait is dropped."""

RECORDS_PER_FRAME_MAX: Final = 12
SILENCE_OUTSIDE: Final = 12 * SECOND
"""Market time without a frame after which a PINGPONG goes out."""

_KEY_SALT: Final = 61
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


class Session(asyncio.Protocol):
    """One websocket connection.

    Args:
        hub: All sessions.
        number: Counts connections; seeds the session's AES key.

    Attributes:
        held_max: The most registrations it ever held.
    """

    def __init__(self, hub: "Hub", number: int) -> None:
        self.hub = hub
        self.approval = ""
        self.number = number
        self.registered: set[tuple[str, str]] = set()
        self.held_max = 0
        self.last_second = 0
        self.key, self.iv = _keys(hub.access.seed, number)
        self._ws = ServerProtocol(max_size=1_048_576)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport  # type: ignore[assignment] # a stream server gives a Transport

    def data_received(self, data: bytes) -> None:
        """Read what the client says."""
        try:
            self._ws.receive_data(data)
        except ProtocolError:
            self.drop()
            return
        for event in self._ws.events_received():
            if isinstance(event, Request):
                self._ws.send_response(self._ws.accept(event))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self.hub.hear(self, bytes(event.data).decode())
        self._flush()

    def eof_received(self) -> None:
        """Let the transport close."""
        self._ws.receive_eof()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the session."""
        del error
        self.hub.left(self)

    def send(self, texts: Sequence[str]) -> None:
        """Send text frames in order; a client that does not read them is dropped."""
        if self._transport is None or self._ws.state is not State.OPEN:
            return
        for text in texts:
            self._ws.send_text(text.encode())
        self._flush()
        if self._transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            self.drop()

    def drop(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def seal(self, plain: str) -> str:
        """Encrypt a notice with this session's key: AES-256-CBC, PKCS7, base64."""
        padder = PKCS7(128).padder()
        padded = padder.update(plain.encode()) + padder.finalize()
        encryptor = Cipher(AES(self.key.encode()), CBC(self.iv.encode())).encryptor()
        return b64encode(encryptor.update(padded) + encryptor.finalize()).decode()

    def _flush(self) -> None:
        if self._transport is None:
            return
        parts = self._ws.data_to_send()
        if parts:
            self._transport.write(b"".join(parts))
        if self._ws.close_expected():
            self._transport.close()


class Hub:
    """All sessions and what they asked for.

    Args:
        venue: Whose words they hear.
        access: Approval keys.
        hts_id: Who may hear the notices.
    """

    def __init__(self, venue: Venue, access: Access, hts_id: str) -> None:
        self.venue, self.access, self._hts_id = venue, access, hts_id
        self.frames_sent = 0
        self.records_sent = 0
        self.on_cut: Callable[[], None] = _nothing
        self.on_listening: Callable[[], None] = _nothing
        self._sessions: list[Session] = []
        self._count = 0
        real = access.environment == "real"
        self._notices = NOTICES if real else NOTICES_MOCK

    def session(self) -> Session:
        """Return a protocol for a new connection."""
        self._count += 1
        session = Session(self, self._count)
        self._sessions.append(session)
        return session

    def left(self, session: Session) -> None:
        """Forget a session and stop what nobody else listens to."""
        if session in self._sessions:
            self._sessions.remove(session)
        for tr_id, key in session.registered:
            self._unwatch(tr_id, key)
        if session.registered:
            self.on_cut()
        session.registered = set()

    def hear(self, session: Session, text: str) -> None:
        """Answer a client's message."""
        try:
            message = json.loads(text)
            header, code = message["header"], ""
            if header.get("tr_id") == "PINGPONG":
                return
            asked = message["body"]["input"]
            tr_id, key = str(asked["tr_id"]), str(asked["tr_key"])
        except (ValueError, KeyError, TypeError, AttributeError):
            session.send([_no("", "", "OPSP9999", "JSON PARSING ERROR : invalid json format")])
            return
        code = self._admit(session, str(header.get("approval_key", "")))
        if code:
            session.send([_no("(null)" if code == "OPSP8996" else tr_id, key, code, _SAYS[code])])
            return
        change = {"1": self._register, "2": self._unregister}.get(str(header.get("tr_type")))
        if change is None:
            session.send([_no(tr_id, key, "OPSP8997", "JSON PARSING ERROR : invalid tr_type")])
            return
        session.send([change(session, tr_id, key)])

    def flush(self) -> None:
        """Send what the venue has said since the last time, each connection in order."""
        said, self.venue.said = self.venue.said, []
        for session in self._sessions:
            texts = self._texts(session, said) if session.registered else []
            if texts:
                self.frames_sent += len(texts)
                session.send(texts)

    def keep_alive(self, *, paced_by_order: bool) -> None:
        """Send a PINGPONG where silence would hold time back or worry a client.

        Args:
            paced_by_order: An order is open: every second must be heard, in the session or out.
        """
        now = self.venue.now
        day = self.venue.market.session
        within = day.opening_auction <= now < day.close + 60 * SECOND
        limit = SECOND if paced_by_order or within else SILENCE_OUTSIDE
        text = ""
        for session in self._sessions:
            if session.approval and now // SECOND * SECOND - session.last_second >= limit:
                text = text or pingpong(f"{kst(now):%Y%m%d%H%M%S}")
                session.last_second = now // SECOND * SECOND
                session.send([text])

    def _texts(self, session: Session, said: Sequence[Said]) -> list[str]:
        """Write the frames of one session; neighbours of one name and second share a frame."""
        texts: list[str] = []
        run: list[str] = []
        tag: tuple[str, str, int] | None = None
        for at, tr_id, key, text in said:
            if tr_id == NOTICES:
                if (self._notices, key) in session.registered:
                    texts += _framed(tag, run)
                    tag, run = None, []
                    texts.append(sealed(self._notices, 1, session.seal(text)))
                continue
            if (tr_id, key) not in session.registered:
                continue
            second = at // SECOND
            if tag != (tr_id, key, second) or len(run) == RECORDS_PER_FRAME_MAX:
                texts += _framed(tag, run)
                tag, run = (tr_id, key, second), []
            run.append(text)
            self.records_sent += 1
            session.last_second = second * SECOND
        return texts + _framed(tag, run)

    def _admit(self, session: Session, approval: str) -> str:
        if approval not in self.access.approvals:
            return "OPSP0011"
        if session.approval:
            return ""
        if any(other.approval for other in self._sessions):
            return "OPSP8996"
        session.approval = approval  # it has heard no second yet: the next hop tells it the time
        return ""

    def _register(self, session: Session, tr_id: str, key: str) -> str:
        if (tr_id, key) in session.registered:
            return _no(tr_id, key, "OPSP0002", "ALREADY IN SUBSCRIBE")
        if len(session.registered) >= REGISTRATIONS_MAX:
            self._note(session, tr_id)
            return _no(tr_id, key, "OPSP0008", "MAX SUBSCRIBE OVER")
        if tr_id in {TRADES, BOOKS}:
            if key not in self.venue.market.row:
                return _no(tr_id, key, "OPSP8992", "SUBSCRIBE ERROR : invalid tr_key")
            self.venue.watch(tr_id, key)
        elif tr_id != self._notices:
            return _no(tr_id, key, "OPSP8991", "SUBSCRIBE ERROR : invalid tr_id")
        elif key != self._hts_id:
            return _no(tr_id, key, "OPSP8992", "SUBSCRIBE ERROR : invalid tr_key")
        self._note(session, tr_id)
        session.registered.add((tr_id, key))
        session.held_max = max(session.held_max, len(session.registered))
        self.on_listening()
        return ack(tr_id, key, key=session.key, iv=session.iv)

    def _note(self, session: Session, tr_id: str) -> None:
        """Journal a registration with which a session would hold more than ever before."""
        held = len(session.registered) + 1
        if held > session.held_max:
            facts = {"session": session.number, "held": held, "tr_id": tr_id}
            self.venue.journal.write("registered", self.venue.now, **facts)

    def _unregister(self, session: Session, tr_id: str, key: str) -> str:
        if (tr_id, key) not in session.registered:
            return _no(tr_id, key, "OPSP0003", "UNSUBSCRIBE ERROR (not found!)")
        session.registered.remove((tr_id, key))
        self._unwatch(tr_id, key)
        return ack(tr_id, key, key=session.key, iv=session.iv, code="OPSP0001")

    def _unwatch(self, tr_id: str, key: str) -> None:
        if not any((tr_id, key) in other.registered for other in self._sessions):
            self.venue.unwatch(tr_id, key)


_SAYS: Final = {
    "OPSP0011": "invalid approval : NOT FOUND",
    "OPSP8996": "ALREADY IN USE appkey",
}


def _nothing() -> None:
    """Tell nobody."""


def _framed(tag: tuple[str, str, int] | None, run: list[str]) -> list[str]:
    return [frame(tag[0], run)] if tag is not None and run else []


def _no(tr_id: str, key: str, code: str, message: str) -> str:
    return nack(tr_id, key, code=code, message=message, rt_cd="9" if code == "OPSP8996" else "1")


def _keys(seed: int, number: int) -> tuple[str, str]:
    draw = uniform(seed, _KEY_SALT, number, np.arange(48, dtype=np.int64))
    letters = "".join(_LETTERS[int(share * len(_LETTERS))] for share in draw)
    return letters[:32], letters[32:]
