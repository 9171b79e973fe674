"""The simulated brokerage over real sockets: one process, real clients, market time in a loop."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from websockets.asyncio.client import ClientConnection, connect

from infra.clock import SLACK_IDLE, ExchangeClock
from infra.exchange.journal import read_journal
from infra.exchange.synthetic import write_market
from schemas.errors import Fatal, Misconfigured
from schemas.kis import encode
from schemas.kis.frames import Control, DataFrame, parse
from schemas.kis.views import notice_of
from schemas.krx.sessions import kst_midnight
from schemas.units import SECOND, Micros

DAY = date(2026, 2, 10)
ROOT = Path(__file__).parents[2]
KEYS = {"appkey": "simulated-key", "appsecret": "simulated-secret"}
ACCOUNT = {"CANO": "50199202", "ACNT_PRDT_CD": "01"}
TRADING = "/uapi/domestic-stock/v1/trading"
WAIT_S = 60.0

Start = Callable[..., AbstractContextManager["Running"]]


class Running:
    """An exchange process and what it said when it was ready."""

    def __init__(self, process: subprocess.Popen[str], journal: Path) -> None:
        self.process, self.journal = process, journal
        assert process.stdout is not None
        self.ready: dict[str, Any] = json.loads(process.stdout.readline())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a seeded market."""
    made = tmp_path_factory.mktemp("market")
    write_market(made, seed=2, names=80, sessions=10, day=DAY)
    return made


@pytest.fixture
def start(folder: Path, tmp_path: Path) -> Start:
    """Return a starter of exchanges; options as on the command line."""

    @contextmanager
    def begin(*options: str) -> Iterator[Running]:
        journal = tmp_path / "exchange.journal.jsonl"
        command = [sys.executable, "-m", "infra.exchange", "--data", str(folder)]
        command += ["--date", DAY.isoformat(), "--journal", str(journal), *options]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AEGIS_")}
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
        ) as process:
            try:
                yield Running(process, journal)
            finally:
                process.terminate()
                process.wait(WAIT_S)

    return begin


class Trader:
    """A client of REST and websocket that paces time by the frames it has read."""

    def __init__(self, http: httpx.AsyncClient, socket: ClientConnection, approval: str) -> None:
        self.http, self.socket, self.approval = http, socket, approval
        self.token, self.key, self.iv = "", "", ""
        self.second = -1
        self.notices: list[Any] = []
        self.frames: list[DataFrame] = []

    async def ask(self, tr_id: str, key: str, tr_type: str = "1", approval: str = "") -> Control:
        text = encode.registration(approval or self.approval, tr_id, key, tr_type=tr_type)
        await self.socket.send(text)
        while True:
            answer = await self.read()
            if isinstance(answer, Control) and answer.kind != "pingpong":
                return answer

    async def read(self) -> Control | DataFrame:
        text = await asyncio.wait_for(self.socket.recv(), WAIT_S)
        assert isinstance(text, str)
        message = parse(text)
        if isinstance(message, Control):
            if message.kind == "pingpong":
                await self.socket.send(text)
                self._at(json.loads(text)["header"]["datetime"][8:])
            return message
        if message.encrypted:
            self.notices.append(notice_of(self._open(message.records[0][0]).split("^")))
        else:
            self.frames.append(message)
            for record in message.records:
                self._at(record[1])
        return message

    async def call(self, method: str, path: str, tr_id: str, fields: dict[str, str]) -> Any:
        headers = KEYS | {"authorization": f"Bearer {self.token}", "tr_id": tr_id, "custtype": "P"}
        asked = {"params": fields} if method == "GET" else {"json": fields}
        answer = await self.http.request(method, path, headers=headers, **asked)  # type: ignore[arg-type] # one of two
        return answer.json()

    async def order(self, symbol: str, price: int, qty: int) -> Any:
        terms = {"PDNO": symbol, "ORD_DVSN": "00" if price else "01", "ORD_QTY": str(qty)}
        terms |= {"ORD_UNPR": str(price), "EXCG_ID_DVSN_CD": "KRX"}
        return await self.call("POST", f"{TRADING}/order-cash", "TTTC0012U", ACCOUNT | terms)

    async def until(self, clock: ExchangeClock, hhmm: str) -> None:
        goal = int(hhmm[:2]) * 3600 + int(hhmm[2:]) * 60
        while self.second < goal:
            before = self.second
            await self.read()
            if self.second > before:
                clock.report("kis", Micros(kst_midnight(DAY) + self.second * SECOND))

    def _at(self, hhmmss: str) -> None:
        second = int(hhmmss[:2]) * 3600 + int(hhmmss[2:4]) * 60 + int(hhmmss[4:])
        assert second >= self.second, "a connection's frames never go back"
        self.second = second

    def _open(self, sealed: str) -> str:
        cipher = Cipher(algorithms.AES(self.key.encode()), modes.CBC(self.iv.encode()))
        decryptor = cipher.decryptor()
        plain = decryptor.update(base64.b64decode(sealed)) + decryptor.finalize()
        return plain[: -plain[-1]].decode()


