"""What the sender has done, kept on ``ops.audit`` and nowhere else."""

import threading

from consumers.alerts import rules
from consumers.alerts.rules import SERVICE, Delivery, Story
from infra.clock import wall_now
from infra.host import Context
from infra.publish import Publisher
from infra.reader import read_all
from infra.runner import Incoming
from infra.tail import decoded
from schemas.errors import Poison
from schemas.ops import ActAudited, DeadLettered
from schemas.topics import AUDIT, DEAD_LETTERS, Topic


class Account:
    """Our acts on ``ops.audit``, read whole once; written one transaction each.

    Making it fences the one before.  Shared by the channels' threads.

    Raises:
        Transient: The broker fell silent.
        Fenced: Another writer has taken over; from any later act too.
    """

    def __init__(self, context: Context) -> None:
        self._publisher = Publisher(
            context.connection, context.serde, client=SERVICE, transactional_id=SERVICE
        )
        self._lock = threading.Lock()
        self._publisher.bury((AUDIT, DEAD_LETTERS))
        past = decoded(context.serde, AUDIT, read_all(context.connection, AUDIT))
        self._stories = rules.stories(past)

    def story(self, delivery: Delivery) -> Story:
        """Return how a delivery stands."""
        with self._lock:
            return self._stories.get(delivery, Story())

    def write(self, delivery: Delivery, act: str, reason: str) -> None:
        """Put an act on record before anything follows from it."""
        now = wall_now()
        told = ActAudited(
            ts_event=now,
            ts_ingest=now,
            service=SERVICE,
            actor=SERVICE,
            act=act,
            subject=delivery.subject,
            allowed=act in {rules.DELIVERING, rules.DELIVERED},
            reason=reason,
        )
        self._commit(AUDIT, SERVICE, told)
        with self._lock:
            self._stories[delivery] = self._stories.get(delivery, Story()).after(act)

    def unread(self, record: Incoming, error: Poison) -> None:
        """Send a record that no schema reads to the dead letters."""
        now = wall_now()
        origin = f"{record.topic}/{record.partition}/{record.offset}"
        letter = DeadLettered(
            ts_event=now,
            ts_ingest=now,
            origin=origin,
            role=SERVICE,
            error=type(error).__name__,
            reason=str(error),
            attempt=1,
            payload=record.value or b"",
        )
        self._commit(DEAD_LETTERS, origin, letter)

    def close(self) -> None:
        """Let go of the connection; what is not committed is not on record."""
        self._publisher.close()

    def _commit(self, topic: Topic, key: str, event: ActAudited | DeadLettered) -> None:
        with self._lock:
            self._publisher.begin()
            self._publisher.send(topic, key, event)
            self._publisher.commit()
