"""A fold's state as bytes: msgpack, with NamedTuples and arrays named, and nothing that runs code.

    pack(state) -> bytes        equal states give equal bytes
    unpack(bytes, states)       only the NamedTuple classes a role declares can come back

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


def pack(value: Any) -> bytes:
    """Return the bytes of a state.

    Raises:
        Fatal: The state holds something that is not a plain value.
    """
    return bytes(msgpack.packb(value, default=_default, strict_types=True, use_bin_type=True))


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


def _default(value: Any) -> Any:
    if isinstance(value, tuple):
        if hasattr(value, "_fields"):
            return msgpack.ExtType(_NAMED, pack([type(value).__name__, *value]))
        return msgpack.ExtType(_TUPLE, pack(list(value)))
    if isinstance(value, np.ndarray):
        whole = np.ascontiguousarray(value)
        return msgpack.ExtType(_ARRAY, pack([whole.dtype.str, list(whole.shape), whole.tobytes()]))
    if isinstance(value, int):
        return msgpack.ExtType(_BIG, str(value).encode())
    if isinstance(value, np.generic):
        return value.item()
    raise Fatal(
        f"expected numbers, texts, bytes, tuples, lists, dicts, arrays in a state, "
        f"was {type(value).__name__}"
    )
