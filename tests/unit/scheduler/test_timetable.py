"""The timetable: the brief's lines fire as the mission counts them, and mistakes are named."""

from collections import Counter
from datetime import date
from functools import cache

import pytest

from scheduler import timetable
from scheduler.timetable import Edge, Timetable
from scheduler.triggers import Slot, Suppressed, clock, slots
from schemas.errors import Misconfigured
from schemas.krx import sessions
from schemas.krx.sessions import kst_date, kst_midnight
from schemas.units import DAY, Micros

NORMAL = date(2026, 3, 30)
EXAM = date(2026, 11, 19)
FIRST = date(2026, 1, 2)
ELECTION = date(2026, 6, 3)
YEARS = (date(2015, 1, 1), date(2028, 1, 1))

SESSION_JOBS = (
    "pre_open_prepare",
    "morning_data_collection",
    "previous_day_cleaning",
    "ai_analysis",
    "market_open",
    "market_monitoring",
    "trading_execution",
    "rescoring",
    "daily_settlement",
    "learning_step",
    "daily_report",
    "day_tidy",
)


@cache
def shipped() -> Timetable:
    """Return the timetable that ships."""
    return timetable.default()


def fires(job: str, day: date) -> list[str]:
    """Return the times of day a job fires."""
    found = timetable.preview(shipped(), day)
    return [clock(each.at) for each in found if isinstance(each, Slot) and each.job == job]


def suppressed(job: str, day: date) -> list[str]:
    """Return the reasons a job's nominal times do not fire."""
    found = timetable.preview(shipped(), day)
    return [each.reason for each in found if isinstance(each, Suppressed) and each.slot.job == job]


@pytest.mark.parametrize(
    ("job", "at"),
    [
        ("pre_open_prepare", ["08:00"]),  # S03
        ("morning_data_collection", ["08:00", "08:15", "08:30", "08:45"]),  # S04
        ("previous_day_cleaning", ["08:30"]),
        ("ai_analysis", ["08:30"]),  # S05
        ("market_open", ["09:00"]),  # S06
        ("daily_settlement", ["15:30"]),
        ("daily_report", ["16:00"]),
        ("day_tidy", ["18:00"]),
        ("nightly_backtest", ["00:00"]),
        ("system_check", ["02:00"]),
        ("weekly_rebalancing", []),
        ("factor_recalculation", []),
    ],
)
def test_a_normal_day_fires_at_the_minutes_of_the_brief(job: str, at: list[str]) -> None:
    assert fires(job, NORMAL) == at
    assert suppressed(job, NORMAL) == []


def test_monitoring_fires_391_times_and_not_after_the_close() -> None:  # S07
    at = fires("market_monitoring", NORMAL)

    assert (len(at), at[0], at[-1]) == (391, "09:00", "15:30")
    assert len(suppressed("market_monitoring", NORMAL)) == 420 - 391


def test_trading_fires_78_times_and_not_at_the_close() -> None:  # S09
    at = fires("trading_execution", NORMAL)

    assert (len(at), at[0], at[-1]) == (78, "09:00", "15:25")
    assert len(suppressed("trading_execution", NORMAL)) == 84 - 78


def test_rescoring_fires_every_15_minutes_within_the_session() -> None:  # X27
    at = fires("rescoring", NORMAL)

    assert (len(at), at[0], at[1], at[-1]) == (26, "09:00", "09:15", "15:15")


@pytest.mark.parametrize(
    ("job", "at"),
    [
        ("market_open", ["10:00"]),
        ("ai_analysis", ["09:30"]),
        ("daily_settlement", ["16:30"]),
        ("daily_report", ["17:00"]),
        ("day_tidy", ["18:00"]),
    ],
)
def test_an_exam_day_moves_with_the_session(job: str, at: list[str]) -> None:  # S06, S37
    assert fires(job, EXAM) == at


