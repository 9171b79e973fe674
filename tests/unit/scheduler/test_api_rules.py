"""Keys, roles, scopes, slow-down, callbacks and bodies: the rules alone, without a machine."""

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scheduler.api import callbacks, keys, roles
from scheduler.api.bodies import REASON_MAX, Act, Backfill, NewKey
from scheduler.api.keys import Key
from scheduler.api.ledger import KEPT_MAX, Ledger
from scheduler.api.slowdown import ADDRESSES_MAX, WINDOW, WRONG_MAX, Knocks
from schemas.control import RunReported, ScheduleDecided
from schemas.errors import Misconfigured
from schemas.units import DAY, SECOND, Micros

NOW = Micros(1_770_681_600_000_000)
TOKEN = keys.token("0123456789abcdef", "ab" * 32)
KEY = Key(
    "0123456789abcdef", "kim", keys.digest(TOKEN), "operator", (), Micros(NOW - DAY),
    Micros(NOW + DAY),
)  # fmt: skip
GROUPS = ("trading", "reporting")


def test_a_token_proves_its_own_key_and_no_other() -> None:
    other = keys.token("0123456789abcdef", "cd" * 32)

    assert keys.id_in(TOKEN) == keys.id_in(other) == KEY.key_id
    assert keys.proves(KEY, TOKEN)
    assert not keys.proves(KEY, other)
    assert not keys.proves(None, TOKEN)


def test_nothing_that_is_kept_of_a_key_holds_its_secret() -> None:
    assert "ab" * 32 not in repr(KEY)
    assert KEY.digest.hex() not in TOKEN


@given(text=st.text(max_size=100))
def test_text_that_is_no_token_names_no_key(text: str) -> None:
    assert keys.id_in(text) is None
    assert keys.id_in(TOKEN + text) == (KEY.key_id if not text else None)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (KEY, None),
        (KEY._replace(expires=Micros(NOW + 1)), None),
        (KEY._replace(expires=NOW), "expired"),
        (KEY._replace(revoked=Micros(NOW - 1)), "revoked"),
        (KEY._replace(revoked=Micros(NOW - 1), expires=NOW), "revoked"),
    ],
)
def test_a_key_stands_until_it_expires_or_is_revoked(key: Key, why: str | None) -> None:
    said = keys.why_not(key, NOW)

    assert said is None if why is None else why in str(said)


@pytest.mark.parametrize("days", [0, -1, keys.DAYS_MAX + 1])
def test_a_key_for_no_day_or_for_ever_is_not_made(days: int) -> None:
    with pytest.raises(Misconfigured, match=f"was {days}"):
        keys.expiry(NOW, days)


@pytest.mark.parametrize("name", ["", "Kim", "1kim", "kim\n", "a" * 65, "k m", "k';--", "김"])
def test_a_name_that_would_not_read_on_an_audit_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured, match="expected a name"):
        keys.check_name(name)


MAY = {
    "viewer": {("see", None)},
    "operator": {("see", None), *product(roles.WORK, GROUPS)},
    "risk": {("see", None), *product(roles.WORK, ["trading"]), *product(["release"], GROUPS)},
    "admin": {("see", None), ("manage keys", None)},
}
ACTS = [("see", None), ("manage keys", None), *product((*sorted(roles.WORK), "release"), GROUPS)]


@pytest.mark.parametrize("role", [*roles.ROLES, "nobody"])
def test_each_role_does_what_the_table_says_and_nothing_else(role: str) -> None:
    allowed = {
        (act, group)
        for act, group in ACTS
        if roles.why_not(role, ["run:*"], act, group) is None
    }  # fmt: skip

    assert allowed == MAY.get(role, set())


@pytest.mark.parametrize("act", sorted(roles.SCOPED))
@pytest.mark.parametrize(
    ("scopes", "runs"),
    [
        ((), False), (("run:reporting",), False), (("run:trading",), True), (("run:*",), True),
        (("run:trad",), False), (("run:",), False),
    ],
)  # fmt: skip
def test_running_takes_the_scope_of_the_jobs_group(
    act: str, scopes: tuple[str, ...], runs: bool
) -> None:
    said = roles.why_not("operator", scopes, act, "trading")

    assert (said is None) is runs
    assert said is None or said.startswith(f"expected the scope run:trading to {act}")


def test_pausing_takes_no_scope() -> None:
    assert roles.why_not("operator", (), "pause", "trading") is None


@pytest.mark.parametrize("scope", ["run", "run:", "run:nosuch", "see:trading", "run:trading\n"])
def test_a_scope_that_would_open_nothing_is_refused(scope: str) -> None:
    with pytest.raises(Misconfigured, match="expected a scope"):
        roles.check_scopes([scope], GROUPS)


def test_scopes_are_kept_once_and_in_order() -> None:
    found = roles.check_scopes(["run:trading", "run:*", "run:trading"], GROUPS)

    assert found == ("run:*", "run:trading")


