"""How many shares a signal asks for.

    buy     min(target weight x equity - what is held and on order, what every check allows) / price
    sell    what is held

The checks hold the other three limits of DESIGN 7 (10 % of equity, risk headroom, depth), so the
quantity is their smallest answer, never more than the target.
"""

from consumers.execution.gate import Facts
from consumers.execution.rules import Rules
from schemas.units import Shares


def wanted(facts: Facts, rules: Rules) -> Shares:
    """Return the shares the target asks for, before any check cuts them; 0 near the target.

    A difference under ``rebalance_percent`` of the target is not worth its fees.
    """
    if not facts.buys:
        return facts.sellable
    if facts.price <= 0:
        return Shares(0)
    target = facts.equity * rules.target_percent // 100
    left = target - facts.symbol_value
    if left * 100 < target * rules.rebalance_percent:
        return Shares(0)
    return Shares(max(0, left // facts.price))
