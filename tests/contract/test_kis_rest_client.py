"""The REST client against a server on a real socket: one send per order, every page, one token."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from infra.kis.auth import Auth, Keys
from infra.kis.governor import REAL, Governor, LocalBucket
from infra.kis.outcomes import Accepted, NotSent, Outcome, RejectedByBrokerage, Unknown
from infra.kis.rest import Account, KisClient
from infra.kis.transport import Transport, connect
from schemas.errors import Fatal, Misconfigured, Transient
from schemas.units import HOUR, KST_OFFSET, SECOND, Micros, Shares, Symbol, Won

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "kis"
SAMSUNG = Symbol("005930")
OPEN = Micros(1_770_681_600 * SECOND)  # 2026-02-10 09:00 KST
ORDER_OK = {
    "rt_cd": "0",
    "msg_cd": "APBK0013",
    "msg1": "ok",
    "output": {"KRX_FWDG_ORD_ORGNO": "06590", "ODNO": "0000006555", "ORD_TMD": "151059"},
}


class Request(NamedTuple):
    """What the server read."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: dict[str, Any]  # JSON has no type


class Reply(NamedTuple):
    """What the server answers; a status of 0 closes the connection without a word."""

    status: int
    body: Any  # JSON has no type
    headers: tuple[tuple[str, str], ...] = ()


class Server:
    """A brokerage of one function, on a free port of loopback."""

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.tokens = 0
        self.url = ""

    def calls(self, end: str) -> list[Request]:
        return [each for each in self.requests if each.path.endswith(end)]

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request = await self._request(head.decode(), reader)
                self.requests.append(request)
                reply = self._reply(request)
                if reply.status == 0:
                    break
                writer.write(_bytes(reply))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _request(self, head: str, reader: asyncio.StreamReader) -> Request:
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers.get("content-length", "0"))
        body = json.loads(await reader.readexactly(size)) if size else {}
        target = urlsplit(first.split(" ")[1])
        return Request(target.path, parse_qs(target.query, keep_blank_values=True), headers, body)

    def _reply(self, request: Request) -> Reply:
        if request.path == "/oauth2/tokenP":
            self.tokens += 1
        if request.path == "/oauth2/tokenP" and self.tokens < 9:
            return Reply(200, _token(f"token-{self.tokens}", "2026-02-11 09:00:00"))
        return self.answer(request)


def _token(token: str, expired: str) -> dict[str, Any]:
    return {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": 86400,
        "access_token_token_expired": expired,
    }


def _bytes(reply: Reply) -> bytes:
    body = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
    raw = body.encode()
    extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
    return f"HTTP/1.1 {reply.status} X\r\ncontent-length: {len(raw)}\r\n{extra}\r\n".encode() + raw


class Desk:
    """A client, its clock and its server."""

    def __init__(self, server: Server, var_dir: Path) -> None:
        self.server = server
        self.now = OPEN
        self.var_dir = var_dir
        self.halt: str | None = None
        self.monotonic = 100.0

    async def sleep_until(self, at: Micros) -> None:
        self.now = max(self.now, at)
        await asyncio.sleep(0)

    async def auth(self, stack: AsyncExitStack) -> Auth:
        http = await stack.enter_async_context(connect(self.server.url))
        keys = Keys(app_key=SecretStr("key"), app_secret=SecretStr("secret"))
        return Auth(
            http,
            keys=keys,
            var_dir=self.var_dir,
            now=lambda: self.now,
            sleep_until=self.sleep_until,
        )

    async def client(self, stack: AsyncExitStack, *, mock: bool = False) -> KisClient:
        http = await stack.enter_async_context(connect(self.server.url))
        bucket = LocalBucket(REAL)
        governor = Governor(bucket, now=lambda: self.now, sleep_until=self.sleep_until)
        transport = Transport(
            http,
            auth=await self.auth(stack),
            governor=governor,
            halted=lambda: self.halt,
            monotonic=lambda: self.monotonic,
        )
        return KisClient(transport, account=Account.of("50199202-01"), mock=mock)


Use = Callable[[Desk, AsyncExitStack], Awaitable[None]]


def play(answer: Callable[[Request], Reply], tmp_path: Path, use: Use) -> Server:
    """Run ``use`` against a server that answers with ``answer``."""
    server = Server(answer)

    async def main() -> None:
        listening = await server.start()
        async with AsyncExitStack() as stack:
            await use(Desk(server, tmp_path), stack)
        listening.close()

    asyncio.run(asyncio.wait_for(main(), 30))
    return server


