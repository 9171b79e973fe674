"""Market time served by whoever drives a drill or a test, over the exchange's own protocol."""

import json
import socket
import threading
from contextlib import suppress
from typing import Final

from schemas.units import Micros

JOIN_S: Final = 10.0


class ServedClock:
    """Says a time and hears how far one role has come.

    Attributes:
        now: Micros; what the clients are told.
        reached: What the role said last; 0 before it has spoken, and after ``lose``.
    """

    def __init__(self, now: Micros, role: str) -> None:
        self.now, self.reached = int(now), 0
        self.changed = threading.Condition()
        self._role = role
        self._server = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where clients find it: ``AEGIS_CLOCK_URL``."""
        return f"tcp://127.0.0.1:{self._server.getsockname()[1]}"

    def lose(self) -> None:
        """Forget what the role said, as the exchange does when it is gone."""
        self.reached = 0

    def say(self) -> None:
        """Tell every client the time."""
        line = json.dumps({"now": self.now, "until": self.now}).encode() + b"\n"
        for client in list(self._clients):
            with suppress(OSError):  # a killed process hears nothing
                client.sendall(line)

    def close(self) -> None:
        """Close every connection; clients take it as lost."""
        for each in [self._server, *self._clients]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(JOIN_S)
        for each in [self._server, *self._clients]:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self._clients.append(client)
                hearing = threading.Thread(target=self._hear, args=(client,), daemon=True)
                self._threads.append(hearing)
                hearing.start()
                self.say()

    def _hear(self, client: socket.socket) -> None:
        with suppress(OSError), client.makefile("rb") as lines:
            for line in lines:
                said = json.loads(line)
                if said["role"] == self._role:
                    with self.changed:
                        self.reached = said["reached"]
                        self.changed.notify_all()
