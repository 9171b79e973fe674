"""Field tables of the KIS websocket, by ``(tr_id, width)``.

KIS adds fields without notice, so the number of fields in a record names its layout and an unknown
width is a dead letter, never a guess (``reference/korea.md`` 1.3).  Element names are the wire's;
``name`` is ours.  Prices, differences and turnover are whole won, quantities whole shares.

A ``levels`` name appears ten times: its value is a tuple, best level first.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from schemas.errors import Poison


class Kind(StrEnum):
    """How a field is written and what it becomes."""

    WHOLE = "whole"  # int >= 0: won, shares, counts
    SIGNED = "signed"  # int, "-" in front when below zero
    DECIMAL = "decimal"  # Decimal with two places
    DIGITS = "digits"  # text of digits that may be padded: notices pad their numbers
    CODE = "code"  # short text whose values may grow: sign, phase, flags
    TIME = "time"  # text HHMMSS, KST
    DATE = "date"  # text YYYYMMDD
    TEXT = "text"  # free text, "(null)" included
    SYMBOL = "symbol"  # text: a short code is never a number


DECIMAL_PLACES: Final = 2
NUMERIC: Final = frozenset({Kind.WHOLE, Kind.SIGNED, Kind.DECIMAL})
INTEGER_DIGITS_MAX: Final = 18
"""The longest integer we read: it fits a signed 64-bit long."""


class Field(NamedTuple):
    """One position of a record.

    Attributes:
        element: The wire's name.
        name: The attribute of our record that holds it.
        kind: How it is written.
        level: 1..10 when ``name`` holds a tuple of levels, else 0.
    """

    element: str
    name: str
    kind: Kind
    level: int = 0


class Table(NamedTuple):
    """A layout: the fields of one record, in wire order.

    Attributes:
        tr_id: The stream.
        shape: Which of our record types holds it.
        fields: One entry per position.
        numeric: True when no field may hold free text, so a frame can be checked as a whole.
    """

    tr_id: str
    shape: str
    fields: tuple[Field, ...]
    numeric: bool

    @property
    def width(self) -> int:
        """Return how many fields a record of this layout has."""
        return len(self.fields)


TRADES: Final = "H0STCNT0"
BOOKS: Final = "H0STASP0"
OPERATIONS: Final = "H0STMKO0"
OPERATIONS_UNIFIED: Final = "H0UNMKO0"
PROGRAM: Final = "H0STPGM0"
NOTICES: Final = "H0STCNI0"
NOTICES_MOCK: Final = "H0STCNI9"

BOOK_LEVELS: Final = 10


def table_of(tr_id: str, width: int) -> Table:
    """Return the layout of a record.

    Args:
        tr_id: The stream's name.
        width: Fields per record.

    Returns:
        Its table.

    Raises:
        Poison: No layout of this stream has that many fields.
    """
    widths = TABLES.get(tr_id)
    if widths is None:
        raise Poison(
            f"expected one of {sorted(TABLES)}, was tr_id {tr_id[:16]!r}; add its field table"
        )
    table = widths.get(width)
    if table is None:
        raise Poison(
            f"expected {tr_id} with {sorted(widths)} fields, was {width}; "
            "KIS may have changed the layout: add its field table"
        )
    return table


def _fields(text: str) -> tuple[Field, ...]:
    fields: list[Field] = []
    for line in text.split("\n"):
        if line.strip():
            element, name, kind = line.split()
            fields += _spread(element, name, Kind(kind))
    return tuple(fields)


def _spread(element: str, name: str, kind: Kind) -> list[Field]:
    if not element.endswith("*"):
        return [Field(element, name, kind)]
    stem = element[:-1]
    return [Field(f"{stem}{level}", name, kind, level) for level in range(1, BOOK_LEVELS + 1)]


_TRADE: Final = _fields("""
MKSC_SHRN_ISCD symbol symbol
STCK_CNTG_HOUR time time
STCK_PRPR price whole
PRDY_VRSS_SIGN change_sign code
PRDY_VRSS change signed
PRDY_CTRT change_rate decimal
WGHN_AVRG_STCK_PRC vwap decimal
STCK_OPRC open whole
STCK_HGPR high whole
STCK_LWPR low whole
ASKP1 ask whole
BIDP1 bid whole
CNTG_VOL qty whole
ACML_VOL volume_day whole
ACML_TR_PBMN turnover_day whole
SELN_CNTG_CSNU sell_trades whole
SHNU_CNTG_CSNU buy_trades whole
NTBY_CNTG_CSNU net_buy_trades signed
CTTR strength decimal
SELN_CNTG_SMTN sell_volume whole
SHNU_CNTG_SMTN buy_volume whole
CCLD_DVSN aggressor_code code
SHNU_RATE buy_share decimal
PRDY_VOL_VRSS_ACML_VOL_RATE volume_rate decimal
OPRC_HOUR open_time time
OPRC_VRSS_PRPR_SIGN open_sign code
OPRC_VRSS_PRPR from_open signed
HGPR_HOUR high_time time
HGPR_VRSS_PRPR_SIGN high_sign code
HGPR_VRSS_PRPR from_high signed
LWPR_HOUR low_time time
LWPR_VRSS_PRPR_SIGN low_sign code
LWPR_VRSS_PRPR from_low signed
BSOP_DATE business_date date
NEW_MKOP_CLS_CODE operation_code code
TRHT_YN halted code
ASKP_RSQN1 ask_qty whole
BIDP_RSQN1 bid_qty whole
TOTAL_ASKP_RSQN total_ask_qty whole
TOTAL_BIDP_RSQN total_bid_qty whole
VOL_TNRT turnover_rate decimal
PRDY_SMNS_HOUR_ACML_VOL previous_volume whole
PRDY_SMNS_HOUR_ACML_VOL_RATE previous_volume_rate decimal
HOUR_CLS_CODE phase code
MRKT_TRTM_CLS_CODE random_end_code code
VI_STND_PRC vi_base whole
MARKET_CLS_CODE market_code code
""")

_BOOK: Final = _fields("""
MKSC_SHRN_ISCD symbol symbol
BSOP_HOUR time time
HOUR_CLS_CODE phase code
ASKP* ask_prices whole
BIDP* bid_prices whole
ASKP_RSQN* ask_qtys whole
BIDP_RSQN* bid_qtys whole
TOTAL_ASKP_RSQN total_ask_qty whole
TOTAL_BIDP_RSQN total_bid_qty whole
OVTM_TOTAL_ASKP_RSQN after_hours_ask_qty whole
OVTM_TOTAL_BIDP_RSQN after_hours_bid_qty whole
ANTC_CNPR expected_price whole
ANTC_CNQN expected_qty whole
ANTC_VOL expected_volume whole
ANTC_CNTG_VRSS expected_change signed
ANTC_CNTG_VRSS_SIGN expected_sign code
ANTC_CNTG_PRDY_CTRT expected_rate decimal
ACML_VOL volume_day whole
TOTAL_ASKP_RSQN_ICDC total_ask_change signed
TOTAL_BIDP_RSQN_ICDC total_bid_change signed
OVTM_TOTAL_ASKP_ICDC after_hours_ask_change signed
OVTM_TOTAL_BIDP_ICDC after_hours_bid_change signed
STCK_DEAL_CLS_CODE deal_code code
KMID_PRC mid_price whole
KMID_TOTAL_RSQN mid_qty whole
KMID_CLS_CODE mid_code code
MARKET_CLS_CODE market_code code
""")

_OPERATION: Final = _fields("""
MKSC_SHRN_ISCD symbol symbol
TRHT_YN halted code
TR_SUSP_REAS_CNTT halt_reason text
MKOP_CLS_CODE operation_code code
ANTC_MKOP_CLS_CODE expected_operation_code code
MRKT_TRTM_CLS_CODE random_end_code code
DIVI_APP_CLS_CODE allocation_code code
ISCD_STAT_CLS_CODE issue_state_code code
VI_CLS_CODE vi code
OVTM_VI_CLS_CODE after_hours_vi code
EXCH_CLS_CODE exchange_code code
""")

_NOTICE: Final = _fields("""
CUST_ID customer_id text
ACNT_NO account text
ODER_NO order_no digits
OODER_NO original_order_no digits
SELN_BYOV_CLS side_code code
RCTF_CLS revision_code code
ODER_KIND order_kind code
ODER_COND condition_code code
STCK_SHRN_ISCD symbol symbol
CNTG_QTY fill_qty digits
CNTG_UNPR fill_price digits
STCK_CNTG_HOUR time time
RFUS_YN rejected_code code
CNTG_YN fill_code code
ACPT_YN accepted_code code
BRNC_NO branch_no digits
ODER_QTY order_qty digits
ACNT_NAME account_name text
ORD_COND_PRC stop_price digits
ORD_EXG_GB exchange_code code
POPUP_YN popup code
FILLER filler text
CRDT_CLS credit_code code
CRDT_LOAN_DATE credit_loan_date date
CNTG_ISNM40 issue_name text
ODER_PRC order_price digits
""")

_PROGRAM: Final = _fields("""
MKSC_SHRN_ISCD symbol symbol
STCK_CNTG_HOUR time time
SELN_CNQN sell_qty whole
SELN_TR_PBMN sell_turnover whole
SHNU_CNQN buy_qty whole
SHNU_TR_PBMN buy_turnover whole
NTBY_CNQN net_buy_qty signed
NTBY_TR_PBMN net_buy_turnover signed
SELN_RSQN sell_resting_qty whole
SHNU_RSQN buy_resting_qty whole
WHOL_NTBY_QTY net_resting_qty signed
""")

_NOTICE_ADDED_2025: Final = frozenset({"ORD_COND_PRC", "ORD_EXG_GB", "POPUP_YN"})


def _table(tr_id: str, shape: str, fields: tuple[Field, ...]) -> Table:
    numeric = all(field.kind is not Kind.TEXT for field in fields)
    return Table(tr_id, shape, fields, numeric)


def _widths(tr_id: str, shape: str, *layouts: tuple[Field, ...]) -> tuple[str, dict[int, Table]]:
    return tr_id, {len(fields): _table(tr_id, shape, fields) for fields in layouts}


_NOTICE_23: Final = tuple(f for f in _NOTICE if f.element not in _NOTICE_ADDED_2025)

TABLES: Final[dict[str, dict[int, Table]]] = dict(
    (
        _widths(TRADES, "trade", _TRADE[:46], _TRADE),
        _widths(BOOKS, "book", _BOOK[:59], _BOOK[:62], _BOOK),
        _widths(OPERATIONS, "operation", _OPERATION[:10], _OPERATION),
        _widths(OPERATIONS_UNIFIED, "operation", _OPERATION[:10]),
        _widths(NOTICES, "notice", _NOTICE_23, _NOTICE),
        _widths(NOTICES_MOCK, "notice", _NOTICE_23, _NOTICE),
        _widths(PROGRAM, "program", _PROGRAM),
    )
)
"""``TABLES[tr_id][width]``."""
