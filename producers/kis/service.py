"""The service ``kis``: one websocket session, one rotation of polls, one honest clock.

Five tasks on one loop: listen to the websocket, poll, keep the polling source's time, follow who
should be streamed, and flush.  ``clock.report("kis", T)`` says that everything before T is on the
broker, so it follows a flush.  Backpressure is bounded at every step: the publisher's queue blocks
the loop, then the websocket's own queue fills, then the brokerage's socket does.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

import structlog

from infra.clock import wall_now
from infra.host import Context
from infra.kis.auth import Auth, Keys
from infra.kis.governor import Governor, shared_bucket
from infra.kis.rest import Account, KisClient
from infra.kis.stream import KisStream
from infra.kis.subscriptions import Registration, plan
from infra.kis.transport import Transport, connect
from infra.publish import Publisher
from infra.settings import Kis
from producers.kis import notices, sweeps, wants
from producers.kis.feed import POLL, WS, Event, Feed, Mark, Meters
from producers.kis.tail import Tail, first_epoch, left_off
from producers.kis.times import AHEAD_MAX, AHEAD_SIMULATED, SourceTime
from schemas import topics
from schemas.errors import Misconfigured, Transient
from schemas.kis.tables import NOTICES
from schemas.orders import NoticeReceived
from schemas.raw import RawFrame
from schemas.topics import RAW_KIS
from schemas.units import MINUTE, SECOND, Micros, Symbol

PACING: Final = "kis"
LOOK_S: Final = 0.2
"""Wall seconds between two looks at ``stopping`` and at the clock."""

TAIL_WAIT_S: Final = 0.2
FLUSH_S_MAX: Final = 30.0
SETTLE_S_MAX: Final = 30.0
SETTLE_LOOK_S: Final = 0.01
PACE_S: Final = 0.05
"""Between two registrations: users of the brokerage leave 30 to 100 ms."""

PACE_SIMULATED_S: Final = 0.002
"""An accelerated day passes minutes in what would be one pause."""


def run(context: Context) -> None:
    """Run until told to stop; entry point ``aegis.services: kis``."""
    asyncio.run(_Service(context).run())


class _Service:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._clock = context.clock
        self._kis, self._secret = _checked(context.settings.kis)
        self._log = structlog.get_logger("kis")
        self._progress = asyncio.Event()
        self._polled: tuple[Symbol, ...] = ()
        self._stop: Micros | None = None
        self._streamed: tuple[Symbol, ...] = ()
        self._wanted: tuple[Registration, ...] | None = None
        self._notice = Registration(NOTICES, self._kis.hts_id)

    async def run(self) -> None:
        context, now = self._context, self._clock.now
        left = await asyncio.to_thread(left_off, context.connection, context.serde)
        epoch = first_epoch(left, wall_now())
        self._meters = Meters(context.metrics)
        async with connect(str(self._kis.rest_url)) as http:
            auth = Auth(
                http,
                keys=_keys(self._kis),
                var_dir=context.settings.var_dir,
                now=now,
                sleep_until=self._sleep_until,
            )
            governor = self._governor()
            account = Account.of(_secret_of(self._kis, "account"))
            client = KisClient(Transport(http, auth=auth, governor=governor), account=account)
            stream = KisStream(
                str(self._kis.ws_url),
                approval_key=auth.approval_key,
                first_epoch=epoch,
                pace_s=PACE_SIMULATED_S if context.settings.clock == "exchange" else PACE_S,
            )
            self._publisher = Publisher(context.connection, context.serde, client="kis")
            feed = self._feed(stream, left.reached, epoch)
            stream.want([self._notice])
            try:
                await self._work(feed, stream, client)
            finally:
                await stream.close()
                await governor.close()
                await asyncio.to_thread(self._publisher.flush, FLUSH_S_MAX)
                self._publisher.close()

    async def _work(self, feed: Feed, stream: KisStream, client: KisClient) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._listen(feed, stream)),
                group.create_task(self._tick(feed)),
                group.create_task(self._poll(feed, client)),
                group.create_task(self._follow(stream)),
                group.create_task(self._flush(feed, stream)),
            ]
            while not self._context.stopping.is_set():  # noqa: ASYNC110 -- a thread sets it
                await asyncio.sleep(LOOK_S)
            for task in tasks:
                task.cancel()

    async def _listen(self, feed: Feed, stream: KisStream) -> None:
        async with contextlib.aclosing(stream.events()) as events:
            async for event in events:
                if event.kind in {"opened", "closed"}:
                    self._log.info(f"session_{event.kind}", epoch=event.epoch, reason=event.text)
                self._write(feed.hear(event))
                self._progress.set()

    async def _tick(self, feed: Feed) -> None:
        """Keep the polling source's time; in an accelerated day at every step of the clock."""
        paced = self._context.settings.clock == "exchange"
        while True:
            now = self._clock.now()
            self._write(feed.tick())
            quantum = SECOND if sweeps.within(now) else MINUTE
            until = Micros(now + (1 if paced else quantum))
            while self._clock.now() < until:
                await asyncio.to_thread(self._clock.wait, until, LOOK_S)

    async def _poll(self, feed: Feed, client: KisClient) -> None:
        due = Micros(0)
        while True:
            now = self._clock.now()
            if self._polled and now >= due and sweeps.within(now):
                due = sweeps.next_round(now)
                calls = sweeps.calls(self._polled)
                await asyncio.gather(*(self._ask(feed, client, names) for names in calls))
            stop = sweeps.next_round(now)
            self._stop_at(stop if self._polled and sweeps.within(stop) else None)
            await asyncio.to_thread(self._clock.wait, Micros(now + SECOND), LOOK_S)

    def _stop_at(self, instant: Micros | None) -> None:
        """Name the instant at which an accelerated day is to stop for us next."""
        if instant != self._stop:
            self._stop = instant
            self._progress.set()

    async def _sleep_until(self, instant: Micros) -> None:
        """Wait on market time, and let it go there."""
        self._stop_at(instant)
        while self._clock.now() < instant:
            await asyncio.to_thread(self._clock.wait, instant, LOOK_S)

    async def _ask(self, feed: Feed, client: KisClient, names: tuple[Symbol, ...]) -> None:
        try:
            sweep = await client.prices(names)
        except Transient as error:
            self._meters.failed.inc()
            self._log.warning("poll_failed", names=len(names), reason=str(error))
            return
        self._write(feed.answered(sweep.text))

    async def _follow(self, stream: KisStream) -> None:
        """Keep the registrations at what the rest of the system asks for."""
        context = self._context
        tail = await asyncio.to_thread(Tail, context.connection, context.serde, wants.INPUTS)
        known, news = wants.fresh(), False
        try:
            while True:
                events = await asyncio.to_thread(tail.read, TAIL_WAIT_S)
                for event in events:
                    known = wants.know(known, event)
                news = news or bool(events)
                if tail.caught_up and (news or self._wanted is None):
                    self._plan(stream, known)
                    news = False
        finally:
            await asyncio.to_thread(tail.close)

    def _plan(self, stream: KisStream, known: wants.Known) -> None:
        chosen = plan(
            ordered=tuple(dict.fromkeys(known.parents.values())),
            held=known.held,
            candidates=wants.candidates(known),
            streamed=self._streamed,
            notice=self._notice,
        )
        if self._wanted is None or set(chosen.streamed) != set(self._streamed):
            stream.want(chosen.registrations)
            self._wanted = chosen.registrations
            self._log.info("streams_chosen", deep=len(chosen.streamed), polled=len(chosen.polled))
        self._streamed, self._polled = chosen.streamed, chosen.polled

    async def _flush(self, feed: Feed, stream: KisStream) -> None:
        """Report how far everything has come that is on the broker.

        A simulated day waits for a report, so none is given while registrations are unanswered:
        otherwise minutes would pass between choosing a name and hearing of it.
        """
        reported: tuple[Micros, Micros | None] = (Micros(-1), None)
        while True:
            await self._progress.wait()
            self._progress.clear()
            reached, until = feed.reached, self._stop
            if reached is None or (reached, until) == reported:
                continue
            await self._settled(stream)
            await asyncio.to_thread(self._publisher.flush, FLUSH_S_MAX)
            self._clock.report(PACING, reached, until)
            reported = reached, until

    async def _settled(self, stream: KisStream) -> None:
        """Wait until all that is wanted was answered, at most ``SETTLE_S_MAX``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S_MAX):
                while not self._answered(stream):  # noqa: ASYNC110 -- a property, not an event
                    await asyncio.sleep(SETTLE_LOOK_S)

    def _answered(self, stream: KisStream) -> bool:
        answered = stream.live.union(stream.refused)
        return self._wanted is not None and answered.issuperset(self._wanted)

    def _write(self, what: Sequence[Event | Mark]) -> None:
        """Queue what is to be written; a full queue holds the loop, and so the websocket."""
        for each in what:
            if isinstance(each, Mark):
                self._publisher.watermark(RAW_KIS, each.source, each.micros)
                continue
            if isinstance(each, RawFrame):
                self._publisher.send(RAW_KIS, each.source, each)
            else:
                self._publisher.send(topics.NOTICES, each.account, each)
            self._meters.published.inc()
        if what:
            self._progress.set()

    def _feed(self, stream: KisStream, reached: dict[str, Micros], epoch: int) -> Feed:
        name = notices.namer(self._secret)

        def read_notices(text: str, epoch: int, seq: int, now: Micros) -> list[NoticeReceived]:
            tr_id = text.split("|", 2)[1]
            return notices.received(
                text,
                stream.key_of(tr_id),
                name=name,
                seq=seq,
                key_id=f"{WS}/{epoch}",
                now=now,
                ingested=wall_now(),
            )

        simulated = self._context.settings.clock == "exchange"
        return Feed(
            now=self._clock.now,
            wall=wall_now,
            ws=SourceTime(reached.get(WS, Micros(0)), AHEAD_SIMULATED if simulated else AHEAD_MAX),
            poll=SourceTime(reached.get(POLL, Micros(0))),
            epoch=epoch,
            read_notices=read_notices,
            account=name(_secret_of(self._kis, "account")),
            meters=self._meters,
        )

    def _governor(self) -> Governor:
        """Return the app key's governor; its bucket is shared with execution by its file."""
        bucket = shared_bucket(self._context.settings)
        return Governor(bucket, now=self._clock.now, sleep_until=self._sleep_until)


def _checked(kis: Kis) -> tuple[Kis, str]:
    missing = [
        name
        for name in ("rest_url", "ws_url", "app_key", "app_secret", "account")
        if getattr(kis, name) is None
    ]
    if missing:
        raise Misconfigured(
            f"expected AEGIS_KIS__{missing[0].upper()}, was nothing; set it, or start a "
            "simulated exchange"
        )
    return kis, _secret_of(kis, "app_secret")


def _secret_of(kis: Kis, name: str) -> str:
    return str(getattr(kis, name).get_secret_value())


def _keys(kis: Kis) -> Keys:
    if kis.app_key is None or kis.app_secret is None:
        raise Misconfigured("expected AEGIS_KIS__APP_KEY and its secret, was nothing; set both")
    return Keys(app_key=kis.app_key, app_secret=kis.app_secret)
