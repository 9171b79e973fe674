"""The last alerts and where each of them went: folded from ``ops.alerts`` and ``ops.audit``."""

from collections.abc import Sequence
from typing import NamedTuple

from consumers.alerts.rules import DELIVERED, DELIVERING, SERVICE, UNDELIVERED
from schemas.ops import ActAudited, AlertRaised
from schemas.units import Micros


class Reached(NamedTuple):
    """One channel of an alert.

    Attributes:
        act: The last on record: ``delivered``, ``undelivered``, or where it stands.
        at: When, Micros on the wall clock.
        tries: Begun so far.
    """

    channel: str
    act: str
    at: Micros
    tries: int


class Row(NamedTuple):
    """One alert, by its first record.

    Attributes:
        raised: Micros on the clock of who raised it.
    """

    raised: Micros
    severity: str
    key: str
    summary: str
    reached: tuple[Reached, ...]


def rows(alerts: Sequence[AlertRaised], acts: Sequence[ActAudited], last: int) -> list[Row]:
    """Return the last alerts, oldest first; each key once."""
    reached: dict[str, dict[str, Reached]] = {}
    for each in acts:
        if each.service != SERVICE:
            continue
        channel, _, key = each.subject.partition(":")
        there = reached.setdefault(key, {})
        tries = there[channel].tries if channel in there else 0
        there[channel] = Reached(channel, each.act, each.ts_event, tries + (each.act == DELIVERING))
    first: dict[str, AlertRaised] = {}
    for alert in alerts:
        first.setdefault(alert.alert_key, alert)
    return [
        Row(
            each.ts_event,
            each.severity,
            each.alert_key,
            each.summary,
            tuple(reached.get(each.alert_key, {}).values()),
        )
        for each in list(first.values())[-last:]
    ]


def sums(found: Sequence[Row]) -> dict[str, int]:
    """Return how many alerts there are and how their deliveries stand."""
    acts = [one.act for each in found for one in each.reached]
    ended = {name: acts.count(name) for name in (DELIVERED, UNDELIVERED)}
    return {"alerts": len(found), **ended, "under_way": len(acts) - sum(ended.values())}
