"""One HTTP call to the brokerage: the deadline before the socket, the outcome after it.

An order is written to a socket at most once.  Leave to write is asked in the transport itself, when
the connection stands and no byte is out.  What follows decides what may be said:

    NotSent                no byte left: the deadline passed, we are halted, or no connection came
    Accepted               HTTP 200, ``rt_cd`` "0" and their number
    RejectedByBrokerage    below 500 with another ``rt_cd``: they read it and refused
    Unknown                everything else: time-out, 5xx (their rate and token errors too),
                           EGW00301/302/201, a body we cannot read; only their listings can tell
"""

import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx

from infra.kis import models
from infra.kis.auth import Auth
from infra.kis.governor import Governor, Lane
from infra.kis.outcomes import Accepted, NotSent, Outcome, RejectedByBrokerage, Unknown
from schemas.errors import Misconfigured, Transient

ORDER_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 5.0
CONNECT_TIMEOUT_S: Final = 3.0
PAGES_MAX: Final = 200
CONNECTIONS_MAX: Final = 20

TOKEN_REFUSED: Final = frozenset({"EGW00121", "EGW00122", "EGW00123"})
OUTCOME_OPEN: Final = frozenset({"EGW00301", "EGW00302", "EGW00201"})
"""Time-outs at their gateway, and its rate limit: the order may or may not have passed."""

WRONG_ENVIRONMENT: Final = "EGW00213"


class Page(NamedTuple):
    """One answer: its HTTP status, head, lower-cased body, paging mark and text."""

    status: int
    head: models.Head
    body: dict[str, Any]  # JSON has no type
    tr_cont: str
    text: str


def connect(rest_url: str) -> httpx.AsyncClient:
    """Return an HTTP client for a brokerage's address.

    A proxy of the environment is used for a remote brokerage only, never on loopback.
    """
    address = urlsplit(rest_url)
    loopback = address.hostname in {"127.0.0.1", "localhost", "::1"}
    plain = address.scheme == "http"
    return httpx.AsyncClient(
        base_url=rest_url,
        trust_env=not loopback,
        # a plain address needs no certificates, and reading them takes a while
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True,
        timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
    )


def never_halted() -> str | None:
    """Return no reason to hold orders back."""
    return None


