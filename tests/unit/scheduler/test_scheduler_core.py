"""The scheduler's core: one decision per slot, gates, caps, and a state that its log rebuilds."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import core, snapshots, timetable
from scheduler.records import Decision
from scheduler.state import Book, State, digest, fire_id, initial, rebuild
from scheduler.timetable import Timetable
from scheduler.triggers import clock
from schemas.control import CommandGiven, JobTriggered, RunReported, ScheduleDecided
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_midnight
from schemas.ops import ActAudited, AlertRaised
from schemas.units import DAY, HOUR, MINUTE, SECOND, Micros

NORMAL = date(2026, 3, 30)
ELECTION = date(2026, 6, 3)

HEAD = """
[limits]
running_max = {running_max}
emergency_max = 1
[limits.groups]
wide = 10
narrow = 1
"""
JOB = """
[jobs.{name}]
source = "a test"
calendar = "sessions"
target = "handler:x"
"""
DEFAULTS = {"cron": "0 9 * * *", "group": "wide", "priority": 2, "late_max": "8h", "run_max": "8h",
    "retries": 0, "isolate_after": 0,
}  # fmt: skip


def at(time: str, day: date = NORMAL) -> Micros:
    """Return an instant of a day in Korea."""
    hour, minute = map(int, time.split(":"))
    return Micros(kst_midnight(day) + hour * HOUR + minute * MINUTE)


def table(jobs: Mapping[str, Mapping[str, object]], running_max: int = 10) -> Timetable:
    """Return a timetable of jobs at 09:00 unless they say otherwise."""
    text = HEAD.format(running_max=running_max)
    for name, keys in jobs.items():
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in {**DEFAULTS, **keys}.items())
        text += JOB.format(name=name) + "".join(lines)
    return timetable.load(text)


@cache
def shipped() -> Timetable:
    """Return the timetable that ships."""
    return timetable.default()


class Run(NamedTuple):
    """A scheduler under test: its state and everything it has written."""

    timetable: Timetable
    state: State
    log: tuple[Decision, ...] = ()

    def go(self, now: Micros, *inputs: core.Input) -> "Run":
        """Take one step."""
        state, records = core.step(self.timetable, self.state, now, inputs)
        return Run(self.timetable, state, (*self.log, *records))

    def end(self, job: str, how: str = "succeeded", now: Micros | None = None) -> "Run":
        """Report the end of the one running run of a job, and let the scheduler see it."""
        [name] = [k for k, run in self.state.running.items() if run.slot.job == job]
        now = self.state.clock if now is None else now
        run = self.state.running[name]
        return self.go(now, report(name, run.slot.at, job, how, now, attempt=run.attempt))

    def fired(self) -> list[str]:
        """Return what was fired, as ``job hh:mm``, in order."""
        return [f"{t.job} {clock(t.slot)}" for t in self.log if isinstance(t, JobTriggered)]

    def said(self, job: str, decision: str) -> list[str]:
        """Return the reasons of a job's decisions of one kind."""
        decided = (d for d in self.log if isinstance(d, ScheduleDecided))
        return [d.reason for d in decided if (d.job, d.decision) == (job, decision)]


def report(
    name: str, slot: Micros, job: str, how: str, now: Micros, *, attempt: int = 1
) -> RunReported:
    """Return the report of an end."""
    return RunReported(
        ts_event=now,
        ts_ingest=now,
        fire_id=name,
        job=job,
        slot=slot,
        state=how,
        attempt=attempt,
        worker="test",
        detail="",
        started=now,
        ended=now,
    )


def start(day: date = NORMAL, **jobs: Mapping[str, object]) -> Run:
    """Return a fresh scheduler of some jobs, a minute before they are due."""
    return Run(table(jobs), initial(at("08:59", day)))


def play(run: Run, until: Micros, tick: Micros, ends: Callable[[str, Micros], str | None]) -> Run:
    """Step until an instant; every run ends at the next tick as ``ends(job, slot)`` says."""
    while run.state.clock < until:
        now = Micros(run.state.clock + tick)
        done = [
            report(name, each.slot.at, each.slot.job, how, now, attempt=each.attempt)
            for name, each in run.state.running.items()
            if (how := ends(each.slot.job, each.slot.at)) is not None
        ]
        run = run.go(now, *done)
    return run


