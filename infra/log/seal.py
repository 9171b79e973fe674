"""What is sealed in an export, and how a stranger checks it: pure, no broker, no files.

    record    = timestamp_ms i64 | field(key) | count u32 (field(name) field(value))*
              | field(schema) | field(body)
    field(x)  = length u32 | bytes, length 0xFFFFFFFF for absent
    partition = SHA-256 of its records in order
    seal      = SHA-256 of the manifest without its seal, as JSON with sorted keys

A value that begins with Confluent's header and an id the manifest lists for its topic is
digested as the schema's fingerprint and the body behind the header: another registry gives the
same schema another id, and the digest stays.  Any other value (a tombstone, a poison record) is
digested whole, with no schema.  The fingerprint is SHA-256 of Avro's parsing canonical form.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata, resources
from struct import Struct
from typing import Any, Final

import fastavro

from infra.log.records import Headers
from schemas.codec import HEADER_BYTES, MAGIC
from schemas.errors import Misconfigured
from schemas.topics import BY_NAME, Topic, state_topic

FORMAT: Final = 1
PACKAGES: Final = ("schemas", "streams", "producers", "consumers", "scheduler", "infra")
_ABSENT: Final = b"\xff\xff\xff\xff"
_U32: Final = Struct(">I")
_I64: Final = Struct(">q")
_STATE: Final = re.compile(r"state\.[a-z0-9.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One file of an export.

    Attributes:
        topic: Without namespace.
        partition: Its number.
        records: How many.
        first_offset: Of the partition when it was read; offsets have holes.
        next_offset: After the last that was read.
        digest: SHA-256 of the records, see above.
        file_digest: SHA-256 of the file as it lies.
    """

    topic: str
    partition: int
    records: int
    first_offset: int
    next_offset: int
    digest: str
    file_digest: str

    @property
    def path(self) -> str:
        """Where its file lies in the folder."""
        return f"topics/{self.topic}/{self.partition}.parquet"

    @property
    def keeps_offsets(self) -> bool:
        """Whether an import gives every record the offset it had."""
        return self.first_offset == 0 and self.records == self.next_offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """A schema that values of a subject's topics were written with.

    Attributes:
        id: In the registry of the export.
        subject: Of the topics, and where an import registers it.
        fingerprint: SHA-256 of its parsing canonical form.
        digest: SHA-256 of its text.
    """

    id: int
    subject: str
    fingerprint: str
    digest: str

    @property
    def path(self) -> str:
        """Where its text lies in the folder."""
        return f"schemas/{self.id}.avsc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an export holds.

    Attributes:
        namespace: It was read from.
        version: Of the code that read it.
        code: SHA-256 of that code.
        partitions: By topic and number.
        schemas: By subject and id.
    """

    namespace: str
    version: str
    code: str
    partitions: tuple[Partition, ...]
    schemas: tuple[Schema, ...]

    def fingerprints(self, subject: str) -> dict[int, str]:
        """Return the fingerprints of a subject's schemas by id."""
        return {each.id: each.fingerprint for each in self.schemas if each.subject == subject}

    def sealed(self) -> tuple[str, str]:
        """Return the manifest as JSON with its seal in it, and the seal."""
        content = {"format": FORMAT, **asdict(self)}
        seal = _seal(content)
        return json.dumps({**content, "seal": seal}, indent=1), seal


class Digest:
    """SHA-256 over records in order; see the module.

    Args:
        fingerprints: Schema id to fingerprint, of the topic's subject; may grow meanwhile.
    """

    def __init__(self, fingerprints: Mapping[int, str]) -> None:
        self._fingerprints = fingerprints
        self._total = hashlib.sha256()
        self.records = 0

    def add(
        self, timestamp_ms: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> None:
        """Add the next record."""
        schema, body = None, value
        number = schema_id(value)
        if value is not None and number is not None and number in self._fingerprints:
            schema, body = self._fingerprints[number].encode(), value[HEADER_BYTES:]
        parts = [_I64.pack(timestamp_ms), _field(key), _U32.pack(len(headers))]
        for name, held in headers:
            parts += (_field(name.encode()), _field(held))
        self._total.update(b"".join((*parts, _field(schema), _field(body))))
        self.records += 1

    def hexdigest(self) -> str:
        """Return the digest of what was added."""
        return self._total.hexdigest()


def opened(text: str, where: str, expected: str | None = None) -> Manifest:
    """Return the manifest in a text whose seal holds.

    Args:
        text: JSON.
        where: Named in errors.
        expected: The seal its maker published, if one is at hand.

    Raises:
        Misconfigured: It is no manifest of ours, or it is not what was sealed.
    """
    try:
        content = json.loads(text)
        seal = content.pop("seal")
        found = content.pop("format")
        manifest = Manifest(
            namespace=content["namespace"],
            version=content["version"],
            code=content["code"],
            partitions=tuple(Partition(**each) for each in content["partitions"]),
            schemas=tuple(Schema(**each) for each in content["schemas"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(f"{where}: expected a manifest of an export, was {error!r}") from error
    was = _seal({"format": found, **content})
    if was != seal:
        raise Misconfigured(f"{where}: expected seal {seal}, was {was}: the manifest was changed")
    if expected is not None and expected != seal:
        raise Misconfigured(f"{where}: expected seal {expected}, was {seal}: another export")
    if found != FORMAT:
        raise Misconfigured(f"{where}: expected format {FORMAT}, was {found}; use its own version")
    for each in manifest.partitions:
        topic_of(each.topic)
    return manifest


def topic_of(name: str) -> Topic:
    """Return a topic of the catalogue, or a saved state's, by its name without namespace.

    Raises:
        Misconfigured: There is none.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    if _STATE.fullmatch(name) is None:
        raise Misconfigured(f"expected a topic of the catalogue or state.ROLE, was {name!r}")
    return state_topic(name.removeprefix("state."))


def is_ours(name: str) -> bool:
    """Whether a name without namespace is a topic's or a saved state's."""
    return name in BY_NAME or _STATE.fullmatch(name) is not None


def schema_id(value: bytes | None) -> int | None:
    """Return the schema id in Confluent's header, None when there is no such header."""
    if value is None or len(value) < HEADER_BYTES or value[:1] != MAGIC:
        return None
    return int.from_bytes(value[1:HEADER_BYTES], "big")


def fingerprint(text: str) -> str:
    """Return SHA-256 of a schema's parsing canonical form."""
    canonical = fastavro.schema.to_parsing_canonical_form(json.loads(text))
    return hashlib.sha256(canonical.encode()).hexdigest()


def code() -> tuple[str, str]:
    """Return the version of the installed code, and SHA-256 over its sources by path."""
    total = hashlib.sha256()
    for package in PACKAGES:
        root = resources.files(package)
        for path, content in sorted(_sources(root, package)):
            total.update(_field(path.encode()) + _field(content))
    return metadata.version("aegis-streams"), total.hexdigest()


def _sources(folder: Any, name: str) -> Iterable[tuple[str, bytes]]:
    for each in folder.iterdir():
        path = f"{name}/{each.name}"
        if each.is_dir():
            yield from _sources(each, path)
        elif each.name.endswith((".py", ".avsc")):
            yield path, each.read_bytes()


def _field(content: bytes | None) -> bytes:
    return _ABSENT if content is None else _U32.pack(len(content)) + content


def _seal(content: Mapping[str, Any]) -> str:
    plain = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(plain.encode()).hexdigest()