async def _trader(running: Running, http: httpx.AsyncClient, socket: ClientConnection) -> Trader:
    body = {"grant_type": "client_credentials", **KEYS}
    token = (await http.post("/oauth2/tokenP", json=body)).json()["access_token"]
    trader = Trader(http, socket, await _approval(http))
    trader.token = token
    assert running.process.poll() is None
    ack = await trader.ask("H0STCNI0", "aegis")
    trader.key, trader.iv = ack.key, ack.iv
    return trader


async def _approval(http: httpx.AsyncClient) -> str:
    body = {"appkey": KEYS["appkey"], "secretkey": KEYS["appsecret"]}
    answer = await http.post("/oauth2/Approval", json=body | {"grant_type": "client_credentials"})
    return str(answer.json()["approval_key"])


async def _liquid(trader: Trader) -> list[str]:
    path = f"{TRADING}/inquire-balance"
    rows = (await trader.call("GET", path, "TTTC8434R", ACCOUNT))["output1"]
    return [row["pdno"] for row in rows]


def _open_socket(running: Running) -> Any:
    return connect(running.ready["ws"], ping_interval=None, max_queue=None)


def test_an_order_is_accepted_filled_noticed_listed_and_settled(start: Start) -> None:
    with start("--pacing", "kis", "--end", "09:20", "--grace-s", "30") as running:
        asyncio.run(_trade(running))

        record = read_journal(running.journal)
        assert len(record.fills) >= 2
        assert record.closed is not None
        assert (record.closed["cash"], record.closed["holdings"]) == (record.cash, record.holdings)


async def _trade(running: Running) -> None:
    clock = ExchangeClock(running.ready["clock"])
    async with (
        httpx.AsyncClient(base_url=running.ready["rest"], timeout=WAIT_S) as http,
        _open_socket(running) as socket,
    ):
        trader = await _trader(running, http, socket)
        symbol = (await _liquid(trader))[0]
        await trader.ask("H0STCNT0", symbol)
        await trader.ask("H0STASP0", symbol)
        clock.report("kis", clock.now())
        await trader.until(clock, "0905")

        bought = await trader.order(symbol, 0, 40)
        books = [frame for frame in trader.frames if frame.tr_id == "H0STASP0"]
        resting = await trader.order(symbol, int(books[-1].records[0][13]), 7)
        await trader.until(clock, "0912")
        path = f"{TRADING}/inquire-daily-ccld"
        rows = (await trader.call("GET", path, "TTTC0081R", ACCOUNT))["output1"]
        await trader.until(clock, "0920")
        clock.wait(Micros(kst_midnight(DAY) + 10 * 3600 * SECOND), WAIT_S)

        assert bought["msg_cd"] == resting["msg_cd"] == "APBK0013"
        listed = {int(row["odno"]): row for row in rows}
        first = listed[int(bought["output"]["ODNO"])]
        assert (first["ord_qty"], first["tot_ccld_qty"], first["rmn_qty"]) == ("40", "40", "0")
        mine = [n for n in trader.notices if n.order_no == int(bought["output"]["ODNO"])]
        assert mine[0].kind == "accepted"
        assert sum(n.fill_qty for n in mine) == 40
        assert sum(n.fill_qty * n.fill_price for n in mine) == int(first["tot_ccld_amt"])
        assert clock.ended
    clock.close()


def test_registrations_keys_and_sessions_are_limited_as_kis_does(start: Start) -> None:
    with start("--holdings", "30") as running:
        asyncio.run(_limits(running))


async def _limits(running: Running) -> None:
    async with (
        httpx.AsyncClient(base_url=running.ready["rest"], timeout=WAIT_S) as http,
        _open_socket(running) as socket,
    ):
        trader = await _trader(running, http, socket)
        symbols = await _liquid(trader)
        pairs = [(tr_id, s) for s in symbols for tr_id in ("H0STCNT0", "H0STASP0")]
        codes = [(await trader.ask(*pair)).code for pair in pairs[:41]]
        again = await trader.ask(*pairs[0])
        foreign = await trader.ask("H0UNCNT0", symbols[0])
        gone = await trader.ask(*pairs[0], tr_type="2")
        free = await trader.ask(*pairs[41])
        async with _open_socket(running) as second:
            other = Trader(http, second, await _approval(http))
            used = await other.ask("H0STCNT0", symbols[0])
            stale = await other.ask("H0STCNT0", symbols[0], approval="nobody")

        assert codes == ["OPSP0000"] * 40 + ["OPSP0008"]
        assert (again.code, gone.code, free.code) == ("OPSP0002", "OPSP0001", "OPSP0000")
        assert foreign.code in {"OPSP0008", "OPSP8991"}
        assert (used.code, stale.code) == ("OPSP8996", "OPSP0011")
        assert len(again.key) == 0
        assert (len(trader.key), len(trader.iv)) == (32, 16)


