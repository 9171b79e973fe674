"""The keeper owns the services: it starts them side by side, and they end with it.

    python -m infra.stack.keeper FD

``FD`` is a socket to the ``up`` that started it: the plan comes in as one line of JSON, what
happens goes out as lines of JSON.  If that ``up`` goes away before everything is ready, or
later the owner dies, or a SIGTERM comes, the keeper stops the services and ends.  If the keeper
itself is killed, the kernel ends the services (``child.py``).

Every child is started from the main thread: Linux counts the parent's thread, not its process.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from infra.stack import state
from infra.stack.kafka import Kafka
from infra.stack.logs import tail
from infra.stack.postgres import Postgres
from infra.stack.redis import Redis
from infra.stack.registry import Registry
from infra.stack.service import Launch, Plan, Service
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
        self._ready = {name: asyncio.Event() for name in plan.parts}
        self._state = state.State(
            phase=state.STARTING,
            ports=dict(plan.ports),
            keeper=state.Process.of(os.getpid()),
            owner=None if plan.owner is None else state.Process(*plan.owner),
        )

    async def run(self, enough: asyncio.Event, lost: asyncio.Event) -> None:
        """Start everything, hold it until ``enough``, stop it.

        Args:
            enough: Set when the services should stop.
            lost: Set when who started us went away; counts only until all is ready.
        """
        try:
            self._write()
            starting = asyncio.create_task(self._start_all())
            await _first(starting, enough.wait(), lost.wait())
            if not starting.done():
                starting.cancel()
                await asyncio.wait([starting])
                self._tell({"failed": "the stack was stopped while it started; run `aegis up`"})
                return
            starting.result()
            self._state = replace(self._state, phase=state.READY)
            self._write()
            self._tell({"ready": True})
            await enough.wait()
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

    async def _start_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name in self._plan.parts:
                group.create_task(self._start(SERVICES[name](self._plan)))

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
        return any(name in SERVICES[other](self._plan).needs for other in self._children)

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


async def _first(task: asyncio.Task[None], *others: Awaitable[object]) -> None:
    waits = [asyncio.ensure_future(each) for each in others]
    await asyncio.wait([task, *waits], return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()


def _leaf(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _leaf(first) if isinstance(first, BaseExceptionGroup) else first


async def _serve(channel: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=channel, limit=PLAN_BYTES_MAX)
    plan = Plan.of(json.loads(await reader.readline()))

    def tell(event: dict[str, object]) -> None:
        if not writer.is_closing():
            writer.write(json.dumps(event).encode() + b"\n")

    enough, lost = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, enough.set)
    watching = [asyncio.create_task(_set_after(lost, reader.read()))]
    if plan.owner is not None:
        owner = state.Process(*plan.owner)
        watching.append(asyncio.create_task(_set_after(enough, _gone(owner))))
    await Keeper(plan, tell).run(enough, lost)
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
