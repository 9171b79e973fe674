"""A fold's state as bytes: msgpack, with NamedTuples and arrays named, and nothing that runs code.

    pack(state) -> bytes        equal states give equal bytes
    unpack(body, states)        only the NamedTuple classes a role declares can come back

Tuples and lists stay apart, dicts keep their order: a fold may depend on both.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgpack
import numpy as np

from schemas.errors import Fatal

_TUPLE: Final = 1
_NAMED: Final = 2
_ARRAY: Final = 3
_BIG: Final = 4
_PLAIN: Final = (int, str, float, bytes, type(None), np.generic)


class Packer:
    """Packs one fold's state again and again, and what has not changed only once.

    A fold replaces the NamedTuples of its state, it never changes one; so the bytes of one that
    holds nothing but plain values, tuples and arrays are kept for as long as it is part of the
    state.  Its arrays are made read-only when they are first packed: a fold that writes into one
    fails at that line.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, msgpack.ExtType]] = {}
        self._seen: dict[int, tuple[Any, msgpack.ExtType]] = {}

    def pack(self, value: Any) -> bytes:
        """Return the bytes of a state.

        Raises:
            Fatal: The state holds something that is not a plain value.
        """
        self._seen = {}
        body = self._pack(value)
        self._known = self._seen
        return body

    def _pack(self, value: Any) -> bytes:
        return bytes(
            msgpack.packb(value, default=self._other, strict_types=True, use_bin_type=True)
        )

    def _other(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return self._named(value) if hasattr(value, "_fields") else self._tuple(value)
        if isinstance(value, np.ndarray):
            whole = np.ascontiguousarray(value)
            parts = [whole.dtype.str, list(whole.shape), whole.tobytes()]
            return msgpack.ExtType(_ARRAY, self._pack(parts))
        if isinstance(value, int):
            return msgpack.ExtType(_BIG, str(value).encode())
        if isinstance(value, np.generic):
            return value.item()
        raise Fatal(
            f"expected numbers, texts, bytes, tuples, lists, dicts, arrays in a state, "
            f"was {type(value).__name__}"
        )

    def _tuple(self, value: tuple[Any, ...]) -> msgpack.ExtType:
        return msgpack.ExtType(_TUPLE, self._pack(list(value)))

    def _named(self, value: tuple[Any, ...]) -> msgpack.ExtType:
        found = self._known.get(id(value))
        if found is None:
            packed = msgpack.ExtType(_NAMED, self._pack([type(value).__name__, *value]))
            if not _freeze(value):
                return packed
            found = value, packed
        self._seen[id(value)] = found
        return found[1]


def pack(value: Any) -> bytes:
    """Return the bytes of a value that will not be packed again.

    Raises:
        Fatal: It holds something that is not a plain value.
    """
    return Packer().pack(value)


def unpack(body: bytes, states: Sequence[type]) -> Any:
    """Return the state in ``body``; ``states`` are the NamedTuple classes it may hold."""
    classes = {each.__name__: each for each in states}

    def hook(code: int, data: bytes) -> Any:
        if code == _BIG:
            return int(data.decode())
        parts = _load(data, hook)
        if code == _TUPLE:
            return tuple(parts)
        if code == _ARRAY:
            kind, shape, raw = parts
            return np.frombuffer(raw, dtype=np.dtype(kind)).reshape(shape).copy()
        name, *fields = parts
        if name not in classes:
            raise Fatal(
                f"expected a state of {sorted(classes)}, was {name}; declare it in Role.states"
            )
        return classes[name](*fields)

    return _load(body, hook)


def _load(data: bytes, hook: Any) -> Any:
    return msgpack.unpackb(data, ext_hook=hook, raw=False, strict_map_key=False)


def _freeze(value: tuple[Any, ...]) -> bool:
    """Make a tuple's arrays read-only; tell whether nothing in it can change any more."""
    lasting = True
    for each in value:
        if isinstance(each, np.ndarray):
            each.flags.writeable = False
        elif isinstance(each, tuple):
            lasting = _freeze(each) and lasting
        elif not isinstance(each, _PLAIN):
            lasting = False
    return lasting
