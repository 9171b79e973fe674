"""The quote of up to 30 names (FHKST11300006) as it is answered: JSON, every value a text."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from schemas.errors import Poison
from schemas.kis.tables import INTEGER_DIGITS_MAX
from schemas.units import Shares, Symbol, Won

TR_ID: Final = "FHKST11300006"
NAMES_MAX: Final = 30
NO_PRICE: Final = Won(0)
SYMBOL_CHARS_MAX: Final = 7


class Quote(NamedTuple):
    """One name of a sweep; ``bid`` and ``ask`` are 0 when there is none."""

    symbol: Symbol
    price: Won
    volume_day: Shares
    turnover_day: Won
    bid: Won
    ask: Won
    bid_qty: Shares
    ask_qty: Shares
    phase: str
    halted: bool


def rows(payload: str) -> list[Any]:
    """Return the names of an answer.

    Raises:
        Poison: It is no JSON, says that it failed, or holds no list of at most ``NAMES_MAX``.
    """
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Poison(f"expected JSON, was {payload[:60]!r}: {type(error).__name__}") from error
    if not isinstance(body, dict) or body.get("rt_cd") != "0":
        raise Poison(f"expected rt_cd 0, was {payload[:60]!r}")
    output = body.get("output")
    if not isinstance(output, list) or len(output) > NAMES_MAX:
        raise Poison(f"expected a list of at most {NAMES_MAX} names in output, was none")
    return output


def quote_of(row: Any) -> Quote:
    """Read one name.

    Args:
        row: An object of the list, as JSON gave it.

    Raises:
        Poison: It has no symbol or price, or a number is not one.
    """
    if not isinstance(row, Mapping):
        raise Poison(f"expected an object per name, was {type(row).__name__}")
    symbol = row.get("inter_shrn_iscd")
    if not isinstance(symbol, str) or not 0 < len(symbol) <= SYMBOL_CHARS_MAX:
        raise Poison(f"expected inter_shrn_iscd, was {symbol!r:.40}")
    price = _whole(row, "inter2_prpr")
    if price == 0:
        raise Poison(f"expected inter2_prpr above 0 for {symbol}, was 0")
    return Quote(
        symbol=Symbol(symbol),
        price=Won(price),
        volume_day=Shares(_whole(row, "acml_vol")),
        turnover_day=Won(_whole(row, "acml_tr_pbmn")),
        bid=Won(_whole(row, "inter2_bidp", "0")),
        ask=Won(_whole(row, "inter2_askp", "0")),
        bid_qty=Shares(_whole(row, "shnu_rsqn", "0")),
        ask_qty=Shares(_whole(row, "seln_rsqn", "0")),
        phase=str(row.get("hour_cls_code") or "0"),
        halted=row.get("mrkt_trtm_cls_name") == "거래정지",
    )


def _whole(row: Mapping[str, Any], name: str, default: str | None = None) -> int:
    text = row.get(name) or default
    if isinstance(text, str) and _is_number(text):
        return int(text)
    raise Poison(f"expected digits in {name}, was {text!r:.40}")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= INTEGER_DIGITS_MAX
