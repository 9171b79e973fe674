"""The in-process engine: the same roles over the log model, without Kafka.

Used by replay checks and backtests.  It refuses a role with effects: nothing here touches the
world.  ``chunk`` and the order of instances may be anything: the outputs are the same bytes.
"""

from collections.abc import Sequence
from typing import Final

from infra.log_model import LogModel
from infra.runner import Incoming, Instance, Outgoing, Wire
from infra.topology import Topology
from schemas.errors import Misconfigured
from schemas.partition import partition_of
from schemas.role import Role

CHUNK_RECORDS: Final = 2_000


class Engine:
    """Roles, run over a log model until nothing moves.

    Raises:
        Misconfigured: A role has effects.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        topology: Topology,
        log: LogModel,
        wire: Wire,
        *,
        chunk: int = CHUNK_RECORDS,
    ) -> None:
        for role in roles:
            if role.effects:
                raise Misconfigured(
                    f"expected a role without effects, was {role.name} with "
                    f"{', '.join(role.effects)}; run it by the Kafka loop"
                )
        self.log = log
        self.instances = [
            Instance(role, name, topology, wire)
            for role in roles
            for name in topology.instances(role)
        ]
        self._topology = topology
        self._wire = wire
        self._chunk = chunk

    def run(self) -> None:
        """Feed every instance until all inputs are read; what waits for nobody goes first.

        References have to be there before the decisions that use them, as they are in a live
        day, where they are loaded before the session.
        """
        unpaced = [
            each
            for each in self.instances
            if all(source.kind != "paced" for source in each.role.inputs)
        ]
        self.settle(unpaced)
        self.settle(self.instances)

    def settle(self, instances: Sequence[Instance]) -> None:
        """Feed some instances, in turn, until none of them has anything to read."""
        moved = True
        while moved:
            moved = False
            for each in instances:
                moved = self.turn(each) or moved

    def turn(self, instance: Instance) -> bool:
        """Feed one instance once; return whether there was anything."""
        incoming: list[Incoming] = []
        inputs = sorted(instance.role.inputs, key=lambda each: each.kind != "reference")
        for each in inputs:
            if incoming and each.kind != "reference" and incoming[0].topic in references(instance):
                break
            for partition in instance.partitions_of(each.topic):
                start = instance.offsets.get(f"{each.topic.name}/{partition}", 0)
                incoming += self.log.read(each.topic.name, partition, start, self._chunk)
        if not incoming:
            return False
        fed = instance.feed(incoming)
        for out in (*fed.outputs, *fed.watermarks):
            append(self.log, out, self._topology, self._wire)
        return True


def references(instance: Instance) -> set[str]:
    """Return the names of the topics an instance reads as references."""
    return {each.topic.name for each in instance.role.inputs if each.kind == "reference"}


def append(log: LogModel, out: Outgoing, topology: Topology, wire: Wire) -> None:
    """Write an instance's output to the log model as a driver writes it to Kafka."""
    partition = out.partition
    if partition is None:
        partition = partition_of(out.key, topology.partitions(out.topic))
    log.append(
        out.topic.name,
        partition,
        key=out.key,
        value=None if out.value is None else wire.encode(out.topic, out.value),
        timestamp_ms=out.timestamp // 1_000,
        headers=out.headers,
    )
