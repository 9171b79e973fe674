"""Apicurio Registry 3.3.3 with the Confluent REST API, its schemas in our PostgreSQL.

Its in-memory store forgets ids that Kafka remembers; its file store lost a schema to a kill.
It enforces nothing until told: we put FULL_TRANSITIVE and read it back.
"""

import http.client
import json
from typing import Any

from infra.stack import endpoints, java, ports
from infra.stack.postgres import REGISTRY_DATABASE
from infra.stack.service import Launch, Plan
from schemas.errors import Fatal

HEAP_MB = 384
COMPATIBILITY = "FULL_TRANSITIVE"
PROBE_S_MAX = 2.0
SETTLE_S_MAX = 15.0
CONNECTIONS_MAX = 5


class Registry:
    """The schema registry."""

    name = "registry"
    needs: tuple[str, ...] = ("postgres",)

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._home = plan.paths.service(self.name)
        self._port = plan.ports[ports.REGISTRY]
        self._management = plan.ports[ports.MANAGEMENT]

    def prepare(self) -> list[Launch]:
        """Need no command."""
        self._home.mkdir(parents=True, exist_ok=True)
        return []

    def process(self) -> Launch:
        """Return the server; the database's password goes by environment."""
        database = f"{ports.HOST}:{self._plan.ports[ports.POSTGRES]}/{REGISTRY_DATABASE}"
        settings = {
            "quarkus.http.host": ports.HOST,
            "quarkus.http.port": self._port,
            "quarkus.management.host": ports.HOST,
            "quarkus.management.port": self._management,
            "quarkus.log.level": "WARN",
            "apicurio.storage.kind": "sql",
            "apicurio.storage.sql.kind": "postgresql",
            "apicurio.datasource.url": f"jdbc:postgresql://{database}",
            "apicurio.datasource.jdbc.initial-size": 1,
            "apicurio.datasource.jdbc.min-size": 1,
            "apicurio.datasource.jdbc.max-size": CONNECTIONS_MAX,
        }
        options = tuple(f"-D{key}={value}" for key, value in settings.items())
        jar = str(self._plan.registry_app / "quarkus-run.jar")
        secrets = {
            "APICURIO_DATASOURCE_USERNAME": endpoints.USER,
            "APICURIO_DATASOURCE_PASSWORD": self._plan.password,
        }
        return Launch(
            argv=java.command(HEAP_MB, self._home / "tmp", *options, "-jar", jar), env=secrets
        )

    def probe(self) -> str | None:
        """Ask its health."""
        try:
            status, _ = _call(self._management, "GET", "/health/ready", wait_s=PROBE_S_MAX)
        except (OSError, http.client.HTTPException) as error:
            return f"port {self._management}: {error}"
        return None if status == http.client.OK else f"health/ready answered {status}"

    def settle(self) -> None:
        """Put FULL_TRANSITIVE, then believe only what it answers."""
        path = f"{endpoints.CCOMPAT}/config"
        if self._level(path) != COMPATIBILITY:
            wanted = {"compatibility": COMPATIBILITY}
            _call(self._port, "PUT", path, wanted, wait_s=SETTLE_S_MAX)
        level = self._level(path)
        if level != COMPATIBILITY:
            raise Fatal(
                f"registry: expected compatibility {COMPATIBILITY} at {path}, was {level}; "
                "see `aegis logs registry`"
            )

    def _level(self, path: str) -> object:
        _, answer = _call(self._port, "GET", path, wait_s=SETTLE_S_MAX)
        return json.loads(answer or b"{}").get("compatibilityLevel")


def _call(
    port: int, method: str, path: str, body: dict[str, Any] | None = None, *, wait_s: float
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(ports.HOST, port, timeout=wait_s)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
