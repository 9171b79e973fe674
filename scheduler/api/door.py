"""The door: nobody comes further without a key that stands, whatever the path or the body.

Only ``/openapi.json`` is open.  A denial is on ``ops.audit`` before it is answered, without any of
what was sent as a key.
"""

from typing import Final, NamedTuple

from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.clock import wall_now
from scheduler.api import keys
from scheduler.api.desk import Desk
from scheduler.api.keys import Key
from schemas.errors import Transient
from schemas.units import Micros

OPEN: Final = frozenset({"/openapi.json"})
NOBODY: Final = "nobody"
HOW: Final = "send 'Authorization: Bearer <key>'; 'aegis api keys create' makes one"


class Turned(NamedTuple):
    """Somebody who is not let in: the status, why, and seconds to wait before the next try."""

    status: int
    detail: str
    wait_s: int | None = None


class Door:
    """ASGI middleware that puts the caller's key into ``scope["state"]["key"]``."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through or turn it away."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        said = Headers(scope=scope).get("authorization", "")
        address = scope["client"][0] if scope.get("client") else "unknown"
        try:
            found = await run_in_threadpool(self._enter, said, address)
        except Transient as error:
            found = Turned(503, str(error))
        if isinstance(found, Key):
            scope.setdefault("state", {})["key"] = found
            await self._app(scope, receive, send)
            return
        headers = {"www-authenticate": "Bearer"} if found.status == 401 else {}  # noqa: PLR2004 -- HTTP
        if found.wait_s is not None:
            headers["retry-after"] = str(found.wait_s)
        answer = JSONResponse({"detail": found.detail}, found.status, headers)
        await answer(scope, receive, send)

    def _enter(self, said: str, address: str) -> Key | Turned:
        now = wall_now()
        scheme, _, token = said.partition(" ")
        if not token or scheme.lower() != "bearer":
            return self._turn(NOBODY, f"expected a key, was none; {HOW}", address, now)
        key_id = keys.id_in(token)
        key = None if key_id is None else self._desk.database.key(key_id)
        if not keys.proves(key, token) or key is None:
            return self._turn(NOBODY, f"expected a key of ours, was unknown; {HOW}", address, now)
        why = keys.why_not(key, now)
        if why is not None:
            return self._turn(key.name, why, address, now)
        self._desk.database.used(key, now)
        return key

    def _turn(self, actor: str, why: str, address: str, now: Micros) -> Turned:
        knock = self._desk.knocks.wrong(address, now)
        if knock.slowed:
            why = f"expected fewer wrong keys from one address, was too many; wait {knock.wait_s} s"
        if knock.told:
            note = " and all until then" if knock.slowed else ""
            self._desk.audit.write(
                actor, "enter", f"address:{address}", allowed=False, reason=f"{why}{note}"
            )
        return Turned(429, why, knock.wait_s) if knock.slowed else Turned(401, why)