def test_an_exam_day_keeps_391_and_78() -> None:
    monitoring, trading = fires("market_monitoring", EXAM), fires("trading_execution", EXAM)

    assert (len(monitoring), monitoring[0], monitoring[-1]) == (391, "10:00", "16:30")
    assert (len(trading), trading[0], trading[-1]) == (78, "10:00", "16:25")


def test_the_first_session_opens_late_and_closes_as_ever() -> None:
    assert fires("market_open", FIRST) == ["10:00"]
    assert fires("daily_settlement", FIRST) == ["15:30"]
    assert suppressed("market_open", FIRST) == ["outside the session: due 10:00, first session"]


def test_every_special_session_opens_at_ten_and_settles_at_its_close() -> None:  # S37
    special = [each for each in sessions.sessions_between(*YEARS) if each.special]

    assert len(special) == 27
    for each in special:
        settles = "15:30" if each.date >= date(2016, 8, 1) else "15:00"
        if each.special == "exam day":
            settles = "16:30" if each.date >= date(2016, 8, 1) else "16:00"
        assert fires("market_open", each.date) == ["10:00"]
        assert fires("daily_settlement", each.date) == [settles]


def test_a_closed_day_fires_no_session_job_and_says_why() -> None:  # S03
    assert suppressed("pre_open_prepare", ELECTION) == ["closed: Local Election Day"]
    fired = [each.job for each in timetable.preview(shipped(), ELECTION) if isinstance(each, Slot)]
    assert fired == ["nightly_backtest", "system_check"]


DENSE_JOBS = ("market_monitoring", "trading_execution")
DENSE_YEARS = ((date(2016, 1, 1), date(2017, 1, 1)), (date(2026, 1, 1), date(2028, 1, 1)))


@pytest.mark.parametrize(
    ("job", "years"),
    [(job, YEARS) for job in SESSION_JOBS if job not in DENSE_JOBS]
    + [(job, years) for job in DENSE_JOBS for years in DENSE_YEARS],
)
def test_session_jobs_fire_on_every_session_of_13_years_and_on_no_other_day(
    job: str, years: tuple[date, date]
) -> None:  # S14, S35, S36; the two jobs by the minute on three of the years
    golden = {each.date for each in sessions.sessions_between(*years)}
    trigger = shipped().jobs[job].trigger

    found = slots(job, trigger, kst_midnight(years[0]), kst_midnight(years[1]))
    fired = {kst_date(each.at) for each in found if isinstance(each, Slot)}

    assert fired == golden
    assert years != YEARS or len(golden) == 3_189


def test_last_saturday_fires_13_times_in_400_days_with_its_follower() -> None:  # F10, X44
    start = kst_midnight(date(2026, 1, 1))
    found = timetable.between(shipped(), start, Micros(start + 400 * DAY))
    fired = Counter(each.job for each in found if isinstance(each, Slot))

    assert fired["factor_recalculation"] == 13
    assert fired["rebalancing_after_factors"] == 13
    assert fired["weekly_rebalancing"] == 57


def test_a_saturday_runs_what_is_not_bound_to_sessions() -> None:  # X41
    found = timetable.preview(shipped(), date(2026, 11, 28))

    assert [(each.job, clock(each.at)) for each in found if isinstance(each, Slot)] == [
        ("nightly_backtest", "00:00"),
        ("system_check", "02:00"),
        ("weekly_rebalancing", "02:00"),
        ("factor_recalculation", "04:00"),
        ("rebalancing_after_factors", "04:00"),
    ]


def test_the_shipped_timetable_has_the_graph_of_the_brief_and_no_warning() -> None:
    jobs = shipped().jobs

    assert shipped().warnings == ()
    assert jobs["ai_analysis"].depends_on == (
        Edge("morning_data_collection", before=True),
        Edge("previous_day_cleaning", before=False),
    )
    assert [edge.parent for edge in jobs["market_monitoring"].depends_on] == ["ai_analysis"]
    assert [edge.parent for edge in jobs["trading_execution"].depends_on] == ["market_monitoring"]
    assert dict(shipped().groups) == {
        "data_processing": 4,
        "ai_analysis": 3,
        "trading": 2,
        "reporting": 1,
    }


