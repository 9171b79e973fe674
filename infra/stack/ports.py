"""Ports on 127.0.0.1: asked for by a setting, remembered from the last time, or found free."""

import random
import socket
from collections.abc import Mapping

from schemas.errors import Misconfigured

HOST = "127.0.0.1"
RANGE = range(20_000, 32_000)  # below Linux's ephemeral ports, which outgoing connections take
TRIES_MAX = 200

KAFKA, CONTROLLER = "kafka", "kafka_controller"
REGISTRY, MANAGEMENT = "registry", "registry_management"
POSTGRES, REDIS = "postgres", "redis"
NAMES = (KAFKA, CONTROLLER, REGISTRY, MANAGEMENT, POSTGRES, REDIS)


def choose(asked: Mapping[str, int | None], remembered: Mapping[str, int]) -> dict[str, int]:
    """Return a free port for each name of ``NAMES``.

    Args:
        asked: Ports from settings by name; these and no others will do.
        remembered: Ports of the last time; kept when still free.

    Raises:
        Misconfigured: An asked port is taken, or no port is free.
    """
    chosen: dict[str, int] = {}
    for name in NAMES:
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
