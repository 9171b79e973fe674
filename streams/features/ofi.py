"""Order-flow imbalance at the best level (Cont, Kukanov, Stoikov 2014, equation 4), in shares.

    e = [bid >= bid'] * bid_qty - [bid <= bid'] * bid_qty'
      - [ask <= ask'] * ask_qty + [ask >= ask'] * ask_qty'        primes: the book before

The sum of ``e`` over a window is its imbalance: above zero when buyers press.
"""

from typing import NamedTuple

from schemas.units import Shares, Won


class Quote(NamedTuple):
    """The best level of both sides, each with a price above zero, and what ten levels hold."""

    bid: Won
    bid_qty: Shares
    ask: Won
    ask_qty: Shares
    bid_total: Shares
    ask_total: Shares


def flow(before: Quote, after: Quote) -> int:
    """Return the contribution of one change of the book, in shares, signed."""
    total = 0
    if after.bid >= before.bid:
        total += after.bid_qty
    if after.bid <= before.bid:
        total -= before.bid_qty
    if after.ask <= before.ask:
        total -= after.ask_qty
    if after.ask >= before.ask:
        total += before.ask_qty
    return total
