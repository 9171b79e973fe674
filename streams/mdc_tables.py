"""The tables of the KRX data marketplace (MDC) that we read: block, columns, and what they give.

A column's kind is how its text is read (``mdc_bodies``).  ``kept`` says why a table gives no
event: it is known, read in full and kept as it came on ``raw.krx``.  An empty ``kept`` means
events.  A table that is not here is a dead letter; a column that is not here is left unread.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

STANDARD: Final = "dbms/MDC/STAT/standard/"
SHORTS: Final = "dbms/MDC/STAT/srt/"
FINDERS: Final = "dbms/comm/finder/"

INDEX_DAYS: Final = STANDARD + "MDCSTAT00301"
MARKET_DAY: Final = STANDARD + "MDCSTAT01501"
SYMBOL_DAYS: Final = STANDARD + "MDCSTAT01701"

CHANGES: Final = "a change over a period: no bar, it has a first and a last price only"
INDEX_LISTS: Final = "a list of indices or of what one is made of: no event holds it"
ISSUES: Final = "a list of issues: an Instrument needs a session's base price"
FLOWS: Final = "trades by kind of investor: no event holds them"
RATIOS: Final = "per-share figures: Fundamentals hold amounts in won"
FOREIGN: Final = "what foreigners hold: no event holds it"
FUNDS: Final = "funds (ETF): the universe is shares"
YIELDS: Final = "yields of bonds: no strategy reads one, so no index is fed"
SHORT_SALES: Final = "short sales and balances: no event holds them"


class Table(NamedTuple):
    """One table.

    Attributes:
        block: The key of the body's list.
        columns: Name to kind: text, code, isin, day, whole or ratio.
        kept: Why it gives no event; empty when it gives some.
    """

    block: str
    columns: Mapping[str, str]
    kept: str = ""


def _columns(**names: str) -> Mapping[str, str]:
    return {name: kind for kind, listed in names.items() for name in listed.split()}


def _output(kept: str = "", **names: str) -> Table:
    return Table("output", _columns(**names), kept)


def _out_block(kept: str = "", **names: str) -> Table:
    return Table("OutBlock_1", _columns(**names), kept)


_OHLC: Final = "TDD_OPNPRC TDD_HGPRC TDD_LWPRC TDD_CLSPRC "
_TRADED: Final = "ACC_TRDVOL ACC_TRDVAL "
_BOTH_SIDES: Final = (
    "ASK_TRDVOL BID_TRDVOL NETBID_TRDVOL ASK_TRDVAL BID_TRDVAL NETBID_TRDVAL "
)  # fmt: skip
_FIVE_GROUPS: Final = "TRDVAL1 TRDVAL2 TRDVAL3 TRDVAL4 TRDVAL_TOT"
_FIVE_FUND_GROUPS: Final = (
    "NUM_ITM_VAL21 NUM_ITM_VAL22 NUM_ITM_VAL23 NUM_ITM_VAL24 NUM_ITM_VAL25"
)  # fmt: skip
_SOLD_SHORT: Final = (
    "CVSRTSELL_TRDVOL UPTICKRULE_APPL_TRDVOL UPTICKRULE_EXCPT_TRDVOL "
    "CVSRTSELL_TRDVAL UPTICKRULE_APPL_TRDVAL UPTICKRULE_EXCPT_TRDVAL "
)  # fmt: skip
_BALANCE: Final = "BAL_QTY LIST_SHRS BAL_AMT MKTCAP"
_PER_SHARE: Final = "TDD_CLSPRC CMPPREVDD_PRC EPS FWD_EPS BPS DPS"
_PER_SHARE_RATIOS: Final = "FLUC_RT PER FWD_PER PBR DVD_YLD"
_HELD: Final = "TDD_CLSPRC CMPPREVDD_PRC LIST_SHRS FORN_HD_QTY FORN_ORD_LMT_QTY"
_HELD_RATIOS: Final = "FLUC_RT FORN_SHR_RT FORN_LMT_EXHST_RT"
_FUND_SIZE: Final = "MKTCAP INVSTASST_NETASST_TOTAMT LIST_SHRS CMPPREVDD_PRC "

_INDICES: Final = {
    STANDARD + "MDCSTAT00201": _output(
        CHANGES, text="IDX_IND_NM FLUC_TP", ratio="OPN_DD_INDX END_DD_INDX PRV_DD_CMPR FLUC_RT",
        whole=_TRADED,
    ),
    INDEX_DAYS: _output(
        day="TRD_DD", text="FLUC_TP_CD", whole=_TRADED + "MKTCAP",
        ratio="OPNPRC_IDX HGPRC_IDX LWPRC_IDX CLSPRC_IDX PRV_DD_CMPR UPDN_RATE",
    ),
    STANDARD + "MDCSTAT00401": _output(
        INDEX_LISTS, day="BAS_TM_CONTN ANNC_TM_CONTN", ratio="BAS_IDX_CONTN",
        text="IDX_NM IDX_ENG_NM CALC_CYCLE_CONTN CALC_TM_CONTN IND_TP_CD IDX_IND_CD",
        whole="COMPST_ISU_CNT",
    ),
    STANDARD + "MDCSTAT00601": _output(
        INDEX_LISTS, code="ISU_SRT_CD", text="ISU_ABBRV FLUC_TP_CD IDX_ID",
        whole="TDD_CLSPRC STR_CMP_PRC MKTCAP", ratio="FLUC_RT",
    ),
}  # fmt: skip

_SHARES: Final = {
    MARKET_DAY: _out_block(
        code="ISU_SRT_CD", isin="ISU_CD", text="ISU_ABBRV MKT_NM SECT_TP_NM FLUC_TP_CD MKT_ID",
        whole=_OHLC + _TRADED + "CMPPREVDD_PRC MKTCAP LIST_SHRS", ratio="FLUC_RT",
    ),
    STANDARD + "MDCSTAT01602": _out_block(
        CHANGES, code="ISU_SRT_CD", text="ISU_ABBRV FLUC_TP", ratio="FLUC_RT",
        whole=_TRADED + "BAS_PRC TDD_CLSPRC CMPPREVDD_PRC",
    ),
    SYMBOL_DAYS: _output(
        day="TRD_DD", text="FLUC_TP_CD", ratio="FLUC_RT",
        whole=_OHLC + _TRADED + "CMPPREVDD_PRC MKTCAP LIST_SHRS",
    ),
    STANDARD + "MDCSTAT01901": _out_block(
        ISSUES, isin="ISU_CD", code="ISU_SRT_CD", day="LIST_DD", whole="LIST_SHRS",
        text="ISU_NM ISU_ABBRV ISU_ENG_NM MKT_TP_NM SECUGRP_NM SECT_TP_NM KIND_STKCERT_TP_NM "
        "PARVAL",
    ),
    STANDARD + "MDCSTAT02201": _output(
        FLOWS, text="INVST_TP_NM CONV_OBJ_TP_CD", whole=_BOTH_SIDES
    ),
    STANDARD + "MDCSTAT02202": _output(FLOWS, day="TRD_DD", whole=_FIVE_GROUPS),
    STANDARD + "MDCSTAT02301": _output(
        FLOWS, text="INVST_TP_NM CONV_OBJ_TP_CD", whole=_BOTH_SIDES
    ),
    STANDARD + "MDCSTAT02302": _output(FLOWS, day="TRD_DD", whole=_FIVE_GROUPS),
    STANDARD + "MDCSTAT02401": _output(
        FLOWS, code="ISU_SRT_CD", text="ISU_NM", whole=_BOTH_SIDES
    ),
    STANDARD + "MDCSTAT03501": _output(
        RATIOS, code="ISU_SRT_CD", isin="ISU_CD", text="MKT_ID ISU_ABBRV ISU_ABBRV_STR FLUC_TP_CD",
        whole=_PER_SHARE, ratio=_PER_SHARE_RATIOS,
    ),
    STANDARD + "MDCSTAT03502": _output(
        RATIOS, day="TRD_DD", text="FLUC_TP_CD", whole=_PER_SHARE, ratio=_PER_SHARE_RATIOS
    ),
    STANDARD + "MDCSTAT03701": _output(
        FOREIGN, code="ISU_SRT_CD", text="ISU_ABBRV FLUC_TP_CD", whole=_HELD, ratio=_HELD_RATIOS
    ),
    STANDARD + "MDCSTAT03702": _output(
        FOREIGN, day="TRD_DD", text="FLUC_TP_CD", whole=_HELD, ratio=_HELD_RATIOS
    ),
}  # fmt: skip

_FUNDS_AND_BONDS: Final = {
    STANDARD + "MDCSTAT04301": _output(
        FUNDS, code="ISU_SRT_CD", isin="ISU_CD", whole=_OHLC + _TRADED + _FUND_SIZE,
        text="SECUGRP_ID ISU_ABBRV FLUC_TP_CD IDX_IND_NM FLUC_TP_CD1",
        ratio="FLUC_RT NAV OBJ_STKPRC_IDX CMPPREVDD_IDX FLUC_RT1",
    ),
    STANDARD + "MDCSTAT04401": _output(
        FUNDS, code="ISU_SRT_CD", text="ISU_ABBRV FLUC_TP_CD", ratio="FLUC_RT",
        whole=_TRADED + "BAS_PRC CLSPRC CMP_PRC",
    ),
    STANDARD + "MDCSTAT04501": _output(
        FUNDS, day="TRD_DD", text="FLUC_TP_CD IDX_IND_NM FLUC_TP_CD1",
        whole=_OHLC + _TRADED + _FUND_SIZE,
        ratio="FLUC_RT LST_NAV OBJ_STKPRC_IDX CMPPREVDD_IDX IDX_FLUC_RT",
    ),
    STANDARD + "MDCSTAT04601": _output(
        FUNDS, isin="ISU_CD", code="ISU_SRT_CD", day="LIST_DD", whole="LIST_SHRS CU_QTY",
        text="ISU_NM ISU_ABBRV ISU_ENG_NM ETF_OBJ_IDX_NM IDX_CALC_INST_NM1 IDX_CALC_INST_NM2 "
        "ETF_REPLICA_METHD_TP_CD IDX_MKT_CLSS_NM IDX_ASST_CLSS_NM COM_ABBRV TAX_TP_CD",
        ratio="ETF_TOT_FEE",
    ),
    STANDARD + "MDCSTAT04801": _output(FUNDS, text="INVST_NM CONV_OBJ_TP_CD", whole=_BOTH_SIDES),
    STANDARD + "MDCSTAT04802": _output(FUNDS, day="TRD_DD", whole=_FIVE_FUND_GROUPS),
    STANDARD + "MDCSTAT04901": _output(FUNDS, text="INVST_NM CONV_OBJ_TP_CD", whole=_BOTH_SIDES),
    STANDARD + "MDCSTAT04902": _output(FUNDS, day="TRD_DD", whole=_FIVE_FUND_GROUPS),
    STANDARD + "MDCSTAT05001": _output(
        FUNDS, text="COMPST_ISU_CD COMPST_ISU_CD2 MKT_ID SECUGRP_ID COMPST_ISU_NM",
        whole="VALU_AMT COMPST_AMT", ratio="COMPST_ISU_CU1_SHRS COMPST_RTO",
    ),
    STANDARD + "MDCSTAT11401": _output(YIELDS, text="ITM_TP_NM", ratio="LST_ORD_BAS_YD CMP_YD"),
    STANDARD + "MDCSTAT11402": _output(YIELDS, day="DISCLS_DD", ratio="LST_ORD_BAS_YD CMP_YD"),
}  # fmt: skip

_SHORT_SALES: Final = {
    SHORTS + "MDCSTAT30001": _out_block(
        SHORT_SALES, day="TRD_DD", whole=_SOLD_SHORT + "STR_CONST_VAL1 STR_CONST_VAL2"
    ),
    SHORTS + "MDCSTAT30101": _out_block(
        SHORT_SALES, code="ISU_CD", text="ISU_ABBRV SECUGRP_NM", whole=_SOLD_SHORT + _TRADED,
        ratio="TRDVOL_WT TRDVAL_WT",
    ),
    SHORTS + "MDCSTAT30102": _out_block(
        SHORT_SALES, day="TRD_DD", whole=_SOLD_SHORT + _TRADED, ratio="TRDVOL_WT TRDVAL_WT"
    ),
    SHORTS + "MDCSTAT30301": _out_block(
        SHORT_SALES, day="TRD_DD",
        whole="STR_CONST_VAL1 STR_CONST_VAL2 STR_CONST_VAL3 STR_CONST_VAL4 STR_CONST_VAL5",
    ),
    SHORTS + "MDCSTAT30401": _out_block(
        SHORT_SALES, code="ISU_CD", isin="ISU_CD_FULL", text="MKT_ID ISU_ABBRV",
        whole="RANK CVSRTSELL_TRDVAL ACC_TRDVAL",
        ratio="TDD_SRTSELL_WT TDD_SRTSELL_TRDVAL_INCDEC_RT VALU_PD_AVG_SRTSELL_WT "
        "VALU_PD_CMP_TDD_SRTSELL_RTO PRC_YD",
    ),
    SHORTS + "MDCSTAT30501": _out_block(
        SHORT_SALES, code="ISU_CD", text="ISU_ABBRV", whole=_BALANCE, ratio="BAL_RTO"
    ),
    SHORTS + "MDCSTAT30502": _out_block(
        SHORT_SALES, day="RPT_DUTY_OCCR_DD", whole=_BALANCE, ratio="BAL_RTO"
    ),
    SHORTS + "MDCSTAT30801": _out_block(
        SHORT_SALES, code="ISU_CD", isin="ISU_CD2", text="MKT_ID ISU_ABBRV",
        whole="RANK " + _BALANCE, ratio="BAL_RTO",
    ),
}  # fmt: skip

_FINDERS: Final = {
    FINDERS + "finder_stkisu": Table(
        "block1",
        _columns(
            isin="full_code", code="short_code", whole="ord2",
            text="codeName marketCode marketName marketEngName ord1",
        ),
        ISSUES,
    ),
    FINDERS + "finder_listdelisu": Table(
        "block1",
        _columns(
            isin="full_code", whole="ord2",
            text="short_code codeName marketCode marketName ord1",
        ),
        ISSUES,
    ),
}  # fmt: skip

TABLES: Final[Mapping[str, Table]] = _INDICES | _SHARES | _FUNDS_AND_BONDS | _SHORT_SALES | _FINDERS
"""``bld`` to table.  Delisted rights have longer codes, so that list's are text."""
