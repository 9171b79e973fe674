"""The shell of execution: the brokerage's client, and how each effect is done.

Effects run on the driver's threads and share one asyncio loop, so the app key has one governor
and one token.  Before an order's bytes leave: the market-time deadline, and in the transport,
with the connection standing, a monotonic deadline and the halt latch.  A cancel always passes.
"""

import asyncio
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, Final, Self, TypeVar

import httpx

from consumers.execution import latch, results
from consumers.execution.results import Stamp
from consumers.execution.role import HALT_LATCH, ROLE
from infra import failpoint
from infra.clock import wall_now
from infra.host import Context
from infra.kafka_loop import EffectRunner, run_role
from infra.kis.auth import Auth, Keys
from infra.kis.governor import Governor, shared_bucket
from infra.kis.models import DailyOrder
from infra.kis.outcomes import NotSent, Outcome
from infra.kis.rest import Account, KisClient
from infra.kis.transport import Transport, connect
from infra.settings import Settings
from schemas.errors import Misconfigured, Transient
from schemas.krx.sessions import kst_date
from schemas.role import Effect, Output
from schemas.units import Micros, Shares, Symbol, Won

PACING: Final = "execution"
SEND_S_MAX: Final = 10.0
EFFECT_S_MAX: Final = 120.0
LISTING_PASSES_MAX: Final = 5
WAIT_STEP_S: Final = 0.05

Value = TypeVar("Value")


def run(context: Context) -> None:
    """Run execution until told to stop; entry point ``aegis.services: execution``."""
    with _Thread() as loop:
        hands = Hands(context, loop)
        try:
            run_role(context, ROLE, effects=hands.runners(), pacing=PACING)
        finally:
            hands.close()


def account_hash(settings: Settings) -> str:
    """Return the name an account goes by on topics and in logs: a hash keyed by the app secret.

    Raises:
        Misconfigured: Account or secret is not set.
    """
    kis = settings.kis
    if kis.account is None or kis.app_secret is None:
        raise Misconfigured(
            "expected AEGIS_KIS__ACCOUNT and AEGIS_KIS__APP_SECRET, was nothing; set both"
        )
    digits = kis.account.get_secret_value().replace("-", "")
    secret = kis.app_secret.get_secret_value().encode()
    return hmac.new(secret, digits.encode(), hashlib.sha256).hexdigest()[:16]


