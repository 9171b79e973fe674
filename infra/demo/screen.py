"""What a person sees while a day runs: the market's clock, the speed, and what happens."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from schemas.units import HOUR


class Screen:
    """A live table on a terminal, lines elsewhere, nothing when JSON is asked for.

    Args:
        live: Whether to show anything.
        synthetic: Whether the market is seeded: said on every screen.
    """

    def __init__(self, *, live: bool, synthetic: bool) -> None:
        self._console = Console(stderr=True)
        self._shown = live
        self._title = "AEGIS demo: SYNTHETIC market" if synthetic else "AEGIS demo: real data"
        self._live: Live | None = None
        self._facts: dict[str, Any] = {}
        self._began = time.monotonic()
        self._first: tuple[float, int] | None = None
        self._said = ""

    def __enter__(self) -> Self:
        if self._shown and self._console.is_terminal:
            self._live = Live(self._table(), console=self._console, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def show(self, step: str, said: Mapping[str, Any]) -> None:
        """Take what the day says of itself."""
        self._facts["step"] = step
        for name, value in said.items():
            if name == "now":
                self._clock(int(value))
            elif value:
                self._facts[name] = f"{value:.1f}" if isinstance(value, float) else value
        if self._live is not None:
            self._live.update(self._table())
        elif self._shown and step != self._said:
            self._said = step
            self._console.print(f"{time.monotonic() - self._began:6.1f} s  {self._title}: {step}")

    def _clock(self, now: int) -> None:
        if self._first is None:
            self._first = time.monotonic(), now
        began, start = self._first
        seconds = (now + 9 * HOUR) // 1_000_000 % 86_400
        self._facts["market"] = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        wall = time.monotonic() - began
        if wall > 1:
            self._facts["speed"] = f"{(now - start) / 1e6 / wall:.0f}x"

    def _table(self) -> Table:
        table = Table(title=self._title, show_header=False)
        for name, value in self._facts.items():
            table.add_row(name, str(value))
        table.add_row("wall", f"{time.monotonic() - self._began:.0f} s")
        table.add_row("AI skill", "not shown")
        return table
