"""Typed records and control messages to the bytes of the KIS wire.

Driven by the tables and the record types alone: nothing of the decoder is used here, so that a
round trip over real frames tests both.  The simulated exchange speaks with it.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Final, NamedTuple

from schemas.errors import Fatal
from schemas.kis.frames import RECORDS_MAX
from schemas.kis.records import TypedRecord
from schemas.kis.tables import DECIMAL_PLACES, TABLES, Kind, Table

REGISTER: Final = "1"
UNREGISTER: Final = "2"


def frame(tr_id: str, records: Sequence[TypedRecord]) -> str:
    """Write a plain data frame.

    Args:
        tr_id: The stream.
        records: 1..999 records of one layout.

    Returns:
        ``0|tr_id|count|body``.

    Raises:
        Fatal: A record does not fit its layout: our mistake, not the wire's.
    """
    return f"0|{tr_id}|{_count(len(records))}|{body(tr_id, records)}"


def sealed(tr_id: str, count: int, ciphertext: str) -> str:
    """Write an encrypted data frame around base64 that is already encrypted."""
    return f"1|{tr_id}|{_count(count)}|{ciphertext}"


def body(tr_id: str, records: Sequence[TypedRecord]) -> str:
    """Write the body alone: what a notice encrypts.

    Args:
        tr_id: The stream.
        records: At least one record of one layout.

    Returns:
        Fields joined by ``^``.

    Raises:
        Fatal: A record does not fit its layout.
    """
    plan = _PLANS.get((tr_id, records[0].width))
    if plan is None or any(record.width != records[0].width for record in records):
        raise Fatal(f"expected records of one known layout of {tr_id}, was another width")
    return "^".join([text for record in records for text in _texts(plan, record)])


def ack(tr_id: str, tr_key: str, *, key: str, iv: str, code: str = "OPSP0000") -> str:
    """Write the answer to a registration that succeeded; it carries the stream's AES key."""
    message = "UNSUBSCRIBE SUCCESS" if code == "OPSP0001" else "SUBSCRIBE SUCCESS"
    answer = {
        "header": {"tr_id": tr_id, "tr_key": tr_key, "encrypt": "N"},
        "body": {
            "rt_cd": "0",
            "msg_cd": code,
            "msg1": message,
            "output": {"iv": iv, "key": key},
        },
    }
    return _json(answer)


def nack(tr_id: str, tr_key: str, *, code: str, message: str, rt_cd: str = "1") -> str:
    """Write the answer to a registration that failed, such as OPSP0008 MAX SUBSCRIBE OVER."""
    answer = {
        "header": {"tr_id": tr_id, "tr_key": tr_key, "encrypt": "N"},
        "body": {"rt_cd": rt_cd, "msg_cd": code, "msg1": message},
    }
    return _json(answer)


def pingpong(datetime: str) -> str:
    """Write a keep-alive; ``datetime`` is YYYYMMDDHHMMSS, KST.  The client echoes it."""
    return _json({"header": {"tr_id": "PINGPONG", "datetime": datetime}})


def registration(approval_key: str, tr_id: str, tr_key: str, *, tr_type: str = REGISTER) -> str:
    """Write a client's request to register or, with ``UNREGISTER``, to let go."""
    request = {
        "header": {
            "approval_key": approval_key,
            "custtype": "P",
            "tr_type": tr_type,
            "content-type": "utf-8",
        },
        "body": {"input": {"tr_id": tr_id, "tr_key": tr_key}},
    }
    return _json(request)


class _Plan(NamedTuple):
    table: Table
    values: Callable[[TypedRecord], Sequence[object]]
    deep: bool
    writers: tuple[Callable[..., str], ...]


def _texts(plan: _Plan, record: TypedRecord) -> list[str]:
    values = plan.values(record)
    flat = list(_flatten(values)) if plan.deep else values
    try:
        return [
            "" if value is None else write(value)
            for write, value in zip(plan.writers, flat, strict=True)
        ]
    except (TypeError, ValueError, AttributeError) as error:
        raise _misfit(plan.table, flat) from error


def _flatten(values: Sequence[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, tuple):
            yield from value
        else:
            yield value


def _misfit(table: Table, values: Sequence[object]) -> Fatal:
    if len(values) != table.width:
        return Fatal(f"expected {table.width} values for {table.tr_id}, was {len(values)}")
    for field, value in zip(table.fields, values, strict=True):
        try:
            "" if value is None else _WRITE[field.kind](value)
        except (TypeError, ValueError, AttributeError):
            return Fatal(f"expected {field.element} as {field.kind.value}, was {value!r}")
    return Fatal(f"expected a record of {table.tr_id}, was {len(values)} values that do not fit")


def _whole(value: int) -> str:
    if value < 0:
        raise ValueError("below zero")
    return f"{value:d}"


def _signed(value: int) -> str:
    return f"{value:d}"


def _decimal(value: Decimal) -> str:
    if value.as_tuple().exponent != -DECIMAL_PLACES:
        raise ValueError("not two places")
    return f"{value:f}"


def _text(value: str) -> str:
    if "^" in value or "|" in value:
        raise ValueError("holds a separator")
    return value


_WRITE: Final[dict[Kind, Callable[..., str]]] = {
    Kind.WHOLE: _whole,
    Kind.SIGNED: _signed,
    Kind.DECIMAL: _decimal,
    Kind.DIGITS: _text,
    Kind.CODE: _text,
    Kind.TIME: _text,
    Kind.DATE: _text,
    Kind.TEXT: _text,
    Kind.SYMBOL: _text,
}


def _plan(table: Table) -> _Plan:
    names = dict.fromkeys(field.name for field in table.fields)
    return _Plan(
        table=table,
        values=attrgetter(*names),
        deep=any(field.level for field in table.fields),
        writers=tuple(_WRITE[field.kind] for field in table.fields),
    )


_PLANS: Final = {
    (tr_id, width): _plan(table)
    for tr_id, widths in TABLES.items()
    for width, table in widths.items()
}


def _count(count: int) -> str:
    if not 1 <= count <= RECORDS_MAX:
        raise Fatal(f"expected 1 to {RECORDS_MAX} records in a frame, was {count}; split it")
    return f"{count:03d}"


def _json(message: Mapping[str, object]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
