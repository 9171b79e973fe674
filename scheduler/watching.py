"""The calendar watch's shell: what the running scheduler shows ``scheduler.vigil``."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Final

from infra.host import Context
from infra.tail import View
from scheduler import calendar_build, watch
from scheduler.calendar_check import BACK
from scheduler.vigil import Tape, Vigil, Watched
from scheduler.watch import Settled
from schemas.topics import TRADES
from schemas.units import MILLISECOND, Micros

LIVE: Final = "live"


@cache
def sources() -> tuple[Mapping[date, str], Settled]:
    """Return the library's closures and what our overrides settle, worked out once a process."""
    return calendar_build.library(), watch.settled(calendar_build.overrides())


class Watch:
    """Looks at the calendar of an instant, and at the tape where trades have to come.

    Silence on the tape means something where a feed is meant to run: by default in the namespace
    ``live``, elsewhere when ``AEGIS_SCHEDULER__WATCH_TAPE`` says so.
    """

    def __init__(self, context: Context) -> None:
        settings = context.settings
        asked = settings.scheduler.watch_tape
        tape = settings.namespace == LIVE if asked is None else asked
        self._view = View(context.connection, context.serde) if tape else None
        self._vigil = Vigil(*sources())

    def look(self, now: Micros) -> Watched:
        """Return the calendar to decide by and the alerts that are new.

        Raises:
            Transient: The broker does not answer for the tape.
        """
        wanted = self._view is not None and self._vigil.wants_tape(now)
        return self._vigil.look(now, tape=self._tape() if wanted else None)

    def close(self) -> None:
        """Let go of the connection."""
        if self._view is not None:
            self._view.close()

    def _tape(self) -> Tape:
        if self._view is None:
            return Tape(None)
        found = [each for records in self._view.newest(TRADES, BACK).values() for each in records]
        kept = [each.timestamp_ms for each in found if each.value is not None]
        return Tape(Micros(max(kept) * MILLISECOND) if kept else None)
