"""What is known of an order after one attempt to send it (DESIGN 7)."""

from typing import NamedTuple


class Accepted(NamedTuple):
    """The brokerage has the order.

    Attributes:
        order_no: Their number; compare as a number, paddings differ.
        org_no: KRX_FWDG_ORD_ORGNO, needed to cancel.
        time: HHMMSS, KST.
    """

    order_no: int
    org_no: str
    time: str


class RejectedByBrokerage(NamedTuple):
    """The brokerage read the order and refused it."""

    code: str
    message: str


class NotSent(NamedTuple):
    """No byte of the order left this machine."""

    reason: str


class Unknown(NamedTuple):
    """Nobody can say but the brokerage's listings."""

    reason: str


Outcome = Accepted | RejectedByBrokerage | NotSent | Unknown
