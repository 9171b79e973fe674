"""The sender of alerts: follow ``ops.alerts``, ask every channel, keep account on ``ops.audit``.

What has been sent is what ``ops.audit`` says: a start, also after a lost connection, folds it
anew.  A delivery is written down as ``delivering`` before its channel is asked and as
``delivered`` after.  A life that dies between the two, before or after the message left, cannot
know which; the next one sends it again, marked "(may repeat)".  That window is the only one: no
alert is lost, and none without the mark is sent twice.  The offsets of the group follow what has
ended; were they lost, what is on record would still not be sent again.

There is one writer: a second sender fences the first (its transactional id) before it reads the
account, and a sender that is fenced cannot write ``delivering`` and so sends nothing.
"""

import heapq
import threading
import time
from contextlib import closing
from typing import Final, NamedTuple

import structlog
from confluent_kafka import KafkaException
from prometheus_client import Counter

from consumers.alerts import rules
from consumers.alerts.account import Account
from consumers.alerts.channels import Channel, channels
from consumers.alerts.rules import SERVICE, Delivery, Place, Progress
from infra.host import Context
from infra.runner import Incoming
from infra.tail import Tail
from schemas.errors import AegisError, Fatal, Poison, Transient
from schemas.ops import AlertRaised
from schemas.topics import ALERTS

POLL_S: Final = 0.2
WAITING_MAX: Final = 10_000
"""Deliveries under way; while there are more, no further alert is read."""
FAILURES_MAX: Final = 20
RETRY_S: Final = 1.0
JOIN_S: Final = 8.0


class Work(NamedTuple):
    """A delivery that waits; earliest due first.

    Attributes:
        due: Monotonic seconds.
        offset: Of its alert in ``place``.
    """

    due: float
    offset: int
    place: Place
    alert: AlertRaised


def run(context: Context) -> None:
    """Deliver alerts until told to stop; ``aegis.services: alerts``.

    Raises:
        Misconfigured: An address is neither form of its channel.
        Fenced: Another sender has taken over.
        Fatal: Kafka did not answer for long.
    """
    log = structlog.get_logger(SERVICE)
    found = channels(context.settings.alerts)
    log.info("channels", names=[each.name for each in found])
    ends = _counter(context)
    failures = 0
    while not context.stopping.is_set():
        try:
            _session(context, found, ends)
        except (KafkaException, Transient) as error:
            failures += 1
            if failures > FAILURES_MAX:
                raise Fatal(f"alerts: expected to go on, failed {failures} times") from error
            log.warning("started_over", reason=str(error))
            context.stopping.wait(RETRY_S)


def _session(context: Context, found: tuple[Channel, ...], ends: Counter) -> None:
    with (
        closing(Account(context)) as account,
        closing(Tail(context.connection, (ALERTS,), client=SERVICE, resume=True)) as tail,
        closing(_Desk(context, account, found, ends)) as desk,
    ):
        done: dict[Place, int] = {}
        while not context.stopping.is_set():
            if desk.full():
                context.stopping.wait(POLL_S)
            else:
                for record in tail.poll(POLL_S):
                    desk.take(record)
            desk.check()
            positions = desk.positions()
            if positions != done:
                tail.commit(positions)
                done = positions


class _Desk:
    """Hands alerts to the channels' lanes and knows how far everything is done."""

    def __init__(
        self, context: Context, account: Account, found: tuple[Channel, ...], ends: Counter
    ) -> None:
        self._context, self._account = context, account
        self._progress, self._lock = Progress(), threading.Lock()
        self._given: set[Delivery] = set()
        self._lanes = [_Lane(each, self, account, context, ends) for each in found]
        for lane in self._lanes:
            lane.start()

    def take(self, record: Incoming) -> None:
        """Give an alert to every channel that is to be told and has not been."""
        place = (self._context.connection.topic(ALERTS), record.partition)
        lanes: list[_Lane] = []
        if record.value is not None:
            try:
                alert: AlertRaised = self._context.serde.decode(ALERTS, record.value)
            except Poison as error:
                self._account.unread(record, error)
            else:
                lanes = [each for each in self._lanes if self._wants(each.channel, alert)]
        with self._lock:
            self._progress.taken(place, record.offset, len(lanes))
        for lane in lanes:
            lane.put(Work(time.monotonic(), record.offset, place, alert))

    def ended(self, work: Work) -> None:
        """Note that a lane is done with a delivery."""
        with self._lock:
            self._progress.ended(work.place, work.offset)

    def positions(self) -> dict[Place, int]:
        """Return where a next life begins to read."""
        with self._lock:
            return self._progress.positions()

    def full(self) -> bool:
        """Whether too much waits to read on."""
        return sum(lane.waiting() for lane in self._lanes) >= WAITING_MAX

    def check(self) -> None:
        """Raise what stopped a lane."""
        for lane in self._lanes:
            if lane.error is not None:
                raise lane.error

    def close(self) -> None:
        """Let every lane end the try it is at, for at most 8 s together."""
        for lane in self._lanes:
            lane.stop()
        give_up = time.monotonic() + JOIN_S
        for lane in self._lanes:
            lane.join(max(give_up - time.monotonic(), 0))

    def _wants(self, channel: Channel, alert: AlertRaised) -> bool:
        delivery = Delivery(channel.name, alert.alert_key)
        if not rules.passes(alert.severity, channel.least) or delivery in self._given:
            return False
        self._given.add(delivery)
        return not self._account.story(delivery).ended


