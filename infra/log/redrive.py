"""Give poisoned records to their readers again, exactly once.

The original bytes are read at the origin's offset, for a letter keeps neither key nor headers
(and of a raw frame only its text).  They go to the same topic and partition; readers get them
in log order like any record: event-time merges that have passed their instant count them late,
and a raw frame is given whole, the parts that were read included.

A redrive and the ``ActAudited`` that remembers it are one transaction, and ``ops.audit`` is
read after this writer has fenced any other: two operators or a crash cannot write it twice.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from infra.connection import Connection
from infra.log import letters
from infra.log.letters import Place, Poisoned
from infra.log.records import Raw, Sink, Source
from infra.reader import read_all
from infra.runner import Wire
from schemas.errors import Misconfigured, Poison
from schemas.ops import ActAudited
from schemas.topics import AUDIT, BY_NAME, DEAD_LETTERS
from schemas.units import Micros

TRANSACTION_RECORDS_MAX: Final = 1_000


class Box(NamedTuple):
    """What the dead letters hold.

    Attributes:
        poisoned: By origin, in the order of the first letter.
        unreadable: Places of letters that cannot be read themselves, with the reason.
    """

    poisoned: dict[str, Poisoned]
    unreadable: dict[str, str]


class Redriven(NamedTuple):
    """A record that was given again: where it lay, the letter it names, where it lies now."""

    origin: str
    letter: str
    now: str


class Redrive(NamedTuple):
    """What a redrive did.

    Attributes:
        redriven: In the order written.
        gone: Origins whose record the broker no longer has; nothing was done for them.
    """

    redriven: list[Redriven]
    gone: list[str]


def opened(connection: Connection, wire: Wire) -> Box:
    """Read the dead letters and the redrives of a namespace."""
    found, unreadable = [], {}
    for each in read_all(connection, DEAD_LETTERS):
        place = Place(each.topic, each.partition, each.offset)
        if each.value is None:
            continue
        try:
            found.append((place, wire.decode(DEAD_LETTERS, each.value)))
        except Poison as error:
            unreadable[str(place)] = str(error)
    return Box(letters.by_origin(found, _acts(connection, wire)), unreadable)


def original(connection: Connection, source: Source, origin: str) -> Raw | None:
    """Return the record a letter is about; None when the broker no longer has it.

    Raises:
        Misconfigured: The origin is no place in our topics.
    """
    place = letters.place_of(origin)
    if place.topic not in BY_NAME:
        raise Misconfigured(f"{origin}: expected a topic of the catalogue, was {place.topic}")
    name = connection.topic(BY_NAME[place.topic])
    if place.partition >= source.partitions().get(name, 0):
        return None
    return source.at(name, place.partition, place.offset)


def redrive(
    connection: Connection,
    wire: Wire,
    places: Sequence[str],
    *,
    actor: str,
    reason: str,
    at: Micros,
    again: bool = False,
) -> Redrive:
    """Write records to their origin topics again, and who did it to ``ops.audit``.

    Args:
        connection: Of the namespace.
        wire: Of its registry.
        places: Origins; none for all that were not redriven yet.
        actor: Who asks.
        reason: Why.
        at: Now, by the wall clock.
        again: Also what was redriven before.

    Raises:
        Misconfigured: A named place is unknown, gone, or redriven already; nothing was written.
        Fenced: Another redrive began meanwhile; what this one had not committed is not written.
        Transient: The broker does not answer; run it again, what is remembered is not repeated.
    """
    sink, source = Sink(connection, "dead-letters.redrive"), Source(connection)
    try:
        todo = letters.chosen(opened(connection, wire).poisoned, places, again=again)
        found = [(each, original(connection, source, each.origin)) for each in todo]
        gone = [each.origin for each, record in found if record is None]
        if gone and places:
            raise Misconfigured(
                f"{gone[0]}: expected the record at its offset, was gone (deleted by retention, "
                f"compacted or never committed); its letter keeps neither key nor headers, so it "
                f"cannot be redriven; see 'aegis dead-letters show {gone[0]}'"
            )
        there = [(each, record) for each, record in found if record is not None]
        done: list[Redriven] = []
        for start in range(0, len(there), TRANSACTION_RECORDS_MAX):
            part = there[start : start + TRANSACTION_RECORDS_MAX]
            acts = [
                ActAudited(
                    ts_event=at,
                    ts_ingest=at,
                    service=letters.SERVICE,
                    actor=actor,
                    act=letters.REDRIVE,
                    subject=each.origin,
                    allowed=True,
                    reason=reason,
                )
                for each, _ in part
            ]
            done += _commit(connection, wire, sink, part, acts)
    finally:
        source.close()
        sink.close()
    return Redrive(done, gone)


def _commit(
    connection: Connection,
    wire: Wire,
    sink: Sink,
    part: Sequence[tuple[Poisoned, Raw]],
    acts: Sequence[ActAudited],
) -> list[Redriven]:
    landed: dict[str, int] = {}
    audit = connection.topic(AUDIT)
    sink.begin()
    for (each, record), act in zip(part, acts, strict=True):
        place = letters.place_of(each.origin)
        sink.write(
            connection.topic(BY_NAME[place.topic]),
            place.partition,
            letters.anew(record, each.letters[-1][0]),
            lambda offset, origin=each.origin: landed.__setitem__(origin, offset),  # type: ignore[misc] # bound per turn
        )
        told = Raw(-1, act.ts_event // 1_000, act.service.encode(), wire.encode(AUDIT, act), ())
        sink.write(audit, 0, told)
    sink.commit()
    return [
        Redriven(
            each.origin,
            str(each.letters[-1][0]),
            str(letters.place_of(each.origin)._replace(offset=landed[each.origin])),
        )
        for each, _ in part
    ]


def _acts(connection: Connection, wire: Wire) -> Iterator[ActAudited]:
    for each in read_all(connection, AUDIT):
        if each.value is not None:
            yield wire.decode(AUDIT, each.value)
