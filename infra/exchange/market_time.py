"""Market time of an accelerated day: it never runs away from the slowest pacing role.

    may go to = min over roles of (reached + slack, the instant a role has named), a whole second

    slack   122 s in the session, 4 min outside it
             1 s to the roles of the order path for 8 s after each notice of an open order of ours
             0   while an HTTP call is unanswered

A step is at most half of the slack, so that one is made while the one before is being worked on;
and one that ends where no order, no asked speed and no role wants it to waits until it is worth
``STEP_MIN``.
A websocket session that was listened on and is cut stops time until somebody listens again.
``reached`` T says: every record of an instant before T is done.  Time stands still until every role
has reported once and while one of them is gone; a role gone for ``LOST_S_MAX`` of wall time fails
the run by name.  The asked speed is a ceiling.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from infra.clock import SLACK_IDLE, SLACK_ORDER
from schemas.errors import Fatal
from schemas.krx.sessions import Session
from schemas.units import MILLISECOND, MINUTE, SECOND, Micros

SLACK_SESSION: Final = SLACK_IDLE
SLACK_OUTSIDE: Final = Micros(4 * MINUTE)
ORDER_PATH: Final = frozenset({"kis", "execution"})
"""Roles that see an order's life: notices come by one, timers and cancels by the other."""

SESSION: Final = "the websocket session"

LOST_S_MAX: Final = 60.0
"""Wall seconds a pacing role may be away."""

STEP_MIN: Final = Micros(20 * SECOND)
"""A step nobody asked for is at least this long: what a step costs does not depend on its length.

In the session every hop ends with a keep-alive, and a new connection is told the time at once, so
every role reaches the hop's end without another one.
"""

_TOLERANCE: Final = Micros(MILLISECOND)


@dataclass(slots=True, kw_only=True)
class MarketTime:
    """Where market time is and how far it may go.

    Attributes:
        now: Micros; everything before it has been said.
        end: The day is over.
        pacing: How far each role has come; None until it reports, and while it is gone.
        gone: Wall seconds at which a role was lost.
        speed: Market seconds per wall second at most; 0 is no ceiling.
        named: Where each role wants time to stop, None where it does not say.
        held_s: Wall seconds for which each role, or an unanswered call, was what time waited for.
    """

    session: Session
    now: int
    end: int
    pacing: dict[str, int | None]
    speed: float = 0.0
    gone: dict[str, float] = field(default_factory=dict)
    anchor: tuple[float, int] | None = None
    held_s: dict[str, float] = field(default_factory=dict)
    looked: tuple[float, str] | None = None
    named: dict[str, int | None] = field(default_factory=dict)

    def report(self, role: str, reached: int, until: int | None = None) -> None:
        """Note how far a role has come, and where it wants time to stop; others are ignored."""
        if role in self.pacing:
            self.pacing[role] = reached
            self.named[role] = until
            self.gone.pop(role, None)

    def lose(self, roles: Iterable[str], wall_s: float) -> None:
        """Note that the connection of some roles closed."""
        for role in roles:
            if self.pacing.get(role) is not None:
                self.pacing[role] = None
                self.gone[role] = wall_s

    def cut(self, wall_s: float) -> None:
        """Note that the session in which a pacing role listened is gone."""
        if self.pacing:
            self.gone.setdefault(SESSION, wall_s)

    def mended(self) -> bool:
        """Note that somebody listens again; return whether nobody did."""
        return self.gone.pop(SESSION, None) is not None

    def check(self, wall_s: float) -> None:
        """Fail when a pacing role stays away.

        Raises:
            Fatal: It names the role.
        """
        for role, since in self.gone.items():
            if wall_s - since > LOST_S_MAX:
                raise Fatal(
                    f"expected {role} back within {LOST_S_MAX:.0f} s, "
                    f"was away {wall_s - since:.0f} s; see its log, start the day again"
                )

    def missing(self) -> list[str]:
        """Return the roles that time waits for before it starts or goes on."""
        absent = [role for role, reached in self.pacing.items() if reached is None]
        return [*absent, SESSION] if SESSION in self.gone else absent

    def slack(self, *, stirring: bool) -> Micros:
        """Return how far time may run ahead of the slowest role."""
        if stirring:
            return SLACK_ORDER
        within = self.session.opening_auction <= self.now < self.session.close + MINUTE
        return SLACK_SESSION if within else SLACK_OUTSIDE

    def ceiling(self, *, calls_open: bool, stirring: bool, wall_s: float) -> int:
        """Return how far time may go now, >= ``now``, on a whole second.

        Args:
            calls_open: An HTTP call is unanswered.
            stirring: An order of ours is open and something has just been said of one.
            wall_s: The monotonic wall clock.
        """
        self._blame(wall_s, calls_open=calls_open, stirring=stirring)
        if calls_open or self.missing():
            self.anchor = None if self.missing() else self.anchor
            return self.now
        limits = [self._limit(role, stirring=stirring) for role in self.pacing]
        stops = [each for each in self.named.values() if each is not None]
        longest = self.now + self.slack(stirring=False) // 2
        slack = min(min(limits, default=self.now) + _TOLERANCE, longest)
        stop = min([-(-min(stops) // SECOND) * SECOND if stops else self.end, self.end])
        if slack < stop and self._too_short(slack - self.now, stirring=stirring):
            return self.now
        reach = min(slack, stop)
        if self.speed:
            if self.anchor is None:
                self.anchor = wall_s, self.now
            began, start = self.anchor
            reach = min(reach, start + int((wall_s - began) * self.speed * SECOND))
        return max(self.now, reach - reach % SECOND)

    def _too_short(self, ahead: int, *, stirring: bool) -> bool:
        """Tell whether a step is better made later, and longer."""
        return not stirring and not self.speed and ahead < STEP_MIN

    def _blame(self, wall_s: float, *, calls_open: bool, stirring: bool) -> None:
        if self.looked is not None:
            since, name = self.looked
            self.held_s[name] = self.held_s.get(name, 0.0) + wall_s - since
        name = "a call" if calls_open else self._slowest(stirring=stirring)
        self.looked = wall_s, name

    def _slowest(self, *, stirring: bool) -> str:
        def limit(role: str) -> int:
            stop = self.named.get(role)
            limit = self._limit(role, stirring=stirring)
            return limit if stop is None else min(limit, stop)

        found = min(self.pacing, key=limit, default="nobody")
        return f"{found} (order)" if stirring else found

    def _limit(self, role: str, *, stirring: bool) -> int:
        reached = self.pacing[role]
        if reached is None:
            return -1
        return reached + self.slack(stirring=stirring and role in ORDER_PATH)

    def capped_for_s(self, wall_s: float) -> float:
        """Return the wall seconds until the speed's ceiling lets the next second pass."""
        if not self.speed or self.anchor is None:
            return 0.0
        began, start = self.anchor
        due = began + (self.now + SECOND - start) / SECOND / self.speed
        return max(due - wall_s, 0.0)
