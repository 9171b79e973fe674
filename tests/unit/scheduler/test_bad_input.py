"""Bad input: 10,000 drawn mistakes and some of ill will; each is refused by its place.

A refusal is a ``Misconfigured`` of few words on few lines.  What is not refused means something:
a line or a rule that was taken can be laid over a year.
"""

import json
import os
import string
import tracemalloc
from collections.abc import Callable
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler import core, cron, reading, timetable, watch
from scheduler.state import digest, initial
from scheduler.triggers import KRX, Trigger, duration, parse_rule, slots
from schemas.control import CommandGiven
from schemas.errors import Misconfigured
from schemas.krx.sessions import kst_midnight
from schemas.units import DAY, HOUR, Micros

MESSAGE_MAX: Final = 2_000
START: Final = kst_midnight(date(2026, 3, 2))
HEAD = "[limits]\nrunning_max = 10\nemergency_max = 1\n[limits.groups]\ndata = 4\n"
JOB: Final[dict[str, Any]] = {
    "source": "a test", "cron": "0 8 * * *", "calendar": "sessions", "target": "handler:x",
    "group": "data", "priority": 2, "late_max": "60s", "run_max": "60s",
}  # fmt: skip


def refused(what: Callable[[], object]) -> str | None:
    """Return the words of a refusal, None when there is none; anything else is a crash."""
    try:
        what()
    except Misconfigured as error:
        said = str(error)
        assert "expected" in said
        assert len(said) <= MESSAGE_MAX
        return said
    return None


def text(limits: str = HEAD, **jobs: dict[str, Any]) -> str:
    """Return a timetable as text."""
    tables = (
        f"[jobs.{json.dumps(name)}]\n"
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for name, keys in jobs.items()
    )
    return limits + "".join(tables)


def load(of: str) -> timetable.Timetable:
    """Read a timetable as the scheduler does."""
    reading.tables(of)
    return timetable.load(of)


@cache
def shipped() -> timetable.Timetable:
    """Return the timetable that ships."""
    return timetable.default()


NUMBERS = [str(n) for n in (*range(-2, 9), 12, 13, 23, 24, 28, 31, 32, 59, 60, 99, 10**19)]
RANGES = [f"{one}-{two}" for one in NUMBERS[::3] for two in NUMBERS[::2]]
ATOMS = [
    *NUMBERS, *RANGES, *(f"{each}/{step}" for each in ("*", "5", *RANGES[::9]) for step in NUMBERS),
    *("*" for _ in range(60)), "", "MON", "SUN-SAT", "FRI-MON", "6L", "L6", "7L", "6#1", "?", "W",
    "1,,2", ",", "JAN", "dec", "*/0", "\uff10", "1\t2", "\x00", "--", "1-2-3", "*/*", "a" * 150,
]  # fmt: skip
ATOM = st.sampled_from(ATOMS)
LINE = st.one_of(
    st.builds("{} {} {} {} {}".format, ATOM, ATOM, ATOM, ATOM, ATOM),
    st.builds("{} {},{} * {} *".format, ATOM, ATOM, ATOM, ATOM),
    st.builds("{} {} {}".format, ATOM, ATOM, ATOM),
    st.text(max_size=40),
    st.builds(
        "{} {}:{}".format, st.sampled_from(["last Saturday", "third friday of month", "no day"]),
        st.sampled_from(["04", *NUMBERS]), st.sampled_from(["00", *NUMBERS]),
    ),
)  # fmt: skip


@settings(max_examples=2_700)
@given(line=LINE)
def test_a_cron_line_is_refused_with_its_field_marked_or_means_days(line: str) -> None:
    taken: list[cron.Cron] = []
    said = refused(lambda: taken.append(cron.parse(line)))

    if said is None:
        days = taken[0].days(date(2026, 1, 1), date(2027, 1, 1))
        assert len(taken[0].minutes) >= 1
        assert days == tuple(sorted(set(days)))
    elif "\n" in said:
        first, shown, marks = said.split("\n")
        assert shown == f"    {line}"
        field = line[marks.index("^") - 4 : marks.rindex("^") - 3]
        assert repr(field.upper()) in first


