"""Where alerts went, folded from the record."""

from consumers.alerts.listing import Reached, rows, sums
from schemas.ops import ActAudited, AlertRaised
from schemas.units import Micros


def alert(key: str, at: int) -> AlertRaised:
    return AlertRaised(
        ts_event=Micros(at), ts_ingest=Micros(at), alert_key=key, service="s",
        severity="warning", summary=f"about {key}", detail="",
    )  # fmt: skip


def act(what: str, subject: str, at: int, service: str = "alerts") -> ActAudited:
    return ActAudited(
        ts_event=Micros(at), ts_ingest=Micros(at), service=service, actor="a", act=what,
        subject=subject, allowed=True, reason="",
    )  # fmt: skip


def test_a_row_tells_each_channels_last_act_its_time_and_its_tries() -> None:
    acts = [
        act("delivering", "email:a:1", 10), act("refused", "email:a:1", 11),
        act("delivering", "slack:a:1", 12), act("delivering", "email:a:1", 13),
        act("delivered", "email:a:1", 14), act("delivered", "email:a:1", 15, service="other"),
        act("delivering", "sms:b", 16), act("undelivered", "sms:b", 17),
    ]  # fmt: skip

    found = rows([alert("a:1", 1), alert("b", 2), alert("a:1", 3)], acts, 9)

    assert [(each.key, each.raised) for each in found] == [("a:1", 1), ("b", 2)]
    assert found[0].reached == (
        Reached("email", "delivered", Micros(14), 2),
        Reached("slack", "delivering", Micros(12), 1),
    )
    assert sums(found) == {"alerts": 2, "delivered": 1, "undelivered": 1, "under_way": 1}


def test_only_the_last_alerts_are_told_and_one_nobody_was_told_of_is_among_them() -> None:
    found = rows([alert(key, at) for at, key in enumerate("abc")], [], 2)

    assert [(each.key, each.reached) for each in found] == [("b", ()), ("c", ())]