async def _buy(client: KisClient, send_by_s: float | None = None) -> Outcome:
    return await client.order_cash(
        symbol=SAMSUNG, side="buy", qty=Shares(3), price=Won(70_000), send_by_s=send_by_s
    )


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (Reply(200, ORDER_OK), Accepted),
        (
            Reply(
                200,
                {
                    **ORDER_OK,
                    "output": {"odno": "6555", "krx_fwdg_ord_orgno": "1", "ord_tmd": "151059"},
                },
            ),
            Accepted,
        ),
        (Reply(200, {"rt_cd": "7", "msg_cd": "APBK0918", "msg1": "short"}), RejectedByBrokerage),
        (Reply(403, {"error_code": "EGW00004", "error_description": "no"}), RejectedByBrokerage),
        (Reply(200, {"rt_cd": "1", "msg_cd": "EGW00301", "msg1": "time"}), Unknown),
        (Reply(500, {"rt_cd": "1", "msg_cd": "EGW00302", "msg1": "time"}), Unknown),
        (Reply(500, {"rt_cd": "1", "msg_cd": "EGW00201", "msg1": "rate"}), Unknown),
        (Reply(429, {"rt_cd": "1", "msg_cd": "EGW00201", "msg1": "rate"}), Unknown),
        (Reply(500, {"rt_cd": "1", "msg_cd": "EGW00123", "msg1": "token"}), Unknown),
        (Reply(502, ORDER_OK), Unknown),
        (Reply(201, ORDER_OK), Unknown),
        (Reply(200, "<html>busy</html>"), Unknown),
        (Reply(200, {**ORDER_OK, "output": {}}), Unknown),
        (Reply(200, {**ORDER_OK, "output": None}), Unknown),
        (Reply(200, []), Unknown),
        (Reply(0, None), Unknown),
    ],
)
def test_an_order_is_sent_once_whatever_the_answer(
    reply: Reply, kind: type[object], tmp_path: Path
) -> None:
    outcomes: list[Outcome] = []

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        outcomes.append(await _buy(await desk.client(stack)))

    server = play(lambda _: reply, tmp_path, use)

    assert [type(each) for each in outcomes] == [kind]
    [sent] = server.calls("order-cash")
    assert sent.body == {
        "CANO": "50199202",
        "ACNT_PRDT_CD": "01",
        "PDNO": "005930",
        "ORD_DVSN": "00",
        "ORD_QTY": "3",
        "ORD_UNPR": "70000",
        "EXCG_ID_DVSN_CD": "KRX",
    }
    assert sent.headers["tr_id"] == "TTTC0012U"
    assert sent.headers["authorization"] == "Bearer token-1"