def test_a_slot_is_fired_once_with_its_decision() -> None:
    run = start(a={}).go(at("09:00")).go(at("09:00")).end("a").go(at("09:01"))

    decided, triggered, ended = run.log
    assert isinstance(decided, ScheduleDecided)
    assert isinstance(triggered, JobTriggered)
    assert (decided.decision, decided.reason) == ("fired", "on time")
    assert isinstance(ended, ScheduleDecided)
    assert (ended.decision, ended.attempt) == ("succeeded", 1)
    assert decided.fire_id == triggered.fire_id == ended.fire_id
    assert (triggered.slot, triggered.ts_event, triggered.logical_date) == (
        at("09:00"),
        at("09:00"),
        20260330,
    )


def test_fire_id_is_a_function_of_job_version_slot_and_kind() -> None:
    job = table({"a": {}}).jobs["a"]

    names = {
        fire_id(job, at("09:00")),
        fire_id(job, at("09:01")),
        fire_id(job, at("09:00"), "manual"),
        fire_id(job._replace(version=2), at("09:00")),
        fire_id(job._replace(name="b"), at("09:00")),
    }

    assert len(names) == 5
    assert fire_id(job, at("09:00")) in names


def test_a_slot_at_the_instant_of_the_last_step_is_not_decided_twice() -> None:
    run = Run(table({"a": {}}), initial(at("09:00"))).go(at("12:00"))

    assert run.log == ()


def test_a_closed_day_is_suppressed_with_its_name() -> None:
    run = start(day=ELECTION, a={}).go(at("10:00", ELECTION))

    assert run.said("a", "suppressed") == ["closed: Local Election Day"]
    assert run.fired() == []


def test_a_child_waits_for_its_parent_and_names_it_as_its_cause() -> None:
    run = start(a={}, b={"depends_on": ["a"]}).go(at("09:00"))
    assert run.fired() == ["a 09:00"]
    assert run.said("b", "waiting") == ["for a of 09:00"]

    run = run.go(at("09:05")).end("a")

    child = run.log[-1]
    assert isinstance(child, JobTriggered)
    assert (child.job, child.cause) == ("b", fire_id(run.timetable.jobs["a"], at("09:00")))
    assert run.said("b", "waiting") == ["for a of 09:00"]  # said once, not at every step


@pytest.mark.parametrize(
    ("how", "rule", "fires"),
    [
        ("succeeded", "all_succeeded", True),
        ("degraded", "all_succeeded", True),  # X11
        ("failed", "all_succeeded", False),
        ("failed", "all_done", True),
        ("running", "all_done", False),
        ("retrying", "all_done", False),
    ],
)
def test_a_gate_opens_by_its_rule(how: str, rule: str, fires: bool) -> None:
    run = start(a={}, b={"depends_on": ["a"], "rule": rule}).go(at("09:00")).end("a", how)

    assert ("b 09:00" in run.fired()) == fires
    if how == "failed" and not fires:
        assert run.said("b", "suppressed") == ["parent a of 09:00 ended failed"]


def test_suppression_by_a_parent_goes_down_the_graph_in_one_step() -> None:
    run = start(a={}, b={"depends_on": ["a"]}, c={"depends_on": ["b"]}).go(at("09:00"))

    run = run.end("a", "failed")

    assert run.said("c", "suppressed") == ["parent b of 09:00 ended suppressed"]


def test_before_takes_the_parents_slot_strictly_before() -> None:  # X05
    quarter = {"cron": "*/15 9 * * *"}
    run = start(a=quarter, b={"cron": "30 9 * * *", "depends_on": ["a before"]})
    run = run.go(at("09:00")).end("a").go(at("09:15")).end("a").go(at("09:30"))

    assert run.fired()[-2:] == ["a 09:30", "b 09:30"]


def test_a_slot_too_old_is_a_misfire_and_its_reason_says_what_it_waited_for() -> None:
    run = start(a={}, b={"depends_on": ["a"], "late_max": "60s"}).go(at("09:00"))

    run = run.go(at("09:01"))
    assert run.said("b", "suppressed") == []
    run = run.go(Micros(at("09:01") + SECOND))

    assert run.said("b", "suppressed") == [
        "misfire: 61 s late, limit 60 s after waiting: for a of 09:00"
    ]


