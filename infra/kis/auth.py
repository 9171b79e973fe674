"""Keys of the brokerage: the access token for REST and the approval key for the websocket.

A token lives 24 h, may be issued once a minute, and says its end in Korean wall-clock time without
a zone (korea.md 2.1).  It is kept in a file that only we can read, shared by all our processes, and
renewed after 20 h; one process and one task at a time ask for it.  The approval key is checked when
a socket opens, so it is fetched before each session and never kept in a file.

``now`` is the clock the brokerage lives on: the wall, or market time of an accelerated day.
"""

import asyncio
import fcntl
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from schemas.errors import Misconfigured, Transient
from schemas.units import HOUR, KST_OFFSET, MINUTE, SECOND, Micros

REFRESH_AFTER: Final = Micros(20 * HOUR)
ISSUE_INTERVAL: Final = MINUTE
LOCK_WAIT_S_MAX: Final = 90.0
LOCK_POLL_S: Final = 0.05
HTTP_TIMEOUT_S: Final = 10.0
ISSUE_ATTEMPTS_MAX: Final = 2

TOO_SOON: Final = "EGW00133"
WRONG_KEYS: Final = frozenset({"EGW00103", "EGW00105", "EGW00304"})


Model = TypeVar("Model", bound=BaseModel)


class Keys(BaseModel, frozen=True):
    """An app key of one environment.

    Attributes:
        app_key: Public half.
        app_secret: Secret half; the Approval call names it secretkey, tokenP appsecret.
    """

    app_key: SecretStr
    app_secret: SecretStr


class _Issued(BaseModel, frozen=True):
    """The token file."""

    token: SecretStr
    issued_at: int
    expires_at: int


class _TokenAnswer(BaseModel):
    access_token: SecretStr
    expires_in: int
    access_token_token_expired: str


class _ApprovalAnswer(BaseModel):
    approval_key: SecretStr


