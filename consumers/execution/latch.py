"""The halt latch: a file that stops every new order, when Kafka and the databases are down too.

touch var/halt.latch        stop          rm var/halt.latch     may go on, after ``resume``
"""

from pathlib import Path
from typing import Final

LATCH: Final = "halt.latch"


def path(var_dir: Path) -> Path:
    """Return where the latch is."""
    return var_dir / LATCH


def is_set(var_dir: Path) -> bool:
    """Say whether it stops us; a directory we cannot read stops us too."""
    try:
        return path(var_dir).exists()
    except OSError:
        return True


def put(var_dir: Path, reason: str) -> None:
    """Stop every new order from this instant on."""
    var_dir.mkdir(parents=True, exist_ok=True)
    path(var_dir).write_text(reason + "\n", encoding="utf-8")


def lift(var_dir: Path) -> None:
    """Take the latch away; trading goes on only after a ``resume``."""
    path(var_dir).unlink(missing_ok=True)
