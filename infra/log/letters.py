"""Dead letters, by the record they are about.

A letter names its origin, ``topic/partition/offset``.  Several letters may be about one record:
two readers could not read it, or a reader without transactions said so twice.  A record is
listed, shown and redriven once, so everything here is by origin.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any, Final, NamedTuple

import fastavro

from infra.log.records import Headers, Raw
from schemas.codec import parse, plain, unframe
from schemas.errors import Misconfigured, Poison
from schemas.ops import ActAudited, DeadLettered
from schemas.role import ORIGIN_HEADER
from schemas.topics import DEAD_LETTERS

SERVICE: Final = DEAD_LETTERS.name
REDRIVE: Final = "redrive"
REDRIVEN_HEADER: Final = "redriven"
"""Names the newest letter about the record: ``dead-letters/partition/offset``."""

FIRST_ORIGIN_HEADER: Final = "redriven-origin"
"""What the record's ``origin`` header was, kept for lineage."""


class Place(NamedTuple):
    """Where a record lies; the topic without namespace."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Poisoned(NamedTuple):
    """A record that could not be read.

    Attributes:
        origin: Where it lies.
        letters: Every letter about it, oldest first, each with its own place.
        redriven: Redrives of it, oldest first.
    """

    origin: str
    letters: tuple[tuple[Place, DeadLettered], ...]
    redriven: tuple[ActAudited, ...]

    @property
    def newest(self) -> DeadLettered:
        """The newest letter."""
        return self.letters[-1][1]

    @property
    def attempts(self) -> int:
        """How often a reader has tried: the same reader's same attempt counts once."""
        return len({(each.role, each.attempt) for _, each in self.letters})


def place_of(text: str) -> Place:
    """Return the place in a text.

    Raises:
        Misconfigured: It is not ``topic/partition/offset``.
    """
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise Misconfigured(
            f"expected topic/partition/offset, was {text!r}; see 'aegis dead-letters ls'"
        )
    return Place(topic, int(partition), int(offset))


def by_origin(
    letters: Iterable[tuple[Place, DeadLettered]], acts: Iterable[ActAudited]
) -> dict[str, Poisoned]:
    """Group letters and redrives by the record they are about, in the order of its first letter."""
    redriven: dict[str, list[ActAudited]] = {}
    for act in acts:
        if (act.service, act.act, act.allowed) == (SERVICE, REDRIVE, True):
            redriven.setdefault(act.subject, []).append(act)
    found: dict[str, list[tuple[Place, DeadLettered]]] = {}
    for place, letter in letters:
        found.setdefault(letter.origin, []).append((place, letter))
    return {
        origin: Poisoned(origin, tuple(each), tuple(redriven.get(origin, ())))
        for origin, each in found.items()
    }


def chosen(
    poisoned: Mapping[str, Poisoned], places: Sequence[str], *, again: bool
) -> list[Poisoned]:
    """Return what is to be redriven: the places named, or with none all not redriven yet.

    Raises:
        Misconfigured: No letter is about a place, or it has been redriven and ``again`` is not
            said.
    """
    if not places:
        return [each for each in poisoned.values() if again or not each.redriven]
    found = [one(poisoned, place) for place in dict.fromkeys(places)]
    for each in found:
        if each.redriven and not again:
            last = each.redriven[-1]
            raise Misconfigured(
                f"{each.origin}: expected a record that was not redriven, was redriven "
                f"{len(each.redriven)} times, last by {last.actor} ({last.reason}); "
                f"say --again to do it once more"
            )
    return found


def one(poisoned: Mapping[str, Poisoned], place: str) -> Poisoned:
    """Return what is known of a place.

    Raises:
        Misconfigured: No letter is about it.
    """
    origin = str(place_of(place))
    if origin not in poisoned:
        raise Misconfigured(
            f"{origin}: expected a dead letter about it, was none among {len(poisoned)}; "
            f"see 'aegis dead-letters ls'"
        )
    return poisoned[origin]


def anew(original: Raw, letter: Place) -> Raw:
    """Return the record to write: same key, value and timestamp, headers in order.

    ``origin`` is renamed: readers have passed its ordinal and would drop the record, and a new
    ordinal of that source would make them drop what the source writes next.  A record without
    ``origin`` is never dropped and moves no ordinal.
    """
    headers: Headers = tuple(
        (FIRST_ORIGIN_HEADER if name == ORIGIN_HEADER else name, value)
        for name, value in original.headers
        if name != REDRIVEN_HEADER
    )
    return original._replace(headers=(*headers, (REDRIVEN_HEADER, str(letter).encode())))


def as_far_as(value: bytes, text: str) -> tuple[dict[str, Any], str]:
    """Decode a wire value's fields in order until one cannot be read.

    Args:
        value: With Confluent's header.
        text: The writer's schema.

    Returns:
        The fields that decode, and the name of the first that does not, empty when all do.

    Raises:
        Poison: There is no Confluent header.
    """
    _, body = unframe(value)
    schema = plain(json.loads(text))
    fields = schema["fields"]
    found: dict[str, Any] = {}
    for count, each in enumerate(fields, start=1):
        part = parse(json.dumps({**schema, "fields": fields[:count]}))
        try:
            read: Any = fastavro.schemaless_reader(BytesIO(body), part, None)
        except (EOFError, IndexError, ValueError, TypeError, OverflowError, MemoryError):
            return found, str(each["name"])
        found = read
    return found, ""


def unreadable(value: bytes) -> str:
    """Say why a value has no schema, empty when it has Confluent's header."""
    try:
        unframe(value)
    except Poison as error:
        return str(error)
    return ""
