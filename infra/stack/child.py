"""Become a child that dies with its parent: run as a script, it ends by becoming its command.

    python -I -S child.py PARENT_PID DEATH_SIGNAL USER -- COMMAND ...

``USER`` is ``uid:gid``, or ``-`` to stay who we are.  PostgreSQL refuses root,
so under root it runs as another user; that user may neither pass the parents of a private
checkout nor read its packages, so it keeps one capability, ``CAP_DAC_OVERRIDE``.

Only the standard library: it starts in some 20 ms.  Linux kills the child with its parent
(``PR_SET_PDEATHSIG``); elsewhere the next ``aegis up`` reaps what is left.
"""

import ctypes
import os
import sys

# linux/prctl.h, linux/capability.h, linux/securebits.h
PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


def main(argv: list[str]) -> None:
    """Drop root, tie our life to the parent's, become the command."""
    parent, death_signal, user, _, *command = argv
    linux = sys.platform == "linux"
    if user != "-":
        _become(*map(int, user.split(":")), keep_reach=linux)
    if linux:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("the parent died before its child began")
    os.execv(command[0], command)  # noqa: S606 -- becoming the command is the point


def _become(user: int, group: int, *, keep_reach: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if keep_reach:
        libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(group)
    os.setuid(user)
    if keep_reach:
        mask = 1 << CAP_DAC_OVERRIDE
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        libc.capset(header, data)
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
