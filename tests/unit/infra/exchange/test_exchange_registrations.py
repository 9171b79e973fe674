"""The journal says how many registrations a session asked for, so that an audit can judge it."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.audit import registrations_over
from infra.exchange.access import Access
from infra.exchange.journal import read_journal
from infra.exchange.path import Ladder
from infra.exchange.streams import Hub, Session
from infra.exchange.venue import Venue
from schemas.kis.encode import pingpong
from schemas.units import MINUTE

PRINTS = "H0STCNT0"


def ask(hub: Hub, session: Session, symbol: str, tr_type: str = "1") -> None:
    message = {
        "header": {"approval_key": "key", "tr_type": tr_type},
        "body": {"input": {"tr_id": PRINTS, "tr_key": symbol}},
    }
    hub.hear(session, json.dumps(message))


class Listener(Session):
    """A session that keeps what it is told."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub, 1)
        self.told: list[str] = []

    def send(self, texts: Sequence[str]) -> None:
        self.told += texts


def test_a_new_session_is_told_the_time_at_the_next_hop_and_once(
    make_venue: Callable[..., Venue], ladder: Ladder
) -> None:
    venue = make_venue(ladder.market.session.open + MINUTE)
    access = Access(
        app_key="a", app_secret="", account="5019920201", environment="real", seed=1,
        approvals={"key"},
    )  # fmt: skip
    hub = Hub(venue, access, "aegis")
    listener = Listener(hub)
    hub._sessions.append(listener)
    ask(hub, listener, ladder.market.symbols[0])

    for _ in range(2):
        hub.keep_alive(paced_by_order=False)

    assert [text for text in listener.told if "PINGPONG" in text] == [
        pingpong(f"{ladder.market.session.date:%Y%m%d}090100")
    ]


def test_registrations_up_to_41_are_journalled_and_the_42nd_is_a_violation(
    make_venue: Callable[..., Venue], ladder: Ladder, tmp_path: Path
) -> None:
    venue = make_venue(ladder.market.session.open + MINUTE)
    access = Access(
        app_key="a", app_secret="", account="5019920201", environment="real", seed=1,
        approvals={"key"},
    )  # fmt: skip
    hub = Hub(venue, access, "aegis")
    session = hub.session()
    symbols = list(ladder.market.symbols[:42])

    for symbol in symbols[:41]:
        ask(hub, session, symbol)
    ask(hub, session, symbols[0], tr_type="2")
    ask(hub, session, symbols[0])
    asked = read_journal(tmp_path / "exchange.jsonl").registrations
    ask(hub, session, symbols[41])
    ask(hub, session, symbols[41])
    over = read_journal(tmp_path / "exchange.jsonl").registrations

    assert asked == list(range(1, 42))
    assert registrations_over(asked) == 0
    assert over == [*asked, 42, 42]
    assert registrations_over(over) == 2
