"""Start the local stack, join it, ask it, stop it.

    up       start what the user's settings leave out, or join the stack that runs
    attach   join it, or None
    mend     start again what has died of it
    down     stop it; nothing of it is left
    running  a context: joined, or started for its length

One stack per ``settings.var_dir``; any number side by side, sharing only the artifact cache.
"""

import contextlib
import fcntl
import json
import os
import secrets
import signal
import time
from collections.abc import Iterator, Sequence

from infra.settings import Settings
from infra.stack import artifacts, cluster, endpoints, lockfile, machine, ports, starting, state
from infra.stack.endpoints import Endpoints
from infra.stack.paths import Paths, cache_dir
from infra.stack.progress import Progress, Quiet
from infra.stack.service import Plan, part_of
from schemas.errors import Fatal, Misconfigured

STOP_S_MAX = 20.0
STOP_EVERY_S = 0.02


def up(
    settings: Settings,
    *,
    owner_pid: int | None = None,
    progress: Progress | None = None,
    brokers: int | None = None,
    behind: Sequence[int] = (),
) -> Endpoints:
    """Start the parts that the settings leave out, or join the stack that runs already.

    Args:
        settings: Which parts are the user's own, and where ours live.
        owner_pid: The stack ends when this process does; None to leave it running.  It counts
            only if this call starts the stack.
        progress: Told of each step.
        brokers: One or three; None for as many as the folder was made with, else one.
        behind: Ports of proxies before a single broker, see ``Plan``.

    Returns:
        Where everything is, once every part answers.

    Raises:
        Misconfigured: A setting or the machine forbids it; one sentence says the way out.
        Fatal: A service did not start; with the end of its log.
    """
    parts = endpoints.local_parts(settings)
    paths = Paths.of(settings)
    if brokers is not None and endpoints.KAFKA not in parts:
        raise Misconfigured(
            f"expected to run Kafka ourselves with --brokers {brokers}, was given "
            f"{settings.kafka.bootstrap}; unset AEGIS_KAFKA__BOOTSTRAP or leave the flag out"
        )
    size = cluster.wanted(paths.root, brokers)
    for part in set(endpoints.PARTS) - set(parts):
        _reached(part, settings)
    if not parts:
        return endpoints.merge(settings, {}, "")
    machine.writable(paths.root, "AEGIS_VAR_DIR")
    with paths.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        joined = attach(settings)
        if joined is not None:
            return joined
        _end(state.read(paths.state))
        with progress or Quiet() as shown:
            plan = _plan(settings, parts, owner_pid, shown, brokers=size, behind=behind)
            starting.start(plan, shown)
        return endpoints.merge(settings, state.read(paths.state).ports, _password(paths))


def attach(settings: Settings) -> Endpoints | None:
    """Return where everything is if the parts that the settings leave out run; else None.

    Raises:
        Misconfigured: A local stack runs, but without a part that is wanted.
    """
    wanted, paths = endpoints.local_parts(settings), Paths.of(settings)
    if not wanted:
        return endpoints.merge(settings, {}, "")
    found = state.read(paths.state)
    if not found.is_whole():
        return None
    missing = set(wanted) - {part_of(name) for name in found.children}
    if missing:
        part = min(missing)
        raise Misconfigured(
            f"{part}: expected it in the running stack of {paths.root}, which was started without; "
            f"run `aegis down` and `aegis up`, or set {endpoints.SETTING[part]}"
        )
    return endpoints.merge(settings, found.ports, _password(paths))


def require(settings: Settings) -> Endpoints:
    """Return where everything is.

    Raises:
        Misconfigured: A part is neither set by the user nor run by the local stack.
    """
    found = attach(settings)
    if found is None:
        part = endpoints.local_parts(settings)[0]
        raise Misconfigured(
            f"{part}: expected a running stack in {Paths.of(settings).root}, found none; "
            f"run `aegis up`, or set {endpoints.SETTING[part]}"
        )
    return found


def status(settings: Settings) -> state.State:
    """Return what the keeper last wrote down; its processes say whether they live."""
    return state.read(Paths.of(settings).state)


