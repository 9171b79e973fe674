"""A small HTTP/1.1 server: requests with a length, JSON answers, connections kept alive."""

import asyncio
import json
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from infra.exchange.access import Answer, Request

HEAD_BYTES_MAX: Final = 65_536
BODY_BYTES_MAX: Final = 1_048_576
IDLE_S_MAX: Final = 600.0
WITHHELD_S_MAX: Final = 60.0
"""How long an answer that a fault keeps back holds its connection open."""

_REASONS: Final = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found"}


class Http:
    """The doors of the REST interface.

    Args:
        answer: Answers a request, at once.
        begun: Called when a request has arrived.
        ended: Called when its answer is written, or its connection is gone.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        begun: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self._answer, self._begun, self._ended = answer, begun, ended

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client leaves it."""
        try:
            while await self._one(reader, writer):
                pass
        except asyncio.CancelledError:
            pass  # the process ends; asyncio logs a cancelled handler as an error otherwise
        except (
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            ConnectionError,
            TimeoutError,
        ):
            pass  # the client is gone or talks no HTTP: closing is the answer
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_S_MAX)
        self._begun()
        try:
            request = await _read(head, reader)
            if request is None:
                writer.write(_text(Answer(400, {"rt_cd": "1", "msg_cd": "EGW00101"}), ""))
                return False
            answer = self._answer(request)
            if answer.fault == "lost":
                return False
            if answer.fault == "late":
                await _until_gone(reader)
                return False
            writer.write(_text(answer, request.headers.get("tr_id", "")))
            return request.headers.get("connection", "").lower() != "close"
        finally:
            self._ended()


async def _read(head: bytes, reader: asyncio.StreamReader) -> Request | None:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3:  # noqa: PLR2004 -- method, target, version
        return None
    headers = {}
    for line in lines:
        name, found, value = line.partition(":")
        if found:
            headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_BYTES_MAX:
        return None
    body = await reader.readexactly(int(length))
    target = urlsplit(parts[1])
    return Request(parts[0], target.path, target.query, headers, body)


async def _until_gone(reader: asyncio.StreamReader) -> None:
    """Wait until the client gives up, or the answer has been withheld for long enough."""
    try:
        await asyncio.wait_for(reader.read(1), WITHHELD_S_MAX)
    except TimeoutError:
        return


def _text(answer: Answer, tr_id: str) -> bytes:
    body = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":")).encode()
    reason = _REASONS.get(answer.status, "Internal Server Error")
    head = (
        f"HTTP/1.1 {answer.status} {reason}\r\n"
        "content-type: application/json; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\n"
        f"tr_id: {tr_id}\r\n"
        f"tr_cont: {'M' if answer.next_page else 'D'}\r\n\r\n"
    )
    return head.encode("latin-1") + body
