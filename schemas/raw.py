"""Raw payloads: the only thing a producer writes."""

from dataclasses import dataclass

from schemas.units import Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFrame:
    """An untouched payload of the brokerage's market data, as received.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        source: Connection: kis.ws.N or kis.poll; also the key.
        seq: Connection epoch << 40 | frame << 10.
        channel: ws or rest.
        tr_id: The transaction id, empty for control messages.
        payload: The text, untouched.
    """

    ts_event: Micros
    ts_ingest: Micros
    source: str
    seq: int
    channel: str
    tr_id: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RawFiling:
    """An untouched item or page of OpenDART.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        source: dart.
        seq: Running number.
        resource: list.json or another resource.
        payload: The body, untouched.
    """

    ts_event: Micros
    ts_ingest: Micros
    source: str
    seq: int
    resource: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDaily:
    """An untouched daily row set of a KRX source.

    Attributes:
        ts_event: The exchange's clock, also the Kafka timestamp.
        ts_ingest: When we first saw it: the wall clock, carried along unchanged.
        source: krx.
        seq: Running number.
        resource: File or service it came from.
        payload: The body, untouched.
    """

    ts_event: Micros
    ts_ingest: Micros
    source: str
    seq: int
    resource: str
    payload: str
