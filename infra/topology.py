"""What follows from the roles' declarations: who writes a topic, and whose time it carries."""

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Final, NamedTuple

from schemas.errors import Misconfigured
from schemas.partition import partition_of
from schemas.role import ENTRY_POINTS, Role
from schemas.topics import SYMBOL_PARTITIONS, TRIGGERS, Topic

EXTERNAL_SOURCES: Final[Mapping[str, tuple[str, ...]]] = {TRIGGERS.name: ("scheduler",)}
"""Paced topics that no role writes, and whose time they carry."""


def load_roles() -> tuple[Role, ...]:
    """Return every role of the entry point group, by name."""
    found: list[Role] = [each.load() for each in entry_points(group=ENTRY_POINTS)]
    return tuple(sorted(found, key=lambda role: role.name))


class Topology(NamedTuple):
    """The roles, the partition counts and the raw sources of one namespace.

    Attributes:
        roles: Every role whose outputs may carry watermarks.
        symbol_partitions: Partitions of symbol topics; all others have one.
        raw_sources: Connections that write ``raw.kis``.
    """

    roles: tuple[Role, ...]
    raw_sources: tuple[str, ...]
    symbol_partitions: int = SYMBOL_PARTITIONS

    def partitions(self, topic: Topic) -> int:
        """Return a topic's number of partitions in this namespace."""
        return self.symbol_partitions if topic.spread == "symbol" else 1

    def instances(self, role: Role) -> tuple[str, ...]:
        """Return the names of a role's instances: partitions, or ``all``."""
        if role.scope == "universe":
            return ("all",)
        counts = {self.partitions(each.topic) for each in role.inputs}
        if len(counts) != 1:
            raise Misconfigured(
                f"expected equal partition counts for the inputs of {role.name}, was {counts}"
            )
        return tuple(str(partition) for partition in range(counts.pop()))

    def keeps_partition(self, role: Role, output: Topic) -> bool:
        """Whether an instance writes only the partition of ``output`` that it reads."""
        return (
            role.scope == "key"
            and output.spread == "symbol"
            and all(each.topic.spread == "symbol" for each in role.inputs)
        )

    def sources(self, topic: Topic, partition: int) -> tuple[str, ...]:
        """Return the sources whose time a partition of a paced topic carries.

        Raises:
            Misconfigured: Nobody would ever advance its time.
        """
        if topic.self_timed:
            count = self.partitions(topic)
            found = [each for each in self.raw_sources if partition_of(each, count) == partition]
        else:
            found = list(EXTERNAL_SOURCES.get(topic.name, ()))
            for role in self.roles:
                if topic not in role.outputs:
                    continue
                own = self.keeps_partition(role, topic)
                names = [str(partition)] if own else self.instances(role)
                found += [f"{role.name}@{role.version}/{name}" for name in names]
        if not found:
            raise Misconfigured(
                f"expected somebody to say the time of {topic.name}/{partition}, was nobody; "
                f"install the role that writes it or name its sources"
            )
        return tuple(found)


def writers(roles: Sequence[Role], topic: Topic) -> tuple[str, ...]:
    """Return the names of the roles that write a topic."""
    return tuple(role.name for role in roles if topic in role.outputs)
