"""The process that holds the model; started by ``supervisor``, never by hand.

It reads frames on standard input and answers on what was standard output (a library that prints
goes to standard error instead).  It dies with its parent: Linux kills it by PR_SET_PDEATHSIG, and
the end of its input ends it everywhere.
"""

import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
import time
from typing import Final

import numpy as np

from consumers.inference.engine import Engine, choose_provider
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
from schemas.errors import AegisError

READ_BYTES: Final = 1 << 20
PR_SET_PDEATHSIG: Final = 1
QUEUE_FRAMES_MAX: Final = 4


class Child:
    """A reader thread that can interrupt, and a main thread that runs the model."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._work: queue.Queue[Frame] = queue.Queue(QUEUE_FRAMES_MAX)
        self._engine: Engine | None = None

    def serve(self) -> None:
        """Answer frames until the input ends; then the process is gone."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        while True:
            frame = self._work.get()
            try:
                answer = self._answer(frame)
            except AegisError as error:
                answer = Frame(FAILED, {"error": type(error).__name__, "reason": str(error)})
            self._write(pack(answer))

    def _read(self) -> None:
        assembler = Assembler()
        while data := os.read(self._source, READ_BYTES):
            for frame in assembler.feed(data):
                if frame.kind != STOP:
                    self._work.put(frame)
                elif self._engine is not None:
                    self._engine.terminate()
        os._exit(0)

    def _answer(self, frame: Frame) -> Frame:
        if frame.kind == LOAD:
            self._engine = Engine(
                frame.body,
                provider=choose_provider(),
                steps=frame.header["steps"],
                features=frame.header["features"],
            )
            return Frame(READY, {"provider": self._engine.provider})
        if frame.kind == RUN and self._engine is not None:
            values = np.frombuffer(frame.body, dtype="<f4").reshape(frame.header["shape"])
            self._engine.rearm()
            begun = time.monotonic_ns()
            scores = self._engine.run(values)
            elapsed = (time.monotonic_ns() - begun) // 1_000
            return Frame(SCORES, {"elapsed_us": elapsed}, scores.astype("<f4").tobytes())
        return Frame(FAILED, {"error": "Fatal", "reason": f"expected LOAD first, was {frame.kind}"})

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._sink, view) :]


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when ``parent`` dies; exit when it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def main() -> None:
    """Take over standard input and output and serve."""
    die_with(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the group; the parent decides
    sink = os.dup(1)
    os.dup2(2, 1)
    with contextlib.suppress(BrokenPipeError):  # the parent is gone, and so are we
        Child(0, sink).serve()


if __name__ == "__main__":
    main()
