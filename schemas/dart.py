"""OpenDART's answers: one envelope for every resource, and what its status asks us to do.

    000        rows                             013 014      nothing there, which is an answer
    020 800 900  ask again later (Transient)    010 011 012 901  the key or its use (Misconfigured)
    021 100 101  our request is wrong (Poison)

Source: OpenDART developer guide, the message list of every resource.
"""

import json
import re
from typing import Any, Final, NamedTuple

from schemas.errors import Misconfigured, Poison, Transient

OK: Final = "000"
NOTHING: Final = frozenset({"013", "014"})
LATER: Final = frozenset({"020", "800", "900"})
KEY: Final = frozenset({"010", "011", "012", "901"})
REQUEST: Final = frozenset({"021", "100", "101"})
STATUSES: Final = frozenset({OK}) | NOTHING | LATER | KEY | REQUEST

LIST: Final = "list.json"
ACCOUNTS: Final = "fnlttSinglAcnt.json"

_XML: Final = re.compile(r"<status>(\w+)</status>\s*<message>(.*?)</message>", re.DOTALL)


class Page(NamedTuple):
    """An answer.

    Attributes:
        status: Three digits.
        message: In Korean.
        rows: Items, as received.
        pages: Pages of the whole answer, 1 when it has only one.
    """

    status: str
    message: str
    rows: tuple[dict[str, Any], ...]
    pages: int


def parse(text: str) -> Page:
    """Return the envelope of a JSON body, or of the XML body errors come in.

    Raises:
        Poison: Not an answer of OpenDART.
    """
    if text.lstrip().startswith("<"):
        found = _XML.search(text)
        if found is None:
            raise Poison(f"expected an OpenDART answer, was {text[:80]!r}")
        return _page(found.group(1), found.group(2), [], 1)
    try:
        body = json.loads(text)
        return _page(
            str(body["status"]),
            str(body["message"]),
            body.get("list", []),
            int(body.get("total_page", 1)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Poison(f"expected an OpenDART answer, was {text[:80]!r}") from error


def demand(page: Page) -> tuple[dict[str, Any], ...]:
    """Return the rows of an answer, none when there is nothing.

    Raises:
        Transient: Ask again later.
        Misconfigured: The key is wrong, blocked, expired or used from another address.
        Poison: The request was wrong.
    """
    said = f"expected status {OK}, was {page.status}: {page.message}"
    if page.status in LATER:
        raise Transient(said)
    if page.status in KEY:
        raise Misconfigured(f"{said}; check AEGIS_DART__KEY")
    if page.status in REQUEST:
        raise Poison(said)
    return page.rows


def _page(status: str, message: str, rows: list[dict[str, Any]], pages: int) -> Page:
    if status not in STATUSES:
        raise Poison(f"expected one of {sorted(STATUSES)}, was status {status!r}: {message}")
    return Page(status, message, tuple(rows), pages)
