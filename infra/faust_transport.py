"""A Faust transport whose events are fetches: one event per partition and fetch, a list of records.

Stock Faust makes tasks and futures for every record and reaches about 10,000 a second; a list
per fetch costs it once.  ``broker='aegis://host:port'`` selects it (entry point
``faust.transports``).  Also here: committed input only, and a fetch that does not sit for 1.5 s.

The bookkeeping of a batch is the offset of its last record: a commit moves over whole events,
in order.
"""

from collections import defaultdict, deque
from collections.abc import AsyncIterator
from typing import Any, Final

import aiokafka
from faust.transport.drivers import aiokafka as stock
from faust.types import TP, ConsumerMessage

FETCH_WAIT_MS_MAX: Final = 100


class ConsumerThread(stock.AIOKafkaConsumerThread):
    """The thread that owns the aiokafka consumer."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        for name in ("_isolation_level", "_fetch_max_wait_ms"):
            if not hasattr(consumer, name):  # aiokafka is pinned; a new one has to be looked at
                raise AttributeError(f"expected aiokafka 0.14 with {name}, was without")
        consumer._isolation_level = "read_committed"  # noqa: SLF001 -- Faust has no setting for it
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS_MAX  # noqa: SLF001 -- hard-coded 1500 in Faust
        return consumer


class Consumer(stock.Consumer):
    """A consumer whose messages are fetches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._fetched: defaultdict[TP, deque[int]] = defaultdict(deque)
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(  # the name and the timeout are Faust's
        self,
        timeout: float,  # noqa: ASYNC109 -- Faust's signature
    ) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Yield one message per partition of a fetch; its value is the list of records."""
        records, _ = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for place, fetched in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            self.app.monitor.track_tp_end_offset(place, self.highwater(place))
            read = self._read_offset[place]
            fresh = [each for each in fetched if read is None or each.offset >= read]
            if not fresh:
                continue
            last = fresh[-1]
            self._fetched[place].append(last.offset)
            yield (
                place,
                ConsumerMessage(
                    last.topic,
                    last.partition,
                    last.offset,
                    last.timestamp / 1_000.0,
                    last.timestamp_type,
                    [],
                    None,
                    fresh,  # type: ignore[arg-type] # the point of this transport
                    None,
                    0,
                    0,
                    place,
                    generation_id=generation,
                ),
            )

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: gaps between fetches are not ours to fill."""

    def _new_offset(self, tp: TP) -> int | None:
        acked, fetched, last = self._acked_index[tp], self._fetched[tp], None
        while fetched and fetched[0] in acked:
            last = fetched.popleft()
            acked.discard(last)
        if last is None:
            return None
        self._acked[tp] = [each for each in self._acked[tp] if each > last]
        return int(last) + 1

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is acknowledged, then forget what was fetched."""
        await self.commit()
        for place in revoked:
            self._fetched.pop(place, None)
        await super().on_partitions_revoked(revoked)


class Transport(stock.Transport):
    """The transport Faust finds under ``aegis://``."""

    Consumer = Consumer
