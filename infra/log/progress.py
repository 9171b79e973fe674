"""How far an export or an import has come, on standard error: a bar on a terminal, else lines."""

import sys
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self


class Progress:
    """Counts records; use it as a context.

    Args:
        verb: What is done to them: ``exporting``.
    """

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._open = ExitStack()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        """Show the bar, if somebody looks."""
        if sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415 -- only for a terminal
            from rich.progress import MofNCompleteColumn  # noqa: PLC0415 -- same
            from rich.progress import Progress as Bar  # noqa: PLC0415 -- same

            columns = (*Bar.get_default_columns(), MofNCompleteColumn())
            self._bar = self._open.enter_context(Bar(*columns, console=Console(stderr=True)))
            self._task = self._bar.add_task(self._verb, total=None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._open.close()

    def total(self, records: int) -> None:
        """Say how many there are at most; transaction markers count too."""
        if self._bar is not None:
            self._bar.update(self._task, total=records)

    def add(self, records: int) -> None:
        """Say that so many more are done."""
        if self._bar is not None:
            self._bar.advance(self._task, records)

    def topic(self, name: str, records: int) -> None:
        """Say that a topic is done."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"{self._verb} {name}")
        else:
            sys.stderr.write(f"{self._verb} {name}: {records} records\n")
