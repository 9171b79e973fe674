"""Named places where a drill may kill the process.

``AEGIS_FAILPOINT=<name>:<n>`` kills the process (SIGKILL, nothing is flushed) the n-th time it
passes the place.  A file ``AEGIS_FAILPOINT_ONCE`` is made first, and a process that finds it
does not die again, so that a supervised restart goes on.
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
NAMES: Final = (PRODUCED, SAVED, SUBMITTING)

_hits: Counter[str] = Counter()


def hit(name: str) -> None:
    """Die here when the drill asks for it; otherwise do nothing."""
    asked = os.environ.get("AEGIS_FAILPOINT")
    if asked is None:
        return
    place, _, count = asked.partition(":")
    if place not in NAMES or not count.isdigit():
        raise Misconfigured(
            f"AEGIS_FAILPOINT: expected one of {', '.join(NAMES)} with ':<n>', was {asked!r}"
        )
    if place != name:
        return
    _hits[name] += 1
    if _hits[name] < int(count):
        return
    marker = Path(os.environ["AEGIS_FAILPOINT_ONCE"])
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
