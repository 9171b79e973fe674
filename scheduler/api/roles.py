"""Who may do what: a role gives acts, and running a job takes a scope besides.

    viewer     sees
    operator   sees, runs, backfills, pauses, resumes, cancels
    risk       sees, releases from quarantine, and does what an operator does in group trading
    admin      sees, and manages keys: who can make any key works no job with their own

Seeing a job and running it are apart: ``run`` and ``backfill`` take the scope ``run:<group>`` of
the job's group, or ``run:*``, whatever the role.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from schemas.errors import Misconfigured

ROLES: Final = ("viewer", "operator", "risk", "admin")
SEE: Final = "see"
KEYS: Final = "manage keys"
RELEASE: Final = "release"
WORK: Final = frozenset({"run", "backfill", "pause", "resume", "cancel"})
SCOPED: Final = frozenset({"run", "backfill"})
RISK_GROUP: Final = "trading"
EVERY_GROUP: Final = "run:*"
SCOPES_MAX: Final = 20

_ACTS: Final[Mapping[str, frozenset[str]]] = {
    "viewer": frozenset({SEE}),
    "operator": WORK | {SEE},
    "risk": WORK | {SEE, RELEASE},
    "admin": frozenset({SEE, KEYS}),
}


def why_not(role: str, scopes: Collection[str], act: str, group: str | None = None) -> str | None:
    """Return why an act is denied, None when it is allowed.

    Args:
        role: Of the key.
        scopes: Of the key.
        act: ``see``, ``manage keys``, ``release`` or one of ``WORK``.
        group: Resource group of the job it is about; None when it is about none.
    """
    if act not in _ACTS.get(role, frozenset()):
        able = ", ".join(each for each in ROLES if act in _ACTS[each])
        return f"expected the role {able} to {act}, was {role}"
    if role == "risk" and act in WORK and group != RISK_GROUP:
        return f"expected a job of group {RISK_GROUP} for the role risk to {act}, was {group}"
    if act in SCOPED and not {f"run:{group}", EVERY_GROUP} & set(scopes):
        return f"expected the scope run:{group} to {act}, was {', '.join(scopes) or 'none'}"
    return None


def check_role(role: str) -> str:
    """Return a role there is.

    Raises:
        Misconfigured: There is none of that name.
    """
    if role not in ROLES:
        raise Misconfigured(f"expected a role of {', '.join(ROLES)}, was {role[:80]!a}")
    return role


def check_scopes(scopes: Collection[str], groups: Collection[str]) -> tuple[str, ...]:
    """Return scopes, each once and in order.

    Args:
        scopes: As they were asked for.
        groups: The timetable's: a scope on none of them would open nothing.

    Raises:
        Misconfigured: One is malformed, or there are too many.
    """
    if len(scopes) > SCOPES_MAX:
        raise Misconfigured(f"expected at most {SCOPES_MAX} scopes, was {len(scopes)}")
    for each in scopes:
        found = re.fullmatch(r"run:(\*|\w+)", each)
        if found is None or (found[1] != "*" and found[1] not in groups):
            raise Misconfigured(
                f"expected a scope of {EVERY_GROUP} or run:<group>, the groups being "
                f"{', '.join(sorted(groups))}, was {each[:80]!a}"
            )
    return tuple(sorted(set(scopes)))
