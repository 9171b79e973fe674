"""What happens while a day runs, in words for a screen: rates, scores, orders, the result.

Reads the topics as anybody may; the low-rate ones event by event, the market only by its ends.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, TopicPartition

from infra.connection import Connection
from infra.registry import Serde
from infra.tail import Tail, decoded
from infra.topology import Topology
from schemas.orders import OrderEvent
from schemas.portfolio import PortfolioStated
from schemas.scores import FinalScored
from schemas.topics import BOOKS, BY_NAME, FINAL, ORDERS, POSITIONS, TRADES
from schemas.units import Micros

MARKET: Final = (TRADES, BOOKS)
TOLD: Final = (FINAL, ORDERS, POSITIONS)
ENDS_S_MAX: Final = 10.0
COUNTED: Final = ("accepted", "filled", "cancelled", "rejected", "unknown")


class Seen(NamedTuple):
    """What has happened so far.

    Attributes:
        rounds: Scorings.
        best: Best name and score of the last one.
        orders: Steps of orders' lives by kind.
        result: Won since the previous close, None before the account was stated.
    """

    rounds: int = 0
    best: str = ""
    orders: Mapping[str, int] = {}
    result: int | None = None


def see(seen: Seen, events: Iterable[Any]) -> Seen:
    """Fold events of the told topics."""
    orders = Counter(seen.orders)
    for event in events:
        if isinstance(event, FinalScored):
            best = max(zip(event.scores, event.symbols, strict=True), default=None)
            words = "" if best is None else f"{best[1]} {best[0]:.1f}"
            seen = seen._replace(rounds=seen.rounds + 1, best=words)
        elif isinstance(event, OrderEvent):
            orders[event.kind] += 1
        elif isinstance(event, PortfolioStated):
            seen = seen._replace(result=event.equity - event.equity_previous_close)
    return seen._replace(orders=dict(orders))


def words(seen: Seen) -> dict[str, str]:
    """Return the facts for a screen; what has not happened is left out."""
    said = {}
    if seen.rounds:
        rounds = f"{seen.rounds} round{'s' if seen.rounds > 1 else ''}"
        said["scores"] = f"{rounds}, best {seen.best}" if seen.best else rounds
    counted = [f"{seen.orders[kind]} {kind}" for kind in COUNTED if kind in seen.orders]
    if counted:
        said["orders"] = ", ".join(counted)
    if seen.result is not None:
        said["P&L"] = f"{seen.result:+,} won since the previous close"
    return said


class Watch:
    """Follows a day's topics for the screen.

    Args:
        connection: The day's.
        serde: To read its events.
        topology: How many partitions the market has.
    """

    def __init__(self, connection: Connection, serde: Serde, topology: Topology) -> None:
        self._serde = serde
        self._tail = Tail(connection, TOLD, client="demo.screen")
        self._ends = Consumer(connection.consumer("demo.ends"))
        self._places = [
            TopicPartition(connection.topic(topic), partition)
            for topic in MARKET
            for partition in range(topology.partitions(topic))
        ]
        self._seen = Seen()
        self._before: tuple[Micros, int] | None = None

    def look(self, now: Micros) -> dict[str, str]:
        """Return what there is to say at a market instant."""
        for record in self._tail.poll(0.0):
            if record.value is not None:
                topic = BY_NAME[record.topic]
                self._seen = see(self._seen, decoded(self._serde, topic, [record]))
        return self._rate(now) | words(self._seen)

    def close(self) -> None:
        """Let go of the connections."""
        self._tail.close()
        self._ends.close()

    def _rate(self, now: Micros) -> dict[str, str]:
        count = sum(
            self._ends.get_watermark_offsets(place, timeout=ENDS_S_MAX)[1] for place in self._places
        )
        before, self._before = self._before, (now, count)
        if before is None or now <= before[0]:
            return {}
        rate = (count - before[1]) * 1e6 / (now - before[0])
        return {"trades and books": f"{count:,}, {rate:.1f} per second of the market"}