def test_a_lost_answer_is_booked_all_the_same(start: Start) -> None:
    with start("--pacing", "kis", "--begin", "08:59", "--faults", "lost=1") as running:
        asyncio.run(_lose(running))

        assert [fault["kind"] for fault in read_journal(running.journal).faults] == ["lost"]


async def _lose(running: Running) -> None:
    clock = ExchangeClock(running.ready["clock"])
    async with (
        httpx.AsyncClient(base_url=running.ready["rest"], timeout=WAIT_S) as http,
        _open_socket(running) as socket,
    ):
        trader = await _trader(running, http, socket)
        symbol = (await _liquid(trader))[0]
        with pytest.raises(httpx.RemoteProtocolError):
            await trader.order(symbol, 0, 3)
        path = f"{TRADING}/inquire-daily-ccld"
        rows = (await trader.call("GET", path, "TTTC0081R", ACCOUNT))["output1"]

        assert [(row["pdno"], row["ord_qty"]) for row in rows] == [(symbol, "3")]
    clock.close()


def test_time_stands_still_while_an_answer_is_withheld(start: Start) -> None:
    options = ("--pacing", "kis", "--begin", "09:10", "--faults", "late=1")
    with start(*options) as running:
        asyncio.run(_late(running))


async def _late(running: Running) -> None:
    clock = ExchangeClock(running.ready["clock"])
    async with (
        httpx.AsyncClient(base_url=running.ready["rest"], timeout=1.0) as http,
        _open_socket(running) as socket,
    ):
        trader = await _trader(running, http, socket)
        symbol = (await _liquid(trader))[0]
        before = clock.now()
        withheld = asyncio.create_task(trader.order(symbol, 0, 3))
        await asyncio.sleep(0.3)
        clock.report("kis", Micros(before + 5 * SECOND))
        await asyncio.sleep(0.3)
        frozen = clock.now()
        with pytest.raises(httpx.ReadTimeout):
            await withheld
        after = await asyncio.to_thread(clock.wait, Micros(before + SECOND), WAIT_S)

        assert frozen == before
        assert after > before
    clock.close()


def test_the_clock_freezes_without_its_roles_and_is_fatal_once_lost(start: Start) -> None:
    with start("--pacing", "kis,features", "--begin", "09:10") as running:
        kis, features = (ExchangeClock(running.ready["clock"]) for _ in range(2))
        begin = kis.now()
        kis.report("kis", begin)
        assert kis.wait(Micros(begin + SECOND), 0.3) == begin
        features.report("features", begin)
        moved = kis.wait(Micros(begin + SLACK_IDLE), WAIT_S)
        assert moved == begin + SLACK_IDLE

        features.close()
        with pytest.raises(Fatal, match="market time"):
            features.now()
        kis.report("kis", moved)
        assert kis.wait(Micros(moved + SECOND), 0.5) == moved
        running.process.terminate()
        running.process.wait(WAIT_S)
        with pytest.raises(Fatal, match="restart"):
            kis.wait(Micros(moved + SECOND), WAIT_S)
        kis.close()


def test_one_hop_of_market_time_takes_less_than_the_loop_would_notice(start: Start) -> None:
    with start("--pacing", "kis", "--begin", "09:10") as running:
        clock = ExchangeClock(running.ready["clock"])
        begun, hops = time.perf_counter(), 300
        for _ in range(hops):
            now = clock.now()
            clock.report("kis", now)
            clock.wait(Micros(now + SECOND), WAIT_S)
        each_ms = 1e3 * (time.perf_counter() - begun) / hops
        clock.close()

        assert each_ms < 20  # about 0.2 ms on an idle machine; this one may be shared


def test_the_exchange_ends_with_its_parent(folder: Path, tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-m',"
        "'infra.exchange',"
        f"'--data', {str(folder)!r}, '--date', '2026-02-10', '--journal', {str(tmp_path / 'j')!r},"
        "'--pacing', 'nobody'], stdout=subprocess.PIPE, text=True); p.stdout.readline();"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait(WAIT_S)
    deadline = time.monotonic() + WAIT_S
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{child}/stat").read_text().split(")")[1].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{child}").exists()


def test_a_clock_url_that_is_none_says_what_to_do() -> None:
    with pytest.raises(Misconfigured, match="AEGIS_CLOCK_URL"):
        ExchangeClock("http://127.0.0.1:1")
    with pytest.raises(Misconfigured, match="start the exchange first"):
        ExchangeClock("tcp://127.0.0.1:1")
