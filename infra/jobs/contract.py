"""What a handler is given and what it gives back."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from infra.clock import Clock
from infra.connection import Connection
from infra.registry import Serde
from infra.settings import Settings
from infra.tail import View
from schemas.control import JobTriggered

HANDLERS: Final = "aegis.jobs"
"""The entry point group in which handlers are found."""

DETAIL_CHARS_MAX: Final = 2_000


class Result(NamedTuple):
    """How a job ended.

    Attributes:
        state: ``succeeded``, ``degraded`` or ``failed``.
        detail: The result or the reason, one sentence.
    """

    state: str
    detail: str


def failed(error: BaseException) -> Result:
    """Return the end of a run that raised."""
    return Result("failed", f"{type(error).__name__}: {error}"[:DETAIL_CHARS_MAX])


def say_nothing(text: str) -> None:
    """Stand for ``JobContext.progress`` where nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """What a handler is given.

    Attributes:
        trigger: Why it runs; ``trigger.ts_event`` is its T, ``logical_date`` its day.
        view: Reads topics; shared, so that asking again costs only what is new.
        postgres_dsn: The database; empty for a user's handler that was not given one.
        stopping: Set when the process is to end; a handler that waits gives up then.
        cancelled: Set when nobody wants this run any more: cancelled, timed out or taken over.
            Inline handlers have to look at it, nothing else stops them; one in a process of its
            own is killed and never sees it set.
        progress: Says how far it is; the words ride on the next heartbeat.
    """

    connection: Connection
    serde: Serde
    clock: Clock
    settings: Settings
    trigger: JobTriggered
    view: View
    postgres_dsn: str
    stopping: threading.Event
    log: Any
    cancelled: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[str], None] = say_nothing


Handler = Callable[[JobContext], Result]


class Stopped(Exception):  # noqa: N818 -- no error: the process is asked to end
    """A handler gave up because the process ends; its attempt is run again by another worker."""
