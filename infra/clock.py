"""Two times, never mixed.

Market time governs sessions, order timers, rate limits and misfires; wall time governs leases,
Kafka, HTTP and back-off.  Live they are the same clock.  In an accelerated day the simulated
exchange owns market time and serves it as JSON lines on a loopback port (DESIGN 5):
``{"now": micros, "until": micros}`` out, ``{"role": name, "reached": micros}`` back, with an
optional ``"until": micros``: an instant within the slack at which time is to stop for this role.
"""

import contextlib
import json
import socket
import threading
import time
from typing import Final, Protocol
from urllib.parse import urlsplit

from schemas.errors import Fatal, Misconfigured
from schemas.units import SECOND, Micros

CONNECT_S_MAX: Final = 10.0
_LINE_BYTES: Final = 65_536


SLACK_IDLE: Final = Micros(122 * SECOND)
"""How far an accelerated session may run ahead of its slowest role while nobody decides."""

SLACK_DECIDING: Final = Micros(8 * SECOND)
"""While a score is being made as of T: time stands at most this far past T.

More than the 5 s after which a silent connection shows that it is alive: the decision waits for it.
"""

SLACK_ORDER: Final = Micros(SECOND)
"""While something happens to an open order, or a step towards one is under way."""


def wall_now() -> Micros:
    """Return the wall clock."""
    return Micros(time.time_ns() // 1_000)


class Clock(Protocol):
    """Market time."""

    def now(self) -> Micros:
        """Return market time; it never goes back."""
        ...

    def report(self, role: str, reached: Micros, until: Micros | None = None) -> None:
        """Say how far a pacing role has come, and an instant that time may not pass for now.

        Does nothing on the wall clock.
        """
        ...

    def wait(self, until: Micros, timeout_s: float) -> Micros:
        """Block until market time reaches ``until`` or ``timeout_s`` of wall time is over."""
        ...

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        ...


class WallClock:
    """Market time of a live day: the wall clock."""

    def now(self) -> Micros:
        """Return the wall clock."""
        return wall_now()

    def report(self, role: str, reached: Micros, until: Micros | None = None) -> None:
        """Do nothing: nobody waits for us."""

    def wait(self, until: Micros, timeout_s: float) -> Micros:
        """Sleep until ``until``, at most ``timeout_s``."""
        left_s = (until - self.now()) / 1e6
        if left_s > 0:
            time.sleep(min(left_s, timeout_s))
        return self.now()

    def close(self) -> None:
        """Do nothing."""


class ExchangeClock:
    """Market time of an accelerated day: what the simulated exchange says, and nothing else.

    A thread of its own reads the lines, so ``now`` never blocks.  Time stands between two lines.
    The connection is lost for good: the next use is Fatal, so that the process is restarted and
    the exchange, which has frozen time, sees its role come back.

    Args:
        url: ``tcp://host:port`` of the exchange's clock.

    Raises:
        Misconfigured: The url is not one, or nothing answers there.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._socket = _connect(url)
        self._changed = threading.Condition()
        self._sending = threading.Lock()
        self._now = Micros(0)
        self._ended = False
        self._lost: str | None = None
        self._reader = threading.Thread(target=self._read, name="exchange-clock", daemon=True)
        self._reader.start()
        with self._changed:
            heard = self._changed.wait_for(lambda: self._now or self._lost, CONNECT_S_MAX)
        if not heard:
            self.close()
            raise Misconfigured(
                f"expected a time from {url} within {CONNECT_S_MAX:.0f} s, was silence; "
                "check AEGIS_CLOCK_URL"
            )
        self._check()

    @property
    def ended(self) -> bool:
        """Return whether the exchange's day is over: time stands for good."""
        return self._ended

    def now(self) -> Micros:
        """Return market time as last heard.

        Raises:
            Fatal: The exchange is gone, or says that the run failed.
        """
        self._check()
        return self._now

    def report(self, role: str, reached: Micros, until: Micros | None = None) -> None:
        """Say that a pacing role is done with every record of an instant before ``reached``.

        Args:
            role: Its name at the exchange.
            reached: Market time.
            until: Where time is to stop within the exchange's slack; None for nowhere.

        Raises:
            Fatal: The exchange is gone.
        """
        self._check()
        said: dict[str, str | int] = {"role": role, "reached": reached}
        if until is not None:
            said["until"] = until
        line = json.dumps(said, separators=(",", ":")) + "\n"
        try:
            with self._sending:
                self._socket.sendall(line.encode())
        except OSError as error:
            raise self._gone(f"{error}") from error

    def wait(self, until: Micros, timeout_s: float) -> Micros:
        """Block until market time reaches ``until``, its day ends, or wall time is over.

        Raises:
            Fatal: The exchange is gone.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._now >= until or self._ended or self._lost, timeout_s
            )
        self._check()
        return self._now

    def close(self) -> None:
        """Leave; the exchange freezes time if a pacing role leaves with us."""
        with self._changed:
            self._lost = self._lost or "closed by us"
        with contextlib.suppress(OSError):  # the other side may have left first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _check(self) -> None:
        if self._lost is not None:
            raise self._gone(self._lost)

    def _gone(self, why: str) -> Fatal:
        return Fatal(
            f"expected market time from {self._url}, was lost at {self._now}: {why}; "
            "restart this service beside a running exchange"
        )

    def _read(self) -> None:
        why = "the connection was closed"
        try:
            with self._socket.makefile("rb", buffering=_LINE_BYTES) as lines:
                for line in lines:
                    self._hear(line)
        except (OSError, ValueError, KeyError) as error:
            why = f"{type(error).__name__} {error}"
        with self._changed:
            if not self._ended and self._lost is None:
                self._lost = why
            self._changed.notify_all()

    def _hear(self, line: bytes) -> None:
        message = json.loads(line)
        with self._changed:
            self._now = Micros(max(self._now, int(message["now"])))
            self._ended = self._ended or bool(message.get("end"))
            if "error" in message:
                self._lost = str(message["error"])
            self._changed.notify_all()


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme != "tcp" or not parts.hostname or not parts.port:
        raise Misconfigured(f"expected AEGIS_CLOCK_URL as tcp://host:port, was {url!r}")
    try:
        found = socket.create_connection((parts.hostname, parts.port), CONNECT_S_MAX)
    except OSError as error:
        raise Misconfigured(
            f"expected an exchange's clock at {url}, was {error}; start the exchange first"
        ) from error
    found.settimeout(None)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found