WORDS = [
    "every", "5m", "0s", "open", "close", "auction", "opening", "closing", "until", "through",
    "from", "within", "session", "of", "last", "first", "5th", "0th", "week", "month", "+", "-",
    "30m", "7h", "99999999999999999999m", "\n", "", "session of month open", "'; DROP TABLE",
]  # fmt: skip
RULE = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=60)


@settings(max_examples=2_000)
@given(rule=RULE)
def test_a_session_rule_is_refused_or_names_instants_of_its_days(rule: str) -> None:
    said = refused(lambda: parse_rule(rule))

    if said is None:
        found = list(
            slots(
                "a",
                Trigger(None, parse_rule(rule), "sessions", "today"),
                START,
                Micros(START + DAY),
            )
        )
        assert len(found) <= DAY // 1_000_000
    else:
        assert "\n" not in said.replace(repr(rule), "")


@settings(max_examples=1_700)
@given(said=st.text(string.digits + "smhd -.e\n", max_size=30) | st.text(max_size=10))
def test_a_length_of_time_is_refused_or_positive(said: str) -> None:
    if refused(lambda: duration(said)) is None:
        assert duration(said) >= 0
        assert said[:-1].isdigit()


def test_a_length_of_time_of_five_thousand_digits_is_refused() -> None:
    assert "a duration like" in (refused(lambda: duration("9" * 5_000 + "m")) or "")


HOSTILE: Final = [
    "", " ", "A", "a b", "a\nb", "a\x00b", "\x1b[31m", "../../etc/passwd", "a'; DROP TABLE jobs;--",
    "{{7*7}}", "$(reboot)", "`id`", "<script>", "a" * 65, "1a", "_a", "é", "\u202ea", "작업", "a.b",
    "a:b", "a,b", "a-b",
]  # fmt: skip
FOUL = st.characters(exclude_characters=string.ascii_lowercase + string.digits + "_")
NAMES = st.sampled_from(HOSTILE) | st.builds(
    "{}{}{}".format, st.sampled_from(["", "a", "job_1"]), FOUL, st.sampled_from(["", "b_2", " "])
)


@settings(max_examples=1_000)
@given(name=NAMES, group=st.booleans())
def test_a_name_that_could_mean_something_elsewhere_is_refused(name: str, *, group: bool) -> None:
    limits = HEAD + f"{json.dumps(name)} = 1\n" if group else HEAD
    jobs = {"a": JOB} if group else {name: JOB}

    said = refused(lambda: load(text(limits, **jobs)))

    assert said is not None
    if "in TOML" not in said:
        assert said.startswith("[limits.groups]" if group else "[jobs.<name>]")
        assert said.isprintable()


VALUES = st.text(max_size=20) | st.sampled_from([
    *(sign * n for n in (0, 1, 2, 3, 4, 5, 99, 101, 10**6, 2**63, 2**70) for sign in (1, -1)),
    0.0, 1.5, -1e308, float("inf"), float("nan"), True, False, [], [1], ["b"], ["a"], ["a before"],
    ["a\n"], [["a"]], [""], {}, {"a": 1}, {"a": {"b": 1}}, "a" * 1_001, "0s", "32d", "-60s", "60S",
    "1w", "9" * 30 + "d", "a", "b", "role:", ":x", "handler:x\n", "shell:reboot", "process", "next",
    "\x1b[2J", "\u202e", "%s%s%n", "${HOME}", "every 1s within session", "0 8 * * 1-5",
])  # fmt: skip


