"""The feed: every data message is one raw record, and time never runs ahead or back."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from infra.exchange.market_time import SLACK_OUTSIDE
from infra.kis.notices import NoticeKey, encrypt
from infra.kis.stream import RawEvent, sequence
from producers.kis import notices
from producers.kis.feed import POLL, WS, Event, Feed, Mark, Meters
from producers.kis.times import (
    AHEAD_MAX,
    AHEAD_SIMULATED,
    SourceTime,
    clock_time,
    frame_time,
    keep_alive_time,
)
from schemas.errors import Poison
from schemas.kis import encode
from schemas.krx.sessions import kst_midnight
from schemas.orders import NoticeReceived
from schemas.raw import RawFrame
from schemas.units import SECOND, Micros

DAY = kst_midnight(date(2026, 2, 10))
KEY = NoticeKey("k" * 32, "i" * 16)
NAME = notices.namer("secret")
ACCOUNT = "5019920201"


def kst(text: str) -> Micros:
    found = clock_time(text, DAY)
    assert found is not None
    return found


def trades(time: str, symbol: str = "005930") -> str:
    return f"0|H0STCNT0|001|{symbol}^{time}^" + "^".join(["1"] * 45)


class Market:
    """A clock that the test moves."""

    def __init__(self, text: str) -> None:
        self.now = kst(text)

    def set(self, text: str) -> None:
        self.now = kst(text)


def read_notices(text: str, epoch: int, seq: int, now: Micros) -> list[NoticeReceived]:
    return notices.received(
        text, KEY, name=NAME, seq=seq, key_id=f"{WS}/{epoch}", now=now, ingested=Micros(1)
    )


def make(market: Market) -> Feed:
    return Feed(
        now=lambda: market.now,
        wall=lambda: Micros(7),
        ws=SourceTime(Micros(0)),
        poll=SourceTime(Micros(0)),
        epoch=3,
        read_notices=read_notices,
        account=NAME(ACCOUNT),
        meters=Meters(CollectorRegistry()),
    )


def data(text: str, frame: int = 1) -> RawEvent:
    return RawEvent("data", text, 3, frame)


def control(text: str) -> RawEvent:
    return RawEvent("control", text, 3, 1)


def test_a_data_message_is_one_raw_record_untouched() -> None:
    [frame] = make(Market("090001")).hear(data(trades("090000"), 5))

    assert isinstance(frame, RawFrame)
    assert (frame.payload, frame.source, frame.tr_id) == (trades("090000"), WS, "H0STCNT0")
    assert (frame.seq, frame.ts_event, frame.ts_ingest) == (sequence(3, 5), kst("090000"), 7)


def test_a_frame_without_a_time_is_of_the_time_reached() -> None:
    feed = make(Market("090001"))
    feed.hear(data(trades("090000")))

    [operation] = feed.hear(data("0|H0STMKO0|001|005930^N^(null)^112", 2))

    assert isinstance(operation, RawFrame)
    assert operation.ts_event == kst("090000")


@given(times=st.lists(st.integers(0, 86_399), min_size=1, max_size=30))
def test_time_never_goes_back_and_never_far_ahead(times: list[int]) -> None:
    market = Market("100000")
    feed = make(market)
    stamps = []
    for number, second in enumerate(times):
        text = f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"
        [frame] = feed.hear(data(trades(text), number + 1))
        assert isinstance(frame, RawFrame)
        stamps.append(frame.ts_event)

    assert stamps == sorted(stamps)
    assert max(stamps) <= market.now + AHEAD_MAX


def test_an_accelerated_step_is_believed_that_would_be_a_misprint_live() -> None:
    now = kst("090000")
    live, simulated = SourceTime(Micros(0)), SourceTime(Micros(0), AHEAD_SIMULATED)

    assert not live.advance(Micros(now + AHEAD_MAX + 1), now)
    assert simulated.advance(Micros(now + SLACK_OUTSIDE), now), "a whole step and the one under way"
    assert not simulated.advance(Micros(now + AHEAD_SIMULATED + 1), now)


def test_a_keep_alive_moves_the_websockets_time_only() -> None:
    feed = make(Market("090010"))

    assert feed.hear(control(encode.pingpong("20260210090007"))) == [Mark(WS, kst("090007"))]
    assert feed.hear(control(encode.pingpong("20260210090006"))) == []
    assert feed.reached == 0
    assert feed.tick() == [Mark(POLL, kst("090010"))]
    assert feed.reached == kst("090007")


def test_nothing_is_reached_before_the_websocket_is_alive() -> None:
    feed = make(Market("090010"))
    feed.tick()
    feed.hear(RawEvent("opened", "", 3, 0))
    feed.hear(control(encode.nack("H0STCNT0", "x", code="OPSP8996", message="IN USE")))

    assert feed.reached is None


def test_a_first_acknowledgement_reaches_the_opening_of_its_session() -> None:
    market = Market("090010")
    feed = make(market)
    feed.hear(RawEvent("opened", "", 3, 0))
    market.set("090020")
    ack = encode.ack("H0STCNT0", "005930", key="k" * 32, iv="i" * 16)

    assert feed.hear(control(ack)) == [Mark(WS, kst("090010"))]
    assert feed.hear(control(ack)) == []


def test_a_polled_answer_is_of_the_time_it_came_and_never_before_a_mark() -> None:
    market = Market("090010")
    feed = make(market)
    [mark] = feed.tick()
    market.set("090012")

    [first] = feed.answered('{"rt_cd":"0"}')
    [second] = feed.answered("{}")

    assert isinstance(mark, Mark)
    assert isinstance(first, RawFrame)
    assert isinstance(second, RawFrame)
    assert (first.source, first.channel, first.ts_event) == (POLL, "rest", kst("090012"))
    assert mark.micros <= first.ts_event
    assert first.seq < second.seq


def notice(account: str = ACCOUNT) -> str:
    fields = [
        "hts", account, "0000012345", "", "02", "0", "00", "0", "005930", "7", "70000", "093001",
        "0", "2", "2", "91252", "10", "HONG GILDONG", "0", "1", "N", "", "00", "", "NAME", "70000",
    ]  # fmt: skip
    return encode.sealed("H0STCNI0", 1, encrypt("^".join(fields), KEY))


def test_a_notice_goes_to_its_topic_with_its_figures_and_without_its_names() -> None:
    feed = make(Market("093005"))
    text = notice()

    [event, mark] = feed.hear(data(text, 9))

    assert isinstance(event, NoticeReceived)
    assert (event.order_no, event.symbol, event.side, event.kind) == (
        "12345", "005930", "buy", "filled",
    )  # fmt: skip
    assert (event.qty, event.price, event.order_qty) == (7, 70_000, 10)
    assert (event.payload, event.ts_event, event.seq) == (text, kst("093001"), sequence(3, 9))
    assert ACCOUNT not in repr(event)
    assert "HONG" not in repr(event)
    assert event.account == NAME("50199202-01")
    assert mark == Mark(WS, kst("093001"))


def test_a_notice_of_another_account_is_left_out_but_moves_time() -> None:
    written: list[Event | Mark] = make(Market("093005")).hear(data(notice("1111111101")))

    assert written == [Mark(WS, kst("093001"))]


def test_a_notice_that_cannot_be_read_is_counted() -> None:
    registry = CollectorRegistry()
    feed = make(Market("093005"))
    feed._meters = Meters(registry)

    assert feed.hear(data("1|H0STCNI0|001|bm90aGluZw==")) == []
    assert registry.get_sample_value("aegis_kis_notices_refused_total") == 1


def test_times_that_are_none_are_none() -> None:
    assert frame_time("0|H0STCNT0|001", DAY) is None
    assert frame_time("garbage", DAY) is None
    assert clock_time("246000", DAY) is None
    assert keep_alive_time('{"header":{"tr_id":"PINGPONG","datetime":"soon"}}') is None
    assert keep_alive_time("[]") is None


def test_a_frames_second_is_korean() -> None:
    assert frame_time(trades("090000"), Micros(DAY + SECOND)) == DAY + 9 * 3600 * SECOND


def test_a_key_that_never_came_is_poison() -> None:
    try:
        notices.received(notice(), None, name=NAME, seq=1, key_id="", now=DAY, ingested=Micros(0))
    except Poison as error:
        said = str(error)
    else:
        said = ""

    assert said.startswith("expected a notice and its stream's key")
