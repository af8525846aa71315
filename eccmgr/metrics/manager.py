"""The metrics of a manager."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from eccmgr.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eccmgr.cluster.view import View
    from eccmgr.web.seen import SeenRequests

_OF_LOGS = {
    "written_bytes": "Bytes of nodes' logs that this manager has written.",
    "written_lines": "Lines of nodes' logs that this manager has written.",
    "lost_bytes": "Bytes of the logs collected here that were removed before anybody read them.",
    "behind_bytes": "Bytes of the logs collected here that nodes have and this manager has not written.",
    "held": "Logs that this manager collects.",
    "faults": "Logs that this manager collects and cannot write now.",
}
_LOGS_NOW = ("behind_bytes", "held", "faults")


@dataclass(frozen=True)
class ManagerFigures:
    """What a manager knows of itself and of the cluster at a scrape. The view is None while Redis does not answer."""

    leads: bool
    view: View | None
    seen: SeenRequests
    logs: Mapping[str, float] = field(default_factory=dict)
    """What this manager has collected, by the names of the metrics without `eccmgr_logs_`."""


def exposition(figures: ManagerFigures) -> bytes:
    """`figures` as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_ManagerMetrics(figures))
    return generate_latest(registry)


class _ManagerMetrics(Collector):
    def __init__(self, figures: ManagerFigures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("eccmgr_build_info", "The release of this manager.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        figures = self._figures
        yield GaugeMetricFamily("eccmgr_leader", "1 on the leader of the cluster.", float(figures.leads))
        yield GaugeMetricFamily("eccmgr_redis_up", "1 while Redis answers.", float(figures.view is not None))
        if figures.view is not None:
            yield from self._members(figures.view)
        yield from self._logs(figures.logs)
        requests = CounterMetricFamily("eccmgr_http_requests", "Requests over HTTP.", labels=["route", "code"])
        for (route, code), number in figures.seen.requests.items():
            requests.add_metric([route, str(code)], number)
        yield requests
        yield GaugeMetricFamily("eccmgr_http_streams", "Event streams that are open.", float(figures.seen.streams))

    def _logs(self, logs: Mapping[str, float]) -> Iterator[Metric]:
        for name, text in _OF_LOGS.items():
            kind = GaugeMetricFamily if name in _LOGS_NOW else CounterMetricFamily
            yield kind(f"eccmgr_logs_{name}", text, logs.get(name, 0.0))

    def _members(self, view: View) -> Iterator[Metric]:
        members = GaugeMetricFamily("eccmgr_members", "Live nodes.", labels=["role", "subcluster"])
        for subcluster, number in view.subclusters.items():
            members.add_metric(["node", subcluster], number)
        yield members
        absent = GaugeMetricFamily("eccmgr_members_absent", "Absent nodes.", labels=["subcluster"])
        for subcluster, number in Counter(seat.subcluster for seat in view.absent.values()).items():
            absent.add_metric([subcluster], number)
        yield absent
