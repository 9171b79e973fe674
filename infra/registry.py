"""The schema registry (Confluent's REST API) and events on the wire.

Registering is a step of deployment (``aegis schemas register``); a service only looks up.
Subjects are ``<topic>-value`` without namespace, so a replay registers nothing.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

from schemas.codec import codec_of, frame, schema_text, unframe
from schemas.errors import Fatal, Misconfigured, Poison, Transient
from schemas.topics import Topic

TIMEOUT_S: Final = 10.0
COMPATIBILITY: Final = "FULL_TRANSITIVE"
INCOMPATIBLE: Final = 409
NOT_FOUND: Final = 404
SERVER_ERROR: Final = 500


class Incompatible(Fatal):
    """The registry refused a schema: readers or writers of the old one would break."""


class Registry:
    """A client of the registry.

    Raises:
        Transient: It does not answer.
    """

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def set_compatibility(self) -> None:
        """Put FULL_TRANSITIVE: registries start with less, and Apicurio with nothing."""
        self._ask("PUT", "/config", {"compatibility": COMPATIBILITY})

    def compatibility(self) -> str:
        """Return the global compatibility mode."""
        found = self._ask("GET", "/config")
        return str(found.get("compatibilityLevel", found.get("compatibility", "NONE")))

    def register(self, subject: str, text: str) -> int:
        """Register a schema and return its id.

        Raises:
            Incompatible: The registry answered 409.
        """
        return int(self._ask("POST", f"/subjects/{subject}/versions", {"schema": text})["id"])

    def lookup(self, subject: str, text: str) -> int:
        """Return the id of a registered schema.

        Raises:
            Misconfigured: It is not registered.
        """
        found = self._ask("POST", f"/subjects/{subject}", {"schema": text}, missing=True)
        if not found:
            raise Misconfigured(
                f"expected subject {subject} with our schema in the registry, was none; "
                f"run 'aegis schemas register'"
            )
        return int(found["id"])

    def schema(self, schema_id: int) -> str | None:
        """Return the text of a schema, None when the registry has none of this id."""
        found = self._ask("GET", f"/schemas/ids/{schema_id}", missing=True)
        return None if not found else str(found["schema"])

    def latest(self, subject: str) -> str | None:
        """Return the text of a subject's newest schema, None when it has none."""
        found = self._ask("GET", f"/subjects/{subject}/versions/latest", missing=True)
        return None if not found else str(found["schema"])

    def subjects(self) -> list[str]:
        """Return all subjects."""
        found: Any = self._ask("GET", "/subjects")
        return sorted(found)

    def _ask(
        self, verb: str, path: str, body: Mapping[str, Any] | None = None, *, missing: bool = False
    ) -> Any:
        try:
            answer = self._http.request(verb, path, json=body)
        except httpx.HTTPError as error:
            raise Transient(
                f"expected the registry at {self._http.base_url} to answer, was {error!r}"
            ) from error
        if answer.status_code == INCOMPATIBLE:
            raise Incompatible(f"{path}: expected a compatible schema, was {answer.text}")
        if answer.status_code == NOT_FOUND and missing:
            return {}
        if answer.status_code >= SERVER_ERROR:
            raise Transient(f"{path}: expected an answer, was {answer.status_code} {answer.text}")
        if answer.is_error:
            raise Fatal(f"{path}: expected success, was {answer.status_code} {answer.text}")
        return answer.json()


def subject_of(topic: Topic) -> str:
    """Return a topic's subject: the same in every namespace."""
    return f"{topic.schema_name}-value"


class Serde:
    """Events to wire values and back, with schema ids from the registry, each asked once."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._ids: dict[str, int] = {}
        self._texts: dict[int, str] = {}

    def encode(self, topic: Topic, event: Any) -> bytes:
        """Return the wire value of an event.

        Raises:
            Poison: A field does not fit.
            Misconfigured: The schema is not registered.
            Transient: The registry does not answer.
        """
        name = topic.schema_name
        if name not in self._ids:
            self._learn(topic)
        return frame(self._ids[name], codec_of(topic).encode(event))

    def decode(self, topic: Topic, value: bytes) -> Any:
        """Return the event in a wire value.

        Raises:
            Poison: It will never be read.
            Transient: The registry does not answer.
        """
        schema_id, body = unframe(value)
        name = topic.schema_name
        if name not in self._ids:
            self._learn(topic)
        if schema_id == self._ids[name]:
            return codec_of(topic).decode(body)
        if schema_id not in self._texts:
            text = self._registry.schema(schema_id)
            if text is None:
                raise Poison(f"expected a schema id of {name}, was {schema_id}, unknown")
            self._texts[schema_id] = text
        writer = self._texts[schema_id]
        if json.loads(writer).get("name") != topic.record.__name__:
            raise Poison(f"expected a {topic.record.__name__} on {name}, was schema {schema_id}")
        return codec_of(topic).decode(body, writer)

    def _learn(self, topic: Topic) -> None:
        text = schema_text(topic.schema_name)
        self._ids[topic.schema_name] = self._registry.lookup(subject_of(topic), text)
