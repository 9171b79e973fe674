"""Can this machine carry the stack?  Each answer is one sentence with the way out."""

import os
import shutil
import sys
from pathlib import Path

from schemas.errors import Misconfigured

BYTES_PER_GB = 1_000_000_000
DISK_GB_MIN = 2.0
MEMORY_GB_MIN = 2.0


def check(folder: Path, cache: Path) -> None:
    """Make the folder and refuse a machine on which the stack cannot run.

    Raises:
        Misconfigured: Not Linux or macOS, no write permission, too little disk or memory.
    """
    import psutil  # noqa: PLC0415 -- only a start pays for it

    if sys.platform not in {"linux", "darwin"}:
        raise Misconfigured(
            f"expected Linux or macOS for the local stack, was {sys.platform}; point "
            "AEGIS_KAFKA__BOOTSTRAP, AEGIS_REGISTRY__URL, AEGIS_POSTGRES__DSN "
            "and AEGIS_REDIS__URL at a stack elsewhere"
        )
    writable(folder, "AEGIS_VAR_DIR")
    writable(cache, "XDG_CACHE_HOME")
    for place, setting in ((folder, "AEGIS_VAR_DIR"), (cache, "XDG_CACHE_HOME")):
        enough_disk(place, shutil.disk_usage(place).free, setting)
    enough_memory(psutil.virtual_memory().available)


def writable(folder: Path, setting: str) -> None:
    """Make a folder, and prove that a file can be made in it."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Misconfigured(
            f"expected to write {folder}, was refused ({error.strerror}); "
            f"own that folder or name another by {setting}"
        ) from error


def enough_disk(place: Path, free: int, setting: str) -> None:
    """Refuse fewer than ``DISK_GB_MIN`` free, given in bytes."""
    if free < DISK_GB_MIN * BYTES_PER_GB:
        raise Misconfigured(
            f"expected {DISK_GB_MIN:.1f} GB free on the disk of {place}, was "
            f"{free / BYTES_PER_GB:.1f} GB; free some or name another disk by {setting}"
        )


def enough_memory(available: int) -> None:
    """Refuse less than ``MEMORY_GB_MIN`` available, given in bytes."""
    if available < MEMORY_GB_MIN * BYTES_PER_GB:
        raise Misconfigured(
            f"expected {MEMORY_GB_MIN:.1f} GB of memory available, was "
            f"{available / BYTES_PER_GB:.1f} GB; end other programs, or run the parts "
            "elsewhere and name them by AEGIS_KAFKA__BOOTSTRAP and its like"
        )
