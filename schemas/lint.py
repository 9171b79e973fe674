"""What no registry catches: whether a schema keeps our rules, and its meaning over time.

A registry compares shapes.  It lets a price become a hundred times larger, an instant lose its
logical type and a default change, because old bytes still decode.  ``problems`` judges one
schema, ``changes`` a released schema and its successor; both return readable sentences, none
when all is well.

The rules are those of DESIGN.md 3 and the Avro specification's schema resolution.
"""

import json
import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

INSTANT: Final = "timestamp-micros"
HEADER: Final = ("ts_event", "ts_ingest")
UNITS: Final[Mapping[str, str]] = {
    "won": "long",
    "shares": "long",
    "micros": "long",
    "yyyymmdd": "long",
    "symbol": "string",
    "1": "long or double",
}
"""Every unit and the types that may hold it: money and quantities are never floats."""

COUNTED: Final = ("long", "double")
PRIMITIVES: Final = ("long", "double", "string", "bytes", "boolean")
SCHEMA_KEYS: Final = {"type", "name", "namespace", "doc", "fields"}
FIELD_KEYS: Final = {"name", "type", "doc", "unit", "default"}
PAIR: Final = 2
_SNAKE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_RECORD: Final = re.compile(r"[A-Z][a-zA-Z0-9]*")
_NAMESPACE: Final = re.compile(r"aegis\.[a-z][a-z_]*")
_ABSENT: Final = object()


def problems(text: str) -> list[str]:
    """Return what is wrong with one schema, each sentence beginning with the field."""
    try:
        schema = json.loads(text)
    except ValueError as error:
        return [f"expected JSON, was {error}"]
    if not isinstance(schema, dict) or schema.get("type") != "record":
        return ["expected a record"]
    fields = schema.get("fields", [])
    return [
        *_record_problems(schema),
        *_header_problems(fields),
        *(f"{each.get('name')}: {found}" for each in fields for found in _field_problems(each)),
    ]


def changes(old_text: str, new_text: str) -> list[str]:
    """Return what a successor breaks of a released schema; new documentation is free.

    Args:
        old_text: Any released schema of the topic.
        new_text: What is to be released after it.
    """
    old, new = json.loads(old_text), json.loads(new_text)
    before = {each["name"]: each for each in old["fields"]}
    after = {each["name"]: each for each in new["fields"]}
    return [
        *(
            f"{key}: expected {old.get(key)!r} for ever, was {new.get(key)!r}"
            for key in ("name", "namespace")
            if old.get(key) != new.get(key)
        ),
        *_removed(before, after),
        *_added(before, after),
        *_moved(before, after),
        *(
            f"{name}: {found}"
            for name in before
            if name in after
            for found in _field_changes(before[name], after[name])
        ),
    ]


def _record_problems(schema: Mapping[str, Any]) -> Iterator[str]:
    if not _RECORD.fullmatch(str(schema.get("name"))):
        yield f"expected a record name like Trade, was {schema.get('name')!r}"
    if not _NAMESPACE.fullmatch(str(schema.get("namespace"))):
        yield f"expected a namespace aegis.<module>, was {schema.get('namespace')!r}"
    if not str(schema.get("doc", "")).strip():
        yield "expected a doc that says what the record says"
    for key in sorted(set(schema) - SCHEMA_KEYS):
        yield f"expected only {', '.join(sorted(SCHEMA_KEYS))} on a record, was {key!r}"


def _header_problems(fields: list[Mapping[str, Any]]) -> Iterator[str]:
    names = tuple(each.get("name") for each in fields)
    if names[: len(HEADER)] != HEADER:
        yield f"expected to begin with {', '.join(HEADER)}, was {names[: len(HEADER)]}"
    for name in sorted({str(name) for name in names if names.count(name) > 1}):
        yield f"{name}: expected once, was twice"


def _field_problems(field: Mapping[str, Any]) -> Iterator[str]:
    name, kind = str(field.get("name")), field.get("type")
    stem = name.removesuffix("_") if keyword.iskeyword(name.removesuffix("_")) else name
    if not _SNAKE.fullmatch(stem):
        yield "expected a snake_case name"
    if not str(field.get("doc", "")).strip():
        yield "expected a doc"
    for key in sorted(set(field) - FIELD_KEYS):
        yield f"expected only {', '.join(sorted(FIELD_KEYS))} on a field, was {key!r}"
    value, optional = _value_of(kind)
    found = list(_type_problems(value, optional=optional))
    yield from found
    if found:
        return
    if name.startswith("ts_") and (optional or not _is_instant(value)):
        yield f"expected a {INSTANT} instant"
    yield from _unit_problems(value, field.get("unit"))
    yield from _default_problems(field, value, optional=optional)