def test_an_accepted_order_has_their_number_as_a_number(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        outcome = await _buy(await desk.client(stack))
        assert outcome == Accepted(order_no=6555, org_no="06590", time="151059")

    play(lambda _: Reply(200, ORDER_OK), tmp_path, use)


@pytest.mark.parametrize(("late", "halt"), [(True, None), (False, "halted by hand")])
def test_no_byte_of_a_late_or_halted_order_reaches_the_brokerage(
    late: bool, halt: str | None, tmp_path: Path
) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        desk.halt = halt
        outcome = await _buy(await desk.client(stack), send_by_s=99.0 if late else 101.0)
        assert isinstance(outcome, NotSent)
        assert ("deadline" in outcome.reason) is late

    server = play(lambda _: Reply(200, ORDER_OK), tmp_path, use)

    assert server.calls("order-cash") == []


def test_a_halt_lets_cancels_pass_but_no_revision(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        desk.halt = "halted by hand"
        client = await desk.client(stack)
        cancelled = await client.cancel(order_no=1, org_no="1")
        revised = await client.revise(order_no=1, org_no="1", price=Won(1))
        assert isinstance(cancelled, Accepted)
        assert revised == NotSent("halted by hand")

    server = play(lambda _: Reply(200, ORDER_OK), tmp_path, use)

    assert len(server.calls("order-rvsecncl")) == 1


def test_the_deadline_is_asked_after_the_wait_for_a_turn(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        client = await desk.client(stack)
        first = await _buy(client, send_by_s=100.0)
        desk.monotonic = 100.5
        second = await _buy(client, send_by_s=100.0)
        assert isinstance(first, Accepted)
        assert isinstance(second, NotSent)

    server = play(lambda _: Reply(200, ORDER_OK), tmp_path, use)

    assert len(server.calls("order-cash")) == 1


def test_an_order_without_a_connection_is_not_sent(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        client = await desk.client(stack)
        await _buy(client)  # the token is there now
        gone = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0)
        port = gone.sockets[0].getsockname()[1]
        gone.close()
        await gone.wait_closed()
        client._calls._http.base_url = f"http://127.0.0.1:{port}"
        assert isinstance(await _buy(client), NotSent)

    play(lambda _: Reply(200, ORDER_OK), tmp_path, use)


def test_a_refused_token_is_renewed_before_the_next_order(tmp_path: Path) -> None:
    refused = Reply(500, {"rt_cd": "1", "msg_cd": "EGW00123", "msg1": "expired"})

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        client = await desk.client(stack)
        assert isinstance(await _buy(client), Unknown)
        assert isinstance(await _buy(client), Accepted)

    def answer(request: Request) -> Reply:
        old = request.headers["authorization"] == "Bearer token-1"
        return refused if old else Reply(200, ORDER_OK)

    server = play(answer, tmp_path, use)

    assert (server.tokens, len(server.calls("order-cash"))) == (2, 2)


def test_cancel_and_revise_speak_the_real_call(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        client = await desk.client(stack, mock=True)
        await client.cancel(order_no=6555, org_no="06590")
        await client.revise(order_no=6555, org_no="06590", price=Won(71_000), qty=Shares(2))
        await client.order_cash(symbol=SAMSUNG, side="sell", qty=Shares(1), price=None)

    server = play(lambda _: Reply(200, ORDER_OK), tmp_path, use)

    cancel, revise = server.calls("order-rvsecncl")
    assert (cancel.body["RVSE_CNCL_DVSN_CD"], cancel.body["QTY_ALL_ORD_YN"]) == ("02", "Y")
    assert (cancel.body["ORGN_ODNO"], cancel.headers["tr_id"]) == ("0000006555", "VTTC0013U")
    assert (revise.body["RVSE_CNCL_DVSN_CD"], revise.body["ORD_UNPR"]) == ("01", "71000")
    assert (revise.body["QTY_ALL_ORD_YN"], revise.body["ORD_QTY"]) == ("N", "2")
    [market] = server.calls("order-cash")
    assert (market.body["ORD_DVSN"], market.body["ORD_UNPR"]) == ("01", "0")
    assert (market.headers["tr_id"], market.body["SLL_TYPE"]) == ("VTTC0011U", "01")


def _row(number: int) -> dict[str, str]:
    return {
        "ord_dt": "20260210",
        "ord_gno_brno": "06590",
        "odno": f"{number:010d}",
        "orgn_odno": "",
        "ord_dvsn_cd": "00",
        "sll_buy_dvsn_cd": "02",
        "pdno": "005930",
        "ord_qty": "10",
        "ord_unpr": "70000",
        "ord_tmd": "100000",
        "tot_ccld_qty": "3",
        "tot_ccld_amt": "210000",
        "avg_prvs": "70000.0000",
        "rmn_qty": "7",
        "rjct_qty": "0",
        "cnc_cfrm_qty": "0",
        "cncl_yn": "N",
        "excg_id_dvsn_Cd": "KRX",
    }


def _paged(request: Request) -> Reply:
    page = int(request.query["CTX_AREA_NK100"][0] or "0")
    assert request.headers["tr_cont"] == ("N" if page else "")
    body = {
        "rt_cd": "0",
        "msg_cd": "KIOK0460",
        "msg1": "",
        "ctx_area_fk100": "x" + " " * 20,
        "ctx_area_nk100": str(page + 1),
        "output1": [_row(page * 2 + 1), _row(page * 2 + 2)],
        "output2": {},
    }
    return Reply(200, body, (("tr_cont", "FMD"[page]),))


def test_a_listing_follows_every_page(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        rows = await (await desk.client(stack)).daily_orders("20260210")
        assert [row.order_no for row in rows] == [1, 2, 3, 4, 5, 6]
        assert (rows[0].open_qty, rows[0].filled_qty, rows[0].side) == (7, 3, "buy")

    server = play(_paged, tmp_path, use)

    pages = server.calls("inquire-daily-ccld")
    assert len(pages) == 3
    assert pages[0].query["EXCG_ID_DVSN_CD"] == ["ALL"]


@pytest.mark.parametrize(
    "broken",
    [
        Reply(200, {"rt_cd": "0", "output1": []}, (("tr_cont", "M"),)),
        Reply(200, {"rt_cd": "0", "output1": [{**_row(1), "tot_ccld_qty": ""}]}),
        Reply(200, {"rt_cd": "0", "output1": [{**_row(1), "tot_ccld_qty": "1_0"}]}),
        Reply(200, {"rt_cd": "1", "msg_cd": "EGW00201", "msg1": "rate"}),
        Reply(500, "<html>"),
        Reply(0, None),
    ],
)
def test_a_broken_listing_is_transient_and_never_short(broken: Reply, tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        with pytest.raises(Transient):
            await (await desk.client(stack)).daily_orders("20260210")

    play(lambda _: broken, tmp_path, use)


def test_the_balance_has_positions_of_all_pages_and_d2_cash(tmp_path: Path) -> None:
    names = ["005930", "000660"]

    def answer(request: Request) -> Reply:
        page = int(request.query["CTX_AREA_NK100"][0] or "0")
        holding = {
            "PDNO": names[page],
            "hldg_qty": "10",
            "ORD_PSBL_QTY": "7",
            "pchs_avg_pric": "69000.5000",
            "prpr": "70000",
            "evlu_pfls_amt": "-995",
        }
        cash = {
            "dnca_tot_amt": "1000",
            "nxdy_excc_amt": "900",
            "prvs_rcdl_excc_amt": "800",
            "tot_evlu_amt": "1400800",
        }
        body = {"rt_cd": "0", "ctx_area_nk100": "1", "output1": [holding], "output2": [cash]}
        return Reply(200, body, (("tr_cont", "FD"[page]),))

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        balance = await (await desk.client(stack)).balance()
        assert [holding.symbol for holding in balance.holdings] == names
        assert balance.holdings[0].sellable_qty == 7
        assert balance.cash.settled == 800

    play(answer, tmp_path, use)


def test_thirty_names_go_in_one_call_and_no_more(tmp_path: Path) -> None:
    symbols = [Symbol(f"{number:06d}") for number in range(31)]

    def answer(request: Request) -> Reply:
        rows = [
            {
                "inter_shrn_iscd": request.query[f"FID_INPUT_ISCD_{place}"][0],
                **dict.fromkeys(
                    [
                        "inter2_prpr",
                        "inter2_oprc",
                        "inter2_hgpr",
                        "inter2_lwpr",
                        "inter2_askp",
                        "inter2_bidp",
                        "acml_vol",
                        "acml_tr_pbmn",
                    ],
                    "5",
                ),
            }
            for place in range(1, 31)
        ]
        return Reply(200, {"rt_cd": "0", "output": rows})

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        client = await desk.client(stack)
        sweep = await client.prices(symbols[:30])
        assert [row.symbol for row in sweep.rows] == symbols[:30]
        assert json.loads(sweep.text)["rt_cd"] == "0"
        with pytest.raises(Fatal, match="30 names"):
            await client.prices(symbols)

    play(answer, tmp_path, use)


def test_a_read_renews_a_refused_token_once(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        if request.headers["authorization"] == "Bearer token-1":
            return Reply(500, {"rt_cd": "1", "msg_cd": "EGW00123", "msg1": "expired"})
        return Reply(200, {"rt_cd": "0", "output": [{"bass_dt": "20260210", "opnd_yn": "Y"}]})

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        [day] = await (await desk.client(stack)).holidays("20260210")
        assert day.open

    assert play(answer, tmp_path, use).tokens == 2


def test_the_wrong_environment_is_misconfigured(tmp_path: Path) -> None:
    wrong = Reply(500, {"rt_cd": "1", "msg_cd": "EGW00213", "msg1": "mock"})

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        with pytest.raises(Misconfigured, match="EGW00213"):
            await (await desk.client(stack)).price(SAMSUNG)

    play(lambda _: wrong, tmp_path, use)


def test_ten_levels_by_rest(tmp_path: Path) -> None:
    levels = {
        f"{name}{level}": str(level)
        for name in ("askp", "bidp", "askp_rsqn", "bidp_rsqn")
        for level in range(1, 11)
    }
    output = {"aspr_acpt_hour": "100000", "total_askp_rsqn": "55", "total_bidp_rsqn": "55"}

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        book = await (await desk.client(stack)).asking_price(SAMSUNG)
        assert book.ask_prices == tuple(range(1, 11))
        assert book.bid_total == 55

    play(lambda _: Reply(200, {"rt_cd": "0", "output1": levels | output}), tmp_path, use)


def test_many_callers_and_processes_share_one_token(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        one, other = await desk.auth(stack), await desk.auth(stack)
        tokens = await asyncio.gather(*(auth.token() for auth in (one, other) * 5))
        assert set(tokens) == {"token-1"}
        [kept] = (desk.var_dir / "kis").glob("token-*.json")
        assert kept.stat().st_mode & 0o777 == 0o600

    assert play(lambda _: Reply(404, {}), tmp_path, use).tokens == 1


def test_a_token_is_renewed_after_twenty_hours(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        auth = await desk.auth(stack)
        first = await auth.token()
        desk.now = Micros(OPEN + 20 * HOUR - SECOND)
        assert await auth.token() == first
        desk.now = Micros(OPEN + 20 * HOUR)
        assert await auth.token() == "token-2"

    play(lambda _: Reply(404, {}), tmp_path, use)


def test_the_end_of_a_token_is_korean_time(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        desk.server.tokens = 8  # from now on the answer below
        auth = await desk.auth(stack)
        assert await auth.token() == "short"
        kept = auth._issued
        assert kept is not None
        assert kept.expires_at == OPEN + HOUR  # 10:00 KST, not 10:00 UTC
        assert (kept.expires_at + KST_OFFSET) % (24 * HOUR) == 10 * HOUR

    play(lambda _: Reply(200, _token("short", "2026-02-10 10:00:00")), tmp_path, use)


def test_a_second_issue_within_a_minute_waits_for_it(tmp_path: Path) -> None:
    too_soon = Reply(403, {"error_code": "EGW00133", "error_description": "1/min"})
    replies = [too_soon, Reply(200, _token("late", "2026-02-11 09:00:00"))]

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        desk.server.tokens = 8
        auth = await desk.auth(stack)
        assert await auth.token() == "late"
        assert desk.now == OPEN + 60 * SECOND

    play(lambda _: replies.pop(0), tmp_path, use)


def test_the_approval_call_names_the_secret_otherwise(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        assert await (await desk.auth(stack)).approval_key() == "uuid"

    server = play(lambda _: Reply(200, {"approval_key": "uuid"}), tmp_path, use)

    [sent] = server.calls("Approval")
    assert sent.body == {
        "grant_type": "client_credentials",
        "appkey": "key",
        "secretkey": "secret",
    }


def test_a_wrong_key_is_misconfigured_and_not_printed(tmp_path: Path) -> None:
    wrong = Reply(403, {"error_code": "EGW00103", "error_description": "key"})

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        auth = await desk.auth(stack)
        with pytest.raises(Misconfigured, match="AEGIS_KIS__APP_KEY"):
            await auth.approval_key()
        assert "secret" not in repr(auth.keys).replace("app_secret=", "")

    play(lambda _: wrong, tmp_path, use)


def test_a_revoked_token_is_gone(tmp_path: Path) -> None:
    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        auth = await desk.auth(stack)
        await auth.token()
        await auth.revoke()
        assert list((desk.var_dir / "kis").glob("token-*.json")) == []
        assert await auth.token() == "token-2"

    server = play(lambda _: Reply(200, {"code": 200}), tmp_path, use)

    [given_back] = server.calls("revokeP")
    assert given_back.body == {"appkey": "key", "appsecret": "secret", "token": "token-1"}


@pytest.mark.parametrize("text", ["5019920201", "50199202-01"])
def test_an_account_is_eight_and_two(text: str) -> None:
    account = Account.of(text)

    assert account == ("50199202", "01")
    assert "50199202" not in repr(account)
    with pytest.raises(Misconfigured, match=r"8 \+ 2"):
        Account.of("123")


@pytest.mark.data
@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data/kis is absent")
def test_the_real_bodies_parse(tmp_path: Path) -> None:
    bodies = json.loads((SHARED / "rest_responses.json").read_text())
    by_api: dict[str, list[dict[str, Any]]] = {}
    for each in bodies:
        by_api.setdefault(each["api"].split(" ")[0], []).append(each)
    prices = iter(by_api["inquire-price"])

    def answer(request: Request) -> Reply:
        call = request.path.rsplit("/", 1)[1]
        each = next(prices) if call == "inquire-price" else by_api[call][0]
        return Reply(each["http"], each["body"])

    async def use(desk: Desk, stack: AsyncExitStack) -> None:
        client = await desk.client(stack)
        hynix, other = await client.price(SAMSUNG), await client.price(SAMSUNG)
        assert (hynix.price, hynix.upper_limit, hynix.lower_limit) == (128_500, 167_000, 90_000)
        assert (other.symbol, other.base_price, other.change) == ("228670", 37_850, 350)
        assert isinstance(await _buy(client), Accepted)
        outcome = await client.cancel(order_no=1, org_no="1")
        assert isinstance(outcome, RejectedByBrokerage)
        assert outcome.code == "APBK1359"
        auth = await desk.auth(stack)
        assert (await auth.approval_key()).startswith("a2585daf")

    play(answer, tmp_path, use)
