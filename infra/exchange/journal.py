"""The exchange's own book on disk: one JSON object a line, the truth that an audit compares with.

    opened      account, cash, holdings, date, seed, faults          first line
    registered  a registration with which a session holds, or would hold, more than ever before
    booked      an order as accepted or refused by the brokerage
    filled      a fill with the order's accumulated figures
    cancelled   an order's shares taken back (cancel, correction, IOC rest, end of day)
    fault       a fault that was injected
    closed      cash and holdings                                    last line of a finished day

Only facts of market time are in it: the same seed, date, registrations and orders give the same
lines.
"""

import json
from pathlib import Path
from typing import IO, Any, NamedTuple

from schemas.errors import Poison


class Journal:
    """An append-only file of lines; each is on its way to disk before the client hears of it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = path.open("w", encoding="utf-8")

    def write(self, event: str, at: int, **facts: Any) -> None:
        """Append one line; ``at`` is market time in micros."""
        line = {"event": event, "at": at, **facts}
        self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class OrderLine(NamedTuple):
    """An order as the exchange's book has it at its end.

    Attributes:
        order_no: ODNO as a number.
        original_no: The order it corrected or cancelled, else 0.
        side: buy or sell.
        price: Won; 0 is a market order.
        filled: Shares, the sum of its fills.
        amount: Won, the sum of price times shares of its fills.
        code: msg_cd of a refusal, else empty.
    """

    order_no: int
    original_no: int
    symbol: str
    side: str
    price: int
    qty: int
    filled: int
    cancelled: int
    rejected: int
    amount: int
    fee: int
    tax: int
    at: int
    code: str


class Record(NamedTuple):
    """A journal read back and folded.

    Attributes:
        opened: The first line.
        orders: By order number.
        fills: The ``filled`` lines in order.
        faults: The ``fault`` lines in order.
        registrations: What each ``registered`` line's session holds, or would hold, in order.
        cash: Opening cash plus every fill's flow, won.
        holdings: Opening shares plus every fill, by symbol, zero left out.
        closed: The last line of a finished day, else None.
    """

    opened: dict[str, Any]
    orders: dict[int, OrderLine]
    fills: list[dict[str, Any]]
    faults: list[dict[str, Any]]
    registrations: list[int]
    cash: int
    holdings: dict[str, int]
    closed: dict[str, Any] | None


def read_journal(path: Path) -> Record:
    """Read an exchange journal and sum it up from its fills alone.

    Raises:
        Poison: The file does not begin with an opening line, or fills an unknown order.
    """
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if not lines or lines[0]["event"] != "opened":
        raise Poison(f"expected {path} to begin with an opened line, was {lines[:1]}")
    opened = lines[0]
    cash = int(opened["cash"])
    held = {symbol: int(qty) for symbol, (qty, _) in opened["holdings"].items()}
    orders: dict[int, OrderLine] = {}
    for line in lines[1:]:
        number = line.get("order_no")
        if line["event"] == "booked":
            fields = {name: line[name] for name in OrderLine._fields if name in line}
            zeros = {"filled": 0, "cancelled": 0, "amount": 0, "fee": 0, "tax": 0}
            orders[number] = OrderLine(**{**zeros, **fields})
        elif line["event"] in {"filled", "cancelled"} and number not in orders:
            raise Poison(f"expected a booked order before its fill, was {line}")
        elif line["event"] == "filled":
            cash, orders[number] = _filled(line, orders[number], cash, held)
        elif line["event"] == "cancelled":
            order = orders[number]
            orders[number] = order._replace(cancelled=order.cancelled + line["qty"])
    return Record(
        opened=opened,
        orders=orders,
        fills=[line for line in lines if line["event"] == "filled"],
        faults=[line for line in lines if line["event"] == "fault"],
        registrations=[int(line["held"]) for line in lines if line["event"] == "registered"],
        cash=cash,
        holdings={symbol: qty for symbol, qty in held.items() if qty},
        closed=lines[-1] if lines[-1]["event"] == "closed" else None,
    )


def _filled(
    line: dict[str, Any], order: OrderLine, cash: int, held: dict[str, int]
) -> tuple[int, OrderLine]:
    way = 1 if order.side == "buy" else -1
    amount = line["price"] * line["qty"]
    held[order.symbol] = held.get(order.symbol, 0) + way * line["qty"]
    costs = (line["fee"] - order.fee) + (line["tax"] - order.tax)
    return cash - way * amount - costs, order._replace(
        filled=order.filled + line["qty"],
        amount=order.amount + amount,
        fee=line["fee"],
        tax=line["tax"],
    )