HEAD = """
[limits]
running_max = 10
emergency_max = 1
[limits.groups]
data = 4
"""
JOB = """
source = "a test"
calendar = "sessions"
target = "handler:x"
group = "data"
priority = 2
late_max = "60s"
run_max = "60s"
"""


def load(**jobs: str) -> Timetable:
    """Load a timetable of jobs given by the lines they add to a plain job."""
    tables = (f"[jobs.{name}]{JOB}{lines}\n" for name, lines in jobs.items())
    return timetable.load(HEAD + "".join(tables))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "job a: expected cron, session or after"),
        ('cron = "61 8 * * *"', r"(?s)job a: expected minute 0-59.*\^\^"),
        ('cron = "0 8 * * *"\ndepends_on = ["b"]', "job a: expected a job of this .*was 'b'"),
        ('cron = "0 8 * * *"\ntriggers = ["b"]', "job a: expected a job of this .*was 'b'"),
        ('cron = "0 8 * * *"\ndepends_on = ["a after"]', "'<job> before'"),
        ('cron = "0 8 * * *"\nrule = "most"', "expected rule of"),
        ('cron = "0 8 * * *"\ncolour = "red"', "was 'colour'"),
        ('session = "noon"', "job a: expected 'open"),
        ('after = "a"', "cycle, was a -> a"),
        ('cron = "0 8 * * *"\nlogical = "next session"', "logical 'today'"),
    ],
)
def test_a_mistake_is_said_with_its_job_and_key(lines: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        load(a=lines)


def test_a_cycle_is_printed() -> None:
    line = 'cron = "0 8 * * *"\ndepends_on = ["{}"]'

    with pytest.raises(Misconfigured, match=r"was (\w) -> \w -> \w -> \1;"):
        load(a=line.format("c"), b=line.format("a"), c=line.format("b"))


def test_a_one_sided_edge_is_taken_with_a_warning() -> None:  # X08
    table = load(a='cron = "0 8 * * *"\ntriggers = ["b"]', b='cron = "0 8 * * *"', c='after = "a"')

    assert table.jobs["b"].depends_on == (Edge("a", before=False),)
    assert table.jobs["c"].trigger == table.jobs["a"].trigger
    assert [warning.split(",")[0] for warning in table.warnings] == [
        "a triggers b",
        "c depends on a",
    ]


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ('group = "data"', 'group = "trading"', "expected a group of"),
        ("priority = 2", "priority = 4", "priority 0 to 3, was 4"),
        ('target = "handler:x"', 'target = "x"', "handler:<name>"),
        ('target = "handler:x"', 'target = "role:x"\nretries = 1', "no retries of a role"),
        ('late_max = "60s"', 'late_max = "60"', "job a: late_max: expected a duration"),
        ('source = "a test"', "", "the key 'source'"),
        ("running_max = 10", 'running_max = "x"', "running_max as a count"),
        ("[jobs.a]", "[jobs.a", "in TOML"),
    ],
)
def test_a_wrong_value_is_said(was: str, now: str, said: str) -> None:
    text = f'{HEAD}[jobs.a]{JOB}cron = "0 8 * * *"\n'

    with pytest.raises(Misconfigured, match=said):
        timetable.load(text.replace(was, now))


def test_an_edge_between_different_logical_dates_is_refused() -> None:
    line = 'cron = "0 8 * * *"\n'
    other = JOB.replace('"sessions"', '"every-day"\nlogical = "previous session"')

    with pytest.raises(Misconfigured, match="would never meet"):
        timetable.load(f'{HEAD}[jobs.a]{other}{line}[jobs.b]{JOB}{line}depends_on = ["a"]\n')


def test_the_hash_changes_with_content_and_not_with_comments() -> None:
    text = f'{HEAD}[jobs.a]{JOB}cron = "0 8 * * *"\n'

    assert timetable.load(text).hash == timetable.load(text + "# a comment\n").hash
    assert timetable.load(text).hash != timetable.load(text.replace("0 8", "0 9")).hash
