"""Today's instruments, packed: the whole market in some 40 kB, because the state is saved often.

A row is 13 bytes, sorted by symbol: symbol (6), flags (1), sector's index (2), base price (4).
"""

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from consumers.execution.state import Listed, Register
from schemas.errors import Poison
from schemas.krx.prices import KINDS, SEGMENTS
from schemas.market import Instrument
from schemas.units import Symbol, Won

_ROW: Final = struct.Struct(">6sBHI")
_KINDS: Final = tuple(sorted(KINDS))
_HALTED: Final = 0x80
_BARRED: Final = 0x40


class _Fields(NamedTuple):
    flags: int
    sector: int
    base_price: int


def put(register: Register, instruments: Iterable[Instrument]) -> Register:
    """Return the register with newer rows in place of older ones.

    Raises:
        Poison: A symbol, segment, kind or price does not fit the row.
    """
    sectors = {name: index for index, name in enumerate(register.sectors)}
    rows = {key: _Fields(*rest) for key, *rest in _ROW.iter_unpack(register.rows)}
    for each in instruments:
        sector = sectors.setdefault(each.sector or "", len(sectors))
        try:
            key = each.symbol.encode("ascii")
            fields = _Fields(_flags(each), sector, each.base_price)
            _ROW.pack(key, *fields)
        except (ValueError, struct.error) as error:
            raise Poison(f"expected an instrument of the rulebook, was {each.symbol!r}") from error
        rows[key] = fields
    packed = b"".join(_ROW.pack(key, *rows[key]) for key in sorted(rows))
    return Register(tuple(sectors), packed)


def find(register: Register, symbol: Symbol) -> Listed | None:
    """Return what is known of a symbol, None when it is not listed."""
    key, size = symbol.encode("ascii", "replace"), _ROW.size
    low, high = 0, len(register.rows) // size
    while low < high:
        middle = (low + high) // 2
        if register.rows[middle * size : middle * size + 6] < key:
            low = middle + 1
        else:
            high = middle
    if register.rows[low * size : low * size + 6] != key:
        return None
    _, flags, sector, base = _ROW.unpack_from(register.rows, low * size)
    return Listed(
        segment=SEGMENTS[flags >> 4 & 3],
        kind=_KINDS[flags & 15],
        sector=register.sectors[sector],
        base_price=Won(base),
        halted=bool(flags & _HALTED),
        barred=bool(flags & _BARRED),
    )


def _flags(each: Instrument) -> int:
    barred = each.administrative or each.delisting
    return (
        _KINDS.index(each.security_type)
        | SEGMENTS.index(each.segment) << 4
        | _HALTED * each.halted
        | _BARRED * barred
    )
