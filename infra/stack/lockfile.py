"""The lock file: which artifacts the stack is made of, and how each is known to be right."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from schemas.errors import Misconfigured

KAFKA = "4.3.1"
APICURIO = "3.3.3"
_TARBALL = "apicurio-registry-app"
_WORD = r"([^:\s]+)"
_LINE = re.compile(rf"{_WORD}:{_WORD}:{_WORD}(?::{_WORD}(?::{_WORD})?)? ([0-9a-f]{{64}}) (\d+)")


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file by its exact Maven coordinates.

    Attributes:
        sha256: Of the file, lower-case hex.
        size: Of the file, in bytes.
    """

    group: str
    name: str
    version: str
    packaging: str
    classifier: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """Return the name Maven gives the file."""
        tail = f"-{self.classifier}" if self.classifier else ""
        return f"{self.name}-{self.version}{tail}.{self.packaging}"


def parse(text: str) -> tuple[Artifact, ...]:
    """Return the artifacts of a lock file's text, in its order.

    Raises:
        Misconfigured: A line is not ``coordinates sha256 bytes``.
    """
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return tuple(_artifact(number, line) for number, line in lines if line and line[0] != "#")


@cache
def locked() -> tuple[Artifact, ...]:
    """Return the artifacts of our own lock file."""
    return parse(files("infra.stack").joinpath("artifacts.lock").read_text(encoding="utf-8"))


def kafka_jars() -> tuple[Artifact, ...]:
    """Return what the broker's classpath is made of."""
    return tuple(each for each in locked() if each.name != _TARBALL)


def registry_tarball() -> Artifact:
    """Return the registry's one archive."""
    [tarball] = (each for each in locked() if each.name == _TARBALL)
    return tarball


def _artifact(number: int, line: str) -> Artifact:
    found = _LINE.fullmatch(line)
    if found is None:
        raise Misconfigured(
            f"infra/stack/artifacts.lock line {number}: expected "
            f"'group:name:version[:packaging[:classifier]] sha256 bytes', was {line!r}; "
            "restore the file from git"
        )
    group, name, version, packaging, classifier, sha256, size = found.groups()
    return Artifact(
        group=group,
        name=name,
        version=version,
        packaging=packaging or "jar",
        classifier=classifier or "",
        sha256=sha256,
        size=int(size),
    )
