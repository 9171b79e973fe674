"""REST bodies of KIS at the door: lower-cased keys, typed values, nothing guessed.

Every value on the wire is a string.  Output keys are read whatever their case: the documents spell
the same key both ways.  A whole number may come with zero decimals ("250000.0000"); an empty text
where a number belongs is refused.
"""

import re
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.errors import Transient
from schemas.units import Shares, Symbol, Won

_WHOLE: Final = re.compile(r"\s*(-?[0-9]{1,18})(?:\.0+)?\s*")
_DECIMAL: Final = re.compile(r"\s*(-?(?:[0-9]{0,18}\.)?[0-9]{1,18})\s*")


def _whole(value: object) -> int:
    match = _WHOLE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a whole number as text")
    return int(match[1])


def _order_no(value: object) -> int:
    """Read an order number; a new order has none before it, which is 0."""
    return 0 if isinstance(value, str) and not value.strip() else _whole(value)


def _decimal(value: object) -> Decimal:
    match = _DECIMAL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a decimal number as text")
    return Decimal(match[1])


def _symbol(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if len(text) not in (6, 7) or not (text.isascii() and text.isalnum()):
        raise ValueError("expected a short code of 6 characters")
    return text


def _flag(value: object) -> bool:
    if value in ("Y", "N", ""):
        return value == "Y"
    raise ValueError("expected Y or N")


WonText = Annotated[Won, BeforeValidator(_whole)]
SharesText = Annotated[Shares, BeforeValidator(_whole)]
IntText = Annotated[int, BeforeValidator(_whole)]
OriginalText = Annotated[int, BeforeValidator(_order_no)]
DecimalText = Annotated[Decimal, BeforeValidator(_decimal)]
SymbolText = Annotated[Symbol, BeforeValidator(_symbol)]
FlagText = Annotated[bool, BeforeValidator(_flag)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Head(_Body):
    """What every answer has.

    Attributes:
        rt_cd: "0" is success, together with HTTP 200.
        code: msg_cd.
        message: msg1, trimmed.
    """

    rt_cd: str
    code: str = Field("", alias="msg_cd")
    message: Annotated[str, BeforeValidator(lambda text: str(text).strip())] = Field(
        "", alias="msg1"
    )


class OrderAnswer(_Body):
    """Output of an order: where it went and its number."""

    org_no: str = Field(alias="krx_fwdg_ord_orgno")
    order_no: str = Field(alias="odno", pattern=r"^\s*[0-9]{1,10}\s*$")
    time: str = Field(alias="ord_tmd")


class DailyOrder(_Body):
    """One order of the day with what became of it (inquire-daily-ccld, output1).

    Attributes:
        date: YYYYMMDD.
        order_no: As a number: paddings differ.
        original_order_no: Of a correction or cancel, 0 when none.
        org_no: Branch that numbered it; KRX_FWDG_ORD_ORGNO of a cancel.
        side_code: 01 sell, 02 buy.
        symbol: Short code.
        order_kind: ORD_DVSN.
        qty: Shares ordered.
        price: Won, 0 at market.
        time: HHMMSS, KST.
        filled_qty: Shares filled so far, cumulative.
        filled_amount: Won filled so far, cumulative.
        average_price: Won, 0 before a fill.
        open_qty: Shares still open.
        rejected_qty: Shares refused.
        cancelled_qty: Shares whose cancel is confirmed.
        is_cancel: This row is a cancel, not an order.
    """

    date: str = Field(alias="ord_dt")
    order_no: IntText = Field(alias="odno")
    original_order_no: OriginalText = Field(0, alias="orgn_odno")
    org_no: str = Field("", alias="ord_gno_brno")
    side_code: str = Field(alias="sll_buy_dvsn_cd", pattern=r"^0[12]$")
    symbol: SymbolText = Field(alias="pdno")
    order_kind: str = Field("", alias="ord_dvsn_cd")
    qty: SharesText = Field(alias="ord_qty")
    price: WonText = Field(alias="ord_unpr")
    time: str = Field(alias="ord_tmd")
    filled_qty: SharesText = Field(alias="tot_ccld_qty")
    filled_amount: WonText = Field(Won(0), alias="tot_ccld_amt")
    average_price: DecimalText = Field(Decimal(0), alias="avg_prvs")
    open_qty: SharesText = Field(alias="rmn_qty")
    rejected_qty: SharesText = Field(alias="rjct_qty")
    cancelled_qty: SharesText = Field(alias="cnc_cfrm_qty")
    is_cancel: FlagText = Field(default=False, alias="cncl_yn")

    @property
    def side(self) -> str:
        """Return buy or sell."""
        return "sell" if self.side_code == "01" else "buy"


class Holding(_Body):
    """One position (inquire-balance, output1)."""

    symbol: SymbolText = Field(alias="pdno")
    qty: SharesText = Field(alias="hldg_qty")
    sellable_qty: SharesText = Field(alias="ord_psbl_qty")
    average_price: DecimalText = Field(alias="pchs_avg_pric")
    price: WonText = Field(alias="prpr")
    profit: WonText = Field(Won(0), alias="evlu_pfls_amt")


class Cash(_Body):
    """The account's money (inquire-balance, output2), won.

    Attributes:
        today: Deposit today.
        next_day: D+1.
        settled: D+2: what may be spent today.
        total: Positions at market plus D+2 cash.
        costs_today: Today's fees and taxes.
    """

    today: WonText = Field(alias="dnca_tot_amt")
    next_day: WonText = Field(alias="nxdy_excc_amt")
    settled: WonText = Field(alias="prvs_rcdl_excc_amt")
    total: WonText = Field(alias="tot_evlu_amt")
    costs_today: WonText = Field(Won(0), alias="thdt_tlex_amt")


class Balance(NamedTuple):
    """All pages of inquire-balance."""

    holdings: tuple[Holding, ...]
    cash: Cash


class Price(_Body):
    """Last price of a name (inquire-price)."""

    symbol: SymbolText = Field(alias="stck_shrn_iscd")
    price: WonText = Field(alias="stck_prpr")
    change: WonText = Field(alias="prdy_vrss")
    base_price: WonText = Field(alias="stck_sdpr")
    open: WonText = Field(alias="stck_oprc")
    high: WonText = Field(alias="stck_hgpr")
    low: WonText = Field(alias="stck_lwpr")
    upper_limit: WonText = Field(alias="stck_mxpr")
    lower_limit: WonText = Field(alias="stck_llam")
    volume_day: SharesText = Field(alias="acml_vol")
    turnover_day: WonText = Field(alias="acml_tr_pbmn")
    listed_shares: SharesText = Field(Shares(0), alias="lstn_stcn")
    suspended: FlagText = Field(default=False, alias="temp_stop_yn")
    delisting: FlagText = Field(default=False, alias="sltr_yn")
    overheated: FlagText = Field(default=False, alias="short_over_yn")
    caution: FlagText = Field(default=False, alias="invt_caful_yn")
    warning_code: str = Field("00", alias="mrkt_warn_cls_code")
    vi: FlagText = Field(default=False, alias="vi_cls_code")


class MultiPrice(_Body):
    """One name of a 30-name sweep (intstock-multprice)."""

    symbol: SymbolText = Field(alias="inter_shrn_iscd")
    price: WonText = Field(alias="inter2_prpr")
    open: WonText = Field(alias="inter2_oprc")
    high: WonText = Field(alias="inter2_hgpr")
    low: WonText = Field(alias="inter2_lwpr")
    ask: WonText = Field(alias="inter2_askp")
    bid: WonText = Field(alias="inter2_bidp")
    ask_qty: SharesText = Field(Shares(0), alias="seln_rsqn")
    bid_qty: SharesText = Field(Shares(0), alias="shnu_rsqn")
    volume_day: SharesText = Field(alias="acml_vol")
    turnover_day: WonText = Field(alias="acml_tr_pbmn")
    base_price: WonText = Field(Won(0), alias="inter2_sdpr")
    phase: str = Field("0", alias="hour_cls_code")


class AskingPrice(NamedTuple):
    """Ten levels a side by REST (inquire-asking-price-exp-ccn)."""

    time: str
    ask_prices: tuple[Won, ...]
    bid_prices: tuple[Won, ...]
    ask_qtys: tuple[Shares, ...]
    bid_qtys: tuple[Shares, ...]
    ask_total: Shares
    bid_total: Shares


class Holiday(_Body):
    """One calendar day (chk-holiday); ``open`` is the flag to trade on."""

    date: str = Field(alias="bass_dt")
    open: FlagText = Field(alias="opnd_yn")
    settlement: FlagText = Field(default=False, alias="sttl_day_yn")


Model = TypeVar("Model", bound=BaseModel)


def lowered(value: Any) -> Any:  # JSON has no type
    """Return a JSON value with every object's keys in lower case."""
    if isinstance(value, dict):
        return {str(key).lower(): lowered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [lowered(item) for item in value]
    return value


def read(model: type[Model], value: object) -> Model:
    """Read a lower-cased object.

    Raises:
        Transient: It is not one; the message names the fields and none of their values.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise Transient(f"expected {model.__name__}, was without a usable {wrong[:200]}") from None


def read_rows(model: type[Model], value: object) -> tuple[Model, ...]:
    """Read a list of objects; one object alone counts as a list of one."""
    rows = [value] if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise Transient(f"expected a list of {model.__name__}, was {type(value).__name__}")
    return tuple(read(model, row) for row in rows)


def read_asking_price(output: object) -> AskingPrice:
    """Read ten levels from inquire-asking-price-exp-ccn's output1, lower-cased."""
    row = output if isinstance(output, dict) else {}
    try:
        return AskingPrice(
            time=str(row["aspr_acpt_hour"]),
            ask_prices=tuple(Won(_whole(row[f"askp{level}"])) for level in _LEVELS),
            bid_prices=tuple(Won(_whole(row[f"bidp{level}"])) for level in _LEVELS),
            ask_qtys=tuple(Shares(_whole(row[f"askp_rsqn{level}"])) for level in _LEVELS),
            bid_qtys=tuple(Shares(_whole(row[f"bidp_rsqn{level}"])) for level in _LEVELS),
            ask_total=Shares(_whole(row["total_askp_rsqn"])),
            bid_total=Shares(_whole(row["total_bidp_rsqn"])),
        )
    except (KeyError, ValueError) as error:
        raise Transient(f"expected ten levels a side, was without {error}") from None


_LEVELS: Final = range(1, 11)