class Hands:
    """How each effect is done; one method per kind, each returns events."""

    def __init__(self, context: Context, loop: "_Thread") -> None:
        self._context = context
        self._loop = loop
        self._account = account_hash(context.settings)
        self._http = loop.call(self._open()).result(EFFECT_S_MAX)
        self._client = self._make_client()

    def runners(self) -> dict[str, EffectRunner]:
        """Return the runner of every kind the role declares."""
        return {
            "balance": self.balance,
            "quote": self.quote,
            "marks": self.marks,
            "submit": self.submit,
            "cancel": self.cancel,
            "listing": self.listing,
        }

    def close(self) -> None:
        """Give up what is under way, its outcome stays unknown, and let go of the connections."""
        self._loop.call(_cancel_all()).result(EFFECT_S_MAX)
        self._loop.call(self._http.aclose()).result(EFFECT_S_MAX)

    def submit(self, effect: Effect) -> Sequence[Output]:
        """Send an order once, unless something holds it back."""
        outcome = self._held(effect.payload.send_by) or self._send(effect)
        return results.submitted(effect, outcome, self._stamp())

    def cancel(self, effect: Effect) -> Sequence[Output]:
        """Cancel what is left of an order."""
        call = effect.payload
        outcome = self._wait(self._client.cancel(order_no=int(call.order_no), org_no=call.org_no))
        return results.cancelled(effect, outcome, self._stamp())

    def quote(self, effect: Effect) -> Sequence[Output]:
        """Ask for a symbol's price, flags and ten levels."""
        return self._read(effect, self._quote)

    def marks(self, effect: Effect) -> Sequence[Output]:
        """Ask for the last prices of what is held."""
        return self._read(effect, self._marks)

    def listing(self, effect: Effect) -> Sequence[Output]:
        """List today's orders, all pages."""
        return self._read(effect, self._listing)

    def balance(self, effect: Effect) -> Sequence[Output]:
        """Ask for holdings and cash."""
        return self._read(effect, self._balance)

    def _send(self, effect: Effect) -> Outcome:
        call = effect.payload
        failpoint.hit(failpoint.SUBMITTING)
        return self._wait(
            self._client.order_cash(
                symbol=Symbol(call.symbol),
                side=call.side,
                qty=Shares(call.qty),
                price=Won(call.price) if call.order_type == "limit" else None,
                send_by_s=time.monotonic() + SEND_S_MAX,
            )
        )

    def _held(self, send_by: Micros) -> NotSent | None:
        late = self._context.clock.now() - send_by
        return NotSent(f"it should have left {late} us of market time ago") if late > 0 else None

    def _read(
        self, effect: Effect, how: Callable[[Effect], Coroutine[Any, Any, list[Output]]]
    ) -> Sequence[Output]:
        try:
            return self._wait(how(effect))
        except Transient as error:
            return results.failed(effect, str(error), self._stamp())

    async def _quote(self, effect: Effect) -> list[Output]:
        call = effect.payload
        price = await self._client.price(Symbol(call.symbol))
        book = await self._client.asking_price(Symbol(call.symbol))
        return results.quoted(effect, book, price, self._stamp())

    async def _marks(self, effect: Effect) -> list[Output]:
        sweep = await self._client.prices(effect.payload.symbols)
        return results.marked(effect, sweep.rows, self._stamp())

    async def _listing(self, effect: Effect) -> list[Output]:
        day = kst_date(self._context.clock.now()).strftime("%Y%m%d")
        begun = self._context.clock.now()
        rows = await self._client.daily_orders(day)
        if effect.payload.twice:
            begun, rows = await self._agreed(day, begun, rows)
        return results.listed(effect, rows, begun, self._stamp())

    async def _agreed(
        self, day: str, begun: Micros, rows: tuple[DailyOrder, ...]
    ) -> tuple[Micros, tuple[DailyOrder, ...]]:
        """List until two passes agree; the listing began with the first of the two."""
        for _ in range(LISTING_PASSES_MAX):
            again = self._context.clock.now()
            more = await self._client.daily_orders(day)
            if more == rows:
                return begun, rows
            begun, rows = again, more
        raise Transient(f"expected two equal listings within {LISTING_PASSES_MAX}, was none")

    async def _balance(self, effect: Effect) -> list[Output]:
        return results.reconciled(effect, await self._client.balance(), self._stamp())

    def _stamp(self) -> Stamp:
        return Stamp(self._context.clock.now(), wall_now(), self._account)

    def _wait(self, work: Coroutine[Any, Any, Value]) -> Value:
        return self._loop.call(work).result(EFFECT_S_MAX)

    async def _open(self) -> httpx.AsyncClient:
        return connect(self._rest_url())

    def _make_client(self) -> KisClient:
        settings = self._context.settings
        kis, now = settings.kis, self._context.clock.now
        if kis.app_key is None or kis.app_secret is None or kis.account is None:
            raise Misconfigured("expected the app key and account in AEGIS_KIS__*, was nothing")
        keys = Keys(app_key=kis.app_key, app_secret=kis.app_secret)
        auth = Auth(
            self._http,
            keys=keys,
            var_dir=settings.var_dir,
            now=now,
            sleep_until=self._sleep_until,
        )
        governor = Governor(shared_bucket(settings), now=now, sleep_until=self._sleep_until)
        account = Account.of(kis.account.get_secret_value())
        transport = Transport(self._http, auth=auth, governor=governor, halted=self._halted)
        return KisClient(transport, account=account)

    def _rest_url(self) -> str:
        url = self._context.settings.kis.rest_url
        if url is None:
            raise Misconfigured("expected AEGIS_KIS__REST_URL, was nothing; set it")
        return url

    def _halted(self) -> str | None:
        return HALT_LATCH if latch.is_set(self._context.settings.var_dir) else None

    async def _sleep_until(self, until: Micros) -> None:
        """Wait on market time; it may go on meanwhile, for it is what we wait for."""
        clock = self._context.clock
        while (now := clock.now()) < until:
            clock.report(PACING, now, until)
            await asyncio.to_thread(clock.wait, until, WAIT_STEP_S)


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class _Thread:
    """An asyncio loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="execution-io", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SEND_S_MAX)
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, Value]) -> Future[Value]:
        """Run a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)