def test_after_an_absence_only_the_newest_slot_runs_where_only_it_counts() -> None:
    run = start(a={"cron": "*/5 9 * * *", "missed": "newest"}, b={"cron": "*/5 9 * * *"})

    run = run.go(at("09:12"))

    assert [fire for fire in run.fired() if fire.startswith("a")] == ["a 09:10"]
    assert run.said("a", "suppressed") == ["superseded by the slot of 09:10"] * 2
    assert run.said("b", "waiting") == ["for its own run"] * 2


def test_a_job_never_runs_beside_itself() -> None:
    run = start(a={"cron": "*/5 9 * * *"}).go(at("09:00")).go(at("09:05"))
    assert run.fired() == ["a 09:00"]

    assert run.end("a").fired() == ["a 09:00", "a 09:05"]


def test_a_backlog_says_once_of_each_slot_that_it_waits() -> None:
    run = start(a={"cron": "* 9 * * *"}).go(at("09:30"))
    while run.state.running:
        run = run.end("a")

    assert len(run.fired()) == 31
    assert run.said("a", "waiting") == ["for its own run"] * 30


def test_groups_and_the_total_are_capped() -> None:  # S30, S31
    wide: dict[str, Mapping[str, object]] = {f"w{n}": {} for n in range(12)}
    narrow = {f"n{n}": {"group": "narrow"} for n in range(3)}

    run = Run(table({**wide, **narrow}), initial(at("08:59"))).go(at("09:00"))

    assert len(run.state.running) == 10
    assert run.said("n0", "waiting") == ["for capacity: 10 of 10 running"]
    while run.state.running:
        groups = Counter(run.timetable.jobs[r.slot.job].group for r in run.state.running.values())
        assert groups["narrow"] <= 1
        assert len(run.state.running) <= 10
        run = run.end(next(iter(run.state.running.values())).slot.job)
    assert len(run.fired()) == 15


def test_the_most_urgent_waiting_job_starts_first() -> None:  # S02
    jobs = {f"p{n}": {"priority": n} for n in (3, 2, 1, 0)}
    run = Run(
        table({"first": {"cron": "55 8 * * *"}, **jobs}, running_max=1), initial(at("08:50"))
    ).go(at("08:55"))
    run = run.go(at("09:00"))

    while run.state.running:
        run = run.end(next(iter(run.state.running.values())).slot.job)

    assert [fire.split()[0] for fire in run.fired()][2:] == ["p1", "p2", "p3"]
    assert run.fired()[:2] == ["first 08:55", "p0 09:00"]


def test_one_emergency_goes_beyond_the_caps_on_record() -> None:  # S32, X12
    jobs: dict[str, Mapping[str, object]] = {f"w{n}": {} for n in range(10)}
    late = {"cron": "1 9 * * *", "priority": 0, "group": "narrow"}
    run = Run(table({**jobs, "e1": late, "e2": late}), initial(at("08:59")))

    run = run.go(at("09:00")).go(at("09:01"))

    assert len(run.state.running) == 11
    assert run.said("e1", "fired") == ["emergency: started beyond the caps, 10 running"]
    assert run.said("e2", "waiting") == ["for capacity: 11 of 10 running"]


def test_a_run_that_never_reports_expires_and_its_late_report_changes_nothing() -> None:
    run = start(a={"run_max": "5m"}, b={"depends_on": ["a"]}).go(at("09:00"))
    [name] = run.state.running

    run = run.go(at("09:05"))
    assert run.said("a", "expired") == ["no end reported within 300 s"]
    assert run.said("b", "suppressed") == ["parent a of 09:00 ended expired"]

    late = run.go(at("09:06"), report(name, at("09:00"), "a", "succeeded", at("09:06")))
    assert late.state.status == run.state.status


def test_time_that_goes_back_decides_nothing() -> None:
    run = start(a={}).go(at("09:00")).end("a")

    again = run.go(at("08:00")).go(at("09:00"))

    assert again.log == run.log
    assert again.state.clock == at("09:00")


