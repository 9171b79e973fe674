"""Pages of ``list.json`` from a folder, oldest day first.

A page has no time of day, so it counts as known at the end of the day of its newest filing.
"""

import gzip
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from schemas import dart
from schemas.krx.sessions import kst_midnight
from schemas.raw import RawFiling
from schemas.units import Micros

SOURCE: Final = "dart"
PATTERN: Final = "dart/list_*/*.json*"


def collect(folder: Path, before: date | None, ts_ingest: Micros) -> Iterator[RawFiling]:
    """Yield the pages whose filings were all made before a day (all when None).

    Raises:
        Transient: A page says "ask again"; see ``dart.demand``.
        Misconfigured: A page complains about the key.
        Poison: A page is not an answer of OpenDART.
    """
    known = []
    for path in sorted(folder.glob(PATTERN)):
        text = read(path)
        filed = [row["rcept_dt"] for row in dart.demand(dart.parse(text))]
        if filed:
            known.append((date.fromisoformat(max(filed)), text))
    for seq, (filed_on, text) in enumerate(sorted(known, key=lambda each: each[0])):
        if before is None or filed_on < before:
            yield RawFiling(
                ts_event=kst_midnight(filed_on + timedelta(days=1)),
                ts_ingest=ts_ingest,
                source=SOURCE,
                seq=seq,
                resource=dart.LIST,
                payload=text,
            )


def read(path: Path) -> str:
    """Return the text of a file, unpacked when it ends in ``.gz``."""
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).decode()
    return path.read_text("utf-8")