def _value_of(kind: Any) -> tuple[Any, bool]:
    """Return a type without its null, and whether it had one."""
    if isinstance(kind, list) and len(kind) == PAIR and kind[0] == "null":
        return kind[1], True
    return kind, False


def _type_problems(kind: Any, *, optional: bool) -> Iterator[str]:
    if isinstance(kind, str):
        if kind not in PRIMITIVES:
            yield f"expected one of {', '.join(PRIMITIVES)}, was {kind!r}"
    elif isinstance(kind, Mapping):
        yield from _complex_problems(kind, optional=optional)
    else:
        yield f'expected ["null", T] for what may be absent, was {json.dumps(kind)}'


def _complex_problems(kind: Mapping[str, Any], *, optional: bool) -> Iterator[str]:
    if kind.get("type") == "enum":
        yield "expected a string: an unknown enum symbol silently becomes its default"
    elif "logicalType" in kind:
        if not _is_instant(kind):
            yield f"expected long {INSTANT}, was {json.dumps(kind)}"
    elif kind.get("type") not in {"array", "map"}:
        yield f"expected an array, a map or a value, was {json.dumps(kind)}"
    elif optional:
        yield "expected an empty array or map for absence, was null"
    elif _items(kind) not in PRIMITIVES and not _is_instant(_items(kind)):
        yield f"expected values of {', '.join(PRIMITIVES)}, was {json.dumps(_items(kind))}"


def _unit_problems(kind: Any, unit: Any) -> Iterator[str]:
    held = _items(kind) if isinstance(kind, Mapping) and "logicalType" not in kind else kind
    if _is_instant(held):
        if unit is not None:
            yield f"expected no unit on an instant, was {unit!r}"
    elif unit is None:
        if held in COUNTED:
            yield f"expected a unit on a {held}: one of {', '.join(UNITS)}"
    elif unit not in UNITS:
        yield f"expected a unit of {', '.join(UNITS)}, was {unit!r}"
    elif held not in UNITS[unit].split(" or "):
        yield f"expected {UNITS[unit]} for {unit}, was {held}"


def _default_problems(field: Mapping[str, Any], kind: Any, *, optional: bool) -> Iterator[str]:
    default = field.get("default", _ABSENT)
    if optional:
        if default is not None:
            yield "expected the default null"
    elif default is not _ABSENT and not _fits(default, kind):
        yield f"expected a default that is a {json.dumps(kind)}, was {default!r}"


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, Mapping):
        if kind["type"] == "array":
            return isinstance(value, list)
        return isinstance(value, dict) if kind["type"] == "map" else _fits(value, kind["type"])
    if isinstance(value, bool) or kind == "boolean":
        return isinstance(value, bool) and kind == "boolean"
    if kind == "double":
        return isinstance(value, int | float)
    return isinstance(value, int if kind == "long" else str)


def _is_instant(kind: Any) -> bool:
    return bool(kind == {"type": "long", "logicalType": INSTANT})


def _items(kind: Mapping[str, Any]) -> Any:
    return kind.get("items" if kind.get("type") == "array" else "values")


def _removed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in before:
        if name not in after and "default" not in before[name]:
            yield f"{name}: expected to stay, it has no default for those who still read it"


def _added(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in after:
        if name not in before and "default" not in after[name]:
            yield f"{name}: expected a default, records without it are on the log"


def _moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    kept = [name for name in before if name in after]
    now = [name for name in after if name in before]
    if kept != now:
        yield f"expected the order {', '.join(kept)}, was {', '.join(now)}"
    elif list(after)[: len(kept)] != kept:
        yield "expected new fields after the released ones"


def _field_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    if _shape(old["type"]) != _shape(new["type"]):
        yield f"expected the type {json.dumps(old['type'])}, was {json.dumps(new['type'])}"
    elif old["type"] != new["type"]:
        yield (
            f"expected the logical type and precision of {json.dumps(old['type'])}, "
            f"was {json.dumps(new['type'])}"
        )
    for key in sorted((set(old) | set(new)) - {"name", "type", "doc"}):
        was, now = old.get(key, _ABSENT), new.get(key, _ABSENT)
        if was != now:
            yield f"expected {_shown(key, was)}, was {_shown(key, now)}"


def _shown(key: str, value: Any) -> str:
    return f"no {key}" if value is _ABSENT else f"{key} {value!r}"


def _shape(kind: Any) -> Any:
    """Return what a registry sees of a type."""
    if isinstance(kind, list):
        return [_shape(each) for each in kind]
    if not isinstance(kind, Mapping):
        return kind
    bare = {key: _shape(kind[key]) for key in ("type", "items", "values") if key in kind}
    return bare["type"] if len(bare) == 1 else bare