def test_no_trigger_ever_lies_before_the_horizon_said_earlier() -> None:
    run = start(a={}, b={"depends_on": ["a"]}).go(at("09:10"))
    said = core.horizon(run.state)
    assert said == at("09:10")

    run = run.end("a", now=at("09:10")).end("b", now=at("09:20"))
    late = [each for each in run.log if isinstance(each, JobTriggered) and each.job == "b"]

    assert [(each.slot, each.ts_event) for each in late] == [(at("09:00"), at("09:10"))]
    assert core.horizon(run.state) == at("09:20")


def test_a_trigger_found_late_keeps_its_slot_when_no_horizon_has_passed_it() -> None:
    run = start(a={}).go(at("09:10"))

    [fired] = [each for each in run.log if isinstance(each, JobTriggered)]
    assert fired.ts_event == fired.slot == at("09:00")


def test_an_absence_of_a_quarter_is_refused_with_the_way_out() -> None:
    with pytest.raises(Misconfigured, match="31 days"):
        start(a={}).go(Micros(at("09:00") + 90 * DAY))


def failing(times: int, **keys: object) -> Run:
    """Return a job whose first attempts fail, each as soon as it has begun."""
    run = start(a={"retries": 3, "isolate_after": 1} | keys).go(at("09:00"))
    for _ in range(times):
        if not run.state.running:
            [waiting] = run.state.waiting.values()
            assert waiting.due is not None
            run = run.go(Micros(waiting.due - 1))
            assert not run.state.running
            run = run.go(waiting.due)
        run = run.end("a", "failed")
    return run


