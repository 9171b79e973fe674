"""The brokerage by REST: orders that are sent once, and reads that raise ``Transient``.

KIS takes no id of ours, so an order is not idempotent and is never repeated here.  Who gets
``Unknown`` asks ``daily_orders``; ``transport`` says which answer means what.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from infra.kis import models
from infra.kis.governor import Lane
from infra.kis.outcomes import Outcome
from infra.kis.transport import Transport
from schemas.errors import Fatal, Misconfigured, Transient
from schemas.units import Shares, Symbol, Won

MULTI_NAMES_MAX: Final = 30

Side = Literal["buy", "sell"]
LIMIT: Final = "00"
MARKET: Final = "01"

_TRADING: Final = "/uapi/domestic-stock/v1/trading/"
_QUOTES: Final = "/uapi/domestic-stock/v1/quotations/"


class Account(NamedTuple):
    """An account: eight digits and the product's two; its text form is masked."""

    number: str
    product: str

    def __repr__(self) -> str:
        """Return the type alone: account numbers do not belong in logs."""
        return "Account(...)"

    @classmethod
    def of(cls, text: str) -> "Account":
        """Read "12345678-01" or "1234567801".

        Raises:
            Misconfigured: It is neither.
        """
        digits = text.replace("-", "")
        if len(digits) != 10 or not digits.isdigit():  # noqa: PLR2004 -- 8 + 2 digits
            raise Misconfigured(
                f"expected an account of 8 + 2 digits, was {len(text)} characters; "
                "set AEGIS_KIS__ACCOUNT like 12345678-01"
            )
        return cls(digits[:8], digits[8:])