class _Lane(threading.Thread):
    """One channel's deliveries, earliest due first: a channel that hangs holds up no other."""

    def __init__(
        self, channel: Channel, desk: _Desk, account: Account, context: Context, ends: Counter
    ) -> None:
        super().__init__(name=f"{SERVICE}.{channel.name}", daemon=True)
        self.channel = channel
        self.error: Exception | None = None
        self._desk, self._account, self._ends = desk, account, ends
        self._settings = context.settings.alerts
        self._log = structlog.get_logger(SERVICE)
        self._heap: list[Work] = []
        self._changed = threading.Condition()
        self._stopped = False

    def put(self, work: Work) -> None:
        """Add a delivery."""
        with self._changed:
            heapq.heappush(self._heap, work)
            self._changed.notify()

    def waiting(self) -> int:
        """Return how many deliveries wait."""
        with self._changed:
            return len(self._heap)

    def stop(self) -> None:
        """Begin no further try."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def run(self) -> None:
        """Work until stopped; what stops it is kept for the session."""
        try:
            while (work := self._next()) is not None:
                self._try(work)
        except Exception as error:  # noqa: BLE001 -- raised by the session, in its own thread
            self.error = error

    def _next(self) -> Work | None:
        with self._changed:
            while not self._stopped:
                left_s = self._heap[0].due - time.monotonic() if self._heap else None
                if left_s is not None and left_s <= 0:
                    return heapq.heappop(self._heap)
                self._changed.wait(left_s)
        return None

    def _try(self, work: Work) -> None:
        delivery = Delivery(self.channel.name, work.alert.alert_key)
        story = self._account.story(delivery)
        number, repeat = story.tries + 1, story.may_repeat
        said = f"try {number} of {self._settings.tries}"
        self._account.write(delivery, rules.DELIVERING, f"{said} {rules.MARK}" if repeat else said)
        act, reason = self._ask(rules.marked(work.alert) if repeat else work.alert)
        last = act in {rules.REFUSED, rules.FAILED} and number >= self._settings.tries
        if last:
            act, reason = rules.UNDELIVERED, f"{said}: {reason}"
        self._account.write(delivery, act, reason)
        self._ends.labels(self.channel.name, act).inc()
        tell = self._log.info if act == rules.DELIVERED else self._log.warning
        if act == rules.UNDELIVERED:
            tell = self._log.error
        tell(act, channel=self.channel.name, alert_key=work.alert.alert_key, reason=reason)
        if act in rules.ENDS:
            self._desk.ended(work)
        else:
            self.put(
                work._replace(due=time.monotonic() + rules.wait_s(number, self._settings.retry_s))
            )

    def _ask(self, alert: AlertRaised) -> tuple[str, str]:
        try:
            self.channel.send(alert)
        except Transient as error:
            return rules.REFUSED, str(error)
        except Poison as error:
            return rules.UNDELIVERED, str(error)
        except AegisError as error:
            return rules.FAILED, str(error)
        except Exception as error:  # noqa: BLE001 -- anybody's code; its words may hold an address
            return rules.FAILED, f"expected it taken, was {type(error).__name__}"
        return rules.DELIVERED, "taken"


def _counter(context: Context) -> Counter:
    if SERVICE not in context.meters:
        context.meters[SERVICE] = Counter(
            "aegis_alerts_tries",
            "Tries of deliveries, by how they ended.",
            ["channel", "act"],
            registry=context.metrics,
        )
    found: Counter = context.meters[SERVICE]
    return found
