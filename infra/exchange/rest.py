"""The brokerage's REST interface: a request in, status and JSON out; no sockets.

Paths, bodies and errors as in ``reference/korea.md`` 2.  Success needs HTTP 200 and ``rt_cd`` "0".
Cancelling orders get a number but no row of their own in the listing; what the day leaves over
counts as cancelled.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from infra.exchange import rows
from infra.exchange.access import Access, Answer, Refused, Request
from infra.exchange.account import Booked
from infra.exchange.faults import REFUSAL, Faults
from infra.exchange.live import hhmmss
from infra.exchange.matching import BUY, SELL, Side, TimeInForce
from infra.exchange.quotes import Quote, quotes
from infra.exchange.venue import BRANCH, Venue
from schemas.krx.sessions import RANDOM_END_MAX

ROWS_MAX: Final = {"real": 100, "mock": 15}
BALANCE_ROWS_MAX: Final = {"real": 50, "mock": 20}
QUOTES_PER_CALL_MAX: Final = 30
HOLIDAY_DAYS: Final = 24

_FINE: Final = {"rt_cd": "0", "msg_cd": "MCA00000", "msg1": "정상처리 되었습니다."}
_CLOSED: Final = ("APBK0918", "장운영시간이 아닙니다.")
_HALTED: Final = ("APBK0918", "거래정지 종목은 주문할 수 없습니다.")
_BAD_PRICE: Final = ("APBK0506", "주문단가를 확인하세요(호가단위 또는 상하한가).")
_BAD_QTY: Final = ("APBK0400", "주문 가능한 수량을 초과하였습니다.")
_BAD_KIND: Final = ("APBK0417", "주문구분을 확인하세요.")
_UNKNOWN: Final = ("APBK0656", "해당 종목정보가 없습니다.")
_NO_ORIGINAL: Final = ("APBK0344", "원주문번호가 없습니다.")
_TOO_MANY: Final = ("APBK1359", "정정취소수량이 주문수량보다 많습니다")
_BODY: Final = ("OPSQ9997", "JSON PARSING ERROR : invalid json format")
_KINDS: Final[Mapping[str, tuple[bool, TimeInForce]]] = {
    "00": (True, "DAY"),
    "01": (False, "DAY"),
    "11": (True, "IOC"),
    "12": (True, "FOK"),
    "13": (False, "IOC"),
    "14": (False, "FOK"),
}
"""ORD_DVSN: whether it names a price, and how long it stays."""

_Row = TypeVar("_Row")


class _Call(NamedTuple):
    tr_id: str
    tr_cont: str
    fields: Mapping[str, str]

    def get(self, name: str) -> str:
        return str(self.fields.get(name, ""))

    def number(self, name: str) -> int:
        text = self.get(name)
        if not (text.isascii() and text.isdigit()):
            raise Refused(200, "OPSQ2002", "ERROR : INPUT INVALID_CHECK_FIELD_LENGTH", "2")
        return int(text)


_Handler = Callable[[_Call], Answer]


class Rest:
    """The interface over a venue.

    Args:
        venue: The market and the account.
        access: The app key.
        faults: What goes wrong with orders.
        wall: The monotonic wall clock, seconds.
    """

    def __init__(
        self, venue: Venue, access: Access, faults: Faults, wall: Callable[[], float]
    ) -> None:
        self._venue, self._access, self._faults, self._wall = venue, access, faults, wall
        trading, quotations = (
            f"/uapi/domestic-stock/v1/{part}" for part in ("trading", "quotations")
        )
        self._routes: dict[tuple[str, str], tuple[tuple[str, ...], _Handler]] = {
            ("POST", f"{trading}/order-cash"): (("TTTC0012U", "TTTC0011U"), self._order),
            ("POST", f"{trading}/order-rvsecncl"): (("TTTC0013U",), self._change),
            ("GET", f"{trading}/inquire-daily-ccld"): (("TTTC0081R",), self._listing),
            ("GET", f"{trading}/inquire-balance"): (("TTTC8434R",), self._balance),
            ("GET", f"{quotations}/inquire-price"): (("FHKST01010100",), self._price),
            ("GET", f"{quotations}/inquire-asking-price-exp-ccn"): (
                ("FHKST01010200",),
                self._asking,
            ),
            ("GET", f"{quotations}/intstock-multprice"): (("FHKST11300006",), self._many),
            ("GET", f"{quotations}/chk-holiday"): (("CTCA0903R",), self._holiday),
        }

    def answer(self, request: Request) -> Answer:
        """Answer one call at market time as it stands."""
        try:
            return self._dispatch(request)
        except Refused as refused:
            return refused.answer

    def _dispatch(self, request: Request) -> Answer:
        fields = _fields(request)
        if request.path == "/oauth2/tokenP":
            return self._access.give_token(fields, self._venue.now, self._wall())
        if request.path == "/oauth2/Approval":
            return self._access.give_approval(fields)
        route = self._routes.get((request.method, request.path))
        if route is None:
            raise Refused(404, "OPSQ0002", "없는 서비스 코드 입니다.")
        tr_ids, handle = route
        asked = request.headers.get("tr_id", "")
        tr_id = next((each for each in tr_ids if each[1:] == asked[1:]), tr_ids[0])
        self._access.admit(request.headers, tr_id, self._venue.now)
        return handle(_Call(tr_id, request.headers.get("tr_cont", "").strip(), fields))

    # -- orders --------------------------------------------------------------------------------

    def _order(self, call: _Call) -> Answer:
        self._own(call)
        side: Side = BUY if call.tr_id == "TTTC0012U" else SELL
        terms = self._terms(call, side, call.get("PDNO"), call.number("ORD_QTY"))
        refused = self._venue.account.refuse(side, terms["symbol"], terms["ceiling"], terms["qty"])
        if refused is not None:
            raise Refused(200, *refused, "7")
        fault = self._faults.next()
        if fault == "reject":
            self._note(fault, self._venue.refuse(REFUSAL[0], **terms))
            raise Refused(200, *REFUSAL, "7")
        order = self._venue.book(**terms)
        if fault is not None:
            self._note(fault, order)
        return self._taken(order.no, fault)

    def _change(self, call: _Call) -> Answer:
        self._own(call)
        order = self._venue.account.orders.get(call.number("ORGN_ODNO"))
        if order is None:
            raise Refused(200, *_NO_ORIGINAL, "7")
        qty = order.left if call.get("QTY_ALL_ORD_YN") == "Y" else call.number("ORD_QTY")
        if not 0 < qty <= order.left:
            raise Refused(200, *_TOO_MANY, "7")
        if call.get("RVSE_CNCL_DVSN_CD") == "02":
            return self._taken(self._venue.cancel(order, qty), None)
        terms = self._terms(call, order.side, order.symbol, qty)
        dearer = terms["ceiling"] - order.ceiling
        if order.side == BUY and dearer > 0:
            refused = self._venue.account.refuse(BUY, order.symbol, dearer, qty)
            if refused is not None:
                raise Refused(200, *refused, "7")
        self._venue.cancel(order, qty, "correct")
        return self._taken(self._venue.book(**(terms | {"original": order.no})).no, None)

    def _terms(self, call: _Call, side: Side, symbol: str, qty: int) -> dict[str, Any]:
        """Check an order against the rules of the day and return it as the venue takes it."""
        market = self._venue.market
        kind, price = call.get("ORD_DVSN"), call.number("ORD_UNPR")
        row = market.row.get(symbol)
        if row is None:
            raise Refused(200, *_UNKNOWN, "7")
        if kind not in _KINDS:
            raise Refused(200, *_BAD_KIND, "7")
        priced, tif = _KINDS[kind]
        lower, upper = int(market.lower[row]), int(market.upper[row])
        wrong = (
            (not self._takes(tif), _CLOSED),
            (not market.traded[row], _HALTED),
            (qty <= 0, _BAD_QTY),
            (priced and not (market.grid.holds(price) and lower <= price <= upper), _BAD_PRICE),
        )
        for holds, refusal in wrong:
            if holds:
                raise Refused(200, *refusal, "7")
        return {
            "original": 0,
            "symbol": symbol,
            "segment": market.segments[row],
            "side": side,
            "price": price if priced else None,
            "ceiling": price if priced else upper,
            "qty": qty,
            "kind": kind,
            "tif": tif,
        }

    def _takes(self, tif: TimeInForce) -> bool:
        """Say whether the market takes an order now; calls take no IOC and no FOK."""
        day = self._venue.market.session
        if day.open + RANDOM_END_MAX <= self._venue.now < day.closing_auction:
            return True
        return day.opening_auction <= self._venue.now < day.close and tif == "DAY"

    def _taken(self, number: int, fault: str | None) -> Answer:
        output = {
            "KRX_FWDG_ORD_ORGNO": BRANCH,
            "ODNO": f"{number:010d}",
            "ORD_TMD": hhmmss(self._venue.now),
        }
        message = {"rt_cd": "0", "msg_cd": "APBK0013", "msg1": "주문 전송 완료 되었습니다."}
        return Answer(200, {**message, "output": output}, fault=fault)

    def _note(self, fault: str, order: Booked) -> None:
        facts = {"kind": fault, "order_no": order.no, "symbol": order.symbol}
        self._venue.journal.write("fault", self._venue.now, **facts)

    # -- the account ---------------------------------------------------------------------------

    def _listing(self, call: _Call) -> Answer:
        self._own(call)
        market, today = self._venue.market, f"{self._venue.market.session.date:%Y%m%d}"
        found = [o for o in self._venue.account.orders.values() if _asked(call, o, today)]
        if call.get("INQR_DVSN") != "01":
            found.reverse()
        total = {
            "tot_ord_qty": str(sum(o.qty for o in found)),
            "tot_ccld_qty": str(sum(o.filled for o in found)),
            "tot_ccld_amt": str(sum(o.amount for o in found)),
            "prsm_tlex_smtl": str(sum(o.fee + o.tax for o in found)),
        }
        shown, context, more = self._page(call, found, ROWS_MAX)
        output = [rows.order_row(o, market.names[market.row[o.symbol]], today) for o in shown]
        return Answer(200, {**_FINE, **context, "output1": output, "output2": total}, more)

    def _balance(self, call: _Call) -> Answer:
        self._own(call)
        account, market = self._venue.account, self._venue.market
        held = [(symbol, h) for symbol, h in sorted(account.holdings.items()) if h.qty]
        found = quotes(self._venue, [market.row[symbol] for symbol, _ in held])
        output, value = [], 0
        for (symbol, holding), quote in zip(held, found, strict=True):
            row = market.row[symbol]
            price = quote.price or int(market.base[row])
            value += price * holding.qty
            output.append(
                {
                    "pdno": symbol,
                    "prdt_name": market.names[row],
                    "hldg_qty": str(holding.qty),
                    "ord_psbl_qty": str(account.orderable_shares(symbol)),
                    "pchs_avg_pric": f"{holding.cost / holding.qty:.4f}",
                    "pchs_amt": str(holding.cost),
                    "prpr": str(price),
                    "evlu_amt": str(price * holding.qty),
                    "evlu_pfls_amt": str(price * holding.qty - holding.cost),
                }
            )
        shown, context, more = self._page(call, output, BALANCE_ROWS_MAX)
        total = [self._totals(value)]
        return Answer(200, {**_FINE, **context, "output1": shown, "output2": total}, more)

    def _totals(self, value: int) -> dict[str, str]:
        account = self._venue.account
        orders = account.orders.values()
        bought = sum(o.amount for o in orders if o.side == BUY)
        sold = sum(o.amount for o in orders if o.side == SELL)
        costs = sum(o.fee + o.tax for o in orders)
        settled = account.cash + bought - sold + costs
        return {
            "dnca_tot_amt": str(settled),
            "nxdy_excc_amt": str(settled),
            "prvs_rcdl_excc_amt": str(account.cash),
            "thdt_buy_amt": str(bought),
            "thdt_sll_amt": str(sold),
            "thdt_tlex_amt": str(costs),
            "scts_evlu_amt": str(value),
            "tot_evlu_amt": str(value + account.cash),
            "nass_amt": str(value + account.cash),
        }

    def _page(
        self, call: _Call, found: Sequence[_Row], most: Mapping[str, int]
    ) -> tuple[Sequence[_Row], dict[str, str], bool]:
        """Return one page, the context that asks for the next, and whether there is one."""
        size = most[self._access.environment]
        text = call.get("CTX_AREA_NK100").strip()
        start = int(text) if call.tr_cont == "N" and text.isdigit() else 0
        end = start + size
        more = end < len(found)
        key = call.get("CTX_AREA_FK100")
        context = {"ctx_area_fk100": key, "ctx_area_nk100": str(end) if more else ""}
        return found[start:end], context, more

    def _own(self, call: _Call) -> None:
        if call.get("CANO") + call.get("ACNT_PRDT_CD") != self._access.account:
            raise Refused(200, "OPSQ2000", "ERROR : INPUT INVALID_CHECK_ACNO", "2")

    # -- quotes --------------------------------------------------------------------------------

    def _price(self, call: _Call) -> Answer:
        row, quote = self._one(call)
        market = self._venue.market
        base = int(market.base[row])
        output = rows.price_row(quote, base, self._limits(row)) | {
            "stck_shrn_iscd": market.symbols[row],
            "rprs_mrkt_kor_name": market.segments[row],
            "aspr_unit": str(market.grid.tick(quote.price or base)),
            "lstn_stcn": str(market.shares[row]),
            "temp_stop_yn": "N" if market.traded[row] else "Y",
        }
        return Answer(200, {**_FINE, "output": output})

    def _asking(self, call: _Call) -> Answer:
        row, quote = self._one(call)
        last = {"stck_prpr": str(quote.price), "stck_shrn_iscd": self._venue.market.symbols[row]}
        output = rows.asking_row(quote, self._venue.now)
        return Answer(200, {**_FINE, "output1": output, "output2": last})

    def _many(self, call: _Call) -> Answer:
        market = self._venue.market
        asked = [call.get(f"FID_INPUT_ISCD_{n}") for n in range(1, QUOTES_PER_CALL_MAX + 1)]
        found = [market.row[symbol] for symbol in asked if symbol in market.row]
        output = [
            rows.quote_row(
                market.symbols[row],
                market.names[row],
                int(market.base[row]),
                quote,
                self._limits(row),
            )
            for row, quote in zip(found, quotes(self._venue, found), strict=True)
        ]
        return Answer(200, {**_FINE, "output": output})

    def _one(self, call: _Call) -> tuple[int, Quote]:
        row = self._venue.market.row.get(call.get("FID_INPUT_ISCD"))
        if row is None:
            raise Refused(200, *_UNKNOWN, "7")
        return row, quotes(self._venue, [row])[0]

    def _limits(self, row: int) -> tuple[int, int]:
        return int(self._venue.market.lower[row]), int(self._venue.market.upper[row])

    def _holiday(self, call: _Call) -> Answer:
        try:
            first = datetime.strptime(call.get("BASS_DT"), "%Y%m%d").replace(tzinfo=UTC).date()
        except ValueError as error:
            raise Refused(
                200, "OPSQ2002", "ERROR : INPUT INVALID_CHECK_FIELD_LENGTH", "2"
            ) from error
        days = [first + timedelta(days=n) for n in range(HOLIDAY_DAYS)]
        return Answer(200, {**_FINE, "output": [rows.day_row(day) for day in days]})


def _fields(request: Request) -> Mapping[str, str]:
    if request.method == "GET":
        return dict(parse_qsl(request.query, keep_blank_values=True))
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise Refused(500, *_BODY) from error
    if not isinstance(body, dict):
        raise Refused(500, *_BODY)
    return body


def _asked(call: _Call, order: Booked, today: str) -> bool:
    """Say whether a listing's filters let an order through."""
    first, last = call.get("INQR_STRT_DT"), call.get("INQR_END_DT")
    number = call.get("ODNO")
    side, filled = call.get("SLL_BUY_DVSN_CD"), call.get("CCLD_DVSN")
    return (
        (not first or first <= today)
        and (not last or today <= last)
        and call.get("PDNO") in {"", order.symbol}
        and (not number.isdigit() or int(number) == order.no)
        and side in {"", "00", "02" if order.side == BUY else "01"}
        and (filled != "01" or order.filled > 0)
        and (filled != "02" or order.left > 0)
    )
