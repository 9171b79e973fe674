"""The report of a finished parent: what it got, when, and what it cost."""

from collections.abc import Sequence

from consumers.execution.state import Order, Parent
from schemas.orders import OrderReport
from schemas.units import Micros, Shares, Won


def slippage(side: str, arrival: int, qty: int, amount: int) -> Won:
    """Return what ``qty`` shares for ``amount`` won cost more than at the arrival price."""
    paid_more = amount - arrival * qty
    return Won(paid_more if side == "buy" else -paid_more)


def report(
    parent: Parent, children: Sequence[Order], *, at: Micros, ingest: Micros, account: str
) -> OrderReport:
    """Return the report of a parent whose children are all done."""
    qty = sum(each.filled_qty for each in children)
    amount = sum(each.filled_amount for each in children)
    return OrderReport(
        ts_event=at,
        ts_ingest=ingest,
        parent_id=parent.parent_id,
        account=account,
        signal_id=parent.signal_id,
        symbol=parent.symbol,
        side=parent.side,
        qty=parent.qty,
        filled_qty=Shares(qty),
        filled_amount=Won(amount),
        arrival_price=parent.arrival_price,
        fee=Won(sum(each.fee for each in children)),
        tax=Won(sum(each.tax for each in children)),
        slippage=slippage(parent.side, parent.arrival_price, qty, amount),
        children=len(children),
        cancels=sum(1 for each in children if each.end == "cancelled"),
        opened=parent.opened,
        first_fill=parent.first_fill or None,
        reason=parent.stopping,
    )
