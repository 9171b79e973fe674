"""What the rooms say of themselves: entry points ``aegis.health``, asked by ``aegis status``."""

from importlib.metadata import entry_points
from typing import Final

from infra.connection import Connection
from infra.registry import Registry, Serde
from infra.settings import Settings
from infra.stack.endpoints import Endpoints

GROUP: Final = "aegis.health"
"""Callables ``(connection, serde) -> list[str]``: a sentence for each thing to look at."""


def problems(settings: Settings, there: Endpoints) -> list[str]:
    """Return what is wrong in the namespace of the settings, room by room; empty when well."""
    connection = Connection(settings=settings, endpoints=there, namespace=settings.namespace)
    registry = Registry(there.registry_url)
    try:
        serde = Serde(registry)
        rooms = sorted(entry_points(group=GROUP), key=lambda each: each.name)
        return [said for each in rooms for said in each.load()(connection, serde)]
    finally:
        registry.close()
