"""Ids are functions of content: the same cause gives the same id, live and in a replay."""

import hashlib
from typing import Final

ID_HEX: Final = 32
"""128 bits of SHA-256: enough that two different contents never meet."""


def content_id(*parts: str | int) -> str:
    """Return the id of a content; parts are joined with a separator no part may hold.

    Raises:
        ValueError: A part holds the separator.
    """
    texts = [str(part) for part in parts]
    if any("|" in text for text in texts):
        raise ValueError(f"expected parts without '|', was {texts}")
    return hashlib.sha256("|".join(texts).encode()).hexdigest()[:ID_HEX]