def attempts(run: Run) -> list[tuple[int, int]]:
    """Return each trigger's attempt and seconds since the one before."""
    fired = [each for each in run.log if isinstance(each, JobTriggered)]
    begun = [each.ts_event for each in fired]
    gaps = [(b - a) // SECOND for a, b in pairwise([begun[0], *begun])]
    return [(each.attempt, gap) for each, gap in zip(fired, gaps, strict=True)]


def alerts(run: Run) -> list[AlertRaised]:
    """Return whom it called."""
    return [each for each in run.log if isinstance(each, AlertRaised)]


def test_a_failed_attempt_is_tried_again_after_60_120_and_240_seconds() -> None:  # S21, S22
    run = failing(4)

    (first, _), (second, a), (third, b), (fourth, c) = attempts(run)
    assert (first, second, third, fourth) == (1, 2, 3, 4)
    assert (a in range(60, 67), b in range(120, 133), c in range(240, 265)) == (True,) * 3
    assert len({each.fire_id for each in run.log if isinstance(each, JobTriggered)}) == 1
    assert run.state.status["a", at("09:00")] == "failed"


def test_no_delay_is_longer_than_the_cap_which_seven_attempts_reach() -> None:  # S23, I6
    gaps = [gap for _, gap in attempts(failing(7, retries=6))]

    assert gaps[4:] == [300, 300, 300]
    assert all(60 <= gap <= 300 for gap in gaps[1:])


def test_a_retry_that_would_begin_too_late_is_not_made() -> None:  # X14
    run = failing(2, retry_until="2m")

    assert [attempt for attempt, _ in attempts(run)] == [1, 2]
    [said] = run.said("a", "exhausted")
    assert said.startswith("attempt 2 failed, another would begin after 09:02")


def test_a_job_that_fails_once_goes_on_and_its_children_wait_for_the_good_end() -> None:  # S48
    run = start(a={"retries": 3}, b={"depends_on": ["a"]}).go(at("09:00")).end("a", "failed")
    assert run.state.status["a", at("09:00")] == "retrying"

    run = run.go(at("09:02")).end("a")

    words = [d.decision for d in run.log if isinstance(d, ScheduleDecided) and d.job == "a"]
    assert words == ["fired", "failed", "retrying", "fired", "succeeded"]
    assert run.fired()[-1] == "b 09:00"
    assert [each.severity for each in alerts(run)] == ["warning"]


def test_the_end_of_an_attempt_that_is_over_changes_nothing() -> None:
    run = failing(1)
    [waiting] = run.state.waiting.values()
    run = run.go(waiting.due or at("09:05"))

    late = run.go(
        run.state.clock, report(waiting.fire_id, at("09:00"), "a", "succeeded", at("09:01"))
    )

    assert late.state.running[waiting.fire_id].attempt == 2
    assert late.log == run.log


def test_four_failed_attempts_call_somebody_twice_and_a_critical_job_urgently() -> None:  # S27-S29
    plain, critical = alerts(failing(4)), alerts(failing(4, critical=True))

    assert [each.alert_key.rpartition("/")[2] for each in plain] == ["failed", "nothing"]
    assert {each.severity for each in plain} == {"warning"}
    assert [each.severity for each in critical] == ["urgent", "urgent"]
    assert len(alerts(failing(1, retries=0))) == 1


def test_an_exhausted_job_is_quarantined_until_somebody_releases_it() -> None:  # S41, I7
    run = failing(4, cron="*/30 9-10 * * *")
    [why] = run.said("a", "quarantined")
    assert why.startswith("its last run came to nothing: 4 of 4 attempts failed")

    run = run.go(at("09:30"))
    [suppressed] = run.said("a", "suppressed")
    assert suppressed.startswith("quarantined since 09:0")
    run = run.go(at("09:40"), command("release", "job:a")).go(at("10:00"))

    assert run.fired()[-1] == "a 10:00"
    assert run.said("a", "released") == ["by ops: a test"]
    [audited] = [each for each in run.log if isinstance(each, ActAudited)]
    assert (audited.allowed, audited.act, audited.reason) == (True, "release", "a test")


def test_a_quarantined_job_is_not_run_by_hand_either() -> None:
    run = failing(4).go(at("10:00"), command("run", "job:a"))

    [refused] = run.said("a", "refused")
    assert refused.startswith("expected a job that fires, was quarantined since 09:0")
    assert not run.state.running


def test_isolation_counts_runs_in_a_row_and_a_good_one_begins_anew() -> None:
    run = start(a={"cron": "*/5 9 * * *", "isolate_after": 2}).go(at("09:00")).end("a", "failed")
    run = run.go(at("09:05")).end("a").go(at("09:10")).end("a", "failed")
    assert run.state.held == {}

    run = run.go(at("09:15")).end("a", "failed")

    assert run.state.held["a"].word == "quarantined"


def test_a_run_that_expires_calls_somebody_and_counts_as_one_that_came_to_nothing() -> None:
    run = start(a={"run_max": "5m", "retries": 3, "isolate_after": 1}).go(at("09:00"))

    run = run.go(at("09:05"))

    assert run.said("a", "retrying") == []  # who knows whether it still works
    assert run.state.held["a"].word == "quarantined"
    assert [each.alert_key.rpartition("/")[2] for each in alerts(run)] == ["nothing"]


def test_any_failed_runs_when_a_parent_came_to_nothing_and_only_then() -> None:
    rule = {"depends_on": ["a"], "rule": "any_failed"}

    bad = start(a={}, b=rule).go(at("09:00")).end("a", "failed")
    good = start(a={}, b=rule).go(at("09:00")).end("a")

    assert "b 09:00" in bad.fired()
    assert good.said("b", "suppressed") == ["no parent failed"]


def test_who_waits_long_rises_but_never_above_an_emergency() -> None:
    jobs: dict[str, Mapping[str, object]] = {
        "old": {"priority": 3},
        "new": {"cron": "30 9 * * *", "priority": 1},
    }
    run = Run(table({"first": {"cron": "55 8 * * *"}, **jobs}, running_max=1), initial(at("08:50")))
    run = run.go(at("08:55")).go(at("09:00")).go(at("09:30")).end("first", now=at("09:30"))

    assert run.fired()[-1] == "old 09:00"  # level 3 for half an hour: as urgent as level 1, older


def command(
    verb: str, subject: str, slot: Micros | None = None, reason: str = "a test"
) -> CommandGiven:
    """Return a command of an operator."""
    return CommandGiven(
        ts_event=at("09:00"),
        ts_ingest=at("09:00"),
        command_id=f"{verb} {subject}",
        verb=verb,
        subject=subject,
        actor="ops",
        reason=reason,
        slot=slot,
    )


def test_a_manual_run_starts_at_once_without_its_gates_and_names_the_command() -> None:
    run = start(a={"cron": "0 12 * * *"}, b={"cron": "0 13 * * *", "depends_on": ["a"]})

    run = run.go(at("09:00"), command("run", "job:b"))

    [fired] = [each for each in run.log if isinstance(each, JobTriggered)]
    assert (fired.job, fired.kind, fired.cause) == ("b", "manual", "run job:b")
    assert (fired.ts_event, fired.logical_date) == (at("09:00"), 20260330)


def test_two_manual_runs_of_one_instant_are_two_fires() -> None:
    run = start(a={"cron": "0 12 * * *"})

    first, second = command("run", "job:a"), replace(command("run", "job:a"), command_id="again")
    run = run.go(at("09:00"), first, second).end("a")

    fired = [each for each in run.log if isinstance(each, JobTriggered)]
    assert [each.cause for each in fired] == ["run job:a", "again"]
    assert len({each.fire_id for each in fired}) == 2


def test_a_backfill_runs_a_past_slot_again_under_a_name_of_its_own() -> None:
    run = start(a={}, b={"depends_on": ["a"]}).go(at("09:00")).end("a", "failed")

    run = run.go(at("09:10"), command("backfill", "job:a", at("09:00"))).end("a")

    fired = [each for each in run.log if isinstance(each, JobTriggered)]
    assert [(each.kind, each.slot, each.ts_event) for each in fired] == [
        ("auto", at("09:00"), at("09:00")),
        ("backfill", at("09:00"), at("09:10")),
    ]
    assert run.state.status["a", at("09:00")] == "succeeded"
    assert run.state.status["b", at("09:00")] == "suppressed"  # decided is decided


def test_a_cancelled_fire_ends_whether_it_waits_or_runs() -> None:
    run = start(a={}, b={"depends_on": ["a"]}, c={"depends_on": ["b"]}).go(at("09:00"))
    a, b = (fire_id(run.timetable.jobs[name], at("09:00")) for name in "ab")

    run = run.go(at("09:01"), command("cancel", f"fire:{b}"), command("cancel", f"fire:{a}"))

    assert run.said("a", "cancelled") == run.said("b", "cancelled") == ["by ops: a test"]
    assert run.said("c", "suppressed") == ["parent b of 09:00 ended cancelled"]
    assert not run.state.running


def test_a_paused_job_fires_nothing_until_resumed() -> None:
    run = start(a={"cron": "*/5 9 * * *"}).go(at("08:59"), command("pause", "job:a"))
    run = run.go(at("09:00")).go(at("09:01"), command("resume", "job:a")).go(at("09:05"))

    assert run.said("a", "suppressed") == ["paused since 08:59: by ops: a test"]
    assert run.fired() == ["a 09:05"]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (command("release", "job:a"), "expected a quarantined job, was firing"),
        (command("resume", "job:a"), "expected a paused job, was firing"),
        (command("run", "job:nobody"), "expected a job of a, was 'nobody'"),
        (command("cancel", "fire:00"), "expected a fire that waits or runs, was '00'"),
        (command("cancel", "job:a"), "expected backfill | pause | release | resume | run of a job"),
        (command("backfill", "job:a"), "expected a past slot of a, was none"),
        (command("backfill", "job:a", at("09:01")), "expected a past slot of a, was 09:01"),
        (command("backfill", "job:a", at("09:00")), "expected a slot that has ended, was running"),
        (command("run", "job:a", reason=""), "expected an actor and a reason"),
    ],
)
def test_what_cannot_be_done_is_refused_on_record(given: CommandGiven, why: str) -> None:
    run = start(a={}).go(at("09:00"))

    after = run.go(at("09:02"), given)

    [refused] = [each for each in after.log if isinstance(each, ScheduleDecided)][1:]
    [audited] = [each for each in after.log if isinstance(each, ActAudited)]
    assert (audited.allowed, audited.actor, audited.subject) == (False, "ops", given.subject)
    assert (refused.decision, refused.cause) == ("refused", given.command_id)
    assert refused.reason.startswith(why)
    assert digest(after.state) == digest(run.go(at("09:02")).state)


