"""The timetable: jobs read from TOML, checked as a whole, in an order in which parents come first.

What can be wrong is said with the job, the key and the way out: an unknown key or parent, a cycle
(printed), a malformed cron line (its field marked), a priority or group that does not exist.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from typing import Any, Final, NamedTuple

from scheduler import cron, reading
from scheduler.triggers import (
    CLOSED,
    KRX,
    Calendar,
    Slot,
    Suppressed,
    Trigger,
    check_closed,
    duration,
    parse_rule,
    slots,
)  # fmt: skip
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_midnight
from schemas.units import DAY, Micros

PRIORITIES: Final = range(4)
_CHOICES: Final = {
    "calendar": ("sessions", "weekdays", "every-day"),
    "logical": ("today", "previous session", "next session"),
    "rule": ("all_succeeded", "all_done", "any_failed"),
    "missed": ("each", "newest"),
    "isolation": ("inline", "process"),
    "closed": CLOSED,
    "critical": (False, True),
}
_DEFAULTS: Final = {
    "logical": "today", "rule": "all_succeeded", "missed": "each", "version": 1,
    "critical": False, "isolate_after": 1, "closed": "skip",
}  # fmt: skip
RETRIES: Final = 3
"""The brief's; a role is a fold, which fails again on the same input: it has none."""

RETRIES_MAX: Final = 100
COUNT_MAX: Final = 1_000_000
TARGETS: Final = {
    "handler": "<name>", "role": "<name>", "command": "<command line>", "http": "<url>"
}  # fmt: skip
_KEYS: Final = frozenset(
    {"source", "cron", "session", "after", "target", "group", "priority", "depends_on", "triggers"}
) | frozenset({"late_max", "run_max", "retries", "retry_until", *_CHOICES, *_DEFAULTS})
_REQUIRED: Final = ("source", "calendar", "target", "group", "priority", "late_max", "run_max")
_JOBS_MAX: Final = 1_000


class Edge(NamedTuple):
    """A gate: the parent's newest slot at the child's instant, or strictly before it."""

    parent: str
    before: bool


class Job(NamedTuple):
    """One line of the timetable; the keys are explained at the top of ``timetable.toml``."""

    name: str
    source: str
    trigger: Trigger
    target: str
    group: str
    priority: int
    depends_on: tuple[Edge, ...]
    rule: str
    late_max: Micros
    missed: str
    run_max: Micros
    version: int
    retries: int
    retry_until: Micros | None
    critical: bool
    isolate_after: int
    isolation: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timetable:
    """Every job and every limit.

    Attributes:
        jobs: By name; parents come before their children.
        groups: How many jobs of a group may run at once.
        running_max: How many jobs may run at once.
        emergency_max: How many of priority 0 may run beyond that.
        hash: SHA-256 of the content, comments and order apart.
        warnings: One-sided edges, one sentence each.
    """

    jobs: Mapping[str, Job]
    groups: Mapping[str, int]
    running_max: int
    emergency_max: int
    hash: str
    warnings: tuple[str, ...]


def default() -> Timetable:
    """Return the timetable that ships with this room."""
    return load((files("scheduler") / "timetable.toml").read_text("utf-8"))


def load(text: str) -> Timetable:
    """Read and check a timetable.

    Raises:
        Misconfigured: Naming the job, the key and what was expected.
    """
    raw = reading.tables(text)
    limits, tables = raw.get("limits", {}), raw.get("jobs", {})
    if not 0 < len(tables) <= _JOBS_MAX:
        raise Misconfigured(f"expected 1 to {_JOBS_MAX} [jobs.<name>] tables, was {len(tables)}")
    groups = limits.get("groups", {})
    parents = {name: _parents(name, tables) for name in tables}
    ordered = _ordered(parents)
    jobs: dict[str, Job] = {}
    for name in ordered:
        jobs[name] = _job(name, tables[name], parents[name], groups, jobs)
        _check_edges(jobs[name], jobs)
    return Timetable(
        jobs=jobs,
        groups=groups,
        running_max=_count("limits", "running_max", limits.get("running_max")),
        emergency_max=_count("limits", "emergency_max", limits.get("emergency_max")),
        hash=hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest(),
        warnings=tuple(_one_sided(tables)),
    )


def preview(timetable: Timetable, day: date, calendar: Calendar = KRX) -> list[Slot | Suppressed]:
    """Return what a day in Korea holds: every due slot and every suppressed one, by time."""
    start = kst_midnight(day)
    return between(timetable, start, Micros(start + DAY), calendar)


def between(
    timetable: Timetable, start: Micros, end: Micros, calendar: Calendar = KRX
) -> list[Slot | Suppressed]:
    """Return every job's nominal instants in ``start <= at < end``, by time, parents first."""
    found = [
        each
        for job in timetable.jobs.values()
        for each in slots(job.name, job.trigger, start, end, calendar)
    ]
    return sorted(found, key=lambda each: (each if isinstance(each, Slot) else each.slot).at)