def toml(value: object) -> str:
    """Return a value as TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value)


@settings(max_examples=1_700)
@given(
    key=st.sampled_from([
        *JOB, "after", "session", "depends_on", "triggers", "rule", "missed", "version", "retries",
        "retry_until", "critical", "isolate_after", "isolation", "logical", "time_zone", "x",
    ]),
    value=VALUES,
)  # fmt: skip
def test_a_wrong_value_is_refused_by_its_job_or_the_timetable_can_be_used(
    key: str, value: object
) -> None:
    lines = {name: toml(each) for name, each in JOB.items()} | {key: toml(value)}
    of = HEAD + "[jobs.a]\n" + "".join(f"{name} = {each}\n" for name, each in lines.items())

    taken: list[timetable.Timetable] = []
    said = refused(lambda: taken.append(load(of)))

    if said is None:
        timetable.between(taken[0], START, Micros(START + DAY))
    else:
        assert said.startswith(("job a", "expected a timetable in TOML", "expected dependencies"))


@pytest.mark.parametrize("value", ["-1", "0", "1.5", '"4"', "true", "[4]", "1_000_001", "{}"])
@pytest.mark.parametrize("place", ["running_max", "emergency_max", "data"])
def test_a_negative_a_zero_or_another_limit_is_refused(place: str, value: str) -> None:
    old = {"running_max": "10", "emergency_max": "1", "data": "4"}[place]
    of = text(HEAD.replace(f"{place} = {old}", f"{place} = {value}"), a=JOB)

    said = refused(lambda: load(of))

    if (place, value) == ("emergency_max", "0"):
        assert said is None
    else:
        assert said is not None
        assert f"expected {place} as a count of" in said


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ("time_zone = 'Mars/Olympus'\n" + text(a=JOB), "expected time_zone 'Asia/Seoul', the exch"),
        ("zone = 'UTC'\n" + text(a=JOB), "a timetable: expected keys of version, time_zone"),
        (text(a=JOB | {"zone": "UTC"}), "job a: expected keys of"),
        (text(a=JOB | {"depends_on": ["b"]}), "job a: expected a job of this timetable, was 'b'"),
        (text(a=JOB | {"after": "c"}), "job a: expected a job of this timetable, was 'c'"),
        (text(a=JOB | {"late_max": "0s"}), "job a: expected late_max as 1s to 31d, was '0s'"),
        (text(a=JOB | {"run_max": "999999999d"}), "job a: expected run_max as 1s to 31d"),
        (text(a=JOB | {"source": "a\x1b[2J"}), "job a: expected source as a printable text"),
        ("limits = 1\n", "limits: expected a table, was 1"),
        ("jobs = [1]\n" + HEAD, "jobs: expected a table, was a list"),
        (HEAD + "[jobs]\na = 1\n", "job a: expected a table, was 1"),
        (HEAD, "1 to 1000 [jobs.<name>] tables, was 0"),
        ("a = " + "9" * 1_999, "characters and 64 dots, was one of 2003"),
        ("a = 0x" + "f" * 1_900, "expected keys of version"),
        ("a." * 60 + "b = 1", "expected keys of version"),
        ("a." * 70 + "b = 1", "64 dots, was one of 145 and 70 at line 1"),
        (HEAD + "[jobs" + ".a" * 60 + "]\n", "job a: expected keys of"),
        (HEAD + "[jobs.a.source" + ".a" * 60 + "]\n", "job a: expected source as a printable text"),
        ("a = " + "[\n" * 5_000, "was nested too deeply"),
        ("a = " + "{b = " * 300, "unreadable"),
        ("#" * 10_000_000, "at most 1000000 bytes, was 10000000"),
        ("#\n" * 500_001, "at most 1000000 bytes"),
    ],
)
def test_a_timetable_of_ill_will_is_refused_at_its_place(of: str, said: str) -> None:
    found = refused(lambda: load(of))

    assert found is not None
    assert said in found


@settings(max_examples=200)
@given(size=st.integers(1, 8), data=st.data())
def test_a_cycle_is_printed_from_one_job_back_to_itself(size: int, data: st.DataObject) -> None:
    names = data.draw(st.permutations([f"job_{n}" for n in range(size)]))
    ring = {name: JOB | {"depends_on": [names[n - 1]]} for n, name in enumerate(names)}

    said = refused(lambda: load(text(HEAD, a=JOB, **ring)))

    assert said is not None
    cycle = said.partition("was ")[2].partition(";")[0].split(" -> ")
    assert (cycle[0], len(cycle), set(cycle)) == (cycle[-1], size + 1, set(names))


def test_a_file_of_a_hundred_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "timetable.toml"
    with path.open("wb") as file:
        file.truncate(100_000_000)

    tracemalloc.start()
    said = refused(lambda: reading.text_of(path, "AEGIS_SCHEDULER__TIMETABLE"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert said == (
        f"AEGIS_SCHEDULER__TIMETABLE: expected at most 1000000 bytes, was {path} of 100000000"
    )
    assert peak < 3 * reading.BYTES_MAX


def test_a_file_that_is_none_is_refused_by_who_named_it(tmp_path: Path) -> None:
    latin, pipe = tmp_path / "latin.toml", tmp_path / "pipe"
    latin.write_bytes(b"# caf\xe9")
    os.mkfifo(pipe)

    said = [
        refused(partial(reading.text_of, path, "THE SETTING"))
        for path in (tmp_path / "none", tmp_path, latin, pipe)
    ]

    assert [each is not None and each.startswith("THE SETTING: expected ") for each in said] == [
        True
    ] * 4
    assert said[2] is not None
    assert said[2].endswith("another byte at 5")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just("20261207"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["output", "bass_dt", "opnd_yn"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=500)
@given(answer=JSON, cut=st.integers(0, 60))
def test_an_answer_of_the_brokerage_is_refused_or_a_calendar(answer: object, cut: int) -> None:
    for body in (json.dumps(answer), json.dumps({"output": [answer]})[: cut or None]):
        said = refused(partial(watch.brokerage, body))
        assert said is None or "chk-holiday" in said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[" * 100_000, "RecursionError"),
        ('{"output": [' * 80_000, "RecursionError"),
        ('{"output": []}' + " " * 10_000_000, "at most 1000000 characters, was 10000014"),
    ],
)
def test_an_answer_too_long_or_too_deep_is_refused(body: str, said: str) -> None:
    assert said in (refused(lambda: watch.brokerage(body)) or "")


@settings(max_examples=300)
@given(
    verb=st.sampled_from(["run", "backfill", "cancel", "pause", "resume", "release", "", "x\n"]),
    subject=st.builds("{}:{}".format, st.sampled_from(["job", "fire"]),
                      st.sampled_from([*HOSTILE, "no_such_job"])),
    slot=st.none() | st.sampled_from([-(2**63), -1, 0, START, 2**63 - 1]),
)  # fmt: skip
def test_a_command_about_an_unknown_job_or_fire_is_refused_and_changes_nothing(
    verb: str, subject: str, slot: int | None
) -> None:
    table, now = shipped(), Micros(START + 7 * HOUR)
    before = initial(now)
    given_ = CommandGiven(
        ts_event=now, ts_ingest=now, command_id="c", verb=verb, subject=subject, actor="somebody",
        reason="a test", slot=None if slot is None else Micros(slot),
    )  # fmt: skip

    after, records = core.step(table, before, now, [given_], KRX)

    assert digest(after) == digest(before)
    assert [getattr(each, "decision", "audited") for each in records] == ["refused", "audited"]


END = kst_midnight(date(2029, 1, 1))


@pytest.mark.parametrize("slot", [-(2**63), -1, 0, END - 2 * DAY, END, 2**62, 2**63 - 1])
def test_a_backfill_of_an_instant_no_calendar_reaches_is_refused_and_changes_nothing(
    slot: int,
) -> None:
    now = Micros(START + 7 * HOUR)
    before = initial(now)
    asked = CommandGiven(
        ts_event=now, ts_ingest=now, command_id="c", verb="backfill", subject="job:market_open",
        actor="somebody", reason="a test", slot=Micros(slot),
    )  # fmt: skip

    after, records = core.step(shipped(), before, now, [asked], KRX)

    assert digest(after) == digest(before)
    assert [getattr(each, "decision", "audited") for each in records] == ["refused", "audited"]