def test_a_command_for_another_room_is_not_answered() -> None:
    run = start(a={}).go(at("08:59"), command("halt", "trading"))

    assert run.log == ()


def succeed(_job: str, _slot: Micros) -> str:
    """End everything well."""
    return "succeeded"


@cache
def whole_day() -> Run:
    """Return the shipped timetable's normal day, stepped every 20 s, everything succeeding."""
    run = Run(shipped(), initial(kst_midnight(NORMAL)))
    return play(run, Micros(kst_midnight(NORMAL) + DAY - MINUTE), Micros(20 * SECOND), succeed)


def test_a_whole_day_fires_every_slot_once() -> None:
    fired = Counter(fire.split()[0] for fire in whole_day().fired())

    assert len(whole_day().fired()) == len(set(whole_day().fired()))
    assert fired["market_monitoring"] == 391
    assert fired["trading_execution"] == 78
    assert fired["rescoring"] == 26
    assert fired["ai_analysis"] == 1  # S05: once, though it has a cron line and a parent
    assert [fired[job] for job in ("daily_settlement", "learning_step", "daily_report")] == [1] * 3
    assert not whole_day().state.waiting
    assert not whole_day().state.running


def test_a_day_keeps_the_caps_and_the_order_of_its_graph() -> None:  # I4, I5
    order = whole_day().fired()

    assert order.index("ai_analysis 08:30") > order.index("morning_data_collection 08:15")
    assert order.index("ai_analysis 08:30") > order.index("previous_day_cleaning 08:30")
    assert order.index("trading_execution 10:00") > order.index("market_monitoring 10:00")
    assert order.index("daily_settlement 15:30") > order.index("market_monitoring 15:30")
    assert order.index("daily_report 16:00") > order.index("daily_settlement 15:30")


