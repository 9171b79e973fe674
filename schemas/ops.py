"""How the system itself is."""

from dataclasses import dataclass

from schemas.units import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChanged:
    """A step on the degradation ladder.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        service: Who says so; also the key.
        level: normal, fallback_source, last_good_score, quant_only or manual.
        previous: Before.
        reason: Why.
        cause: Id of the event that caused it.
    """

    ts_event: Micros
    ts_ingest: Micros
    service: str
    level: str
    previous: str
    reason: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised:
    """Somebody should look.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        alert_key: Same alert, same key.
        service: Who; also the key.
        severity: info, warning or urgent.
        summary: One sentence.
        detail: What to do.
    """

    ts_event: Micros
    ts_ingest: Micros
    alert_key: str
    service: str
    severity: str
    summary: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ActAudited:
    """A privileged act or a denial.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        service: Where; also the key.
        actor: Who.
        act: What.
        subject: On what.
        allowed: Done or denied.
        reason: Why.
    """

    ts_event: Micros
    ts_ingest: Micros
    service: str
    actor: str
    act: str
    subject: str
    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLettered:
    """A record that could not be read.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        origin: topic/partition/offset; also the key.
        role: Who could not read it.
        error: Class.
        reason: One sentence: expected, was.
        attempt: From 1.
        payload: The bytes, untouched.
    """

    ts_event: Micros
    ts_ingest: Micros
    origin: str
    role: str
    error: str
    reason: str
    attempt: int
    payload: bytes
