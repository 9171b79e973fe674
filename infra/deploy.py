"""Deployment steps: register every schema of the catalogue."""

from infra.registry import Registry, subject_of
from schemas.codec import schema_text
from schemas.topics import CATALOGUE, state_topic


def register_all(registry: Registry) -> dict[str, int]:
    """Set the compatibility mode and register every subject; return subject to id.

    Raises:
        Incompatible: A schema would break readers or writers of an older one.
    """
    registry.set_compatibility()
    topics = (*CATALOGUE, state_topic("any"))
    return {
        subject_of(topic): registry.register(subject_of(topic), schema_text(topic.schema_name))
        for topic in topics
    }
