"""Deployment steps: register every schema of the catalogue, or see what would change."""

import json
from typing import Any, Final, NamedTuple

from infra.registry import Registry, subject_of
from schemas.codec import schema_text
from schemas.lint import changes
from schemas.topics import CATALOGUE, state_topic

HARMLESS: Final = {"same", "reworded", "foreign"}
"""States in which what we write is what the registry knows."""


class Difference(NamedTuple):
    """A schema of ours beside the registry's newest.

    Attributes:
        state: same, reworded (only documentation differs; Apicurio keeps the first wording),
            new (nobody registered it), changed, or foreign (we have none).
        changes: What our lint has against the change, in words; none for one it allows.
    """

    state: str
    changes: tuple[str, ...] = ()


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


def differences(registry: Registry) -> dict[str, Difference]:
    """Return for every subject, ours and the registry's, how the two differ."""
    topics = (*CATALOGUE, state_topic("any"))
    ours = {subject_of(topic): schema_text(topic.schema_name) for topic in topics}
    found = {subject: _difference(registry.latest(subject), text) for subject, text in ours.items()}
    foreign = [subject for subject in registry.subjects() if subject not in ours]
    return found | dict.fromkeys(foreign, Difference("foreign"))


def _difference(theirs: str | None, ours: str) -> Difference:
    if theirs is None:
        return Difference("new")
    if json.loads(theirs) == json.loads(ours):
        return Difference("same")
    if _unworded(json.loads(theirs)) == _unworded(json.loads(ours)):
        return Difference("reworded")
    return Difference("changed", tuple(changes(theirs, ours)))


def _unworded(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _unworded(each) for key, each in schema.items() if key != "doc"}
    return [_unworded(each) for each in schema] if isinstance(schema, list) else schema
