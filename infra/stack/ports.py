"""Ports on 127.0.0.1: asked for by a setting, remembered from the last time, or found free."""

import random
import socket
from collections.abc import Mapping, Sequence

from schemas.errors import Misconfigured

HOST = "127.0.0.1"
RANGE = range(20_000, 32_000)  # below Linux's ephemeral ports, which outgoing connections take
TRIES_MAX = 200

KAFKA, CONTROLLER = "kafka", "kafka_controller"
REGISTRY, MANAGEMENT = "registry", "registry_management"
POSTGRES, REDIS = "postgres", "redis"
NAMES = (KAFKA, CONTROLLER, REGISTRY, MANAGEMENT, POSTGRES, REDIS)


def names(brokers: int = 1, behind: int = 0) -> tuple[str, ...]:
    """Return what a stack of so many brokers listens on, so many proxies before the first."""
    nodes = range(2, brokers + 1)
    more = (name for node in nodes for name in (broker(node), controller(node)))
    return (*NAMES, *more, *(proxied(place) for place in range(behind)))


def broker(node: int) -> str:
    """Return the name of the port on which a broker, numbered from 1, serves clients."""
    return KAFKA if node == 1 else f"{KAFKA}_{node}"


def controller(node: int) -> str:
    """Return the name of the port on which it hears the other controllers."""
    return CONTROLLER if node == 1 else f"{CONTROLLER}_{node}"


def proxied(place: int) -> str:
    """Return the name of the port on which the first broker hears a proxy, numbered from 0."""
    return f"{KAFKA}_behind_{place}"


def bootstrap(local: Mapping[str, int]) -> str:
    """Return the addresses of every broker that has a port."""
    nodes = range(1, len(local) + 1)
    return ",".join(f"{HOST}:{local[broker(node)]}" for node in nodes if broker(node) in local)


def choose(
    asked: Mapping[str, int | None],
    remembered: Mapping[str, int],
    wanted: Sequence[str] = NAMES,
) -> dict[str, int]:
    """Return a free port for each name.

    Args:
        asked: Ports from settings by name; these and no others will do.
        remembered: Ports of the last time; kept when still free.
        wanted: The names.

    Raises:
        Misconfigured: An asked port is taken, or no port is free.
    """
    chosen: dict[str, int] = {}
    for name in wanted:
        port = asked.get(name)
        if port is not None and not is_free(port):
            raise Misconfigured(
                f"{name}: expected port {port} of {HOST} to be free, another process listens "
                f"there; stop it or change AEGIS_STACK__{name.upper()}_PORT (unset: any free one)"
            )
        known = remembered.get(name)
        if port is None and known is not None and known not in chosen.values() and is_free(known):
            port = known
        chosen[name] = port if port is not None else _any(set(chosen.values()))
    return chosen


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _any(taken: set[int]) -> int:
    for _ in range(TRIES_MAX):
        port = random.choice(RANGE)  # noqa: S311 -- two stacks that start at once must not agree
        if port not in taken and is_free(port):
            return port
    raise Misconfigured(
        f"expected a free port in {RANGE.start}-{RANGE.stop} of {HOST}, found none in {TRIES_MAX} "
        "tries; stop what listens there or name ports by AEGIS_STACK__KAFKA_PORT and its like"
    )
