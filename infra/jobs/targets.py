"""What a trigger's target means, and whether this deployment allows it.

    handler:<name>           an entry point ``aegis.jobs`` of our own distribution, or of one that
                             ``AEGIS_JOBS__ALLOW`` names
    command:<command line>   split like a shell's words, run without a shell; its first word is one
                             of ``AEGIS_JOBS__COMMANDS``
    http:<url>               the trigger is posted there as JSON; the url begins with one of
                             ``AEGIS_JOBS__URLS``

What is not allowed fails with the name of the setting that would allow it.  Our own handlers run
inline unless the trigger says ``process``; everything else always has a process of its own.
"""

import re
import shlex
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Literal, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from infra.jobs.contract import HANDLERS, Handler
from infra.settings import Jobs
from schemas.control import JobTriggered
from schemas.errors import Misconfigured

Kind = Literal["handler", "command", "http"]
KINDS: Final[tuple[Kind, ...]] = ("handler", "command", "http")
OURS: Final = "aegis-streams"
"""The distribution whose handlers are ours."""

_PORTS: Final = {"http": 80, "https": 443}


class Target(NamedTuple):
    """A target that is allowed.

    Attributes:
        words: The handler's name, the command's words, or the url.
        ours: It is a handler of our own distribution.
    """

    kind: Kind
    words: tuple[str, ...]
    ours: bool = False


def kind_of(target: str) -> Kind | None:
    """Return which kind of worker's target this is; None for a role, which reports itself."""
    head, _, rest = target.partition(":")
    return next((kind for kind in KINDS if kind == head and rest), None)


def allowed(target: str, settings: Jobs) -> Target:
    """Return what a worker's target means.

    Raises:
        Misconfigured: It is malformed, unknown or not allowed.
    """
    kind = kind_of(target)
    rest = target.partition(":")[2]
    if kind == "handler":
        point = _entry_point(rest, settings.allow)
        return Target(kind, (rest,), _distribution(point) == OURS)
    if kind == "command":
        return Target(kind, _command(rest, settings.commands))
    if kind == "http":
        return Target(kind, (_url(rest, settings.urls),))
    raise Misconfigured(f"expected a target of {', '.join(KINDS)}, was {target!r}")


def is_inline(trigger: JobTriggered, target: Target) -> bool:
    """Say whether an attempt runs on a thread of the worker."""
    return target.ours and trigger.isolation == "inline"


def handler(name: str, allow: tuple[str, ...] = ()) -> Handler:
    """Return an installed handler.

    Args:
        name: Of the entry point.
        allow: Distributions beside our own whose handlers may be loaded.

    Raises:
        Misconfigured: None of an allowed distribution has this name, or two have.
    """
    return _loaded(_entry_point(name, allow))


@cache
def _loaded(point: EntryPoint) -> Handler:
    loaded: Handler = point.load()
    return loaded


def _entry_point(name: str, allow: tuple[str, ...]) -> EntryPoint:
    """Find a handler: our own hides any other of its name."""
    found = {_distribution(each): each for each in entry_points(group=HANDLERS, name=name)}
    if OURS in found:
        return found[OURS]
    chosen = sorted(set(found) & {_normal(each) for each in allow})
    if len(chosen) == 1:
        return found[chosen[0]]
    if chosen:
        raise Misconfigured(
            f"expected one distribution with the handler {name!r}, was {', '.join(chosen)}; "
            f"take one out of AEGIS_JOBS__ALLOW"
        )
    if found:
        raise Misconfigured(
            f"expected the handler {name!r} in an allowed distribution, was in "
            f"{', '.join(sorted(found))}; name it in AEGIS_JOBS__ALLOW"
        )
    known = sorted({each.name for each in entry_points(group=HANDLERS)})
    raise Misconfigured(
        f"expected a handler {name!r} in the entry points {HANDLERS}, "
        f"was {', '.join(known)}; install it"
    )


def _distribution(point: EntryPoint) -> str:
    return "" if point.dist is None else _normal(point.dist.name)


def _normal(name: str) -> str:
    """Return a distribution's name as the packaging rules compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _command(line: str, allow: tuple[str, ...]) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(line))
    except ValueError as error:
        raise Misconfigured(f"expected a command line, was {line!r}: {error}") from error
    if not words or words[0] not in allow:
        raise Misconfigured(
            f"expected a command of {list(allow)}, was {line!r}; "
            f"name its first word in AEGIS_JOBS__COMMANDS"
        )
    return words


def _url(text: str, allow: tuple[str, ...]) -> str:
    try:
        covered = any(_covers(urlsplit(each), urlsplit(text)) for each in allow)
    except ValueError as error:
        raise Misconfigured(f"expected a url, was {text!r}: {error}") from error
    if not covered:
        raise Misconfigured(
            f"expected a url under one of {list(allow)}, was {text!r}; "
            f"name where it begins in AEGIS_JOBS__URLS"
        )
    return text


def _covers(prefix: SplitResult, url: SplitResult) -> bool:
    """Say whether a url is at or below another, host and port being the same."""
    if url.scheme not in _PORTS or url.username is not None or ".." in unquote(url.path):
        return False
    here, there = (
        (each.scheme, each.hostname, each.port or _PORTS.get(each.scheme)) for each in (prefix, url)
    )
    folder = prefix.path.rstrip("/") + "/"
    return here == there and (url.path.rstrip("/") + "/").startswith(folder)
