"""The drill's proxy on a small server of ours: what it lets through, what it drops, and when."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from scheduler.drill_proxy import END_TXN, Proxy

PRODUCE = 0
SHUT_S = 0.3


class Echo:
    """Answers each request with its correlation id, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, struct.error), client, client.makefile("rb") as stream:
            while True:
                (length,) = struct.unpack(">i", stream.read(4))
                key, _, correlation = struct.unpack_from(">hhi", stream.read(length))
                self.asked.append((key, correlation))
                client.sendall(struct.pack(">ii", 4, correlation))

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[Proxy]:
    between = Proxy()
    between.start(echo.port)
    yield between
    between.close()


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 5)


def ask(client: socket.socket, key: int, correlation: int) -> int | None:
    """Return the correlation id of the answer, or None when it hung up."""
    client.sendall(struct.pack(">ihhi", 8, key, 0, correlation))
    try:
        answer = client.recv(8, socket.MSG_WAITALL)
    except ConnectionResetError:
        return None
    return struct.unpack(">ii", answer)[1] if len(answer) == 8 else None


def test_without_arms_everything_goes_through(proxy: Proxy) -> None:
    with connected(proxy) as client:
        assert [ask(client, key, n) for n, key in enumerate((PRODUCE, END_TXN, PRODUCE))] == [
            0,
            1,
            2,
        ]
    assert proxy.cuts == 0


def test_the_broker_has_the_commit_whose_answer_is_lost_and_nothing_else_is(
    proxy: Proxy, echo: Echo
) -> None:
    proxy.arm(0.0)
    with connected(proxy) as client, connected(proxy) as other:
        first = ask(client, PRODUCE, 1)
        lost = ask(client, END_TXN, 2)
        beside = ask(other, END_TXN, 3)

    assert (first, lost, beside) == (1, None, 3)
    assert echo.asked == [(PRODUCE, 1), (END_TXN, 2), (END_TXN, 3)]
    assert proxy.cuts == 1


def test_a_way_that_is_shut_hangs_up_on_everybody_and_opens_again(proxy: Proxy, echo: Echo) -> None:
    proxy.arm(SHUT_S)
    with connected(proxy) as client, connected(proxy) as other:
        assert ask(other, PRODUCE, 0) == 0
        began = time.monotonic()
        assert ask(client, END_TXN, 1) is None
        assert other.recv(1) == b""
    while True:
        with connected(proxy) as again, suppress(ConnectionError):
            if ask(again, PRODUCE, 2) == 2:
                break
        time.sleep(0.01)

    assert time.monotonic() - began >= SHUT_S
    assert echo.asked == [(PRODUCE, 0), (END_TXN, 1), (PRODUCE, 2)]


def test_a_dead_broker_is_a_connection_that_ends(echo: Echo) -> None:
    echo.close()
    between = Proxy()
    between.start(1)  # nothing listens there
    with connected(between) as client:
        assert ask(client, PRODUCE, 1) is None
    between.close()
