"""Telling a url that a fire has ended, once.

What is owed stands in the database before the caller has an answer, so a restart forgets none.
A url that does not answer 2xx is tried ``TRIES_MAX`` times, then given up.  One that took the news
and whose answer was lost hears it again: ``fire_id`` says that it is the same.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
import structlog

from infra.clock import wall_now
from scheduler.api.database import Database, Owed
from schemas.control import ScheduleDecided
from schemas.errors import Transient
from schemas.units import SECOND, Micros

TRIES_MAX: Final = 5
WAIT: Final = Micros(SECOND)
"""After the first try; twice as long after each other one."""

LOOK_S: Final = 0.25
AT_ONCE: Final = 4
_PORTS: Final = {"http": 80, "https": 443}

EndOf = Callable[[Iterable[Owed]], dict[str, ScheduleDecided]]


def covered(url: str, prefixes: Iterable[str]) -> bool:
    """Say whether a url is at or below one of the prefixes: same scheme, host and port."""
    try:
        asked = urlsplit(url)
        return any(_covers(urlsplit(each), asked) for each in prefixes)
    except ValueError:  # a port or an address that is none
        return False


def again(tries: int, now: Micros) -> Micros:
    """Return when the next try is due after ``tries`` of them, this one counted."""
    return Micros(now + WAIT * 2 ** (tries - 1))


def news(end: ScheduleDecided) -> dict[str, Any]:
    """Return what a url is told of a fire's end."""
    return {
        "fire_id": end.fire_id, "job": end.job, "slot": end.slot, "kind": end.kind,
        "attempt": end.attempt, "state": end.decision, "reason": end.reason, "ended": end.decided,
    }  # fmt: skip


class Courier:
    """Tells urls what they are owed, on threads of its own: no request waits for it.

    Args:
        database: What is owed.
        end_of: The ends of those fires that have ended, by fire id.
        answer_s: How long a url may take.
    """

    def __init__(self, database: Database, end_of: EndOf, answer_s: float) -> None:
        self._database, self._end_of = database, end_of
        self._http = httpx.Client(timeout=answer_s, follow_redirects=False)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="callback")
        self._log = structlog.get_logger("api")

    def run(self, stopping: threading.Event) -> None:
        """Tell what there is to tell until told to stop."""
        while not stopping.wait(LOOK_S):
            try:
                self._round()
            except Transient as error:
                self._log.warning("callbacks_wait", reason=str(error))
        self._pool.shutdown(cancel_futures=True)
        self._http.close()

    def _round(self) -> None:
        owed = self._database.owed(wall_now())
        ends = self._end_of(owed) if owed else {}
        ready = [(each, ends[each.fire_id]) for each in owed if each.fire_id in ends]
        list(self._pool.map(lambda both: self._tell(*both), ready))

    def _tell(self, owed: Owed, end: ScheduleDecided) -> None:
        tries = owed.tries + 1
        if not self._database.claim(owed, again(tries, wall_now())):
            return
        try:
            answer = self._http.post(owed.url, json=news(end))
            told, was = answer.is_success, str(answer.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            told, was = False, type(error).__name__
        if told or tries >= TRIES_MAX:
            self._database.settle(owed, "told" if told else "given up")
        if not told:  # the url itself may hold a secret
            self._log.warning(
                "callback_failed", fire_id=owed.fire_id, tries=tries, of=TRIES_MAX, was=was
            )


def _covers(prefix: SplitResult, url: SplitResult) -> bool:
    if url.scheme not in _PORTS or url.username is not None or ".." in unquote(url.path):
        return False
    here, there = (
        (each.scheme, each.hostname, each.port or _PORTS.get(each.scheme)) for each in (prefix, url)
    )
    folder = prefix.path.rstrip("/") + "/"
    return here == there and (url.path.rstrip("/") + "/").startswith(folder)
