"""The parent's side of ``child``: a hard deadline on everything that a model does.

A run that is late is told to stop (``RunOptions.terminate``); a child that does not even hear that
is killed.  Either way the caller has its answer, a ``Transient``, by the deadline, and the next
run starts with a fresh child when the old one is gone.
"""

import contextlib
import os
import select
import subprocess
import sys
import time
from typing import Any, Final, NamedTuple

import numpy as np

from consumers.inference.frames import (
    FAILED,
    LOAD,
    READY,
    RUN,
    SCORES,
    STOP,
    Assembler,
    Frame,
    pack,
)
from consumers.inference.registry import Model, parity
from schemas.errors import Fatal, Misconfigured, Poison, Transient
from schemas.model_card import Floats
from schemas.units import Micros

READ_BYTES: Final = 1 << 20


class Limits(NamedTuple):
    """Wall time, in seconds.

    Attributes:
        run_s: A run has ended, one way or the other, after this long.
        stop_s: The last part of ``run_s``: the child was told to stop and may still do so.
        load_s: A child is loaded, warm and proved after this long.
        reap_s: A killed child is gone after this long.
    """

    run_s: float = 5.0
    stop_s: float = 0.5
    load_s: float = 30.0
    reap_s: float = 5.0


class Scored(NamedTuple):
    """What a run gave.

    Attributes:
        scores: (names) float32.
        provider: The one that really ran.
        elapsed: Wall time inside the runtime.
    """

    scores: Floats
    provider: str
    elapsed: Micros


class Supervisor:
    """One model in one child.

    Use it from one thread: on Linux a child dies with the thread that started it.

    Args:
        model: What to serve.
        limits: See ``Limits``.
    """

    def __init__(self, model: Model, limits: Limits | None = None) -> None:
        self.model = model
        self.limits = Limits() if limits is None else limits
        self.provider = ""
        self.starts = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._assembler = Assembler()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return None if self._child is None else self._child.pid

    def start(self) -> None:
        """Start the child, load the model and prove it with its golden vectors.

        Raises:
            Misconfigured: This runtime must not serve this model.
            Transient: The child died or was too slow.
        """
        self.close()
        self._assembler = Assembler()
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "consumers.inference.child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.starts += 1
        card = self.model.card
        header = {"steps": card.steps, "features": len(card.features)}
        try:
            answer = self._ask(Frame(LOAD, header, self.model.content), self.limits.load_s, READY)
            self.provider = str(answer.header["provider"])
            golden, _ = card.golden()
            parity(card, self._run(golden).scores)
        except BaseException:
            self.close()
            raise

    def score(self, values: Floats) -> Scored:
        """Return the scores of all rows; start the child first when there is none.

        Args:
            values: (names, steps, features) float32, names >= 1.

        Raises:
            Poison: There are no rows.
            Transient: Late, or the child died; the next call starts a fresh one.
            Fatal: The runtime refused the run.
            Misconfigured: This runtime must not serve this model.
        """
        if values.shape[0] < 1:
            raise Poison("expected at least one row, was none")
        if self._child is None or self._child.poll() is not None:
            self.start()
        return self._run(values)

    def close(self) -> None:
        """Kill the child and wait until it is gone."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait(self.limits.reap_s)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()

    def _exit_code(self) -> int | None:
        assert self._child is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._child.wait(self.limits.stop_s)
        return None

    def _run(self, values: Floats) -> Scored:
        body = np.ascontiguousarray(values, dtype="<f4").tobytes()
        frame = Frame(RUN, {"shape": list(values.shape)}, body)
        answer = self._ask(frame, self.limits.run_s, SCORES, stop_s=self.limits.stop_s)
        scores = np.frombuffer(answer.body, dtype="<f4")
        return Scored(scores, self.provider, Micros(int(answer.header["elapsed_us"])))

    def _ask(self, frame: Frame, limit_s: float, kind: int, *, stop_s: float = 0.0) -> Frame:
        end = time.monotonic() + limit_s
        try:
            self._write(pack(frame), end)
            answer = self._read(end - stop_s)
            if answer is None and stop_s > 0:
                self._write(pack(Frame(STOP, {})), end)
                answer = self._read(end)
        except (Fatal, OSError) as error:
            self.close()
            raise Transient(f"expected an answer, was {error}; the child was killed") from error
        if answer is None:
            self.close()
            raise Transient(f"expected an answer in {limit_s} s, was none; the child was killed")
        if answer.kind == FAILED:
            raise _error(answer.header)
        if answer.kind != kind:
            self.close()
            raise Transient(f"expected frame {kind}, was {answer.kind}; the child was killed")
        return answer

    def _write(self, data: bytes, end: float) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        sink = self._child.stdin.fileno()
        os.set_blocking(sink, False)
        view = memoryview(data)
        while view:
            if not _ready(sink, select.POLLOUT, end):
                raise Fatal("no reader before the deadline")
            view = view[os.write(sink, view) :]

    def _read(self, end: float) -> Frame | None:
        assert self._child is not None
        assert self._child.stdout is not None
        source = self._child.stdout.fileno()
        while True:
            if not _ready(source, select.POLLIN, end):
                return None
            data = os.read(source, READ_BYTES)
            if not data:
                raise Fatal(f"the end of the child, exit code {self._exit_code()}")
            if frames := self._assembler.feed(data):
                return frames[0]


def _ready(fileno: int, event: int, end: float) -> bool:
    """Wait for a pipe until ``end``; ``poll`` knows no limit on the number of descriptors."""
    poller = select.poll()
    poller.register(fileno, event)
    return bool(poller.poll(max(0.0, end - time.monotonic()) * 1_000))


def _error(header: dict[str, Any]) -> Exception:
    kinds = {"Poison": Poison, "Transient": Transient, "Misconfigured": Misconfigured}
    return kinds.get(str(header["error"]), Fatal)(str(header["reason"]))