def mend(settings: Settings) -> None:
    """Start again what has died of the running stack, and wait until it answers.

    Raises:
        Fatal: No keeper lives, or something did not start.
    """
    paths = Paths.of(settings)
    keeper = status(settings).keeper
    alive = None if keeper is None else keeper.living()
    if alive is not None:
        alive.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + settings.stack.ready_s_max + STOP_S_MAX
    while not status(settings).is_whole():
        if keeper is None or keeper.living() is None or time.monotonic() > deadline:
            raise Fatal(
                f"expected the stack of {paths.root} whole again, was not; read "
                f"{paths.log('keeper')} and run `aegis up`"
            )
        time.sleep(STOP_EVERY_S)


def down(settings: Settings) -> bool:
    """Stop the local stack and wait until nothing of it lives; return whether any did."""
    return _end(status(settings))


@contextlib.contextmanager
def running(
    settings: Settings,
    *,
    progress: Progress | None = None,
    brokers: int | None = None,
    behind: Sequence[int] = (),
) -> Iterator[Endpoints]:
    """Yield a stack: the one that runs, or one that lives as long as the block; see ``up``."""
    joined = attach(settings)
    if joined is not None:
        yield joined
        return
    own = os.getpid()
    there = up(settings, owner_pid=own, progress=progress, brokers=brokers, behind=behind)
    try:
        yield there
    finally:
        down(settings)


def _reached(part: str, settings: Settings) -> None:
    """Refuse a part of the user's own that does not answer, before anything starts."""
    from infra.stack import answers  # noqa: PLC0415 -- its clients are not ours to need

    there = endpoints.merge(settings, dict.fromkeys(ports.NAMES, 0), "")
    answers.ask(part, settings, there)


def _plan(
    settings: Settings,
    parts: tuple[str, ...],
    owner_pid: int | None,
    progress: Progress,
    *,
    brokers: int,
    behind: Sequence[int],
) -> Plan:
    paths, cache = Paths.of(settings), cache_dir()
    machine.check(paths.root, cache)
    names = ports.names(brokers, len(behind))
    chosen = ports.choose(_asked(settings), state.read(paths.state).ports, names)
    source = settings.stack.maven_url
    jars = registry = cache
    if endpoints.KAFKA in parts:
        jars = artifacts.jars(lockfile.kafka_jars(), cache, repository=source, progress=progress)
    if endpoints.REGISTRY in parts:
        registry = artifacts.unpacked(
            lockfile.registry_tarball(), cache, repository=source, progress=progress
        )
    owner = None if owner_pid is None else state.Process.of(owner_pid)
    return Plan(
        root=paths.root,
        parts=parts,
        ports=chosen,
        jars=jars,
        registry_app=registry,
        password=_password(paths),
        ready_s_max=settings.stack.ready_s_max,
        stop_s_max=STOP_S_MAX,
        owner=None if owner is None else (owner.pid, owner.born),
        brokers=brokers,
        cluster=cluster.identity(paths.root),
        behind=tuple(behind),
    )


def _end(found: state.State) -> bool:
    """End a keeper and whatever it started; return whether anything lived."""
    children = [each for each in found.children.values() if each.living()]
    keeper = None if found.keeper is None else found.keeper.living()
    if keeper is not None:
        keeper.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + starting.KEEPER_STOP_S_MAX
        while found.keeper is not None and found.keeper.living():
            if time.monotonic() > deadline:
                keeper.kill()
            time.sleep(STOP_EVERY_S)
        with contextlib.suppress(ChildProcessError):  # it may be ours, or an earlier caller's
            os.waitpid(keeper.pid, os.WNOHANG)
    state.reap(children)
    return keeper is not None or bool(children)


def _asked(settings: Settings) -> dict[str, int | None]:
    own = settings.stack
    return {
        ports.KAFKA: own.kafka_port,
        ports.REGISTRY: own.registry_port,
        ports.POSTGRES: own.postgres_port,
        ports.REDIS: own.redis_port,
    }


def _password(paths: Paths) -> str:
    """Return the local PostgreSQL's password, made the first time."""
    if not paths.secrets.exists():
        descriptor = os.open(paths.secrets, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"postgres": secrets.token_urlsafe(24)}, file)
    return str(json.loads(paths.secrets.read_text(encoding="utf-8"))["postgres"])
