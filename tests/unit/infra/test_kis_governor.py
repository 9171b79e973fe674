"""The rate governor: never above the brokerage's limit, cancels first, one bucket for everybody."""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.kis.governor import (
    MOCK,
    REAL,
    WHOLE_SECONDS,
    Bucket,
    Governor,
    Lane,
    LocalBucket,
    Rate,
    SharedBucket,
)
from schemas.errors import Transient
from schemas.units import SECOND, Micros

NOW = Micros(1_770_681_600 * SECOND)


class Market:
    """A clock that jumps to the next instant somebody waits for."""

    def __init__(self) -> None:
        self.now = Micros(1_000 * SECOND)
        self._alarms: list[tuple[Micros, int, asyncio.Event]] = []
        self._count = 0

    async def sleep_until(self, at: Micros) -> None:
        alarm = asyncio.Event()
        heapq.heappush(self._alarms, (at, self._count, alarm))
        self._count += 1
        await alarm.wait()

    async def run(self, work: Awaitable[object]) -> None:
        task = asyncio.ensure_future(work)
        while not task.done():
            for _ in range(20):  # let everybody come to rest before time moves
                await asyncio.sleep(0)
            if self._alarms and not task.done():
                at, _, alarm = heapq.heappop(self._alarms)
                self.now = max(self.now, at)
                alarm.set()
        task.result()


def play(use: Callable[[Market], Awaitable[object]]) -> None:
    async def main() -> None:
        market = Market()
        await market.run(use(market))

    asyncio.run(asyncio.wait_for(main(), 30))


def governor(market: Market, bucket: Bucket, waiting_max: int = 1_000) -> Governor:
    return Governor(
        bucket,
        now=lambda: market.now,
        sleep_until=market.sleep_until,
        waiting_max=waiting_max,
    )


@pytest.mark.parametrize(("rate", "limit"), [(REAL, 18), (MOCK, 1)])
def test_no_second_holds_more_calls_than_the_brokerage_allows(rate: Rate, limit: int) -> None:
    sent: list[Micros] = []

    async def use(market: Market) -> None:
        desk = governor(market, LocalBucket(rate))

        async def call() -> None:
            await desk.take(Lane.ORDER)
            sent.append(market.now)

        await asyncio.gather(*(call() for _ in range(100)))

    play(use)

    assert len(sent) == 100
    assert max(sum(at <= each < at + SECOND for each in sent) for at in sent) <= limit


def test_a_clock_of_whole_seconds_still_holds_each_second_to_the_limit() -> None:
    bucket = LocalBucket(WHOLE_SECONDS)
    granted = [
        sum(bucket.take(Micros(NOW + second * SECOND), Lane.ORDER) == 0 for _ in range(40))
        for second in range(5)
    ]

    assert granted == [9, 9, 9, 9, 9]
    assert max(sum(pair) for pair in pairwise(granted)) <= 18, "two instants in one second"


def test_a_quote_leaves_room_for_orders_at_every_instant_of_a_clock_of_whole_seconds() -> None:
    bucket = LocalBucket(WHOLE_SECONDS)

    assert sum(bucket.take(NOW, Lane.QUOTE) == 0 for _ in range(40)) == 7
    assert sum(bucket.take(NOW, Lane.CANCEL) == 0 for _ in range(40)) == 2


def test_sustained_calls_get_the_whole_rate() -> None:
    async def use(market: Market) -> None:
        start = market.now
        desk = governor(market, LocalBucket(REAL))
        await asyncio.gather(*(desk.take(Lane.QUOTE) for _ in range(151)))
        assert market.now - start == pytest.approx(10 * SECOND, abs=200)

    play(use)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(Lane), min_size=2, max_size=30))
def test_waiting_calls_go_by_lane_then_by_arrival(lanes: list[Lane]) -> None:
    served: list[tuple[Lane, int]] = []

    async def use(market: Market) -> None:
        desk = governor(market, LocalBucket(Rate(SECOND, 1)))
        await desk.take(Lane.QUOTE)

        async def call(number: int, lane: Lane) -> None:
            await desk.take(lane)
            served.append((lane, number))

        await asyncio.gather(*(call(number, lane) for number, lane in enumerate(lanes)))

    play(use)

    assert served == sorted(served)


def test_a_cancel_overtakes_a_quote_that_waits_already() -> None:
    async def use(market: Market) -> None:
        desk = governor(market, LocalBucket(REAL))
        start = market.now
        await desk.take(Lane.QUOTE)
        quote = asyncio.ensure_future(desk.take(Lane.QUOTE))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await desk.take(Lane.CANCEL)
        assert market.now == start, "a token was left for the cancel"
        assert not quote.done()
        await quote

    play(use)


def test_processes_that_share_a_file_share_the_bucket(tmp_path: Path) -> None:
    sent: list[Micros] = []

    async def use(market: Market) -> None:
        path = tmp_path / "kis" / "rate"
        desks = [governor(market, SharedBucket(REAL, path)) for _ in range(3)]

        async def call(desk: Governor) -> None:
            await desk.take(Lane.ORDER)
            sent.append(market.now)

        await asyncio.gather(*(call(desk) for desk in desks * 20))

    play(use)

    assert len(sent) == 60
    assert max(sum(at <= each < at + SECOND for each in sent) for at in sent) <= 18


def test_a_bucket_left_by_a_later_day_is_full(tmp_path: Path) -> None:
    path = tmp_path / "rate"
    assert SharedBucket(REAL, path).take(Micros(10**15), Lane.QUOTE) == 0

    assert SharedBucket(REAL, path).take(Micros(10**12), Lane.QUOTE) == 0


def test_one_caller_too_many_is_turned_away() -> None:
    async def use(market: Market) -> None:
        desk = governor(market, LocalBucket(MOCK), waiting_max=1)
        await desk.take(Lane.QUOTE)
        waiting = asyncio.ensure_future(desk.take(Lane.QUOTE))
        await asyncio.sleep(0)
        with pytest.raises(Transient, match="at most 1 calls"):
            await desk.take(Lane.CANCEL)
        await waiting

    play(use)


def test_a_caller_that_gave_up_costs_no_turn() -> None:
    async def use(market: Market) -> None:
        desk = governor(market, LocalBucket(MOCK))
        start = market.now
        await desk.take(Lane.QUOTE)
        given_up = asyncio.ensure_future(desk.take(Lane.QUOTE))
        await asyncio.sleep(0)
        given_up.cancel()
        await desk.take(Lane.QUOTE)
        assert market.now - start == MOCK.interval

    play(use)


def test_a_clock_that_fails_is_heard_by_who_waits() -> None:
    async def main() -> None:
        async def broken(_: Micros) -> None:
            raise Transient("the exchange is gone")

        desk = Governor(LocalBucket(MOCK), now=lambda: Micros(SECOND), sleep_until=broken)
        await desk.take(Lane.QUOTE)
        with pytest.raises(Transient, match="gone"):
            await desk.take(Lane.QUOTE)

    asyncio.run(main())
