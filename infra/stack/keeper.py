"""The keeper owns the services: it starts them side by side, and they end with it.

    python -m infra.stack.keeper FD

``FD`` is a socket to the ``up`` that started it: the plan comes in as one line of JSON, what
happens goes out as lines of JSON.  If that ``up`` goes away before everything is ready, or
later the owner dies, or a SIGTERM comes, the keeper stops the services and ends.  A SIGHUP makes
it start again what has died.  If the keeper itself is killed, the kernel ends the services
(``child.py``).

Every child is started from the main thread: Linux counts the parent's thread, not its process.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from infra.stack import state
from infra.stack.kafka import Kafka
from infra.stack.logs import tail
from infra.stack.postgres import Postgres
from infra.stack.redis import Redis
from infra.stack.registry import Registry
from infra.stack.service import Launch, Plan, Service, part_of
from schemas.errors import Fatal, Misconfigured

SERVICES: dict[str, Callable[[Plan], Service]] = {
    "kafka": Kafka,
    "postgres": Postgres,
    "registry": Registry,
    "redis": Redis,
}
PROBE_EVERY_S = 0.1
OWNER_EVERY_S = 0.5
TAIL_LINES = 12
PLAN_BYTES_MAX = 64 * 1024


class Keeper:
    """One run of the services.

    Args:
        plan: What to run.
        tell: Takes each thing that happened.
    """

    def __init__(self, plan: Plan, tell: Callable[[dict[str, object]], None]) -> None:
        self._plan = plan
        self._tell = tell
        self._began = time.monotonic()
        self._children: dict[str, tuple[asyncio.subprocess.Process, Launch]] = {}
        self._ready = {name: asyncio.Event() for name in plan.services}
        self._state = state.State(
            phase=state.STARTING,
            ports=dict(plan.ports),
            keeper=state.Process.of(os.getpid()),
            owner=None if plan.owner is None else state.Process(*plan.owner),
        )

    async def run(self, enough: asyncio.Event, lost: asyncio.Event, mended: asyncio.Event) -> None:
        """Start everything, hold it until ``enough``, stop it.

        Args:
            enough: Set when the services should stop.
            lost: Set when who started us went away; counts only until all is ready.
            mended: Set when what has died should be started again.
        """
        try:
            self._write()
            if not await self._make_ready(self._plan.services, enough, lost):
                self._tell({"failed": "the stack was stopped while it started; run `aegis up`"})
                return
            self._tell({"ready": True})
            while not enough.is_set():
                await _first(enough.wait(), mended.wait())
                if mended.is_set():
                    mended.clear()
                    await self._make_ready(self._dead(), enough)
        except* (Misconfigured, Fatal) as errors:
            self._tell({"failed": str(_leaf(errors))})
        except* OSError as errors:
            self._tell({"failed": f"the stack could not start: {_leaf(errors)}"})
        finally:
            self._state = replace(self._state, phase=state.STOPPING)
            try:
                self._write()
            finally:
                await self._stop_all()
            self._state = state.State(ports=dict(self._plan.ports))
            self._write()

    async def _make_ready(self, names: Sequence[str], *ends: asyncio.Event) -> bool:
        """Start services; return whether all answer, False when an end came before."""
        self._state = replace(self._state, phase=state.STARTING)
        for name in names:
            self._ready[name].clear()
        starting = asyncio.create_task(self._start_all(names))
        await _first(starting, *(each.wait() for each in ends))
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            return False
        starting.result()
        self._state = replace(self._state, phase=state.READY)
        self._write()
        return True

    def _dead(self) -> list[str]:
        """Return what was started and lives no more."""
        return [name for name, each in self._state.children.items() if each.living() is None]

    async def _start_all(self, names: Sequence[str]) -> None:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(self._start(_service(name, self._plan)))

    async def _start(self, service: Service) -> None:
        for needed in service.needs:
            await self._ready[needed].wait()
        self._say(service.name, "starting")
        log = self._plan.paths.log(service.name)
        for command in await asyncio.to_thread(service.prepare):
            done = await _spawn(command, log)
            if await done.wait() != 0:
                raise Fatal(self._sentence(service.name, f"{Path(command.argv[0]).name} failed"))
        launch = service.process()
        child = await _spawn(launch, log)
        self._children[service.name] = (child, launch)
        known = {**self._state.children, service.name: state.Process.of(child.pid)}
        self._state = replace(self._state, children=known)
        self._write()
        await self._answered(service, child)
        await asyncio.to_thread(service.settle)
        self._ready[service.name].set()
        self._say(service.name, "ready")

    async def _answered(self, service: Service, child: asyncio.subprocess.Process) -> None:
        deadline = time.monotonic() + self._plan.ready_s_max
        while (reason := await asyncio.to_thread(service.probe)) is not None:
            if child.returncode is not None:
                died = f"it ended with exit code {child.returncode} before it answered"
                raise Fatal(self._sentence(service.name, died))
            if time.monotonic() > deadline:
                late = f"it did not answer within {self._plan.ready_s_max:g} s ({reason})"
                way_out = " (raise AEGIS_STACK__READY_S_MAX on a slow machine)"
                raise Fatal(self._sentence(service.name, late + way_out))
            await asyncio.sleep(PROBE_EVERY_S)

    def _sentence(self, name: str, what: str) -> str:
        log = self._plan.paths.log(name)
        end = tail(log, TAIL_LINES)
        return f"{name}: expected it to start, but {what}; read {log}, whose end is:\n{end}"

    async def _stop_all(self) -> None:
        late = {name for name, (_, launch) in self._children.items() if self._has_dependants(name)}
        for wave in (self._children.keys() - late, late):
            await asyncio.gather(*(self._stop(name) for name in wave))

    def _has_dependants(self, name: str) -> bool:
        return any(name in _service(other, self._plan).needs for other in self._children)

    async def _stop(self, name: str) -> None:
        child, launch = self._children[name]
        if child.returncode is not None:
            return
        child.send_signal(launch.stop_signal)
        try:
            await asyncio.wait_for(child.wait(), self._plan.stop_s_max)
        except TimeoutError:
            child.kill()
            await child.wait()

    def _say(self, name: str, what: str) -> None:
        seconds = time.monotonic() - self._began
        self._tell({"service": name, "state": what, "seconds": seconds})

    def _write(self) -> None:
        state.write(self._plan.paths.state, self._state)


def _service(name: str, plan: Plan) -> Service:
    _, _, node = name.partition("-")
    return Kafka(plan, int(node)) if node else SERVICES[part_of(name)](plan)


async def _spawn(launch: Launch, log: Path) -> asyncio.subprocess.Process:
    user = "-" if launch.user is None else ":".join(map(str, launch.user))
    shim = str(Path(__file__).with_name("child.py"))
    tied = ("-I", "-S", shim, str(os.getpid()), str(int(launch.death_signal)), user, "--")
    with log.open("ab") as out:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *tied,
            *launch.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **launch.env},
        )


async def _first(*awaited: Awaitable[object]) -> None:
    """Wait until one is done; a task goes on, any other is let go."""
    waits = [asyncio.ensure_future(each) for each in awaited]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait, each in zip(waits, awaited, strict=True):
        if wait is not each:
            wait.cancel()


def _leaf(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _leaf(first) if isinstance(first, BaseExceptionGroup) else first


async def _serve(channel: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=channel, limit=PLAN_BYTES_MAX)
    plan = Plan.of(json.loads(await reader.readline()))

    def tell(event: dict[str, object]) -> None:
        if not writer.is_closing():
            writer.write(json.dumps(event).encode() + b"\n")

    enough, lost, mended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, enough.set)
    loop.add_signal_handler(signal.SIGHUP, mended.set)
    watching = [asyncio.create_task(_set_after(lost, reader.read()))]
    if plan.owner is not None:
        owner = state.Process(*plan.owner)
        watching.append(asyncio.create_task(_set_after(enough, _gone(owner))))
    await Keeper(plan, tell).run(enough, lost, mended)
    for each in watching:
        each.cancel()
    writer.close()


async def _set_after(event: asyncio.Event, awaited: Awaitable[object]) -> None:
    try:
        await awaited
    except ConnectionError as error:
        print(f"who started us hung up: {error}", file=sys.stderr)  # noqa: T201 -- our log
    event.set()


async def _gone(process: state.Process) -> None:
    while process.living() is not None:  # noqa: ASYNC110 -- no event tells of another process
        await asyncio.sleep(OWNER_EVERY_S)


if __name__ == "__main__":
    asyncio.run(_serve(socket.socket(fileno=int(sys.argv[1]))))
