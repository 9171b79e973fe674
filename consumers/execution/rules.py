"""The figures execution keeps to (DESIGN 7, mission X32-X34), in one place with their units."""

from typing import Final, NamedTuple

from schemas.krx.sessions import RANDOM_END_MAX
from schemas.units import MINUTE, SECOND, Micros


class Rules(NamedTuple):
    """Limits and waits; percentages are of equity unless they say otherwise.

    Attributes:
        target_percent: Weight a buy signal aims at.
        rebalance_percent: Of the target: a smaller difference is left alone.
        order_percent: Largest order.
        position_percent: Largest position an order may lead to.
        sector_percent: Largest sum of one sector; unknown sectors share one.
        gross_percent: Largest sum of all positions; no leverage.
        loss_percent: Of the previous close's equity; at it, entries stop.
        depth_percent: Of the ten levels an order could take from.
        collar_percent: Of the signal's price; an entry further away is not made.
        market_percent: Share of a parent's quantity sent as a market order.
        limit_children: Steps of the limit leg, so that 80/20 holds by count and by shares.
        child_wait: After it the unfilled rest of a child is cancelled.
        decide_every: Between two decisions about a residual.
        poll_every: Between two listings while an order is open.
        settle: From the close of a request's socket to the listing that may prove it absent.
        close_settle: After the close: the closing price is made up to 30 s late.
        send_within: Market time a submit may wait before it is withheld.
        quote_age_max: Of the quote a decision uses.
        mark_age_max: Of the mark of a held symbol, inside the session.
        mark_every: Between two looks at old marks.
        open_wait: After the open, before the first order: until then a name may still be in its
            opening auction and have no touch.
        quotes_max: Tries for one decision.
        marks_max: Names in one call for marks.
        cancels_max: Tries to cancel one child before somebody is called.
        releases_min: People who must release the breaker.
    """

    target_percent: int = 2
    rebalance_percent: int = 10
    order_percent: int = 10
    position_percent: int = 10
    sector_percent: int = 30
    gross_percent: int = 100
    loss_percent: int = 2
    depth_percent: int = 25
    collar_percent: int = 3
    market_percent: int = 20
    limit_children: int = 4
    child_wait: Micros = Micros(30 * SECOND)
    decide_every: Micros = Micros(10 * MINUTE)
    poll_every: Micros = Micros(15 * SECOND)
    settle: Micros = Micros(5 * SECOND)
    close_settle: Micros = Micros(60 * SECOND)
    send_within: Micros = Micros(30 * SECOND)
    quote_age_max: Micros = Micros(10 * SECOND)
    mark_age_max: Micros = Micros(20 * MINUTE)
    mark_every: Micros = Micros(5 * MINUTE)
    open_wait: Micros = Micros(RANDOM_END_MAX + SECOND)
    quotes_max: int = 3
    marks_max: int = 30
    cancels_max: int = 5
    releases_min: int = 2


RULES: Final = Rules()
