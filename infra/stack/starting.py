"""Start a keeper, and listen to it until everything answers; leave nothing if it does not."""

import json
import socket
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from infra.stack.paths import Paths
from infra.stack.progress import Progress
from infra.stack.service import Plan
from schemas.errors import Fatal

KEEPER_STOP_S_MAX = 45.0  # two waves of the services' stop_s_max, and its own end
LOG_BYTES_MAX = 8_000_000


def start(plan: Plan, progress: Progress) -> None:
    """Start what a plan names.

    Raises:
        Fatal: A service did not start, or the keeper said nothing.
    """
    _rotate(plan.paths, plan.services)
    ours, its = socket.socketpair()
    with ours, its, plan.paths.log("keeper").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "infra.stack.keeper", str(its.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[its.fileno()],
            start_new_session=True,
        )
        its.close()
        try:
            _listen(ours, plan, progress)
        except TimeoutError as error:
            keeper.kill()
            keeper.wait()
            raise Fatal(
                f"expected the stack's keeper to say how it goes, it was silent; read "
                f"{plan.paths.log('keeper')} and run `aegis up` again"
            ) from error
        except BaseException:
            keeper.terminate()
            _wait(keeper)
            raise
    keeper.returncode = 0  # it outlives us: not ours to wait for, nor to warn about


def _listen(channel: socket.socket, plan: Plan, progress: Progress) -> None:
    # Each service has ready_s_max, the registry only after PostgreSQL; formatting comes on top.
    channel.settimeout(3 * plan.ready_s_max + KEEPER_STOP_S_MAX)
    channel.sendall(json.dumps(asdict(plan), default=str).encode() + b"\n")
    with channel.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            event: dict[str, Any] = json.loads(line)
            if "failed" in event:
                raise Fatal(event["failed"])
            if "ready" in event:
                return
            progress.service(event["service"], event["state"], event["seconds"])
    raise Fatal(
        f"the stack's keeper ended without a word; read {plan.paths.log('keeper')} "
        "and run `aegis up` again"
    )


def _wait(keeper: subprocess.Popen[bytes]) -> None:
    try:
        keeper.wait(KEEPER_STOP_S_MAX)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()


def _rotate(paths: Paths, services: tuple[str, ...]) -> None:
    for name in (*services, "keeper"):
        log = paths.log(name)
        log.parent.mkdir(parents=True, exist_ok=True)
        if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_suffix(".log.1"))
