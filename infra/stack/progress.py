"""What a starting stack says of itself, and three ways of showing it."""

import sys
from types import TracebackType
from typing import Protocol, Self, TextIO

BYTES_PER_MB = 1_000_000


class Progress(Protocol):
    """Told of each step while a stack starts; a context manager around the start."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the show, whatever happened."""
        ...

    def fetching(self, done: int, total: int) -> None:
        """Artifacts are coming: ``done`` of ``total`` bytes are here."""
        ...

    def service(self, name: str, state: str, seconds: float) -> None:
        """Say that a service is now ``starting`` or ``ready``, ``seconds`` after the first."""
        ...


class Quiet:
    """Shows nothing."""

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""

    def fetching(self, done: int, total: int) -> None:
        """Stay silent."""

    def service(self, name: str, state: str, seconds: float) -> None:
        """Stay silent."""


class Lines(Quiet):
    """One line per thing that is done: for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._announced = False

    def fetching(self, done: int, total: int) -> None:
        """Say once what comes, and once that it is here."""
        if not self._announced or done == total:
            verb = "fetched" if done == total else "fetching"
            print(f"{verb} {total / BYTES_PER_MB:.0f} MB of artifacts", file=self._stream)
            self._announced = True

    def service(self, name: str, state: str, seconds: float) -> None:
        """Say that a service is ready."""
        if state == "ready":
            print(f"{name} ready after {seconds:.1f} s", file=self._stream)


class Bars(Quiet):
    """A bar for the artifacts, a spinner per service: for a terminal."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 -- only a terminal pays for rich
        from rich.progress import BarColumn, SpinnerColumn, TextColumn  # noqa: PLC0415 -- same
        from rich.progress import Progress as Rich  # noqa: PLC0415 -- same

        self._rich = Rich(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description:<10}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._rich.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last picture standing."""
        self._rich.stop()

    def fetching(self, done: int, total: int) -> None:
        """Move the bar of the artifacts."""
        note = f"{done / BYTES_PER_MB:.0f} of {total / BYTES_PER_MB:.0f} MB"
        self._draw("artifacts", done, total, note)

    def service(self, name: str, state: str, seconds: float) -> None:
        """Tick a service off when it is ready."""
        ready = state == "ready"
        self._draw(name, int(ready), 1 if ready else None, f"{seconds:.1f} s" if ready else state)

    def _draw(self, name: str, done: int, total: int | None, note: str) -> None:
        from rich.progress import TaskID  # noqa: PLC0415 -- loaded already

        if name not in self._tasks:
            self._tasks[name] = self._rich.add_task(name, total=total, note=note)
        self._rich.update(TaskID(self._tasks[name]), completed=done, total=total, note=note)


def shown_on(stream: TextIO | None = None) -> Progress:
    """Return what suits a stream (standard error if None): bars on a terminal, else lines."""
    stream = sys.stderr if stream is None else stream
    return Bars() if stream.isatty() else Lines(stream)
