"""The REST interface: KIS's errors, its pages, its one token a minute."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from infra.exchange.access import Access, Answer, Request
from infra.exchange.faults import Faults, parse
from infra.exchange.rest import Rest
from infra.exchange.venue import Venue
from schemas.errors import Misconfigured
from schemas.units import MINUTE, SECOND, Micros

TRADING = "/uapi/domestic-stock/v1/trading"
QUOTATIONS = "/uapi/domestic-stock/v1/quotations"
ACCOUNT = {"CANO": "50199202", "ACNT_PRDT_CD": "01"}


class Client:
    """A caller with a token, over a venue, without a socket."""

    def __init__(self, venue: Venue, faults: Faults, environment: str = "real") -> None:
        self.venue, self.wall = venue, 0.0
        access = Access(
            app_key="k",
            app_secret="s",  # noqa: S106 -- nobody's secret
            account="5019920201",
            environment=environment,
            seed=1,
        )
        self.rest = Rest(venue, access, faults, lambda: self.wall)
        self.token = self.ask_token().body["access_token"]

    def ask_token(self) -> Answer:
        body = {"grant_type": "client_credentials", "appkey": "k", "appsecret": "s"}
        return self.send("POST", "/oauth2/tokenP", {}, body)

    def send(
        self, method: str, path: str, headers: dict[str, str], body: dict[str, str] | None = None
    ) -> Answer:
        query = "" if method == "POST" else "&".join(f"{k}={v}" for k, v in (body or {}).items())
        content = json.dumps(body).encode() if method == "POST" else b""
        return self.rest.answer(Request(method, path, query, headers, content))

    def call(self, method: str, path: str, tr_id: str, body: dict[str, str], **more: str) -> Answer:
        headers = {
            "authorization": f"Bearer {self.token}",
            "appkey": "k",
            "appsecret": "s",
            "tr_id": tr_id,
        }
        self.venue.now += SECOND  # a second of market time per call: no rate limit in the way
        return self.send(method, path, headers | more, body)

    def order(
        self, symbol: str, price: int, qty: int, tr_id: str = "TTTC0012U", **more: str
    ) -> Any:
        terms = {"PDNO": symbol, "ORD_DVSN": "00" if price else "01", "ORD_QTY": str(qty)}
        terms |= {"ORD_UNPR": str(price), "EXCG_ID_DVSN_CD": "KRX"}
        return self.call("POST", f"{TRADING}/order-cash", tr_id, ACCOUNT | terms | more).body


MakeClient = Callable[..., Client]


@pytest.fixture
def client(make_venue: Callable[..., Venue], ladder: Any) -> MakeClient:
    """Return a maker of clients five minutes into the session."""

    def make(faults: str = "", environment: str = "real") -> Client:
        at = Micros(ladder.market.session.open + 5 * MINUTE)
        return Client(make_venue(at), parse(faults, 7), environment)

    return make


def _name(client: Client) -> tuple[str, int]:
    market = client.venue.market
    row = int(np.argmax(market.turnover))
    return market.symbols[row], int(market.lower[row])


def test_a_second_token_within_a_minute_is_refused_and_later_is_the_same(
    client: MakeClient,
) -> None:
    caller = client()

    assert (caller.ask_token().status, caller.ask_token().body["error_code"]) == (403, "EGW00133")
    caller.wall = 60.0
    assert caller.ask_token().body["access_token"] == caller.token


def test_a_token_ends_on_korea_s_clock(client: MakeClient) -> None:
    caller = client()
    caller.wall = 60.0

    answer = caller.ask_token().body
    assert answer["access_token_token_expired"] == "2026-02-11 09:05:00"  # noqa: S105 -- a time


@pytest.mark.parametrize(
    ("tr_id", "headers", "code"),
    [
        ("TTTC8434R", {"authorization": "Bearer other"}, "EGW00121"),
        ("TTTC8434R", {"appkey": "other"}, "EGW00103"),
        ("VTTC8434R", {}, "EGW00213"),
    ],
)
def test_wrong_headers_are_refused_as_kis_does(
    client: MakeClient, tr_id: str, headers: dict[str, str], code: str
) -> None:
    answer = client().call("GET", f"{TRADING}/inquire-balance", tr_id, ACCOUNT, **headers)

    assert (answer.status, answer.body["msg_cd"]) == (500, code)


def test_an_expired_token_says_so(client: MakeClient) -> None:
    caller = client()
    caller.venue.now += 25 * 60 * MINUTE

    answer = caller.call("GET", f"{TRADING}/inquire-balance", "TTTC8434R", ACCOUNT)

    assert answer.body["msg_cd"] == "EGW00123"


@pytest.mark.parametrize(("environment", "most"), [("real", 18), ("mock", 1)])
def test_the_rate_is_counted_per_second_of_market_time(
    client: MakeClient, environment: str, most: int
) -> None:
    caller = client(environment=environment)

    def ask() -> int:
        caller.venue.now -= SECOND
        tr_id = "FHKST01010100"
        fields = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": _name(caller)[0]}
        return caller.call("GET", f"{QUOTATIONS}/inquire-price", tr_id, fields).status

    assert [ask() for _ in range(most + 2)] == [200] * most + [500, 500]
    caller.venue.now += SECOND
    assert ask() == 200


def test_a_mock_key_trades_with_mock_ids_and_has_no_bulk_quotes(client: MakeClient) -> None:
    caller = client(environment="mock")
    symbol, price = _name(caller)

    assert caller.order(symbol, price, 1, tr_id="VTTC0012U")["rt_cd"] == "0"
    assert caller.order(symbol, price, 1)["msg_cd"] == "EGW00213"
    bulk = caller.call("GET", f"{QUOTATIONS}/intstock-multprice", "FHKST11300006", {})
    assert bulk.body["msg_cd"] == "EGW00213"


def test_orders_are_refused_for_cash_shares_grid_limits_and_hours(client: MakeClient) -> None:
    caller = client()
    symbol, price = _name(caller)
    upper = int(caller.venue.market.upper[caller.venue.market.row[symbol]])

    assert caller.order(symbol, price, 10**7)["msg_cd"] == "APBK0919"
    assert caller.order(symbol, price, 1, tr_id="TTTC0011U")["msg_cd"] == "APBK0400"
    assert caller.order(symbol, price + 1, 1)["rt_cd"] == "7"
    assert caller.order(symbol, upper * 2, 1)["rt_cd"] == "7"
    assert caller.order("005930X", price, 1)["rt_cd"] == "7"
    caller.venue.now = caller.venue.market.session.close + MINUTE
    assert caller.order(symbol, price, 1)["msg_cd"] == "APBK0918"
    assert caller.venue.account.orders == {}


def test_open_buys_hold_back_their_cash(client: MakeClient) -> None:
    caller = client()
    symbol, price = _name(caller)
    half = 600_000_000 // price

    assert caller.order(symbol, price, half)["rt_cd"] == "0"
    assert caller.order(symbol, price, half)["msg_cd"] == "APBK0919"


def test_a_listing_takes_as_many_pages_as_its_orders_need(client: MakeClient) -> None:
    caller = client()
    symbol, price = _name(caller)
    for _ in range(230):
        assert caller.order(symbol, price, 1)["rt_cd"] == "0"

    numbers: list[str] = []
    fields = ACCOUNT | {"CTX_AREA_FK100": "", "CTX_AREA_NK100": "", "INQR_DVSN": "01"}
    pages, cont = 0, ""
    while True:
        path = f"{TRADING}/inquire-daily-ccld"
        answer = caller.call("GET", path, "TTTC0081R", fields, tr_cont=cont)
        numbers += [row["odno"] for row in answer.body["output1"]]
        pages += 1
        if not answer.next_page:
            break
        cont = "N"
        fields["CTX_AREA_NK100"] = answer.body["ctx_area_nk100"]

    assert pages == 3
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 230


def test_a_cancel_of_more_than_is_left_is_refused(client: MakeClient) -> None:
    caller = client()
    symbol, price = _name(caller)
    number = caller.order(symbol, price, 5)["output"]["ODNO"]
    terms = {"ORGN_ODNO": number, "RVSE_CNCL_DVSN_CD": "02", "ORD_QTY": "6"}
    path = f"{TRADING}/order-rvsecncl"

    over = caller.call("POST", path, "TTTC0013U", ACCOUNT | terms | {"QTY_ALL_ORD_YN": "N"})
    whole = caller.call("POST", path, "TTTC0013U", ACCOUNT | terms | {"QTY_ALL_ORD_YN": "Y"})
    again = caller.call("POST", path, "TTTC0013U", ACCOUNT | terms | {"QTY_ALL_ORD_YN": "Y"})

    assert [each.body["msg_cd"] for each in (over, whole, again)] == [
        "APBK1359",
        "APBK0013",
        "APBK1359",
    ]


def test_a_correction_moves_the_rest_to_a_new_order(client: MakeClient) -> None:
    caller = client()
    symbol, price = _name(caller)
    number = caller.order(symbol, price, 5)["output"]["ODNO"]
    higher = int(caller.venue.market.grid.above(price))
    terms = {"ORGN_ODNO": number, "RVSE_CNCL_DVSN_CD": "01", "ORD_QTY": "5", "ORD_DVSN": "00"}
    terms |= {"ORD_UNPR": str(higher), "QTY_ALL_ORD_YN": "Y"}

    answer = caller.call("POST", f"{TRADING}/order-rvsecncl", "TTTC0013U", ACCOUNT | terms)

    old, new = caller.venue.account.orders.values()
    assert int(answer.body["output"]["ODNO"]) == new.no != old.no
    assert (old.cancelled, old.left, new.price, new.left, new.original) == (5, 0, higher, 5, old.no)


def test_thirty_names_come_in_one_call_with_what_the_path_says(client: MakeClient) -> None:
    caller = client()
    market = caller.venue.market
    symbols = market.symbols[:30]
    fields = {f"FID_INPUT_ISCD_{n}": symbol for n, symbol in enumerate(symbols, 1)}
    path = f"{QUOTATIONS}/intstock-multprice"

    output = caller.call("GET", path, "FHKST11300006", fields).body["output"]

    shot = caller.venue.ladder.at(caller.venue.now, np.arange(30))
    assert [row["inter_shrn_iscd"] for row in output] == list(symbols)
    assert [int(row["acml_vol"]) for row in output] == shot.volume.tolist()
    assert [int(row["inter2_prpr"]) for row in output] == [
        price or int(market.base[row]) for row, price in enumerate(shot.price.tolist())
    ]


def test_faults_repeat_with_their_seed_are_counted_and_booked(client: MakeClient) -> None:
    def day() -> tuple[list[str], dict[str, int]]:
        caller = client("reject=0.2,late=0.2,lost=0.2")
        symbol, price = _name(caller)
        codes = [caller.order(symbol, price, 1)["msg_cd"] for _ in range(60)]
        assert len(caller.venue.account.orders) == 60
        return codes, caller.rest._faults.counts

    first, counts = day()

    assert (first, counts) == day()
    assert first.count("APBK0400") == counts["reject"] > 4
    assert counts["late"] > 4
    assert counts["lost"] > 4


def test_no_faults_means_none(client: MakeClient) -> None:
    caller = client()
    symbol, price = _name(caller)
    for _ in range(50):
        assert caller.order(symbol, price, 1)["rt_cd"] == "0"

    assert set(caller.rest._faults.counts.values()) == {0}


@pytest.mark.parametrize("text", ["fire=0.1", "late=2", "late=x", "late=-1"])
def test_a_wrong_fault_list_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="expected"):
        parse(text, 1)


def test_the_holiday_call_knows_the_sessions(client: MakeClient) -> None:
    path = f"{QUOTATIONS}/chk-holiday"
    rows = client().call("GET", path, "CTCA0903R", {"BASS_DT": "20260213"}).body["output"]

    assert [row["opnd_yn"] for row in rows[:7]] == ["Y", "N", "N", "N", "N", "N", "Y"]
