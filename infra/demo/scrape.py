"""Reading the services' own ``/metrics`` while a day runs."""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import httpx

from infra.demo.children import Child
from infra.meters import quantile

TIMEOUT_S: Final = 2.0
_WATERMARK: Final = re.compile(
    r'^aegis_watermark_timestamp_seconds\{role="([^"]+)"\} (\S+)$', re.MULTILINE
)
_BUCKET: Final = re.compile(
    r'^(\w+_seconds)_bucket\{le="([^"]+)",role="([^"]+)"\} (\S+)$', re.MULTILINE
)


class Figures:
    """What the services said of themselves.

    Attributes:
        lag_s: The largest distance of a role's time behind market time, by role.
    """

    def __init__(self) -> None:
        self.lag_s: defaultdict[str, float] = defaultdict(float)
        self._http = httpx.Client(timeout=TIMEOUT_S)
        self._buckets: defaultdict[tuple[str, str], dict[float, float]] = defaultdict(dict)

    def look(self, children: Iterable[Child], now_s: float | None) -> None:
        """Scrape every living child once; a child that does not answer is left out."""
        for child in children:
            if not child.metrics_port or child.process is None or child.process.poll() is not None:
                continue
            try:
                url = f"http://127.0.0.1:{child.metrics_port}/metrics"
                text = self._http.get(url).text
            except httpx.HTTPError:
                continue  # starting or stopping; the next look counts
            self._take(text, now_s)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def quantiles_ms(self, metric: str, role: str) -> dict[str, float | None]:
        """Return p50 and p99 of a histogram in milliseconds."""
        found = sorted(self._buckets[metric, role].items())
        values = {f"p{round(share * 100)}": quantile(found, share) for share in (0.5, 0.99)}
        return {k: None if v is None else round(v * 1e3, 2) for k, v in values.items()}

    def _take(self, text: str, now_s: float | None) -> None:
        for role, value in _WATERMARK.findall(text):
            if now_s and float(value):
                self.lag_s[role] = max(self.lag_s[role], now_s - float(value))
        for metric, bound, role, value in _BUCKET.findall(text):
            self._buckets[metric, role][float(bound)] = float(value)
