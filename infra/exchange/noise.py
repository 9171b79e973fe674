"""Randomness as a function: the same keys give the same number, in any order, on any machine.

splitmix64's finaliser over a running hash of the keys.  Nothing is drawn, so a name's path does
not depend on which other names exist or who asked first.
"""

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_MANTISSA_BITS: Final = 53

Keys = NDArray[np.int64] | NDArray[np.uint64] | int


def uniform(seed: int, *keys: Keys) -> NDArray[np.float64]:
    """Return numbers in [0, 1), one per element of the keys broadcast together (>= 1 dimension).

    Args:
        seed: Of the market.
        keys: What the number belongs to; integers or integer arrays.
    """
    state = _mix(np.full(1, seed & 0xFFFFFFFFFFFFFFFF, np.uint64))
    for key in keys:
        state = _mix(state ^ _words(key))
    return (state >> np.uint64(64 - _MANTISSA_BITS)).astype(np.float64) / (1 << _MANTISSA_BITS)


def code_of(symbol: str) -> int:
    """Return the number a name is hashed by."""
    return zlib.crc32(symbol.encode())


def _words(key: Keys) -> NDArray[np.uint64]:
    if isinstance(key, int):
        return np.full(1, key & 0xFFFFFFFFFFFFFFFF, np.uint64)
    return key.astype(np.uint64)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = state + _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))
