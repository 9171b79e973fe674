"""Every interleaving of two instances on one log: no slot fires twice and none is lost.

The phases are the product's (``scheduler.lease.after``); the log is Kafka's as far as it matters:
epochs, one open transaction a producer, commits whose answer is lost, and EndTxn requests that
arrive late and decide whatever is open under their epoch then (KAFKA-17754).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from scheduler import lease
from scheduler.lease import Outcome, Phase

SLOTS = 3
TAKEOVERS_MAX = 4
CRASHES_MAX = 1
UNCLEAR_MAX = 1

After = Callable[[Phase, Outcome], Phase]


class Node(NamedTuple):
    """An instance; it knows of slots up to ``known`` and has ``sent`` records of the next."""

    phase: Phase = "standby"
    epoch: int = 0
    known: int = 0
    sent: int = 0


class World(NamedTuple):
    """Everything there is; records are (kind, slot)."""

    log: tuple[tuple[str, int], ...] = ()
    epoch: int = 0
    open: tuple[int, tuple[tuple[str, int], ...]] | None = None
    strays: frozenset[int] = frozenset()
    nodes: tuple[Node, Node] = (Node(), Node())
    takeovers: int = 0
    crashes: int = 0
    unclear: int = 0


def explore(after: After, *, fencing: bool = True) -> tuple[int, list[str]]:
    """Visit every reachable world, at most until one is wrong; return how many, and the wrong."""
    first = World()
    seen, work = {first}, [first]
    while work:
        world = work.pop()
        for following in moves(world, after, fencing=fencing):
            if following in seen:
                continue
            seen.add(following)
            found = violation(following)
            if found is None:
                work.append(following)
            else:
                return len(seen), [found]
    return len(seen), []


def violation(world: World) -> str | None:
    fired = [slot for kind, slot in world.log if kind == "trigger"]
    stated = [slot for kind, slot in world.log if kind == "state"]
    if len(fired) != len(set(fired)):
        return f"fired twice: {world.log}"
    if fired != sorted(fired):
        return f"fired out of order: {world.log}"
    if set(stated) - set(fired):
        return f"lost: {world.log}"
    return None


def moves(world: World, after: After, *, fencing: bool) -> Iterator[World]:
    for stray in world.strays:
        left = world._replace(strays=world.strays - {stray})
        yield _ended(left, stray) if _takes(world, stray) else left
    for index, node in enumerate(world.nodes):
        yield from _of_node(world, index, node, after, fencing=fencing)
        if world.crashes < CRASHES_MAX and node.phase != "standby":
            yield _with(world, index, Node())._replace(crashes=world.crashes + 1)


def _of_node(
    world: World, index: int, node: Node, after: After, *, fencing: bool
) -> Iterator[World]:
    if node.phase == "standby":  # the lease may be over at any time
        yield _with(world, index, Node(after("standby", "silent")))
    elif node.phase == "fence":
        if world.takeovers == TAKEOVERS_MAX:
            return
        epoch = world.epoch + 1 if fencing else 0
        fenced = world._replace(
            epoch=epoch, open=None if fencing else world.open, takeovers=world.takeovers + 1
        )
        yield _with(fenced, index, node._replace(phase=after("fence", "ok"), epoch=epoch, sent=0))
    elif node.phase == "catch_up" and fencing and node.epoch != world.epoch:
        yield _with(world, index, Node(after("catch_up", "fenced")))  # saying so is a transaction
    elif node.phase == "catch_up":
        known = max((slot for kind, slot in world.log if kind == "state"), default=0)
        yield _with(world, index, node._replace(phase=after("catch_up", "ok"), known=known))
    elif node.epoch != world.epoch:
        yield _with(world, index, Node(after("lead", "fenced")))
    elif node.known < SLOTS:
        yield from _leads(world, index, node, after)


def _leads(world: World, index: int, node: Node, after: After) -> Iterator[World]:
    slot = node.known + 1
    if node.sent < 2:
        record = ("trigger" if node.sent == 0 else "state", slot)
        before = world.open[1] if world.open is not None and node.sent else ()
        sent = world._replace(open=(node.epoch, (*before, record)))
        yield _with(sent, index, node._replace(sent=node.sent + 1))
        return
    done = _ended(world, node.epoch)
    yield _with(done, index, node._replace(known=slot, sent=0))
    if world.unclear < UNCLEAR_MAX:
        once = world.unclear + 1
        lost = node._replace(phase=after("lead", "unclear"), sent=0)
        yield _with(done, index, lost)._replace(unclear=once)
        late = world._replace(strays=world.strays | {node.epoch}, unclear=once)
        yield _with(late, index, lost)


def _takes(world: World, epoch: int) -> bool:
    return epoch == world.epoch and world.open is not None and world.open[0] == epoch


def _ended(world: World, epoch: int) -> World:
    if world.open is None or not _takes(world, epoch):
        return world
    return world._replace(log=world.log + world.open[1], open=None)


def _with(world: World, index: int, node: Node) -> World:
    nodes = (node, world.nodes[1]) if index == 0 else (world.nodes[0], node)
    return world._replace(nodes=nodes)


def test_no_interleaving_of_two_instances_fires_a_slot_twice_or_loses_one() -> None:
    worlds, wrong = explore(lease.after)

    assert wrong == []
    assert worlds > 10_000


def _catches_up_first(phase: Phase, outcome: Outcome) -> Phase:
    order: dict[tuple[Phase, Outcome], Phase] = {
        ("standby", "silent"): "catch_up",
        ("catch_up", "ok"): "fence",
        ("fence", "ok"): "lead",
    }
    return order.get((phase, outcome)) or lease.after(phase, outcome)


def _retries_in_place(phase: Phase, outcome: Outcome) -> Phase:
    return "lead" if (phase, outcome) == ("lead", "unclear") else lease.after(phase, outcome)


@pytest.mark.parametrize("after", [_catches_up_first, _retries_in_place])
def test_a_protocol_in_another_order_is_found_to_be_wrong(after: After) -> None:
    _, wrong = explore(after)

    assert any("fired twice" in each for each in wrong)


def test_instances_without_a_fence_are_found_to_be_wrong() -> None:
    _, wrong = explore(lease.after, fencing=False)

    assert any("fired twice" in each for each in wrong)
