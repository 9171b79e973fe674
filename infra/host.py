"""Services in a process: which ones is a deployment decision, not a matter of code.

A *service* is ``run(context)``; it returns when ``context.stopping`` is set.  Services are found
by the entry point group ``aegis.services``, so rooms stay strangers to each other even where
they share a process.  When one fails, the process stops and says why; its supervisor restarts it.
"""

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from infra.clock import Clock, WallClock
from infra.connection import Connection
from infra.meters import Meters, meters
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.topology import Topology, load_roles
from schemas.errors import Misconfigured
from schemas.topics import SYMBOL_PARTITIONS

SERVICES: Final = "aegis.services"
JOIN_S_MAX: Final = 10.0
SWITCH_S: Final = 0.0005
"""CPython's default of 5 ms is as long as a whole hop over Kafka."""
CYCLES: Final = (50_000, 20, 20)
"""A batch makes tens of thousands of objects that die by reference count: with CPython's 700 the
search for cycles took 6 % of the market worker and of the scoring roles.
"""
FAILED: Final = 70
"""``EX_SOFTWARE``: a service failed, the log says which and why."""


@dataclass(slots=True, kw_only=True)
class Context:
    """What a service is given."""

    connection: Connection
    topology: Topology
    serde: Serde
    clock: Clock
    settings: Settings
    metrics: CollectorRegistry
    stopping: threading.Event = field(default_factory=threading.Event)
    role_meters: Meters = field(init=False)
    meters: dict[str, Any] = field(default_factory=dict)
    log: Any = None

    def __post_init__(self) -> None:
        self.role_meters = meters(self.metrics)


Service = Callable[[Context], None]


def main(names: Sequence[str]) -> int:
    """Run services until told to stop; return the exit status."""
    die_with_parent()
    tune_interpreter()
    settings = Settings()
    configure_logs(settings.log_level)
    context = make_context(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: context.stopping.set())
    serve_metrics(context)
    return run(context, names)


def serve_metrics(context: Context) -> None:
    """Serve ``/metrics`` on loopback when a port is set."""
    if context.settings.metrics_port is not None:
        port = context.settings.metrics_port
        start_http_server(port, addr="127.0.0.1", registry=context.metrics)


def run(context: Context, names: Sequence[str]) -> int:
    """Run services as threads until one fails or ``context.stopping`` is set."""
    found = {each.name: each for each in entry_points(group=SERVICES)}
    unknown = [name for name in names if name not in found]
    if unknown:
        raise Misconfigured(
            f"expected services of {', '.join(sorted(found))}, was {', '.join(unknown)}"
        )
    failed: list[str] = []

    def guarded(name: str, service: Service) -> None:
        try:
            service(context)
        except Exception:  # noqa: BLE001 -- the last resort: logged whole, and the process ends
            failed.append(name)
            structlog.get_logger().exception("service_failed", service=name)
        finally:
            context.stopping.set()

    threads = [
        threading.Thread(target=guarded, args=(name, found[name].load()), name=name, daemon=True)
        for name in names
    ]
    for each in threads:
        each.start()
    while not context.stopping.wait(0.5):
        pass
    for each in threads:
        each.join(JOIN_S_MAX)
        if each.is_alive():
            structlog.get_logger().error(
                "service_did_not_stop", service=each.name, waited_s=JOIN_S_MAX
            )
    context.clock.close()
    return FAILED if failed else 0


def make_context(settings: Settings) -> Context:
    """Build what services are given, from settings."""
    from infra.stack.stack import require  # noqa: PLC0415 -- only a process needs the stack

    where = require(settings)
    connection = Connection(settings=settings, endpoints=where, namespace=settings.namespace)
    topology = Topology(
        roles=load_roles(),
        raw_sources=settings.raw_sources,
        symbol_partitions=settings.symbol_partitions or SYMBOL_PARTITIONS,
    )
    metrics = CollectorRegistry()
    return Context(
        connection=connection,
        topology=topology,
        serde=Serde(Registry(where.registry_url)),
        clock=make_clock(settings),
        settings=settings,
        metrics=metrics,
        log=structlog.get_logger(),
    )


def make_clock(settings: Settings) -> Clock:
    """Return market time as the settings say."""
    if settings.clock == "wall":
        return WallClock()
    if settings.clock_url is None:
        raise Misconfigured("AEGIS_CLOCK_URL: expected host:port of the exchange, was nothing")
    from infra.clock import ExchangeClock  # noqa: PLC0415 -- only for simulated days

    return ExchangeClock(settings.clock_url)


def configure_logs(level: str) -> None:
    """Log events with fields as JSON lines on standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def tune_interpreter() -> None:
    """Let threads take turns quickly, for ours wait for each other; look for cycles rarely."""
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*CYCLES)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere the next ``up`` reaps."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 -- one platform only

    parent = os.getppid()
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
