"""Who may call the brokerage: app key, tokens, approval keys, the rate; requests and answers.

One token a minute of wall time (a second one within its life is the same), 18 calls a second of
market time, 1 in the mock environment; the errors are KIS's (``reference/korea.md`` 2.1-2.3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import numpy as np

from infra.exchange.noise import uniform
from schemas.units import KST_OFFSET, SECOND

CALLS_S_MAX: Final = {"real": 18, "mock": 1}
TOKEN_WAIT_S: Final = 60.0
TOKEN_LIFE: Final = timedelta(hours=24)

_BAD_TR: Final = ("EGW00213", "모의투자 tr이 아닙니다.")
_NOT_IN_MOCK: Final = frozenset({"FHKST11300006", "CTCA0903R"})
_TOKEN_SALT, _APPROVAL_SALT = 51, 52


class Request(NamedTuple):
    """An HTTP request; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


class Answer(NamedTuple):
    """An HTTP answer.

    Attributes:
        next_page: The ``tr_cont`` header: more rows follow.
        fault: late or lost keeps the answer from the client.
    """

    status: int
    body: dict[str, Any]
    next_page: bool = False
    fault: str | None = None


class Refused(Exception):  # noqa: N818 -- it carries an answer, it is not an error of ours
    """The call ends here, with this answer."""

    def __init__(self, status: int, code: str, message: str, rt_cd: str = "1") -> None:
        super().__init__(code)
        self.answer = Answer(status, {"rt_cd": rt_cd, "msg_cd": code, "msg1": message})


@dataclass(slots=True, kw_only=True)
class Access:
    """One app key with its secret, its account, its tokens and its rate.

    Attributes:
        account: Ten digits.
        environment: real or mock.
        seed: Of the opaque keys.
        approvals: Approval keys given out.
    """

    app_key: str
    app_secret: str
    account: str
    environment: str
    seed: int
    approvals: set[str] = field(default_factory=set)
    token: str = ""
    token_until: datetime | None = None
    token_asked_s: float | None = None
    window: tuple[int, int] = (0, 0)

    def give_token(self, body: Mapping[str, str], now: int, wall_s: float) -> Answer:
        """Answer ``tokenP``."""
        self._know(body, "appsecret")
        if self.token_asked_s is not None and wall_s - self.token_asked_s < TOKEN_WAIT_S:
            text = "접근토큰 발급 잠시 후 다시 시도하세요(1분당 1회)"
            return Answer(403, {"error_code": "EGW00133", "error_description": text})
        self.token_asked_s = wall_s
        today = kst(now)
        if self.token_until is None or self.token_until <= today:
            self.token, self.token_until = self._opaque(_TOKEN_SALT), today + TOKEN_LIFE
        return Answer(
            200,
            {
                "access_token": self.token,
                "token_type": "Bearer",
                "expires_in": int((self.token_until - today).total_seconds()),
                "access_token_token_expired": f"{self.token_until:%Y-%m-%d %H:%M:%S}",
            },
        )

    def give_approval(self, body: Mapping[str, str]) -> Answer:
        """Answer ``Approval``."""
        self._know(body, "secretkey")
        key = self._opaque(_APPROVAL_SALT)
        self.approvals.add(key)
        return Answer(200, {"approval_key": key})

    def admit(self, headers: Mapping[str, str], tr_id: str, now: int) -> None:
        """Let a call pass.

        Args:
            headers: Of the call.
            tr_id: The real environment's id of what is called.
            now: Market time, micros.

        Raises:
            Refused: Key, token, environment or rate is wrong.
        """
        live = self.environment == "real"
        wanted = tr_id if live or not tr_id.startswith("TTTC") else f"V{tr_id[1:]}"
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if headers.get("appkey") != self.app_key:
            raise Refused(500, "EGW00103", "유효하지 않은 AppKey입니다.")
        if headers.get("appsecret") != self.app_secret:
            raise Refused(500, "EGW00105", "유효하지 않은 AppSecret입니다.")
        if scheme != "Bearer" or not token or token != self.token:
            raise Refused(500, "EGW00121", "유효하지 않은 token 입니다.")
        if self.token_until is not None and self.token_until <= kst(now):
            raise Refused(500, "EGW00123", "기간이 만료된 token 입니다.")
        if headers.get("tr_id") != wanted or (not live and tr_id in _NOT_IN_MOCK):
            raise Refused(500, *_BAD_TR)
        second = now // SECOND
        calls = self.window[1] + 1 if self.window[0] == second else 1
        self.window = second, calls
        if calls > CALLS_S_MAX[self.environment]:
            raise Refused(500, "EGW00201", "초당 거래건수를 초과하였습니다.")

    def _know(self, body: Mapping[str, str], secret: str) -> None:
        for name, held, code, text in (
            ("appkey", self.app_key, "EGW00103", "유효하지 않은 AppKey입니다."),
            (secret, self.app_secret, "EGW00105", "유효하지 않은 AppSecret입니다."),
        ):
            if body.get(name) != held:
                refused = Refused(403, code, text)
                refused.answer = Answer(403, {"error_code": code, "error_description": text})
                raise refused

    def _opaque(self, salt: int) -> str:
        draw = uniform(self.seed, salt, len(self.approvals), np.arange(16, dtype=np.int64))
        return str(UUID(bytes=bytes((draw * 256).astype(np.uint8).tolist())))


def kst(now: int) -> datetime:
    """Return Korea's wall clock without a zone, as KIS writes it."""
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 -- KIS speaks KST without a zone
    return epoch + timedelta(microseconds=now + KST_OFFSET)
