"""A job's past and the scheduler's figures, from the records of a real step."""

import re
from datetime import date
from functools import reduce

from prometheus_client import CollectorRegistry

from scheduler import core, steps, timetable
from scheduler.dashboard import dashboard
from scheduler.history import told
from scheduler.jobs import newest
from scheduler.meters import Meters
from scheduler.records import Decision
from scheduler.state import State, initial
from schemas.control import JobTriggered, RunReported, ScheduleDecided
from schemas.krx.sessions import kst_midnight
from schemas.units import HOUR, MINUTE, SECOND, Micros

TEXT = """
[limits]
running_max = 4
emergency_max = 0
[limits.groups]
wide = 4
[jobs.a]
source = "a test"
cron = "0 9 * * *"
calendar = "weekdays"
target = "handler:x"
group = "wide"
priority = 2
late_max = "1h"
run_max = "1h"
[jobs.b]
source = "a test"
cron = "0 9 * * *"
calendar = "weekdays"
target = "handler:x"
group = "wide"
priority = 2
late_max = "1h"
run_max = "1h"
depends_on = ["a"]
"""
TABLE = timetable.load(TEXT)
NINE = Micros(kst_midnight(date(2026, 2, 10)) + 9 * HOUR)


def report(trigger: JobTriggered, now: Micros, state: str) -> RunReported:
    return RunReported(
        ts_event=now,
        ts_ingest=now,
        fire_id=trigger.fire_id,
        job=trigger.job,
        slot=trigger.slot,
        state=state,
        attempt=trigger.attempt,
        worker="w1",
        detail=f"{state} for a reason",
        started=trigger.ts_event,
        ended=now,
    )


def a_failure_and_a_success(meters: Meters) -> tuple[list[Decision], list[RunReported], State]:
    """Let job a fail once, then succeed after 30 s; b waits for it and is left running."""
    log: list[Decision] = []
    reports: list[RunReported] = []
    state = initial(Micros(NINE - SECOND))

    def go(now: Micros, *inputs: RunReported) -> None:
        nonlocal state
        meters.took(inputs, state)
        state, records = core.step(TABLE, state, now, inputs)
        meters.wrote(records)
        meters.stands(state, TABLE)
        log.extend(records)
        reports.extend(inputs)

    go(NINE)
    go(Micros(NINE + 10 * SECOND), report(fires(log)[0], Micros(NINE + 10 * SECOND), "failed"))
    go(Micros(NINE + 2 * MINUTE))
    again = Micros(NINE + 2 * MINUTE + 30 * SECOND)
    go(again, report(fires(log)[1], again, "succeeded"))
    go(again, report(fires(log)[1], again, "succeeded"))  # told twice
    return log, reports, state


def fires(log: list[Decision]) -> list[JobTriggered]:
    return [each for each in log if isinstance(each, JobTriggered)]


def test_a_job_that_fails_once_and_then_succeeds_passes_through_all_five_states() -> None:  # S48
    log, reports, _ = a_failure_and_a_success(Meters(CollectorRegistry()))

    [fire] = told((e for e in log if isinstance(e, ScheduleDecided)), reports, "a")

    assert fire.way == ("waiting", "running", "failed", "retrying", "running", "succeeded")
    assert [(each.attempt, each.state, each.detail) for each in fire.attempts] == [
        (1, "failed", "failed for a reason"),
        (2, "succeeded", "succeeded for a reason"),
    ]
    assert [each.worker for each in fire.attempts] == ["w1", "w1"]
    assert fire.attempts[1].ended == NINE + 2 * MINUTE + 30 * SECOND


def test_the_figures_are_those_of_the_reports_and_of_what_is_open() -> None:  # S43-S47
    registry = CollectorRegistry()
    _, reports, state = a_failure_and_a_success(Meters(registry))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"aegis_scheduler_{name}", labels)

    ends = {(each.fire_id, each.attempt): each for each in reports}.values()
    runs = [(each.ended or 0) - each.started for each in ends]
    assert value("success_ratio", job="a") == 0.5
    assert value("run_seconds_count", job="a") == len(runs) == 2
    assert value("run_seconds_sum", job="a") == sum(runs) / 1e6 == 40.0
    assert value("jobs", state="running") == len(state.running) == 1
    assert value("jobs", state="waiting") == 0
    assert value("group_used_ratio", group="wide") == 0.25
    assert value("ends_total", job="a", state="failed") == 1
    assert value("lateness_seconds_count", job="a") == 1


def test_a_run_tells_its_seven_steps_in_order_and_names_who_followed() -> None:  # S38
    log, reports, _ = a_failure_and_a_success(Meters(CollectorRegistry()))
    decided = [each for each in log if isinstance(each, ScheduleDecided)]
    about = [each for each in decided if each.job == "a"]
    followers = [each for each in fires(log) if each.cause == about[0].fire_id]

    way = steps.of(about, [each for each in reports if each.job == "a"], followers)

    assert [each.name for each in way] == [
        "due", "runnable", "dependencies", "resources", "run", "result", "followers",
    ]  # fmt: skip
    times = [each.at for each in way if each.at is not None]
    assert len(times) == 7
    assert times == sorted(times)
    assert (way[5].told.split(":")[0], way[6].told) == ("succeeded", "b")


def test_a_fire_that_was_suppressed_stops_at_the_step_that_stopped_it() -> None:
    _, found = core.step(TABLE, initial(Micros(NINE - SECOND)), Micros(NINE + 3 * HOUR))
    late = [each for each in found if isinstance(each, ScheduleDecided) and each.job == "a"]

    way = steps.of(late, [], [])

    assert way[1].told.startswith("misfire")
    assert [each.at for each in way[2:5]] == [None] * 3


def test_the_day_counts_a_retried_run_by_its_last_attempt() -> None:
    _, reports, _ = a_failure_and_a_success(Meters(CollectorRegistry()))

    runs = reduce(newest, [*reports, reports[0]], dict[str, RunReported]())

    assert [(each.attempt, each.state) for each in runs.values()] == [(2, "succeeded")]


def test_every_figure_on_the_dashboard_is_one_that_the_scheduler_exports() -> None:
    registry = CollectorRegistry()
    a_failure_and_a_success(Meters(registry))
    exported = {sample.name for family in registry.collect() for sample in family.samples}

    asked = {
        name
        for panel in dashboard()["panels"]
        for target in panel["targets"]
        for name in re.findall(r"aegis_[a-z_]+", target["expr"])
    }

    assert asked <= exported
    assert len(asked) >= 8
