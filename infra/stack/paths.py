"""Where the stack keeps things: one folder per stack, one cache per user."""

import os
from dataclasses import dataclass
from pathlib import Path

from infra.settings import Settings


@dataclass(frozen=True)
class Paths:
    """The files of one local stack, all below ``<var_dir>/stack``."""

    root: Path

    @classmethod
    def of(cls, settings: Settings) -> "Paths":
        """Return the paths of the stack that these settings mean."""
        return cls(settings.var_dir.expanduser().absolute() / "stack")

    @property
    def state(self) -> Path:
        """Return the file that says what runs."""
        return self.root / "stack.json"

    @property
    def lock(self) -> Path:
        """Return the file that one ``up`` holds at a time."""
        return self.root / "lock"

    @property
    def secrets(self) -> Path:
        """Return the file of passwords, mode 0600."""
        return self.root / "secrets.json"

    def log(self, name: str) -> Path:
        """Return the log of one service, or of the keeper."""
        return self.root / "logs" / f"{name}.log"

    def service(self, name: str) -> Path:
        """Return the folder of one service's data and configuration."""
        return self.root / name


def cache_dir() -> Path:
    """Return the user's cache of artifacts, shared by every stack."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser().absolute() / "aegis"
