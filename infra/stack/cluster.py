"""How many brokers a stack's folder was made with, and the id that they share.

A cluster cannot be asked to become larger: its data was written with so many copies, and its
controllers vote with so many voices.  So a folder keeps the number that it was made with.
"""

import base64
import uuid
from pathlib import Path
from typing import Final

from schemas.errors import Misconfigured

SIZES: Final = (1, 3)
"""Two brokers survive no more than one does; five are too many for a laptop."""

_PROPERTIES: Final = "data/meta.properties"
_ID: Final = "cluster.id="


def made_with(root: Path) -> int | None:
    """Return how many brokers have their data below a stack's folder; None before the first."""
    if (root / "kafka" / _PROPERTIES).exists():
        return 1
    return 3 if any(root.glob(f"kafka-*/{_PROPERTIES}")) else None


def wanted(root: Path, asked: int | None) -> int:
    """Return how many brokers to run: as asked, else as the folder was made, else one.

    Raises:
        Misconfigured: Another number than the folder was made with, or none of ``SIZES``.
    """
    made = made_with(root)
    if asked is not None and asked not in SIZES:
        raise Misconfigured(f"expected 1 or 3 brokers, was {asked}; run `aegis up --brokers 3`")
    if None not in {made, asked} and made != asked:
        raise Misconfigured(
            f"expected --brokers {made}, which {root} was made with, was {asked}; name another "
            f"folder by AEGIS_VAR_DIR, or run `aegis down` and remove this one"
        )
    return made or asked or 1


def identity(root: Path) -> str:
    """Return the id that the cluster's data carries, or a fresh one where there is none yet."""
    for each in sorted(root.glob(f"kafka*/{_PROPERTIES}")):
        for line in each.read_text(encoding="utf-8").splitlines():
            if line.startswith(_ID):
                return line.removeprefix(_ID)
    return fresh_id()


def fresh_id() -> str:
    """Return a fresh id: 22 characters of base64, the first not a dash (KAFKA-15754)."""
    encoded = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]
    return fresh_id() if encoded.startswith("-") else encoded
