"""The scheduler's core: one decision per slot, gates, caps, and a state that its log rebuilds."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date
from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import core, timetable
from scheduler.core import Decision, State
from scheduler.timetable import Timetable
from scheduler.triggers import clock
from schemas.control import JobTriggered, RunReported, ScheduleDecided
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_midnight
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
DEFAULTS = {"cron": "0 9 * * *", "group": "wide", "priority": 2, "late_max": "8h", "run_max": "8h"}


def at(time: str, day: date = NORMAL) -> Micros:
    """Return an instant of a day in Korea."""
    hour, minute = map(int, time.split(":"))
    return Micros(kst_midnight(day) + hour * HOUR + minute * MINUTE)


def table(jobs: Mapping[str, Mapping[str, object]], running_max: int = 10) -> Timetable:
    """Return a timetable of jobs at 09:00 unless they say otherwise."""
    text = HEAD.format(running_max=running_max)
    for name, keys in jobs.items():
        lines = (f"{key} = {value!r}\n" for key, value in {**DEFAULTS, **keys}.items())
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
    reports: tuple[RunReported, ...] = ()

    def go(self, now: Micros, *reports: RunReported) -> "Run":
        """Take one step."""
        state, records = core.step(self.timetable, self.state, now, reports)
        return Run(self.timetable, state, (*self.log, *records), (*self.reports, *reports))

    def end(self, job: str, how: str = "succeeded", now: Micros | None = None) -> "Run":
        """Report the end of the one running run of a job, and let the scheduler see it."""
        [name] = [k for k, run in self.state.running.items() if run.slot.job == job]
        now = self.state.clock if now is None else now
        return self.go(now, report(name, self.state.running[name].slot.at, job, how, now))

    def fired(self) -> list[str]:
        """Return what was fired, as ``job hh:mm``, in order."""
        return [f"{t.job} {clock(t.slot)}" for t in self.log if isinstance(t, JobTriggered)]

    def said(self, job: str, decision: str) -> list[str]:
        """Return the reasons of a job's decisions of one kind."""
        decided = (d for d in self.log if isinstance(d, ScheduleDecided))
        return [d.reason for d in decided if (d.job, d.decision) == (job, decision)]


def report(name: str, slot: Micros, job: str, how: str, now: Micros) -> RunReported:
    """Return the report of an end."""
    return RunReported(
        ts_event=now,
        ts_ingest=now,
        fire_id=name,
        job=job,
        slot=slot,
        state=how,
        attempt=1,
        worker="test",
        detail="",
        started=now,
        ended=now,
    )


def start(day: date = NORMAL, **jobs: Mapping[str, object]) -> Run:
    """Return a fresh scheduler of some jobs, a minute before they are due."""
    return Run(table(jobs), core.initial(at("08:59", day)))


def play(run: Run, until: Micros, tick: Micros, ends: Callable[[str, Micros], str | None]) -> Run:
    """Step until an instant; every run ends at the next tick as ``ends(job, slot)`` says."""
    while run.state.clock < until:
        now = Micros(run.state.clock + tick)
        done = [
            report(name, each.slot.at, each.slot.job, how, now)
            for name, each in run.state.running.items()
            if (how := ends(each.slot.job, each.slot.at)) is not None
        ]
        run = run.go(now, *done)
    return run


def test_a_slot_is_fired_once_with_its_decision() -> None:
    run = start(a={}).go(at("09:00")).go(at("09:00")).end("a").go(at("09:01"))

    decided, triggered = run.log
    assert isinstance(decided, ScheduleDecided)
    assert isinstance(triggered, JobTriggered)
    assert (decided.decision, decided.reason) == ("fired", "on time")
    assert decided.fire_id == triggered.fire_id
    assert (triggered.slot, triggered.ts_event, triggered.logical_date) == (
        at("09:00"),
        at("09:00"),
        20260330,
    )


def test_fire_id_is_a_function_of_job_version_slot_and_kind() -> None:
    job = table({"a": {}}).jobs["a"]

    names = {
        core.fire_id(job, at("09:00")),
        core.fire_id(job, at("09:01")),
        core.fire_id(job, at("09:00"), "manual"),
        core.fire_id(job._replace(version=2), at("09:00")),
        core.fire_id(job._replace(name="b"), at("09:00")),
    }

    assert len(names) == 5
    assert core.fire_id(job, at("09:00")) in names


def test_a_slot_at_the_instant_of_the_last_step_is_not_decided_twice() -> None:
    run = Run(table({"a": {}}), core.initial(at("09:00"))).go(at("12:00"))

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
    assert (child.job, child.cause) == ("b", core.fire_id(run.timetable.jobs["a"], at("09:00")))
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
    assert run.said("b", "waiting") == ["for its own run of 09:00"] * 2


