"""What a supervisor and its child say to each other: length-prefixed frames, no pickle.

frame = length (4 bytes, big endian, of the rest) + kind (1 byte) + header length (4) +
        header (JSON object) + body (raw bytes)
"""

import json
import struct
from typing import Any, Final, NamedTuple

from schemas.errors import Fatal

LOAD: Final = 1
READY: Final = 2
RUN: Final = 3
SCORES: Final = 4
FAILED: Final = 5
STOP: Final = 6

FRAME_BYTES_MAX: Final = 128 * 1024 * 1024

_PREFIX: Final = struct.Struct(">I")
_HEAD: Final = struct.Struct(">BI")


class Frame(NamedTuple):
    """One message.

    Attributes:
        kind: LOAD, READY, RUN, SCORES, FAILED or STOP.
        header: Small facts.
        body: The model, or arrays in float32 little endian.
    """

    kind: int
    header: dict[str, Any]
    body: bytes = b""


def pack(frame: Frame) -> bytes:
    """Return the bytes of a frame."""
    header = json.dumps(frame.header).encode()
    rest = _HEAD.pack(frame.kind, len(header)) + header + frame.body
    return _PREFIX.pack(len(rest)) + rest


class Assembler:
    """Gathers bytes as they come and gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that ``data`` completes.

        Raises:
            Fatal: The bytes are no frames.
        """
        self._buffer += data
        frames: list[Frame] = []
        while (length := self._length()) is not None and len(self._buffer) >= 4 + length:
            frames.append(_unpack(bytes(self._buffer[4 : 4 + length])))
            del self._buffer[: 4 + length]
        return frames

    def _length(self) -> int | None:
        if len(self._buffer) < _PREFIX.size:
            return None
        [length] = _PREFIX.unpack_from(self._buffer)
        if not _HEAD.size <= length <= FRAME_BYTES_MAX:
            raise Fatal(f"expected a frame of {_HEAD.size} to {FRAME_BYTES_MAX}, was {length}")
        return int(length)


def _unpack(rest: bytes) -> Frame:
    kind, size = _HEAD.unpack_from(rest)
    head = rest[_HEAD.size : _HEAD.size + size]
    try:
        header = json.loads(head)
    except ValueError as error:
        raise Fatal(f"expected a JSON header, was {head[:40]!r}") from error
    if not LOAD <= kind <= STOP or not isinstance(header, dict):
        raise Fatal(f"expected a known frame with a header, was kind {kind}")
    return Frame(kind, header, rest[_HEAD.size + size :])
