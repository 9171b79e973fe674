"""Rows of the brokerage's answers: numbers to the texts KIS writes, by the names of its tables.

Fields that nobody here computes are left out, not invented.
"""

from datetime import date
from typing import Final

from infra.exchange.account import Booked
from infra.exchange.live import hhmmss
from infra.exchange.matching import BUY
from infra.exchange.quotes import Quote
from infra.exchange.venue import BRANCH
from schemas.krx.sessions import session

_LEVELS: Final = 10


def order_row(order: Booked, name: str, day: str) -> dict[str, str]:
    """Return a row of inquire-daily-ccld; ``qty = filled + left + rejected + cancelled``."""
    buy = order.side == BUY
    return {
        "ord_dt": day,
        "ord_gno_brno": BRANCH,
        "odno": f"{order.no:010d}",
        "orgn_odno": f"{order.original:010d}" if order.original else "",
        "ord_dvsn_name": "시장가" if order.price is None else "지정가",
        "sll_buy_dvsn_cd": "02" if buy else "01",
        "sll_buy_dvsn_cd_name": ("현금매수" if buy else "현금매도")
        + ("정정" * bool(order.original)),
        "pdno": order.symbol,
        "prdt_name": name,
        "ord_qty": str(order.qty),
        "ord_unpr": str(order.price or 0),
        "ord_tmd": hhmmss(order.at),
        "tot_ccld_qty": str(order.filled),
        "avg_prvs": f"{order.amount / order.filled:.4f}" if order.filled else "0",
        "cncl_yn": "Y" if order.cancelled and not order.left else "N",
        "tot_ccld_amt": str(order.amount),
        "ord_dvsn_cd": order.kind,
        "cnc_cfrm_qty": str(order.cancelled),
        "rmn_qty": str(order.left),
        "rjct_qty": str(order.rejected),
        "excg_dvsn_cd": "02",
        "ord_orgno": BRANCH,
        "excg_id_dvsn_Cd": "KRX",
    }


def quote_row(
    symbol: str, name: str, base: int, quote: Quote, limits: tuple[int, int]
) -> dict[str, str]:
    """Return a row of intstock-multprice."""
    last = quote.price or base
    return {
        "hour_cls_code": "0",
        "inter_shrn_iscd": symbol,
        "inter_kor_isnm": name,
        "inter2_prpr": str(last),
        "inter2_prdy_vrss": str(last - base),
        **change(last, base, limits),
        "acml_vol": str(quote.volume),
        "inter2_oprc": str(quote.open),
        "inter2_hgpr": str(quote.high),
        "inter2_lwpr": str(quote.low),
        "inter2_llam": str(limits[0]),
        "inter2_mxpr": str(limits[1]),
        "inter2_askp": str(quote.asks[0] if quote.asks else 0),
        "inter2_bidp": str(quote.bids[0] if quote.bids else 0),
        "seln_rsqn": str(quote.ask_qtys[0] if quote.ask_qtys else 0),
        "shnu_rsqn": str(quote.bid_qtys[0] if quote.bid_qtys else 0),
        "total_askp_rsqn": str(sum(quote.ask_qtys)),
        "total_bidp_rsqn": str(sum(quote.bid_qtys)),
        "acml_tr_pbmn": str(quote.turnover),
        "inter2_prdy_clpr": str(base),
        "inter2_sdpr": str(base),
    }


def price_row(quote: Quote, base: int, limits: tuple[int, int]) -> dict[str, str]:
    """Return the part of inquire-price that moves."""
    last = quote.price or base
    return {
        "stck_prpr": str(last),
        "prdy_vrss": str(last - base),
        **change(last, base, limits),
        "acml_vol": str(quote.volume),
        "acml_tr_pbmn": str(quote.turnover),
        "stck_oprc": str(quote.open),
        "stck_hgpr": str(quote.high),
        "stck_lwpr": str(quote.low),
        "stck_llam": str(limits[0]),
        "stck_mxpr": str(limits[1]),
        "stck_sdpr": str(base),
    }


def asking_row(quote: Quote, now: int) -> dict[str, str]:
    """Return output1 of the asking-price call: ten levels a side."""
    row = {"aspr_acpt_hour": hhmmss(now)}
    for name, values in (
        ("askp", quote.asks),
        ("bidp", quote.bids),
        ("askp_rsqn", quote.ask_qtys),
        ("bidp_rsqn", quote.bid_qtys),
    ):
        full = [*values, *[0] * (_LEVELS - len(values))]
        row |= {f"{name}{level}": str(value) for level, value in enumerate(full, 1)}
    row["total_askp_rsqn"] = str(sum(quote.ask_qtys))
    row["total_bidp_rsqn"] = str(sum(quote.bid_qtys))
    return row


def change(last: int, base: int, limits: tuple[int, int]) -> dict[str, str]:
    """Return sign and rate of a price against the base."""
    moved = last - base
    sign = "2" if moved > 0 else "5" if moved < 0 else "3"
    if moved and last in limits:
        sign = "1" if moved > 0 else "4"
    rate = round(100 * moved / base, 2) + 0.0 if base else 0.0
    return {"prdy_vrss_sign": sign, "prdy_ctrt": f"{rate:.2f}"}


def day_row(day: date) -> dict[str, str]:
    """Return a row of chk-holiday; ``opnd_yn`` is the flag to trade on."""
    opened = "Y" if session(day) is not None else "N"
    return {
        "bass_dt": f"{day:%Y%m%d}",
        "wday_dvsn_cd": f"{(day.weekday() + 1) % 7 + 1:02d}",
        "bzdy_yn": "N" if day.weekday() > 4 else opened,  # noqa: PLR2004 -- Saturday, Sunday
        "tr_day_yn": opened,
        "opnd_yn": opened,
        "sttl_day_yn": opened,
    }