def test_a_job_never_runs_beside_itself() -> None:
    run = start(a={"cron": "*/5 9 * * *"}).go(at("09:00")).go(at("09:05"))
    assert run.fired() == ["a 09:00"]

    assert run.end("a").fired() == ["a 09:00", "a 09:05"]


def test_groups_and_the_total_are_capped() -> None:  # S30, S31
    wide: dict[str, Mapping[str, object]] = {f"w{n}": {} for n in range(12)}
    narrow = {f"n{n}": {"group": "narrow"} for n in range(3)}

    run = Run(table({**wide, **narrow}), core.initial(at("08:59"))).go(at("09:00"))

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
        table({"first": {"cron": "55 8 * * *"}, **jobs}, running_max=1), core.initial(at("08:50"))
    ).go(at("08:55"))
    run = run.go(at("09:00"))

    while run.state.running:
        run = run.end(next(iter(run.state.running.values())).slot.job)

    assert [fire.split()[0] for fire in run.fired()][2:] == ["p1", "p2", "p3"]
    assert run.fired()[:2] == ["first 08:55", "p0 09:00"]


def test_one_emergency_goes_beyond_the_caps_on_record() -> None:  # S32, X12
    jobs: dict[str, Mapping[str, object]] = {f"w{n}": {} for n in range(10)}
    late = {"cron": "1 9 * * *", "priority": 0, "group": "narrow"}
    run = Run(table({**jobs, "e1": late, "e2": late}), core.initial(at("08:59")))

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


def succeed(_job: str, _slot: Micros) -> str:
    """End everything well."""
    return "succeeded"


@cache
def whole_day() -> Run:
    """Return the shipped timetable's normal day, stepped every 20 s, everything succeeding."""
    run = Run(shipped(), core.initial(kst_midnight(NORMAL)))
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
    run = Run(shipped(), core.initial(at(begin)))
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


def rebuilt(run: Run) -> State | None:
    """Return the state folded back from what a scheduler wrote and read."""
    decided = [each for each in run.log if isinstance(each, ScheduleDecided)]
    return core.restore(run.timetable, decided, run.reports)


def comparable(state: State | None) -> tuple[object, ...]:
    """Return what two states must agree on; the cause of a wait is found again by its gate."""
    assert state is not None
    waiting = sorted(each._replace(cause="") for each in state.waiting)
    return waiting, dict(state.running), dict(state.status), dict(state.slots)


@settings(max_examples=25, deadline=None)
@given(
    ticks=st.lists(st.integers(1, 40 * 60), min_size=1, max_size=60),
    ends=st.lists(st.sampled_from(["succeeded", "failed", "degraded", None]), min_size=7),
)
def test_the_log_rebuilds_the_state_at_any_point(
    ticks: list[int], ends: list[str | None]
) -> None:  # I1, I4, I8
    run = Run(shipped(), core.initial(at("07:30")))
    for count, tick in enumerate(ticks):
        now = Micros(run.state.clock + tick * SECOND)
        done = [
            report(name, each.slot.at, each.slot.job, how, now)
            for place, (name, each) in enumerate(run.state.running.items())
            if (how := ends[(count + place) % len(ends)]) is not None
        ]
        run = run.go(now, *done)
        assert_caps(run.state)

    names = [each.fire_id for each in run.log if isinstance(each, JobTriggered)]
    assert len(names) == len(set(names))
    if run.log:
        assert comparable(rebuilt(run)) == comparable(run.state)


def assert_caps(state: State) -> None:
    """Check the caps of the shipped timetable."""
    jobs = shipped().jobs
    running = [jobs[each.slot.job] for each in state.running.values()]
    groups = Counter(job.group for job in running)
    assert len(running) <= shipped().running_max
    assert all(count <= shipped().groups[group] for group, count in groups.items())
    assert max(Counter(job.name for job in running).values(), default=1) == 1


def test_an_empty_log_rebuilds_nothing() -> None:
    assert core.restore(shipped(), (), ()) is None


def test_old_slots_are_forgotten_and_open_ones_kept() -> None:
    def held(job: str, _slot: Micros) -> str | None:
        return None if job == "b" else "succeeded"

    run = start(a={}, b={"run_max": "30d"})
    for day in range(1, 12):
        run = play(run, Micros(at("08:59") + day * DAY), Micros(6 * HOUR), held)

    assert ("a", at("09:00")) not in run.state.status
    assert run.state.status["b", at("09:00")] == "running"
