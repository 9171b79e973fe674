"""Making and revoking keys, on record: what ``aegis api keys`` and ``/v1/keys`` both do."""

import secrets
from collections.abc import Collection, Sequence
from typing import NamedTuple

from infra.clock import wall_now
from scheduler.api import keys, roles
from scheduler.api.audit import Audit
from scheduler.api.database import Database
from scheduler.api.keys import Key
from schemas.errors import Misconfigured


class Made(NamedTuple):
    """A key, and its token: it is nowhere else and cannot be shown again."""

    key: Key
    token: str


class Administration:
    """The keys of a namespace.

    Args:
        database: Where they are.
        audit: Where it is put on record.
        groups: The timetable's, which scopes may name.
    """

    def __init__(self, database: Database, audit: Audit, groups: Collection[str]) -> None:
        self._database, self._audit, self._groups = database, audit, groups

    def make(self, actor: str, name: str, role: str, scopes: Sequence[str], days: int) -> Made:
        """Make a key.

        Raises:
            Misconfigured: A name, role, scope or length that there is not, or a name given before.
            Transient: Nothing was made, or it is not on record: then nobody ever sees its token.
        """
        now = wall_now()
        token = keys.token(
            secrets.token_hex(keys.ID_BYTES), secrets.token_hex(keys.SECRET_BYTES)
        )  # fmt: skip
        key = Key(
            key_id=str(keys.id_in(token)),
            name=keys.check_name(name),
            digest=keys.digest(token),
            role=roles.check_role(role),
            scopes=roles.check_scopes(scopes, self._groups),
            created=now,
            expires=keys.expiry(now, days),
        )
        if not self._database.add(key):
            raise Misconfigured(
                f"expected a name that was never given, was {name}; the audit log knows it"
            )
        what = f"{role}, {' '.join(key.scopes) or 'no scope'}, {days} days"
        self._audit.write(actor, "make key", f"key:{name}", allowed=True, reason=what)
        return Made(key, token)

    def revoke(self, actor: str, name: str, reason: str) -> None:
        """Take a key back, at once and for good.

        Raises:
            Misconfigured: None that stands has this name.
            Transient: It may still stand: ask again.
        """
        keys.check_name(name)
        if not self._database.revoke(name, wall_now()):
            raise Misconfigured(f"expected a key that stands, was none of the name {name}")
        self._audit.write(actor, "revoke key", f"key:{name}", allowed=True, reason=reason)
