"""The grammar of the KIS websocket: text in, records of text out, or ``Poison`` with the reason.

    message := control | data
    data    := enc "|" tr_id "|" count "|" body      enc = "0" plain, "1" AES; count = "001".."999"
    body    := field *( "^" field )                  count records, no separator between records

``parse`` splits and checks the layout; fields stay text, so a caller converts only what it needs
(``views``) or everything (``records``).  An encrypted body stays whole: decrypt it, then ``split``.
"""

import json
from typing import Final, Literal, NamedTuple

from schemas.errors import Poison
from schemas.kis.tables import table_of

FIELD: Final = "^"
PART: Final = "|"
FRAME_CHARS_MAX: Final = 1_048_576
"""The client's frame limit (korea.md 1.2)."""

RECORDS_MAX: Final = 999

ControlKind = Literal["pingpong", "ack", "nack"]
Record = tuple[str, ...]


class DataFrame(NamedTuple):
    """A data message.

    Attributes:
        encrypted: The body is base64 of AES; ``records`` then holds one record of one field, it.
        tr_id: The stream.
        count: Records it says it carries, >= 1.
        records: The fields of each record, as text.
    """

    encrypted: bool
    tr_id: str
    count: int  # type: ignore[assignment] # the wire's word wins over tuple.count
    records: tuple[Record, ...]


class Control(NamedTuple):
    """A JSON message: keep-alive, or the answer to a registration.

    Attributes:
        kind: ``pingpong`` is to be echoed as received; ``ack`` has ``rt_cd`` "0".
        tr_id: The stream it speaks of; ``PINGPONG`` for a keep-alive.
        tr_key: What was registered: a symbol or an HTS id; "" when it names none.
        code: ``msg_cd``, such as OPSP0000; "" for a keep-alive.
        message: ``msg1``.
        key: AES-256 key, 32 characters, "" when absent.
        iv: AES initial vector, 16 characters, "" when absent.
    """

    kind: ControlKind
    tr_id: str
    tr_key: str = ""
    code: str = ""
    message: str = ""
    key: str = ""
    iv: str = ""

    def __repr__(self) -> str:
        """Return the message without its key."""
        return f"Control({self.kind}, {self.tr_id}, {self.tr_key}, {self.code}, {self.message})"


def parse(text: str) -> DataFrame | Control:
    """Read one websocket message.

    Args:
        text: The message as received, at most ``FRAME_CHARS_MAX`` characters.

    Returns:
        A data frame whose layout is known, or a control message.

    Raises:
        Poison: The message is torn, or its layout is unknown; the text says which.
    """
    if text[:1] == "{":
        return _control(text)
    parts = text.split(PART, 3)
    if len(parts) != 4:  # noqa: PLR2004 -- enc, tr_id, count, body: the grammar above
        raise Poison(f"expected enc|tr_id|count|body, was {len(parts)} parts in {text[:40]!r}")
    encrypted, tr_id, digits, body = parts
    if len(digits) != 3 or not (digits.isascii() and digits.isdigit()):  # noqa: PLR2004 -- "001"
        raise Poison(f"expected a count of 3 digits, was {digits[:16]!r} in {text[:40]!r}")
    count = int(digits)
    if encrypted == "0":
        return DataFrame(False, tr_id, count, split(tr_id, count, body))
    if encrypted == "1":
        if count == 0 or not body:
            raise Poison(f"expected an encrypted body, was none in {text[:40]!r}")
        return DataFrame(True, tr_id, count, ((body,),))
    raise Poison(f"expected enc 0 or 1, was {encrypted[:16]!r}; a JSON message starts with a brace")


def split(tr_id: str, count: int, body: str) -> tuple[Record, ...]:
    """Split a plain body into records of the layout its width names.

    Args:
        tr_id: The stream.
        count: Records in the body, 1..999.
        body: Fields joined by ``^``.

    Returns:
        ``count`` records, each with the same number of fields.

    Raises:
        Poison: The fields do not divide by the count, the layout is unknown, or a stream of
            numbers holds a character that no number or code has.
    """
    fields = body.split(FIELD)
    if len(body) > FRAME_CHARS_MAX:
        raise Poison(f"expected at most {FRAME_CHARS_MAX} characters, was {len(body)}")
    if count == 1:
        table = table_of(tr_id, len(fields))
        if table.numeric and not _plain(body):
            raise Poison(f"expected {tr_id} in plain ASCII without blanks, was {body[:60]!r}")
        return (tuple(fields),)
    width, rest = divmod(len(fields), count) if count > 0 else (0, 1)
    if rest:
        raise Poison(
            f"expected the fields of {tr_id} to divide by count {count}, was {len(fields)} fields; "
            "the frame is torn"
        )
    table = table_of(tr_id, width)
    if table.numeric and not _plain(body):
        raise Poison(f"expected {tr_id} in plain ASCII without blanks, was {body[:60]!r}")
    return tuple(tuple(fields[at : at + width]) for at in range(0, len(fields), width))


def _plain(body: str) -> bool:
    """Tell whether ``int`` can be trusted on the fields: it also reads "1_000", " 5" and "+5"."""
    return body.isascii() and "_" not in body and "+" not in body and body.split() == [body]


def _control(text: str) -> Control:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Poison(f"expected JSON, was {text[:60]!r}: {type(error).__name__}") from error
    header = _part(message, "header")
    tr_id = _text(header, "tr_id")
    if tr_id == "PINGPONG":
        return Control("pingpong", tr_id)
    body = _part(message, "body")
    output = body.get("output")
    keys = output if isinstance(output, dict) else {}
    return Control(
        kind="ack" if _text(body, "rt_cd") == "0" else "nack",
        tr_id=tr_id,
        tr_key=_text(header, "tr_key", ""),
        code=_text(body, "msg_cd", ""),
        message=_text(body, "msg1", "").strip(),
        key=_text(keys, "key", ""),
        iv=_text(keys, "iv", ""),
    )


def _part(message: object, name: str) -> dict[str, object]:
    part = message.get(name) if isinstance(message, dict) else None
    if not isinstance(part, dict):
        raise Poison(f"expected a JSON object with {name!r}, was none")
    return part


def _text(part: dict[str, object], name: str, default: str | None = None) -> str:
    value = part.get(name, default)
    if isinstance(value, str):
        return value
    if value is None and default is not None:
        return default
    raise Poison(f"expected text in {name!r}, was {type(value).__name__}")