def fail(*failing: str) -> Callable[[str, Micros], str | None]:
    """End some jobs badly and the others well."""
    return lambda job, _slot: "failed" if job in failing else "succeeded"


def shipped_day(until: str, ends: Callable[[str, Micros], str | None], begin: str = "07:59") -> Run:
    """Return a part of the shipped timetable's normal day."""
    run = Run(shipped(), initial(at(begin)))
    return play(run, at(until), Micros(20 * SECOND), ends)


def test_failed_collection_stops_the_analysis_and_not_the_day() -> None:  # S15, X11
    run = shipped_day("09:10", fail("morning_data_collection"))

    assert not [fire for fire in run.fired() if fire.startswith("ai_analysis")]
    assert run.said("ai_analysis", "suppressed") == [
        "parent morning_data_collection of 08:15 ended failed"
    ]
    assert "market_monitoring 09:00" in run.fired()


def test_monitoring_waits_for_an_analysis_held_past_the_open() -> None:  # S16
    def held(job: str, _slot: Micros) -> str | None:
        return None if job == "ai_analysis" else "succeeded"

    run = shipped_day("09:02", held, begin="08:20")
    assert not [fire for fire in run.fired() if fire.startswith("market_monitoring")]
    [analysis] = [fire for fire in run.fired() if fire.startswith("ai_analysis")]
    assert analysis == "ai_analysis 08:30"

    run = play(run, at("09:20"), Micros(20 * SECOND), held)
    assert run.said("ai_analysis", "expired") == ["no end reported within 2700 s"]
    assert "market_monitoring 09:16" in run.fired()  # X11: the day goes on, quant only


def test_a_failed_monitoring_slot_has_no_trading_of_that_slot() -> None:  # S17
    def ends(job: str, slot: Micros) -> str:
        return "failed" if (job, slot) == ("market_monitoring", at("10:00")) else "succeeded"

    run = shipped_day("10:06", ends, begin="09:54")

    assert "trading_execution 09:55" in run.fired()
    assert "trading_execution 10:00" not in run.fired()
    assert "trading_execution 10:05" in run.fired()


def test_settlement_waits_for_the_last_monitoring_and_the_report_for_settlement() -> None:
    def held(job: str, slot: Micros) -> str | None:  # S18, S19
        last = (job, slot) == ("market_monitoring", at("15:30"))
        return None if last or job == "daily_settlement" else "succeeded"

    run = shipped_day("15:32", held, begin="15:20")
    assert "daily_settlement 15:30" not in run.fired()

    run = run.end("market_monitoring").go(at("16:07"))
    assert "daily_settlement 15:30" in run.fired()
    assert "daily_report 16:00" not in run.fired()

    assert "daily_report 16:00" in run.end("daily_settlement").fired()