def test_an_address_is_slowed_beyond_the_limit_told_once_and_forgiven_with_the_window() -> None:
    knocks = Knocks()
    first = [knocks.wrong("a", Micros(NOW + i)) for i in range(WRONG_MAX)]
    over, further = knocks.wrong("a", NOW), knocks.wrong("a", Micros(NOW + WINDOW - 1))
    other = knocks.wrong("b", NOW)
    later = knocks.wrong("a", Micros(NOW + WINDOW))

    assert {(each.slowed, each.told) for each in [*first, other, later]} == {(False, True)}
    assert (over.slowed, over.told, over.wait_s) == (True, True, WINDOW // SECOND)
    assert (further.slowed, further.told, further.wait_s) == (True, False, 1)


def test_many_addresses_do_not_fill_the_memory() -> None:
    knocks = Knocks()
    for i in range(ADDRESSES_MAX + 50):
        knocks.wrong(str(i), NOW)

    assert len(knocks._windows) == ADDRESSES_MAX


PREFIXES = ("http://127.0.0.1:8080/told", "https://desk.example")


@pytest.mark.parametrize(
    ("url", "covered"),
    [
        ("http://127.0.0.1:8080/told", True),
        ("http://127.0.0.1:8080/told/x?y=1", True),
        ("https://desk.example:443/any", True),
        ("http://127.0.0.1:8080/toldly", False),
        ("http://127.0.0.1:8080/told/../x", False),
        ("http://127.0.0.1:8080/told/%2e%2e/x", False),
        ("http://127.0.0.1:8081/told", False),
        ("http://desk.example/any", False),
        ("https://desk.example.evil/any", False),
        ("https://desk.example@evil/any", False),
        ("https://kim@desk.example/any", False),
        ("ftp://desk.example/any", False),
        ("https://desk.example:port/any", False),
        ("http://[::1/told", False),
        ("", False),
    ],
)
def test_a_callback_stays_under_its_prefix(url: str, covered: bool) -> None:
    assert callbacks.covered(url, PREFIXES) is covered
    assert not callbacks.covered(url, ())


def test_tries_are_twice_as_far_apart_each_time() -> None:
    waits = [(callbacks.again(tries, NOW) - NOW) // SECOND for tries in range(1, 5)]

    assert waits == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-02-10T08:30", 8.5), ("2026-02-10T08:30:00+09:00", 8.5), ("2026-02-10T08:30Z", 17.5)],
)
def test_a_slot_is_in_korea_unless_it_names_its_offset(text: str, hour: float) -> None:
    body = Backfill.model_validate({"reason": "x", "slot": text})

    assert body.slot == NOW - 9 * 3_600 * SECOND + int(hour * 3_600) * SECOND


@pytest.mark.parametrize(
    "slot",
    ["", "soon", "2035-01-02T09:00", "2010-12-31T23:59", "0001-01-01T00:00Z", 5, None, ["2026"],
     "9999-12-31T23:59-14:00"],
)  # fmt: skip
def test_a_slot_that_the_calendar_does_not_know_is_refused(slot: object) -> None:
    with pytest.raises(ValidationError, match="expected an instant"):
        Backfill.model_validate({"reason": "x", "slot": slot})


@pytest.mark.parametrize("reason", ["", "  ", "x" * (REASON_MAX + 1), "a\nb", "\x1b[2J", 5, None])
def test_a_reason_that_would_not_read_is_refused(reason: object) -> None:
    with pytest.raises(ValidationError, match="reason"):
        Act.model_validate({"reason": reason})


def test_a_field_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValidationError, match="slot"):
        Act.model_validate({"reason": "x", "slot": "2026-02-10T08:30"})
    with pytest.raises(ValidationError, match="digest"):
        NewKey.model_validate({"name": "kim", "role": "viewer", "digest": ""})


def decided(fire: str, decision: str, *, job: str = "tell", attempt: int = 1) -> ScheduleDecided:
    return ScheduleDecided(
        ts_event=NOW, ts_ingest=NOW, job=job, slot=NOW, fire_id=fire, decision=decision,
        reason="a test", schedule_hash="", calendar_hash="", decided=NOW, attempt=attempt,
        logical_date=20260210 if attempt else 0,
    )  # fmt: skip


def reported(fire: str, state: str) -> RunReported:
    return RunReported(
        ts_event=NOW, ts_ingest=NOW, fire_id=fire, job="tell", slot=NOW, state=state, attempt=1,
        worker="w", detail="d", started=NOW, ended=NOW,
    )  # fmt: skip


def test_a_fire_ends_when_nothing_can_follow() -> None:
    ledger = Ledger(["tell"])
    ends = {}
    for words in (["fired", "failed"], ["retrying"], ["fired"], ["failed", "exhausted"]):
        ledger.take([decided("f", word) for word in words], [])
        end = ledger.end_of("tell", "f")
        ends[words[-1]] = None if end is None else end.decision

    assert ends == {"failed": None, "retrying": None, "fired": None, "exhausted": "exhausted"}
    assert ledger.end_of("tell", "g") is None
    assert ledger.end_of("nosuch", "f") is None


def test_a_fire_is_found_with_its_report_and_a_command_is_no_fire() -> None:
    ledger = Ledger(["tell"])
    ledger.take(
        [decided("f", "fired"), decided("f", "succeeded"), decided("c", "paused", attempt=0)],
        [reported("f", "succeeded")],
    )
    found = ledger.fire("f")

    assert found is not None
    assert (found.state, found.attempts[0].worker) == ("succeeded", "w")
    assert ledger.fire("c") is None


def test_what_is_kept_is_bounded_and_jobs_that_are_not_ours_are_not_kept() -> None:
    ledger = Ledger(["tell"])
    ledger.take([decided(str(i), "fired") for i in range(KEPT_MAX + 1)], [])
    ledger.take([decided("x", "refused", job="no such job")], [])

    assert ledger.job_of("0") is None
    assert ledger.job_of(str(KEPT_MAX)) == "tell"
    assert ledger.job_of("x") is None


def test_what_a_url_is_told_is_plain_json() -> None:
    told = json.loads(json.dumps(callbacks.news(decided("f", "succeeded"))))

    assert (told["fire_id"], told["state"], told["ended"]) == ("f", "succeeded", NOW)
