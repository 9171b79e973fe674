"""What a worker claims next: the urgent first, never what is given up, and silence takes time."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from infra.jobs.board import Board, Wanted, key_of
from infra.jobs.claims import YIELD_S, Said
from schemas.control import JobTriggered, ScheduleDecided
from schemas.testing import MORNING
from schemas.units import Micros

SILENT_S = 10.0
A = "a"


def trigger(name: str = "f", attempt: int = 1, priority: int = 2) -> JobTriggered:
    return JobTriggered(
        ts_event=MORNING, ts_ingest=MORNING, fire_id=name, job="j", slot=MORNING, kind="auto",
        target="handler:j", group="reporting", priority=priority, logical_date=20260210,
        schedule_hash="", calendar_hash="", cause="", attempt=attempt,
    )  # fmt: skip


def decided(what: str, name: str = "f", attempt: int = 1) -> ScheduleDecided:
    return ScheduleDecided(
        ts_event=MORNING, ts_ingest=MORNING, job="j", slot=MORNING, fire_id=name, decision=what,
        reason="by desk", schedule_hash="", calendar_hash="", decided=MORNING, attempt=attempt,
    )  # fmt: skip


def board(*triggers: JobTriggered, slots: int = 4) -> Board:
    found = Board(A, slots, SILENT_S)
    for each in triggers:
        found.offer(each, 0.0)
    return found


def next_of(found: Board, now_s: float = 0.0, busy: int = 0) -> Wanted | None:
    return found.wanted(now_s, MORNING, (), busy)


def test_the_most_urgent_is_claimed_first_and_nothing_without_a_free_slot() -> None:
    urgent = trigger("g", priority=0)
    found = board(trigger(), urgent)

    assert next_of(found) == Wanted(urgent)
    assert next_of(found, busy=4) is None


def test_two_workers_seldom_ask_for_the_same_of_many_and_the_old_come_first() -> None:
    jobs = [trigger(f"f{number}") for number in range(100)]
    asked = [next_of(each) for each in boards(jobs)]

    assert len({each.trigger.fire_id for each in asked if each}) > 10
    assert all(each is not None and int(each.trigger.fire_id[1:]) < 16 for each in asked)


def boards(jobs: list[JobTriggered]) -> list[Board]:
    """Return twenty workers' boards of four slots each, with the same offers."""
    found = [Board(f"worker-{number}", 4, SILENT_S) for number in range(20)]
    for each in found:
        for job in jobs:
            each.offer(job, 0.0)
    return found


def test_what_is_taken_is_not_claimed_again() -> None:
    one, two = trigger(), trigger(attempt=2)

    assert board(one, two).wanted(0.0, MORNING, {key_of(one)}, 1) == Wanted(two)


def test_another_workers_attempt_is_claimed_after_its_silence_and_by_its_newest_record() -> None:
    found = board(trigger())
    found.hear(("f", 1), Said(5, "b"), 1.0)
    found.hear(("f", 1), Said(6, "c"), 9.0)  # a claim that does not hold keeps nobody alive

    assert next_of(found, 10.9) is None
    assert next_of(found, 11.0) == Wanted(trigger(), 5, "b")

    found.hear(("f", 1), Said(7, "b"), 11.0)
    assert next_of(found, 20.9) is None
    assert next_of(found, 21.0) == Wanted(trigger(), 7, "b")


def test_an_attempt_of_its_own_name_is_claimed_again_at_once() -> None:
    found = board(trigger())
    found.hear(("f", 1), Said(5, A), 0.0)

    assert next_of(found) == Wanted(trigger())


def test_an_attempt_whose_end_is_on_its_way_to_the_log_is_not_claimed_again() -> None:
    found = board(trigger())
    found.hear(("f", 1), Said(5, A), 0.0)
    found.withdraw(("f", 1))

    assert next_of(found) is None


def test_the_busy_let_the_idle_go_first_while_there_are_others() -> None:
    found = board(trigger(), trigger("g"))
    assert next_of(found, busy=3) is not None

    found.hear(("g", 1), Said(5, "b"), 0.0)

    assert next_of(found, busy=3) is None
    assert next_of(found, YIELD_S, busy=3) == Wanted(trigger())


def test_an_attempt_is_offered_once_however_often_it_is_triggered() -> None:
    found = board(trigger(), trigger())
    found.hear(("f", 1), Said(5, A, "succeeded"), 0.0)
    found.offer(trigger(), 1.0)

    assert next_of(found) is None


def test_what_was_given_up_is_not_begun_whichever_is_read_first() -> None:
    before, after = board(), board(trigger())
    for each in (before, after):
        each.decide(decided("cancelled"))
    before.offer(trigger(), 0.0)

    assert next_of(before) is None
    assert next_of(after) is None
    assert after.closed(("f", 1)) == "cancelled: by desk"


def test_an_attempt_that_expired_leaves_the_next_one_open() -> None:
    found = board(trigger(), trigger(attempt=2))
    found.decide(decided("expired"))

    assert next_of(found) == Wanted(trigger(attempt=2))


def test_an_attempt_is_not_begun_at_its_end_or_later() -> None:
    late = replace(trigger(), ends_by=MORNING)

    assert board(late).wanted(0.0, Micros(MORNING - 1), (), 0) == Wanted(late)
    assert board(late).wanted(0.0, MORNING, (), 0) is None


@given(data=st.data())
def test_the_order_of_topics_does_not_matter(data: st.DataObject) -> None:
    events: list[JobTriggered | ScheduleDecided | Said] = [
        trigger(),
        trigger(attempt=2),
        decided("expired"),
        Said(3, "b"),
    ]
    found = board()
    for each in data.draw(st.permutations(events)):
        if isinstance(each, JobTriggered):
            found.offer(each, 0.0)
        elif isinstance(each, ScheduleDecided):
            found.decide(each)
        else:
            found.hear(("f", 2), each, 0.0)

    assert next_of(found, SILENT_S - 1) is None
    assert next_of(found, SILENT_S) == Wanted(trigger(attempt=2), 3, "b")