class KisClient:
    """The brokerage by REST.

    Args:
        transport: Calls of the app key.
        account: Whose orders and money.
        mock: The mock environment: V-ids, KRX only.
    """

    def __init__(self, transport: Transport, *, account: Account, mock: bool = False) -> None:
        self._calls = transport
        self._account = account
        self._mock = mock

    async def order_cash(
        self,
        *,
        symbol: Symbol,
        side: Side,
        qty: Shares,
        price: Won | None,
        send_by_s: float | None = None,
    ) -> Outcome:
        """Send one cash order, once.

        Args:
            symbol: Short code.
            side: buy or sell.
            qty: Shares, > 0.
            price: Limit in won; None orders at market.
            send_by_s: Monotonic instant after which it must not leave; None: no deadline.

        Returns:
            What is known of it.
        """
        body = {
            **self._whose(),
            "PDNO": symbol,
            "ORD_DVSN": MARKET if price is None else LIMIT,
            "ORD_QTY": str(qty),
            "ORD_UNPR": "0" if price is None else str(price),
            "EXCG_ID_DVSN_CD": "KRX",
        }
        if side == "sell":
            body["SLL_TYPE"] = "01"
        tr_id = self._tr("TTTC0012U" if side == "buy" else "TTTC0011U")
        return await self._calls.send(
            Lane.ORDER, _TRADING + "order-cash", tr_id, body, send_by_s=send_by_s
        )

    async def cancel(
        self,
        *,
        order_no: int,
        org_no: str,
        qty: Shares | None = None,
        send_by_s: float | None = None,
    ) -> Outcome:
        """Cancel an order, once.

        Args:
            order_no: Their number.
            org_no: As accepted.
            qty: Shares to cancel; None cancels all that is left.
            send_by_s: As in ``order_cash``.

        Returns:
            What is known of the cancel, which has its own number.
        """
        return await self._change(
            Lane.CANCEL, "02", order_no, org_no, qty, price=None, send_by_s=send_by_s
        )

    async def revise(
        self,
        *,
        order_no: int,
        org_no: str,
        price: Won,
        qty: Shares | None = None,
        send_by_s: float | None = None,
    ) -> Outcome:
        """Give an order another limit, once; it loses its place in the queue.

        Args:
            order_no: Their number.
            org_no: As accepted.
            price: New limit in won.
            qty: Shares to re-price; None: all that is left.
            send_by_s: As in ``order_cash``.

        Returns:
            What is known of the revision, which has its own number.
        """
        return await self._change(
            Lane.ORDER, "01", order_no, org_no, qty, price=price, send_by_s=send_by_s
        )

    async def daily_orders(
        self, date: str, *, symbol: Symbol | None = None
    ) -> tuple[models.DailyOrder, ...]:
        """List the orders of a day, all pages, oldest first.

        Args:
            date: YYYYMMDD.
            symbol: Only this name; None lists all.

        Returns:
            Every order once; a listing shorter than all pages is never returned.

        Raises:
            Transient: A page did not come, or could not be read.
        """
        query = {
            **self._whose(),
            "INQR_STRT_DT": date,
            "INQR_END_DT": date,
            "SLL_BUY_DVSN_CD": "00",
            "PDNO": symbol or "",
            "ORD_GNO_BRNO": "",
            "ODNO": "",
            "CCLD_DVSN": "00",
            "INQR_DVSN": "01",
            "INQR_DVSN_1": "",
            "INQR_DVSN_3": "00",
            "EXCG_ID_DVSN_CD": "KRX" if self._mock else "ALL",
        }
        rows: dict[tuple[str, int], models.DailyOrder] = {}
        async for page in self._calls.pages(
            _TRADING + "inquire-daily-ccld", self._tr("TTTC0081R"), query
        ):
            for row in models.read_rows(models.DailyOrder, page.get("output1", [])):
                rows[row.date, row.order_no] = row
        return tuple(rows.values())

    async def balance(self) -> models.Balance:
        """Return positions and cash, all pages.

        Raises:
            Transient: A page did not come, or could not be read.
        """
        query = {
            **self._whose(),
            "AFHR_FLPR_YN": "N",
            "OFL_YN": "",
            "INQR_DVSN": "02",
            "UNPR_DVSN": "01",
            "FUND_STTL_ICLD_YN": "N",
            "FNCG_AMT_AUTO_RDPT_YN": "N",
            "PRCS_DVSN": "00",
        }
        holdings: dict[Symbol, models.Holding] = {}
        cash: tuple[models.Cash, ...] = ()
        async for page in self._calls.pages(
            _TRADING + "inquire-balance", self._tr("TTTC8434R"), query
        ):
            for row in models.read_rows(models.Holding, page.get("output1", [])):
                holdings[row.symbol] = row
            cash = models.read_rows(models.Cash, page.get("output2", [])) or cash
        if not cash:
            raise Transient("expected the account's cash in output2, was none")
        return models.Balance(tuple(holdings.values()), cash[0])

    async def price(self, symbol: Symbol) -> models.Price:
        """Return the last price of a name.

        Raises:
            Transient: It did not come, or could not be read.
        """
        query = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": symbol}
        page = await self._calls.get(Lane.QUOTE, _QUOTES + "inquire-price", "FHKST01010100", query)
        return models.read(models.Price, page.body.get("output"))

    async def asking_price(self, symbol: Symbol) -> models.AskingPrice:
        """Return ten levels a side.

        Raises:
            Transient: They did not come, or could not be read.
        """
        query = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": symbol}
        path = _QUOTES + "inquire-asking-price-exp-ccn"
        page = await self._calls.get(Lane.QUOTE, path, "FHKST01010200", query)
        return models.read_asking_price(page.body.get("output1"))

    async def prices(self, symbols: Sequence[Symbol]) -> "Sweep":
        """Return the last prices of at most 30 names in one call; the mock has no such call.

        Args:
            symbols: 1..30 short codes.

        Returns:
            The prices, and the body as received for ``raw.kis``.

        Raises:
            Transient: They did not come, or could not be read.
        """
        if not 1 <= len(symbols) <= MULTI_NAMES_MAX:
            raise Fatal(f"expected 1 to {MULTI_NAMES_MAX} names a call, was {len(symbols)}")
        query: dict[str, str] = {}
        for place, symbol in enumerate(symbols, start=1):
            query[f"FID_COND_MRKT_DIV_CODE_{place}"] = "J"
            query[f"FID_INPUT_ISCD_{place}"] = symbol
        path = _QUOTES + "intstock-multprice"
        page = await self._calls.get(Lane.QUOTE, path, "FHKST11300006", query)
        rows = models.read_rows(models.MultiPrice, page.body.get("output"))
        return Sweep(rows, page.text)

    async def holidays(self, date: str) -> tuple[models.Holiday, ...]:
        """Return the calendar from a day on; ask once a day, the mock has no such call.

        Raises:
            Transient: It did not come, or could not be read.
        """
        query = {"BASS_DT": date, "CTX_AREA_NK": "", "CTX_AREA_FK": ""}
        page = await self._calls.get(Lane.QUOTE, _QUOTES + "chk-holiday", "CTCA0903R", query)
        return models.read_rows(models.Holiday, page.body.get("output"))

    async def _change(
        self,
        lane: Lane,
        what: str,
        order_no: int,
        org_no: str,
        qty: Shares | None,
        *,
        price: Won | None,
        send_by_s: float | None,
    ) -> Outcome:
        body = {
            **self._whose(),
            "KRX_FWDG_ORD_ORGNO": org_no,
            "ORGN_ODNO": f"{order_no:010d}",
            "ORD_DVSN": LIMIT,
            "RVSE_CNCL_DVSN_CD": what,
            "ORD_QTY": str(qty or 0),
            "ORD_UNPR": str(price or 0),
            "QTY_ALL_ORD_YN": "Y" if qty is None else "N",
            "EXCG_ID_DVSN_CD": "KRX",
        }
        return await self._calls.send(
            lane,
            _TRADING + "order-rvsecncl",
            self._tr("TTTC0013U"),
            body,
            send_by_s=send_by_s,
        )

    def _whose(self) -> dict[str, str]:
        return {"CANO": self._account.number, "ACNT_PRDT_CD": self._account.product}

    def _tr(self, tr_id: str) -> str:
        return f"V{tr_id[1:]}" if self._mock else tr_id


class Sweep(NamedTuple):
    """Last prices of up to 30 names, and the body as received."""

    rows: tuple[models.MultiPrice, ...]
    text: str
