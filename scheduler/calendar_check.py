"""``aegis jobs calendar --check``: the sources as they are today, and what follows for each job."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

from infra.connection import Connection
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack.stack import require
from infra.tail import View
from scheduler import calendar_build, timetable, watch
from scheduler.triggers import KRX, Calendar, Slot
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_date
from schemas.topics import TRADES
from schemas.units import MILLISECOND, Micros

BACK: Final = 1_000
"""Records of a partition's end among which a trade must be: watermarks lie between them."""


class Checked(NamedTuple):
    """What the watchdog says of a day and of the days after it.

    Attributes:
        day: In Korea.
        sources: Whom it asked.
        disputes: Days on which they disagree and nothing is settled.
        tape: What is wrong between the tape and the calendar, None if nothing is or nobody asked.
        orders: What holds today for jobs that may send orders.
        reads: What holds today for the others.
        due: Fires of today under those verdicts, by job.
    """

    day: date
    sources: tuple[str, ...]
    disputes: tuple[watch.Dispute, ...]
    tape: str | None
    orders: watch.Verdict
    reads: watch.Verdict
    due: Mapping[str, int]

    @property
    def alarms(self) -> tuple[str, ...]:
        """What an operator must see, one sentence each."""
        tape = () if self.tape is None else (self.tape,)
        return (*(str(each) for each in self.disputes), *tape)

    def lines(self) -> Iterator[str]:
        """Yield the answer for a person."""
        yield from self.alarms
        yield f"{self.day} jobs that may send orders: {self.orders.reason}"
        yield f"{self.day} jobs that read: {self.reads.reason}"
        yield f"{len(self.alarms)} alarms from {', '.join(self.sources)}"

    def json(self) -> dict[str, Any]:
        """Return the answer for a program."""
        return {
            "day": self.day.isoformat(),
            "sources": self.sources,
            "disputes": [
                {"date": each.date.isoformat(), "says": dict(each.says)} for each in self.disputes
            ],
            "tape": self.tape,
            "orders": self.orders._asdict(),
            "reads": self.reads._asdict(),
            "due": self.due,
            "alarms": self.alarms,
        }


def run(now: Micros, answers: str | None, *, tape: bool) -> Checked:
    """Ask our table, the library as installed and, if given, the brokerage's answer in a file.

    Args:
        now: The instant of the question, micros UTC.
        answers: Path of a chk-holiday answer, or None.
        tape: Whether to hold the running stack's trades against the calendar too.

    Raises:
        Misconfigured: The file is absent or unreadable, or our table ends within the days ahead,
            or the tape is wanted and no stack runs.
    """
    today = kst_date(now)
    sources = [
        watch.ours(today),
        watch.listed("holidays library", calendar_build.library(), today),
    ]
    if answers is not None:
        path = Path(answers)
        if not path.is_file():
            raise Misconfigured(f"expected a file with the brokerage's answer, was {answers!r}")
        sources.append(watch.brokerage(path.read_text("utf-8")))
    decided = watch.settled(calendar_build.overrides())
    alarm = watch.tick_alarm(newest_trade(), now, KRX.session(today)) if tape else None
    return checked(today, sources, decided, alarm)


def checked(
    today: date,
    sources: list[watch.Source],
    decided: watch.Settled,
    tape: str | None = None,
    calendar: Calendar = KRX,
) -> Checked:
    """Hold sources against each other and say what follows today."""
    found = watch.disputes(sources, decided)
    orders, reads = (
        watch.verdict(today, found, orders=which, calendar=calendar) for which in (True, False)
    )
    table = timetable.default()
    due: Counter[str] = Counter()
    for orders_too, which in ((True, orders), (False, reads)):
        kind = {name for name, job in table.jobs.items() if watch.sends_orders(job) == orders_too}
        told = timetable.preview(table, today, watch.under(today, which, calendar))
        due.update(each.job for each in told if isinstance(each, Slot) and each.job in kind)
    return Checked(
        day=today,
        sources=tuple(each.name for each in sources),
        disputes=found,
        tape=tape,
        orders=orders,
        reads=reads,
        due=dict(due),
    )


def newest_trade() -> Micros | None:
    """Return when the newest trade of the running stack happened; None when it holds none.

    Raises:
        Misconfigured: No stack runs.
        Transient: The broker fell silent.
    """
    settings = Settings()
    where = require(settings)
    registry = Registry(where.registry_url)
    connection = Connection(settings=settings, endpoints=where, namespace=settings.namespace)
    view = View(connection, Serde(registry))
    try:
        kept = [each for records in view.newest(TRADES, BACK).values() for each in records]
    finally:
        view.close()
        registry.close()
    return max(
        (Micros(each.timestamp_ms * MILLISECOND) for each in kept if each.value is not None),
        default=None,
    )