def rebuilt(run: Run) -> State:
    """Return the state folded back from what a scheduler wrote, at its present time."""
    decided = [each for each in run.log if isinstance(each, ScheduleDecided)]
    state = rebuild(decided)
    assert state is not None
    book = Book(state)
    book.at(run.state.clock)
    return book.state()


VERBS = [("run", "job:"), ("pause", "job:"), ("resume", "job:"), ("release", "job:")]


@settings(max_examples=40, deadline=None)
@given(
    ticks=st.lists(st.integers(1, 40 * 60), min_size=1, max_size=60),
    ends=st.lists(st.sampled_from(["succeeded", "failed", "degraded", None]), min_size=7),
    asked=st.lists(st.sampled_from([None, None, None, *range(16)]), min_size=5, max_size=20),
    begin=st.sampled_from(["07:30", "15:20", "23:50"]),
)
def test_the_log_alone_rebuilds_the_state_after_any_of_its_transactions(
    ticks: list[int], ends: list[str | None], asked: list[int | None], begin: str
) -> None:  # I1, I4, I7, I8
    run = Run(shipped(), initial(at(begin)))
    follower, quarantined = Book(run.state), set[str]()
    for count, tick in enumerate(ticks):
        now = Micros(run.state.clock + tick * SECOND)
        done: list[core.Input] = [
            report(name, each.slot.at, each.slot.job, how, now, attempt=each.attempt)
            for place, (name, each) in enumerate(run.state.running.items())
            if (how := ends[(count + place) % len(ends)]) is not None
        ]
        draw = asked[count % len(asked)]
        if draw is not None:
            verb, of = VERBS[draw % len(VERBS)]
            job = list(shipped().jobs)[draw % len(shipped().jobs)]
            done.append(replace(command(verb, of + job), command_id=str(count)))
        before = len(run.log)
        run = run.go(now, *done)
        for each in run.log[before:]:
            if isinstance(each, ScheduleDecided):
                follower.follow(each)
                quarantined ^= {each.job} if each.decision in {"quarantined", "released"} else set()
        follower.at(run.state.clock)
        assert digest(follower.state()) == digest(run.state)
        if count % 3 == 2:  # whoever comes now has the snapshot in place of the log before it
            taken = snapshots.Snapshot(run.state, Micros(1), Micros(2), 3, 4)
            assert digest(snapshots.read(snapshots.event(taken, "0", 1)).state) == digest(run.state)
            follower = Book(snapshots.read(snapshots.event(taken, "0", 1)).state)
        assert {job for job, held in run.state.held.items() if held.word == "quarantined"} == (
            quarantined
        )
        assert_caps(run.state)

    names = [(e.fire_id, e.attempt) for e in run.log if isinstance(e, JobTriggered)]
    assert len(names) == len(set(names))
    keys = [each.alert_key for each in alerts(run)]
    assert len(keys) == len(set(keys))  # I9
    if run.log:
        assert digest(rebuilt(run)) == digest(run.state)


def assert_caps(state: State) -> None:
    """Check the caps of the shipped timetable."""
    jobs = shipped().jobs
    running = [jobs[each.slot.job] for each in state.running.values()]
    groups = Counter(job.group for job in running)
    assert len(running) <= shipped().running_max
    assert all(count <= shipped().groups[group] for group, count in groups.items())
    assert max(Counter(job.name for job in running).values(), default=1) == 1


def test_an_empty_log_rebuilds_nothing() -> None:
    assert rebuild(()) is None


def test_old_slots_are_forgotten_and_open_ones_kept() -> None:
    def held(job: str, _slot: Micros) -> str | None:
        return None if job == "b" else "succeeded"

    run = start(a={}, b={"run_max": "30d"})
    for day in range(1, 12):
        run = play(run, Micros(at("08:59") + day * DAY), Micros(6 * HOUR), held)

    assert ("a", at("09:00")) not in run.state.status
    assert run.state.status["b", at("09:00")] == "running"
