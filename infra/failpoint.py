"""Named places where a drill may kill the process.

``AEGIS_FAILPOINT=<name>:<n>`` kills the process (SIGKILL, nothing is flushed) the n-th time it
passes the place; ``<name>:<n>*<k>`` does so in each of its first k lives.  Deaths are counted in
the file ``AEGIS_FAILPOINT_DEATHS`` before they happen, a byte each, so that the life after the
last one goes on.
"""

import os
import signal
from collections import Counter
from pathlib import Path
from typing import Final

from schemas.errors import Misconfigured

PRODUCED: Final = "after-produce-before-save"
SAVED: Final = "after-save-before-commit"
SUBMITTING: Final = "submitting-before-send"
DECIDED: Final = "decided-before-produce"
COMMITTED: Final = "after-commit"
NAMES: Final = (PRODUCED, SAVED, SUBMITTING, DECIDED, COMMITTED)

_hits: Counter[str] = Counter()


def hit(name: str) -> None:
    """Die here when the drill asks for it; otherwise do nothing."""
    asked = os.environ.get("AEGIS_FAILPOINT")
    if asked is None:
        return
    place, _, counts = asked.partition(":")
    count, _, lives = counts.partition("*")
    if place not in NAMES or not count.isdigit() or not (lives or "1").isdigit():
        raise Misconfigured(
            f"AEGIS_FAILPOINT: expected one of {', '.join(NAMES)} with ':<n>' or ':<n>*<k>', "
            f"was {asked!r}"
        )
    if place != name:
        return
    _hits[name] += 1
    if _hits[name] < int(count):
        return
    deaths = Path(os.environ["AEGIS_FAILPOINT_DEATHS"])
    with deaths.open("ab") as count_file:
        if count_file.tell() >= int(lives or "1"):
            return
        count_file.write(b".")
    os.kill(os.getpid(), signal.SIGKILL)
