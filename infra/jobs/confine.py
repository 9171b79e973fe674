"""What a job's process may touch: asked of the kernel, by the process itself, for good.

Landlock (Linux 5.13 and later, no privilege needed, binding for root as well) leaves a process
and its children the folders it is given and nothing else of the file system.  A confined process
can neither trace a process outside nor read its ``/proc/<pid>/environ``; from Linux 6.12 on it
cannot send it a signal either.  Root's capabilities are given up first: with them it could.

Not confined: the network (a job reaches every address that its machine reaches, and Kafka with
the worker's rights if it was given the address), time, and the numbers of other processes.
A worker that is root has jobs that are root by number alone, without a capability: they open what
root owns inside these walls and nothing else.
"""

import ctypes
import os
import resource
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from schemas.errors import Fatal

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION: Final = 1
_BENEATH: Final = 1
_NO_NEW_PRIVS: Final = 38

_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_BITS_BY_ABI: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""Linux's ABI version to how many file system rights it knows."""

_CAPABILITIES: Final = 0x20080522
"""``_LINUX_CAPABILITY_VERSION_3``: two sets of three 32-bit words."""

_SCOPES_ABI: Final = 6
_SCOPES: Final = 3
"""No abstract Unix socket and no signal to the outside."""

_READS: Final = _EXECUTE | _READ | _LIST
_OF_A_FILE: Final = _EXECUTE | _WRITE | _READ | 1 << 14 | 1 << 15

SYSTEM: Final = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/opt", "/proc", "/sys")
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/tty")
"""Written too."""


class _Ruleset(ctypes.Structure):
    _fields_ = [
        ("fs", ctypes.c_uint64),
        ("net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    ]


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def landlock_abi() -> int:
    """Return the kernel's version of Landlock; 0 when it has none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE, None, 0, _VERSION)))


def confine(writes: Iterable[Path], reads: Iterable[Path], private: Path) -> bool:
    """Leave this process the system, the interpreter, and these folders; return whether it did.

    Args:
        writes: What may be read and changed.
        reads: What else may be read and executed.
        private: What no folder of the system or of the interpreter opens by lying above it; its
            names can be listed where the code lies above it, no more.

    Returns:
        False where the kernel has no Landlock: then only the folders' modes stand between jobs.

    Raises:
        Fatal: The kernel refused what it has.
    """
    _give_up_capabilities()
    abi = landlock_abi()
    if not abi:
        return False
    rights = (1 << _BITS_BY_ABI.get(abi, 16)) - 1
    rules = _Ruleset(rights, 0, _SCOPES if abi >= _SCOPES_ABI else 0)
    size = ctypes.sizeof(rules) if abi >= _SCOPES_ABI else ctypes.sizeof(ctypes.c_uint64)
    ruleset = _call(_CREATE, ctypes.byref(rules), size, 0)
    interpreter = (Path(sys.prefix), Path(sys.base_prefix), *map(Path, sys.path))
    for each in {*map(Path, SYSTEM), *interpreter, *reads}:
        _allow_around(ruleset, each.resolve(), private.resolve())
    for each in {*map(Path, DEVICES), *writes}:
        _allow(ruleset, each, rights)
    _call(_RESTRICT, ruleset, 0)
    os.close(ruleset)
    return True


def limit(cpu_s: int, memory_bytes: int, open_files: int, file_bytes: int) -> None:
    """Lower this process's limits: CPU seconds, address space, open files, size of a file.

    A process beyond its CPU seconds or its file size is killed by the kernel; more memory and
    more files are refused.
    """
    for what, most in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, open_files),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (value, value))


def _give_up_capabilities() -> None:
    """Drop every capability of this process; no program that it starts has one again."""
    if sys.platform != "linux":
        return
    kernel = ctypes.CDLL(None, use_errno=True)
    header = _CapabilityHeader(_CAPABILITIES, 0)
    none = (ctypes.c_uint32 * 6)()
    if kernel.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) or kernel.capset(ctypes.byref(header), none):
        why = os.strerror(ctypes.get_errno())
        raise Fatal(f"expected to give up every capability, was refused: {why}")


def _allow_around(ruleset: int, path: Path, private: Path) -> None:
    """Let a folder be read but for one place below it; rules can only add, never take away."""
    if path == private or not path.exists():
        return
    if path not in private.parents:
        _allow(ruleset, path, _READS)
        return
    _allow(ruleset, path, _LIST)
    for each in path.iterdir():
        if not each.is_symlink():
            _allow_around(ruleset, each, private)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    if not path.exists():
        return
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mine = rights if path.is_dir() else rights & _OF_A_FILE
        rule = _Beneath(mine, place)
        _call(_ADD, ruleset, _BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    kernel = ctypes.CDLL(None, use_errno=True)
    found = int(kernel.syscall(number, *arguments))
    if found < 0:
        why = os.strerror(ctypes.get_errno())
        raise Fatal(f"expected Landlock's call {number} to be taken, was refused: {why}")
    return found
