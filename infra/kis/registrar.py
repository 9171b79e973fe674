"""What is registered on one session, what should be, and the next message towards it.

The count that matters is the session's registrations, all streams together, notice included
(korea.md 1.1).  One that is let go is let go before another is asked for, so 41 is never exceeded.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final

from infra.kis.subscriptions import REGISTRATIONS_MAX, Registration
from schemas.errors import Fatal
from schemas.kis import encode
from schemas.kis.frames import Control

QUIET_S: Final = 300.0
"""After ALREADY IN SUBSCRIBE, and before a refused one is asked for again."""

ANSWER_WAIT_S: Final = 10.0
LOOK_S: Final = 1.0

REGISTERED: Final = frozenset({"OPSP0000", "OPSP0002"})
LET_GO: Final = frozenset({"OPSP0001", "OPSP0003"})
ALREADY: Final = "OPSP0002"


@dataclass(slots=True)
class _Entry:
    """One registration on the session.

    Attributes:
        state: asked, live, refused or leaving.
        code: The brokerage's last code.
        quiet_until_s: Loop time before which nothing is sent for it.
    """

    state: str
    code: str = ""
    quiet_until_s: float = 0.0


class Registrar:
    """Keeps the session at what is wanted.

    Args:
        pace_s: Seconds between two messages.
    """

    def __init__(self, *, pace_s: float) -> None:
        self._pace_s = pace_s
        self._wanted: dict[Registration, None] = {}
        self._entries: dict[Registration, _Entry] = {}
        self._key = ""
        self._changed = asyncio.Event()

    @property
    def live(self) -> frozenset[Registration]:
        """Return what is confirmed."""
        return frozenset(each for each, entry in self._entries.items() if entry.state == "live")

    @property
    def refused(self) -> dict[Registration, str]:
        """Return what is refused, with the code."""
        entries = self._entries.items()
        return {each: entry.code for each, entry in entries if entry.state == "refused"}

    def want(self, registrations: Iterable[Registration]) -> None:
        """Replace what should be registered.

        Raises:
            Fatal: More than 41 are asked for.
        """
        wanted = dict.fromkeys(registrations)
        if len(wanted) > REGISTRATIONS_MAX:
            raise Fatal(
                f"expected at most {REGISTRATIONS_MAX} registrations per app key, was "
                f"{len(wanted)}; stream fewer names or add an app key"
            )
        self._wanted = wanted
        for registration in [each for each in self.refused if each not in wanted]:
            del self._entries[registration]
        self._changed.set()

    def opened(self, approval_key: str) -> None:
        """Start over on a new session: nothing is registered there."""
        self._key = approval_key
        self._entries = {}
        self._changed.set()

    def answered(self, control: Control) -> None:
        """Take the brokerage's answer to a registration."""
        registration = Registration(control.tr_id, control.tr_key)
        entry = self._entries.get(registration)
        if entry is None:
            return
        self._changed.set()
        if entry.state == "leaving":
            del self._entries[registration]
            return
        entry.code = control.code
        entry.quiet_until_s = 0.0
        if control.code in REGISTERED:
            entry.state = "live"
            if control.code == ALREADY:
                entry.quiet_until_s = _now_s() + QUIET_S
        else:
            entry.state = "refused"
            entry.quiet_until_s = _now_s() + QUIET_S

    async def requests(self) -> AsyncIterator[str]:
        """Yield the messages that lead to what is wanted, paced, for ever."""
        while True:
            self._changed.clear()
            request = self._next()
            if request is None:
                await self._look()
                continue
            yield request
            await asyncio.sleep(self._pace_s)

    def _next(self) -> str | None:
        now_s = _now_s()
        for registration, entry in self._entries.items():
            gone = registration not in self._wanted and entry.state != "refused"
            if gone and entry.quiet_until_s <= now_s:
                self._entries[registration] = _Entry("leaving", "", now_s + ANSWER_WAIT_S)
                return encode.registration(self._key, *registration, tr_type=encode.UNREGISTER)
        for registration in self._wanted:
            if self._due(registration, now_s):
                self._entries[registration] = _Entry("asked", "", now_s + ANSWER_WAIT_S)
                return encode.registration(self._key, *registration)
        return None

    def _due(self, registration: Registration, now_s: float) -> bool:
        entry = self._entries.get(registration)
        if entry is None:
            held = sum(each.state != "refused" for each in self._entries.values())
            return held < REGISTRATIONS_MAX
        return entry.state in {"asked", "refused", "leaving"} and entry.quiet_until_s <= now_s

    async def _look(self) -> None:
        """Wait for a change, or a while: an unanswered request is asked again."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._changed.wait()
        except TimeoutError:
            return


def _now_s() -> float:
    return asyncio.get_running_loop().time()
