"""Deliveries told from the record alone, and how far a topic is done."""

import itertools

import pytest

from consumers.alerts import rules
from consumers.alerts.rules import Delivery, Progress, Story
from schemas.ops import ActAudited, AlertRaised
from schemas.units import Micros

MAIL = Delivery("email", "scheduler/a:b/1")


def act(what: str, delivery: Delivery = MAIL, service: str = "alerts") -> ActAudited:
    return ActAudited(
        ts_event=Micros(1), ts_ingest=Micros(1), service=service, actor=service, act=what,
        subject=delivery.subject, allowed=True, reason="",
    )  # fmt: skip


def alert(**given: str) -> AlertRaised:
    told = {
        "alert_key": "k", "service": "scheduler", "severity": "warning", "summary": "s",
        "detail": "d", **given,
    }  # fmt: skip
    return AlertRaised(ts_event=Micros(1), ts_ingest=Micros(1), **told)


@pytest.mark.parametrize(
    ("acts", "story"),
    [
        (["delivering"], Story(1, open=True)),
        (["delivering", "delivered"], Story(1, ended=True)),
        (["delivering", "refused"], Story(1)),
        (["delivering", "failed"], Story(1, doubtful=True)),
        (["delivering", "refused", "delivering"], Story(2, open=True)),
        (["delivering", "delivering"], Story(2, open=True, doubtful=True)),
        (["delivering", "delivering", "refused"], Story(2, doubtful=True)),
        (["delivering", "undelivered"], Story(1, ended=True)),
    ],
)
def test_a_story_is_what_the_record_says(acts: list[str], story: Story) -> None:
    assert rules.stories(map(act, acts)) == {MAIL: story}


def test_only_a_try_without_a_sure_end_marks_the_next_one() -> None:
    sure = Story().after("delivering").after("refused")
    torn = Story().after("delivering")
    unsure = torn.after("failed").after("delivering").after("refused")

    assert not sure.may_repeat
    assert torn.may_repeat
    assert unsure.may_repeat


def test_stories_keep_channels_apart_and_pass_over_other_services() -> None:
    slack = Delivery("slack", MAIL.key)
    acts = [act("delivering"), act("delivered"), act("delivering", slack), act("run", service="x")]

    found = rules.stories(acts)

    assert found == {MAIL: Story(1, ended=True), slack: Story(1, open=True)}


def test_urgent_and_what_nobody_knows_reach_every_channel() -> None:
    reached = {
        severity: [least for least in rules.RANKS if rules.passes(severity, least)]
        for severity in ("info", "warning", "urgent", "unheard of")
    }

    assert reached == {
        "info": ["info"],
        "warning": ["info", "warning"],
        "urgent": ["info", "warning", "urgent"],
        "unheard of": ["info", "warning", "urgent"],
    }


def test_waits_double_up_to_a_minute() -> None:
    assert [rules.wait_s(tries, 2.0) for tries in (1, 2, 3, 6, 20)] == [2, 4, 8, 60, 60]


def test_a_title_is_one_line_however_the_alert_is_written() -> None:
    told = rules.title(alert(summary="a\r\nBcc: all@example.org\n" + "x" * 500))

    assert told.startswith("[warning] scheduler: a Bcc: all@example.org x")
    assert len(told) == 200
    assert len(told.splitlines()) == 1


def test_a_place_waits_for_the_first_record_that_is_not_done_in_any_order_of_ends() -> None:
    place = ("ops.alerts", 0)
    parts = [2, 0, 1, 2, 0, 1]
    ends = [offset for offset, count in enumerate(parts) for _ in range(count)]
    for order in set(itertools.permutations(ends)):
        progress = Progress()
        for offset, count in enumerate(parts):
            progress.taken(place, offset, count)

        for done, offset in enumerate(order):
            assert progress.positions() == {place: min(order[done:])}
            progress.ended(place, offset)

        assert progress.positions() == {place: len(parts)}