def _job(
    name: str,
    table: Mapping[str, Any],
    edges: tuple[Edge, ...],
    groups: Mapping[str, int],
    earlier: Mapping[str, Job],
) -> Job:
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise Misconfigured(f"job {name}: expected keys of {sorted(_KEYS)}, was {unknown[0]!r}")
    missing = [key for key in _REQUIRED if key not in table]
    if missing:
        raise Misconfigured(f"job {name}: expected the key {missing[0]!r}, was absent; add it")
    kind, _, target = str(table["target"]).partition(":")
    if kind not in TARGETS or not target:
        raise Misconfigured(
            f"job {name}: expected a target of "
            f"{', '.join(f'{each}:{what}' for each, what in TARGETS.items())}, "
            f"was {table['target']!r}"
        )
    values = {
        **_DEFAULTS,
        "retries": 0 if kind == "role" else RETRIES,
        "isolation": "process" if kind == "command" else "inline",
        **table,
    }
    for key, choices in _CHOICES.items():
        if values[key] not in choices:
            raise Misconfigured(f"job {name}: expected {key} of {choices}, was {values[key]!r}")
    if values["group"] not in groups:
        raise Misconfigured(
            f"job {name}: expected a group of {sorted(groups)}, was {values['group']!r}"
        )
    if values["priority"] not in PRIORITIES:
        raise Misconfigured(f"job {name}: expected priority 0 to 3, was {values['priority']!r}")
    if kind == "role" and values["retries"] != 0:
        raise Misconfigured(
            f"job {name}: expected no retries of a role, a fold that fails again on the same "
            f"input, was {values['retries']!r}; a handler may be tried again"
        )
    return Job(
        name=name,
        source=values["source"],
        trigger=_trigger(name, values, earlier),
        target=values["target"],
        group=values["group"],
        priority=values["priority"],
        depends_on=edges,
        rule=values["rule"],
        late_max=_within(name, "late_max", values["late_max"]),
        missed=values["missed"],
        run_max=_within(name, "run_max", values["run_max"]),
        version=values["version"],
        retries=_count(name, "retries", values["retries"], RETRIES_MAX),
        retry_until=(
            _within(name, "retry_until", values["retry_until"]) if "retry_until" in values else None
        ),
        critical=values["critical"],
        isolate_after=_count(name, "isolate_after", values["isolate_after"]),
        isolation=values["isolation"],
    )


def _check_edges(job: Job, jobs: Mapping[str, Job]) -> None:
    for parent, _ in job.depends_on:
        logical = jobs[parent].trigger.logical
        if logical != job.trigger.logical:
            raise Misconfigured(
                f"job {job.name}: expected the logical date of its parent {parent} ({logical!r}), "
                f"was {job.trigger.logical!r}; they would never meet"
            )


def _trigger(name: str, values: Mapping[str, Any], earlier: Mapping[str, Job]) -> Trigger:
    if "after" in values:
        if "cron" in values or "session" in values:
            raise Misconfigured(f"job {name}: expected 'after' alone, was beside cron or session")
        parent = earlier[values["after"]].trigger
        if (values["calendar"], values["closed"]) != (parent.calendar, "skip"):
            raise Misconfigured(
                f"job {name}: expected the calendar of {values['after']}, which it comes after, "
                f"{parent.calendar!r}, and no 'closed', "
                f"was {values['calendar']!r}, {values['closed']!r}"
            )
        return parent._replace(logical=values["logical"])
    if "cron" not in values and "session" not in values:
        raise Misconfigured(f"job {name}: expected cron, session or after, was none of them")
    if "session" in values and values["calendar"] != "sessions":
        raise Misconfigured(
            f"job {name}: expected calendar 'sessions' beside a session rule, "
            f"was {values['calendar']!r}"
        )
    if values["calendar"] == "sessions" and values["logical"] != "today":
        raise Misconfigured(f"job {name}: expected logical 'today' on the calendar 'sessions'")
    try:
        line = cron.parse(values["cron"]) if "cron" in values else None
        rule = parse_rule(values["session"]) if "session" in values else None
        return check_closed(
            Trigger(line, rule, values["calendar"], values["logical"], values["closed"])
        )
    except Misconfigured as error:
        raise Misconfigured(f"job {name}: {error}") from error


def _parents(name: str, tables: Mapping[str, Mapping[str, Any]]) -> tuple[Edge, ...]:
    """Return a job's gates: what it depends on, what triggers it, what it comes after."""
    edges: dict[str, Edge] = {}
    for text in tables[name].get("depends_on", []):
        parent, _, word = text.partition(" ")
        if word not in {"", "before"}:
            raise Misconfigured(f"job {name}: expected '<job>' or '<job> before', was {text!r}")
        edges[parent] = Edge(parent, before=word == "before")
    after = tables[name].get("after")
    others = [other for other, table in tables.items() if name in table.get("triggers", [])]
    for parent in [*others, *([after] if after is not None else [])]:
        edges.setdefault(parent, Edge(parent, before=False))
    for parent in [*edges, *tables[name].get("triggers", [])]:
        if parent not in tables:
            raise Misconfigured(
                f"job {name}: expected a job of this timetable, was {parent!r}; "
                f"known are {', '.join(tables)}"
            )
    return tuple(edges.values())


def _ordered(parents: Mapping[str, tuple[Edge, ...]]) -> tuple[str, ...]:
    graph = {name: [edge.parent for edge in edges] for name, edges in parents.items()}
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        cycle = " -> ".join(error.args[1])
        raise Misconfigured(
            f"expected dependencies without a cycle, was {cycle}; remove one edge"
        ) from error


def _one_sided(tables: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, table in tables.items():
        if "triggers" not in table:
            continue
        depending = {
            child
            for child, other in tables.items()
            if name in [text.partition(" ")[0] for text in other.get("depends_on", [])]
            or other.get("after") == name
        }
        for child in sorted(set(table["triggers"]) - depending):
            yield f"{name} triggers {child}, which does not depend on it: the edge is taken"
        for child in sorted(depending - set(table["triggers"])):
            yield f"{child} depends on {name}, which does not trigger it: the edge is taken"


def _within(name: str, key: str, value: object) -> Micros:
    try:
        return duration(str(value))
    except Misconfigured as error:
        raise Misconfigured(f"job {name}: {key}: {error}") from error


def _count(name: str, key: str, value: object, most: int = COUNT_MAX) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise Misconfigured(f"{name}: expected {key} as a count up to {most}, was {value!r}")
    return value
