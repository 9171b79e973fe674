"""The scheduler's part of an audit: every trigger was on its calendar, or an operator's wish."""

from collections.abc import Mapping, Sequence
from typing import Any

from scheduler import agenda, timetable
from scheduler.triggers import KRX
from schemas.topics import TRIGGERS


def judge(events: Mapping[str, Sequence[tuple[str, Any]]]) -> dict[str, int]:
    """Count triggers that the timetable and the calendar do not know for their slot."""
    table = timetable.default()
    wrong = sum(
        agenda.planned(table, each.job, each.slot, KRX) is None
        for _, each in events.get(TRIGGERS.name, ())
        if each.kind == "auto" and each.schedule_hash == table.hash
    )
    foreign = sum(
        each.schedule_hash != table.hash
        for _, each in events.get(TRIGGERS.name, ())
        if each.kind == "auto"
    )
    return {"trigger_outside_calendar": wrong, "trigger_of_another_timetable": foreign}