class Transport:
    """Calls of one app key.

    Args:
        http: From ``connect``.
        auth: Of the app key.
        governor: Of the app key.
        halted: Asked just before an order's bytes go out; a reason holds it back.  Cancels pass.
        monotonic: The clock of ``send_by_s``.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        auth: Auth,
        governor: Governor,
        halted: Callable[[], str | None] = never_halted,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._auth = auth
        self._governor = governor
        self._halted = halted
        self._monotonic = monotonic

    async def send(
        self,
        lane: Lane,
        path: str,
        tr_id: str,
        body: Mapping[str, str],
        *,
        send_by_s: float | None,
    ) -> Outcome:
        """Send an order, a cancel or a revision, at most once.

        Args:
            lane: cancel or order.
            path: Of the call.
            tr_id: Of the environment.
            body: Upper-case keys, texts.
            send_by_s: Monotonic instant after which it must not leave; None: no deadline.

        Returns:
            What is known of it.

        Raises:
            Misconfigured: The brokerage does not know our keys.
        """
        try:
            token = await self._auth.token()
            await self._governor.take(lane)
        except Transient as error:
            return NotSent(str(error))
        gate = _Gate(self._hold(lane, send_by_s))
        try:
            answer = await self._http.post(
                path,
                json=body,
                headers=self._headers(token, tr_id),
                timeout=httpx.Timeout(ORDER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
                extensions={"trace": gate.watch},
            )
        except _HeldBackError as held:
            return NotSent(str(held))
        except httpx.HTTPError as error:
            reason = f"expected an answer to {path}, was {type(error).__name__}"
            return Unknown(reason) if gate.opened else NotSent(reason)
        return self._outcome(path, token, answer)

    def _hold(self, lane: Lane, send_by_s: float | None) -> Callable[[], str | None]:
        def reason() -> str | None:
            if send_by_s is not None and self._monotonic() > send_by_s:
                return "expected to send by the deadline, was late; decide again"
            return self._halted() if lane is Lane.ORDER else None  # a halt cancels, it may not wait

        return reason

    async def pages(
        self, path: str, tr_id: str, query: dict[str, str]
    ) -> AsyncIterator[dict[str, Any]]:  # JSON has no type
        """Yield every page of a listing; a listing that does not end properly raises.

        Args:
            path: Of the call.
            tr_id: Of the environment.
            query: Without the page marks.

        Raises:
            Transient: A page did not come, or the listing does not end.
        """
        mark = ("", "")
        for number in range(PAGES_MAX):
            marked = query | {"CTX_AREA_FK100": mark[0], "CTX_AREA_NK100": mark[1]}
            page = await self.get(
                Lane.RECONCILE, path, tr_id, marked, tr_cont="N" if number else ""
            )
            yield page.body
            if page.tr_cont not in {"F", "M"}:
                return
            before, mark = (
                mark,
                (
                    str(page.body.get("ctx_area_fk100", "")).strip(),
                    str(page.body.get("ctx_area_nk100", "")).strip(),
                ),
            )
            if mark == before:
                raise Transient(f"expected {path} to go on, was the same page mark twice")
        raise Transient(f"expected at most {PAGES_MAX} pages of {path}, was more")

    async def get(
        self, lane: Lane, path: str, tr_id: str, query: Mapping[str, str], tr_cont: str = ""
    ) -> Page:
        """Read one page; a refused token is renewed and the page asked for once more.

        Args:
            lane: reconcile or quote.
            path: Of the call.
            tr_id: Of the environment.
            query: As documented.
            tr_cont: "N" for a page that follows.

        Raises:
            Transient: No answer, or one that says no.
            Misconfigured: The other environment answered.
        """
        page = await self._get_once(lane, path, tr_id, query, tr_cont)
        if page.head.code in TOKEN_REFUSED:
            page = await self._get_once(lane, path, tr_id, query, tr_cont)
        if page.head.code == WRONG_ENVIRONMENT:
            raise Misconfigured(
                f"expected {tr_id} to exist at {self._http.base_url}, was {page.head.code}; "
                "real and mock brokerages take different keys and TR ids"
            )
        if page.status != httpx.codes.OK or page.head.rt_cd != "0":
            raise Transient(
                f"expected {path} to answer, was HTTP {page.status} {page.head.code} "
                f"{page.head.message}"
            )
        return page

    async def _get_once(
        self, lane: Lane, path: str, tr_id: str, query: Mapping[str, str], tr_cont: str
    ) -> Page:
        token = await self._auth.token()
        await self._governor.take(lane)
        try:
            answer = await self._http.get(
                path, params=query, headers=self._headers(token, tr_id, tr_cont)
            )
        except httpx.HTTPError as error:
            raise Transient(f"expected {path} to answer, was {type(error).__name__}") from error
        page = _page(answer)
        if page.head.code in TOKEN_REFUSED:
            self._auth.refuse(token)
        return page

    def _outcome(self, path: str, token: str, answer: httpx.Response) -> Outcome:
        try:
            page = _page(answer)
        except Transient as error:
            return Unknown(f"{path}: {error}")
        head = page.head
        if head.code in TOKEN_REFUSED:
            self._auth.refuse(token)
        if page.status >= httpx.codes.INTERNAL_SERVER_ERROR or head.code in OUTCOME_OPEN:
            return Unknown(f"{path}: HTTP {page.status} {head.code} {head.message}")
        if head.rt_cd != "0":
            return RejectedByBrokerage(head.code, head.message)
        if page.status != httpx.codes.OK:
            return Unknown(f"{path}: HTTP {page.status} with rt_cd 0")
        try:
            order = models.read(models.OrderAnswer, page.body.get("output"))
        except Transient as error:
            return Unknown(f"{path}: {error}")
        return Accepted(int(order.order_no), order.org_no.strip(), order.time.strip())

    def _headers(self, token: str, tr_id: str, tr_cont: str = "") -> dict[str, str]:
        keys = self._auth.keys
        return {
            "content-type": "application/json; charset=utf-8",
            "authorization": f"Bearer {token}",
            "appkey": keys.app_key.get_secret_value(),
            "appsecret": keys.app_secret.get_secret_value(),
            "tr_id": tr_id,
            "tr_cont": tr_cont,
            "custtype": "P",
        }


class _HeldBackError(Exception):
    """Raised inside the transport: stop before the first byte."""


class _Gate:
    """Watches one request; asks for leave when its connection stands and nothing is written."""

    def __init__(self, hold: Callable[[], str | None]) -> None:
        self._hold = hold
        self.opened = False

    async def watch(self, event: str, _info: object) -> None:
        """Follow httpcore's trace events."""
        if event.endswith(".send_request_headers.started"):
            reason = self._hold()
            if reason is not None:
                raise _HeldBackError(reason)
            self.opened = True


def _page(answer: httpx.Response) -> Page:
    body: Any = None  # JSON has no type
    with contextlib.suppress(ValueError, RecursionError):
        body = models.lowered(answer.json())
    if not isinstance(body, dict):
        raise Transient(f"expected a JSON object, was HTTP {answer.status_code} without one")
    if "error_code" in body:
        body = {"rt_cd": "1", "msg_cd": body["error_code"], "msg1": body.get("error_description")}
    head = models.read(models.Head, body)
    tr_cont = answer.headers.get("tr_cont", "").strip()
    return Page(answer.status_code, head, body, tr_cont, answer.text)
