"""Errors say what to do next.

    AegisError
    ├── Transient   ask again: the other side may answer next time
    ├── Poison      this record never will: dead letter, go on
    └── Fatal       we are wrong or blind: stop, be restarted
        ├── Fenced          another writer has taken over: write nothing more
        └── Misconfigured   a setting or a machine is wrong: say which, and the way out

A message reads "expected …, was …" and, where a person can act, ends with what to do.
"""


class AegisError(Exception):
    """The root of our own errors."""


class Transient(AegisError):  # noqa: N818 -- the name is the instruction
    """Ask again: the other side may answer next time."""


class Poison(AegisError):  # noqa: N818 -- the name is the instruction
    """This record will never be read: send it to the dead letters and go on."""


class Fatal(AegisError):  # noqa: N818 -- the name is the instruction
    """We are wrong or blind: stop and be restarted."""


class Fenced(Fatal):
    """Another writer has taken over: write nothing more under this name."""


class Misconfigured(Fatal):
    """A setting or the machine is wrong; the message names it and the way out."""
