"""API keys: what a token looks like, what is kept of it, and when it opens the door.

    aegis_<key id, 16 hex digits>_<secret, 64 hex digits>

The id finds the row, the secret proves the holder.  Only SHA-256 of the whole token is stored.
One round of it is enough: the secret is 256 random bits, so there is no dictionary to try, and
whoever reads the table would have to guess 2**256.  A slow hash (scrypt) is for what people
choose; here it would only cost every request its time.
"""

import hmac
import re
from hashlib import sha256
from typing import Final, NamedTuple

from schemas.errors import Misconfigured
from schemas.units import DAY, Micros

NAME: Final = r"^[a-z][a-z0-9._-]{0,63}$"
DAYS_MAX: Final = 366
SECRET_BYTES: Final = 32
ID_BYTES: Final = 8

_TOKEN: Final = re.compile(r"aegis_([0-9a-f]{16})_[0-9a-f]{64}")
_NOBODY: Final = bytes(32)
"""What an unknown key's token is compared with, so that it takes as long; no digest is all zero."""


class Key(NamedTuple):
    """What is kept of a key.

    Attributes:
        key_id: Finds it; no secret.
        name: Who holds it: the actor on ``ops.audit``; never given twice.
        digest: SHA-256 of the token, 32 bytes.
        role: One of ``scheduler.api.roles.ROLES``.
        scopes: ``run:<group>`` or ``run:*``.
        created: Wall time, micros UTC; so are the others.
        expires: From here on it is refused.
        revoked: When it was taken back, None while it stands.
        last_used: To the minute, None before the first time.
    """

    key_id: str
    name: str
    digest: bytes
    role: str
    scopes: tuple[str, ...]
    created: Micros
    expires: Micros
    revoked: Micros | None = None
    last_used: Micros | None = None


def token(key_id: str, secret: str) -> str:
    """Return the text that is shown once, from 16 and 64 random hex digits."""
    return f"aegis_{key_id}_{secret}"


def digest(text: str) -> bytes:
    """Return what is stored of a token."""
    return sha256(text.encode()).digest()


def id_in(text: str) -> str | None:
    """Return the key id that a token names, None when the text is no token."""
    found = _TOKEN.fullmatch(text)
    return None if found is None else found[1]


def expiry(created: Micros, days: int) -> Micros:
    """Return when a key made now ends.

    Raises:
        Misconfigured: Not 1 to 366 days.
    """
    if not 1 <= days <= DAYS_MAX:
        raise Misconfigured(f"expected a key for 1 to {DAYS_MAX} days, was {days}")
    return Micros(created + days * DAY)


def proves(key: Key | None, text: str) -> bool:
    """Say whether a token is the key's, in a time that tells nothing about either."""
    return hmac.compare_digest(digest(text), _NOBODY if key is None else key.digest)


def why_not(key: Key, now: Micros) -> str | None:
    """Return why a key whose secret was right opens nothing, None when it does."""
    if key.revoked is not None:
        return "expected a key that stands, was revoked; ask an admin for another"
    if key.expires <= now:
        return "expected a key that is valid, was expired; ask an admin for another"
    return None


def check_name(name: str) -> str:
    """Return a name that a key may have.

    Raises:
        Misconfigured: It may not.
    """
    if re.fullmatch(NAME, name) is None:
        raise Misconfigured(
            f"expected a name of up to 64 of a-z, 0-9, '.', '_' and '-' that begins with a "
            f"letter, was {name[:80]!a}"
        )
    return name
