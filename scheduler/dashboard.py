"""The scheduler's row for Grafana, from the names that ``scheduler.meters`` exports.

``aegis jobs dashboard > scheduler.json``, then import it; the data source is asked for there.
"""

from typing import Any, Final, NamedTuple

SCHEMA: Final = 39
"""Of Grafana's dashboard JSON; 10 and newer read it."""

WIDTH: Final = 8
HEIGHT: Final = 7
PER_LINE: Final = 24 // WIDTH


_LATE: Final = "aegis_scheduler_lateness_seconds_bucket"


class Panel(NamedTuple):
    """One panel: what it is called, how it counts, and its queries with their legends."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


PANELS: Final = (
    Panel("Who leads", "short", (
        ("aegis_scheduler_leads", "{{instance}}"),
        ("increase(aegis_scheduler_takeovers_total[1h])", "takeovers {{instance}}"),
    )),
    Panel("Success ratio by job", "percentunit", (("aegis_scheduler_success_ratio", "{{job}}"),)),
    Panel("Mean run time by job", "s", ((
        "rate(aegis_scheduler_run_seconds_sum[1h]) / rate(aegis_scheduler_run_seconds_count[1h])",
        "{{job}}",
    ),)),
    Panel("Waiting, running, held", "short", (("aegis_scheduler_jobs", "{{state}}"),)),
    Panel("Group use", "percentunit", (("aegis_scheduler_group_used_ratio", "{{group}}"),)),
    Panel("Lateness p50 and p99", "s", tuple(
        (f"histogram_quantile({share}, sum by (le) (rate({_LATE}[15m])))", name)
        for share, name in ((0.5, "p50"), (0.99, "p99"))
    )),
    Panel("Ends by state", "short", (
        ("sum by (state) (increase(aegis_scheduler_ends_total[1h]))", "{{state}}"),
    )),
    Panel("Fires", "ops", (("rate(aegis_scheduler_fired_total[5m])", "fires"),)),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON."""
    return {
        "title": "AEGIS scheduler",
        "uid": "aegis-scheduler",
        "schemaVersion": SCHEMA,
        "refresh": "10s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(place, each) for place, each in enumerate(PANELS)],
    }


def _panel(place: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "gridPos": {
            "x": place % PER_LINE * WIDTH,
            "y": place // PER_LINE * HEIGHT,
            "w": WIDTH,
            "h": HEIGHT,
        },
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "expr": query, "legendFormat": legend}
            for at, (query, legend) in enumerate(panel.queries)
        ],
    }
