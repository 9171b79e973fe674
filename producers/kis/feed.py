"""What is to be written of what the brokerage says, and how far time has come with it.

Two sources share the topic.  ``kis.ws.N`` is a websocket session: its frames and keep-alives carry
its time.  ``kis.poll`` asks: an answer is of the market time at which it came, and whatever is
asked later will be later, so its time is simply now.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter

from infra.kis.stream import RawEvent, sequence
from producers.kis import notices
from producers.kis.times import SourceTime, frame_time, frame_tr, keep_alive_time
from schemas.errors import Poison
from schemas.kis import frames
from schemas.orders import NoticeReceived
from schemas.raw import RawFrame
from schemas.units import Micros

WS: Final = "kis.ws.0"
POLL: Final = "kis.poll"
POLL_TR: Final = "FHKST11300006"


class Meters:
    """Counts of one service."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, help_text: str) -> Counter:
            return Counter(f"aegis_kis_{name}", help_text, registry=registry)

        self.received = counter("frames_received", "Data messages from the websocket.")
        self.published = counter("records_published", "Raw records and notices written.")
        self.connected = counter("connections", "Websocket sessions opened.")
        self.refused = counter("notices_refused", "Notices that could not be read.")
        self.swept = counter("polls", "Calls of up to 30 names answered.")
        self.failed = counter("polls_failed", "Calls of up to 30 names without an answer.")


class Mark(NamedTuple):
    """A source of ``raw.kis`` has reached an instant."""

    source: str
    micros: Micros


Event = RawFrame | NoticeReceived

ReadNotices = Callable[[str, int, int, Micros], list[NoticeReceived]]


class Feed:
    """Turns what the brokerage says into what is written, in that order.

    Args:
        now: Market time.
        wall: The wall clock.
        ws: Time of the websocket source.
        poll: Time of the polling source.
        epoch: Of the polling source's sequence.
        read_notices: ``(text, epoch, seq, now)`` to events.
        account: Whose notices are kept; the HTS id may have other accounts.
        meters: Counts.
    """

    def __init__(
        self,
        *,
        now: Callable[[], Micros],
        wall: Callable[[], Micros],
        ws: SourceTime,
        poll: SourceTime,
        epoch: int,
        read_notices: ReadNotices,
        account: str,
        meters: Meters,
    ) -> None:
        self._now, self._wall = now, wall
        self._ws, self._poll = ws, poll
        self._epoch, self._polls = epoch, 0
        self._read_notices, self._account = read_notices, account
        self._meters = meters
        self._opened_at: Micros | None = None
        self._alive = False

    @property
    def reached(self) -> Micros | None:
        """How far all that was given has come; None before the websocket has shown to be alive."""
        return min(self._ws.reached, self._poll.reached) if self._alive else None

    def hear(self, event: RawEvent) -> list[Event | Mark]:
        """Take what happened on the websocket and return what to write of it."""
        if event.kind == "data":
            self._meters.received.inc()
            of_account = frame_tr(event.text) in notices.TR_IDS
            return self._notices(event) if of_account else self._frame(event)
        if event.kind == "control":
            return self._control(event.text)
        if event.kind == "opened":
            self._meters.connected.inc()
            self._opened_at = self._now()
        return []

    def answered(self, text: str) -> list[Event | Mark]:
        """Take a polled answer; its time is now."""
        now = self._now()
        self._poll.advance(now, now)
        self._polls += 1
        self._meters.swept.inc()
        frame = RawFrame(
            ts_event=self._poll.reached,
            ts_ingest=self._wall(),
            source=POLL,
            seq=sequence(self._epoch, self._polls),
            channel="rest",
            tr_id=POLL_TR,
            payload=text,
        )
        return [frame]

    def tick(self) -> list[Event | Mark]:
        """Say that the polling source has reached now: what it asks later is later."""
        now = self._now()
        return [Mark(POLL, now)] if self._poll.advance(now, now) else []

    def _frame(self, event: RawEvent) -> list[Event | Mark]:
        now = self._now()
        self._ws.advance(frame_time(event.text, now), now)
        self._alive = True
        frame = RawFrame(
            ts_event=self._ws.reached,
            ts_ingest=self._wall(),
            source=WS,
            seq=event.seq,
            channel="ws",
            tr_id=frame_tr(event.text),
            payload=event.text,
        )
        return [frame]

    def _control(self, text: str) -> list[Event | Mark]:
        """Advance by a keep-alive, or by a session's first acknowledgement.

        A session hears nothing older than its opening, and an acknowledgement shows it alive.
        """
        instant = keep_alive_time(text)
        if instant is None and self._opened_at is not None and _acknowledges(text):
            instant, self._opened_at = self._opened_at, None
        if instant is None:
            return []
        self._alive = True
        return self._reach(instant, self._now())

    def _reach(self, instant: Micros, now: Micros) -> list[Event | Mark]:
        return [Mark(WS, instant)] if self._ws.advance(instant, now) else []

    def _notices(self, event: RawEvent) -> list[Event | Mark]:
        now = self._now()
        try:
            found = self._read_notices(event.text, event.epoch, event.seq, now)
        except Poison:
            self._meters.refused.inc()
            return []
        written: list[Event | Mark] = []
        for each in found:
            if each.account == self._account:
                written.append(each)
            written += self._reach(each.ts_event, now)
        return written


def _acknowledges(text: str) -> bool:
    try:
        message = frames.parse(text)
    except Poison:
        return False
    return isinstance(message, frames.Control) and message.kind == "ack"
