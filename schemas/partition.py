"""One partitioner everywhere: Java's murmur2 over the key (librdkafka calls it murmur2_random).

Source: org.apache.kafka.common.utils.Utils.murmur2; partition = (hash & 0x7fffffff) % count.
"""

from functools import lru_cache
from typing import Final

SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Return Java's 32-bit murmur2 of ``data``, unsigned."""
    h = (SEED ^ len(data)) & _MASK
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little")
        k = (k * _M) & _MASK
        k ^= k >> 24
        k = (k * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    rest = data[whole:]
    if rest:
        h = ((h ^ int.from_bytes(rest, "little")) * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=65_536)
def partition_of(key: str, count: int) -> int:
    """Return the partition of a key among ``count``."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % count
