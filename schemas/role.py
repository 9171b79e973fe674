"""A role: a fold declared once, with its name, topics and limits.

    step(state, batch) -> Step(state, outputs, effects, timers)

A fold is pure: time comes from its records, and everything it wants done to the world is a
value it returns.  The list of roles (entry point group ``aegis.roles``) is the system.

What a driver promises a fold:

* Records come in log order of their partition.  A role with two or more paced inputs gets them
  merged by ``(ts_event, input, key, seq)``, in slices of one second of market time, and never
  a record before every declared source of every paced input has passed it.
* ``batch.watermark`` never goes back; every paced record with ``ts_event < watermark`` has been
  given by the end of this batch.  A batch may hold no records at all.
* A record that a restart delivers twice is given once.
* Outputs are durable before an effect runs; an effect's result comes back as a record.

What a fold promises: the same sequence of records and watermarks gives the same outputs in the
same order, however it is cut into batches, and its state is a value made of numbers, texts,
bytes, ``None``, tuples, lists, dicts, NumPy arrays and NamedTuples of its own module.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, Protocol

from schemas.topics import Topic
from schemas.units import MINUTE, Micros

Scope = Literal["key", "universe"]
InputKind = Literal["paced", "reference", "command"]


class Event(Protocol):
    """Anything on a topic: it knows when it happened."""

    @property
    def ts_event(self) -> Micros:
        """The exchange's clock."""
        ...


class Input(NamedTuple):
    """A topic a role reads, and how it waits for it.

    Attributes:
        topic: What it reads.
        kind: How it waits.
        label: Only records with this label are decoded and given; None for all.
    """

    topic: Topic
    kind: InputKind
    label: str | None = None


def paced(topic: Topic, label: str | None = None) -> Input:
    """Read a watermarked topic, or what of it bears a label; decisions wait for it."""
    if not topic.paced:
        raise ValueError(f"expected a topic that carries watermarks, was {topic.name}")
    return Input(topic, "paced", label)


def reference(topic: Topic) -> Input:
    """Read a topic whose newest record effective by T is used by a decision as of T."""
    return Input(topic, "reference")


def command(topic: Topic) -> Input:
    """Read a topic whose records are acted upon when they arrive."""
    return Input(topic, "command")


class Record(NamedTuple):
    """One record as a fold sees it.

    Attributes:
        topic: Name without namespace.
        key: The record's key.
        value: The decoded event.
        partition: Where it was read, for lineage only; never decide with it.
        offset: Where it was read, for lineage only; never decide with it.
    """

    topic: str
    key: str
    value: Any
    partition: int = 0
    offset: int = -1


class Batch(NamedTuple):
    """What a fold is given: records in order, and how far time has come after them."""

    records: Sequence[Record]
    watermark: Micros


class Output(NamedTuple):
    """An event to be written; its record timestamp is its ``ts_event``.

    Attributes:
        topic: Where to.
        key: The record's key.
        value: The event.
        label: Goes into a header, so that readers of one kind need not decode the others.
    """

    topic: Topic
    key: str
    value: Any
    label: str = ""


class Effect(NamedTuple):
    """Something to be done to the world; its result comes back as a record.

    Attributes:
        id: Function of content; the same id is never run twice by one driver.
        kind: The name the effect's runner knows.
        payload: Whatever the runner needs, a value that can be saved.
    """

    id: str
    kind: str
    payload: Any


class Timer(NamedTuple):
    """Wake the fold at a market-clock instant; the firing is recorded as an event."""

    id: str
    at: Micros


class TimerFired(NamedTuple):
    """A timer's instant has come on the market clock; given as a record of topic ``~timer``."""

    ts_event: Micros
    ts_ingest: Micros
    id: str


class Interrupted(NamedTuple):
    """An effect was begun and its result never came; given as a record of ``~interrupted``."""

    ts_event: Micros
    ts_ingest: Micros
    id: str
    kind: str


class Step(NamedTuple):
    """What a fold answers."""

    state: Any
    outputs: Sequence[Output] = ()
    effects: Sequence[Effect] = ()
    timers: Sequence[Timer] = ()


SAVE_INTERVAL: Final = Micros(5 * MINUTE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A limit on everything.

    Attributes:
        batch_records_max: Records handed to one ``step``.
        buffer_records_max: Records held while waiting for a slower source.
        save_interval: Market time between two saves of the state.
        save_records_max: Records between two saves of the state.
    """

    batch_records_max: int = 10_000
    buffer_records_max: int = 200_000
    save_interval: Micros = SAVE_INTERVAL
    save_records_max: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A fold with its name, topics and limits.

    Attributes:
        name: Glossary words with dots; names its group, its states and its metrics.
        version: Of the fold: a state of another version is rebuilt, never loaded.
        scope: ``key`` spreads over partitions; ``universe`` has one active instance that reads
            all partitions.
        inputs: What it reads.
        outputs: What it writes.
        initial: The state before the first record.
        step: The fold.
        states: NamedTuple classes its state is made of, so that it can be saved.
        effects: Kinds of effects it returns; none for most.
        on_restart: ``again`` runs an unfinished effect again, ``ask`` tells the fold that it
            was interrupted.
        limits: See ``Limits``.
    """

    name: str
    version: int
    scope: Scope
    inputs: tuple[Input, ...]
    outputs: tuple[Topic, ...]
    initial: Any
    step: Callable[[Any, Batch], Step]
    states: tuple[type, ...] = ()
    effects: tuple[str, ...] = ()
    on_restart: Literal["again", "ask"] = "again"
    limits: Limits = field(default_factory=Limits)

    @property
    def merges(self) -> bool:
        """Whether its paced inputs have to be merged by time."""
        return sum(1 for each in self.inputs if each.kind == "paced") > 1


TIMER_TOPIC: Final = "~timer"
INTERRUPTED_TOPIC: Final = "~interrupted"

WATERMARK_KEY: Final = "~wm"
"""The key of a watermark record: null value, headers ``source``, ``micros``."""

ORIGIN_HEADER: Final = "origin"
"""``<role>@<version>/<instance>:<ordinal>``; readers drop an ordinal they have passed."""

LABEL_HEADER: Final = "label"

ENTRY_POINTS: Final = "aegis.roles"

Lineage = Mapping[str, str]