class Auth:
    """Fetches and keeps the keys of one app key.

    Args:
        http: Client whose base URL is the brokerage's REST address.
        keys: The app key.
        var_dir: Where the token file lives.
        now: The brokerage's clock.
        sleep_until: Waits on that clock.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        keys: Keys,
        var_dir: Path,
        now: Callable[[], Micros],
        sleep_until: Callable[[Micros], Awaitable[None]],
    ) -> None:
        self._http = http
        self._keys = keys
        self._now = now
        self._sleep_until = sleep_until
        name = hashlib.sha256(f"{http.base_url} {_open(keys.app_key)}".encode()).hexdigest()[:16]
        self._path = var_dir / "kis" / f"token-{name}.json"
        self._issued: _Issued | None = None
        self._refused: str | None = None
        self._flight = asyncio.Lock()

    @property
    def keys(self) -> Keys:
        """Return the app key; REST sends both halves with every call."""
        return self._keys

    def refuse(self, token: str) -> None:
        """Remember that the brokerage refused a token: the next call fetches another."""
        self._refused = token

    async def token(self) -> str:
        """Return a token that is good for a while.

        Returns:
            The token, without "Bearer".

        Raises:
            Transient: The brokerage did not issue one.
            Misconfigured: It does not know our keys.
        """
        async with self._flight:
            if not self._good(self._issued):
                self._issued = await self._renew()
            assert self._issued is not None
            return _open(self._issued.token)

    async def approval_key(self) -> str:
        """Return a fresh key for one websocket session.

        Raises:
            Transient: The brokerage did not issue one.
            Misconfigured: It does not know our keys.
        """
        body = {
            "grant_type": "client_credentials",
            "appkey": _open(self._keys.app_key),
            "secretkey": _open(self._keys.app_secret),
        }
        answer = await self._post("/oauth2/Approval", body)
        return _open(_read(_ApprovalAnswer, answer).approval_key)

    async def revoke(self) -> None:
        """Give the token back and forget it; the next call fetches another."""
        async with self._flight, self._locked():
            kept = self._issued or self._load()
            if kept is not None:
                body = {
                    "appkey": _open(self._keys.app_key),
                    "appsecret": _open(self._keys.app_secret),
                    "token": _open(kept.token),
                }
                await self._post("/oauth2/revokeP", body)
            self._issued = None
            self._path.unlink(missing_ok=True)

    async def _renew(self) -> _Issued:
        async with self._locked():
            kept = self._load()
            if kept is not None and self._good(kept):
                return kept
            for _ in range(ISSUE_ATTEMPTS_MAX):
                await self._respect_interval(kept)
                answer = await self._post("/oauth2/tokenP", self._token_request(), soft=TOO_SOON)
                if answer is not None:
                    return self._keep(_read(_TokenAnswer, answer))
                kept = _Issued(token=SecretStr(""), issued_at=self._now(), expires_at=0)
        raise Transient(f"expected a token, was {TOO_SOON} {ISSUE_ATTEMPTS_MAX} times; ask later")

    async def _respect_interval(self, kept: _Issued | None) -> None:
        if kept is not None and 0 <= self._now() - kept.issued_at < ISSUE_INTERVAL:
            await self._sleep_until(Micros(kept.issued_at + ISSUE_INTERVAL))

    def _token_request(self) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "appkey": _open(self._keys.app_key),
            "appsecret": _open(self._keys.app_secret),
        }

    def _good(self, issued: _Issued | None) -> bool:
        if issued is None or _open(issued.token) == self._refused:
            return False
        now = self._now()
        until = min(issued.expires_at - MINUTE, issued.issued_at + REFRESH_AFTER)
        return issued.issued_at <= now < until

    def _keep(self, answer: _TokenAnswer) -> _Issued:
        now = self._now()
        ends = min(now + answer.expires_in * SECOND, _kst(answer.access_token_token_expired))
        issued = _Issued(token=answer.access_token, issued_at=now, expires_at=ends)
        plain = {"token": _open(issued.token), "issued_at": now, "expires_at": ends}
        fresh = self._path.with_suffix(f".{os.getpid()}.tmp")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(plain, file)
        fresh.replace(self._path)
        return issued

    def _load(self) -> _Issued | None:
        try:
            return _Issued.model_validate_json(self._path.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Hold the file's lock: one process asks, the others read what it got."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = asyncio.get_running_loop().time() + LOCK_WAIT_S_MAX
            while not _try_lock(handle):
                if asyncio.get_running_loop().time() > deadline:
                    raise Transient(
                        f"expected the token's lock within {LOCK_WAIT_S_MAX:.0f} s, was held; "
                        f"see who holds {self._path.name}"
                    )
                await asyncio.sleep(LOCK_POLL_S)
            yield
        finally:
            os.close(handle)

    async def _post(
        self, path: str, body: dict[str, str], *, soft: str | None = None
    ) -> dict[str, Any] | None:  # JSON has no type
        try:
            answer = await self._http.post(path, json=body, timeout=HTTP_TIMEOUT_S)
            parsed = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise Transient(
                f"expected an answer from {path}, was {type(error).__name__}"
            ) from error
        parsed = parsed if isinstance(parsed, dict) else {}
        code = str(parsed.get("error_code") or parsed.get("msg_cd") or "")
        if answer.status_code == httpx.codes.OK and not parsed.get("error_code"):
            return parsed
        if code in WRONG_KEYS:
            raise Misconfigured(
                f"expected {path} to know our app key, was {code}; check AEGIS_KIS__APP_KEY and "
                "AEGIS_KIS__APP_SECRET, real and mock keys differ"
            )
        if soft is not None and code == soft:
            return None
        raise Transient(f"expected {path} to answer 200, was {answer.status_code} {code}")


def _read(model: type[Model], answer: dict[str, Any] | None) -> Model:
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        raise Transient(
            f"expected {model.__name__}, was {error.error_count()} wrong fields"
        ) from None


def _kst(text: str) -> Micros:
    """Read "YYYY-MM-DD HH:MM:SS" as Korean wall-clock time."""
    try:
        wall = datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise Transient(f"expected YYYY-MM-DD HH:MM:SS, was {text[:32]!r}") from None
    return Micros(int(wall.timestamp()) * SECOND - KST_OFFSET)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(secret: SecretStr) -> str:
    return secret.get_secret_value()
