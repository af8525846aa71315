"""The figures about a node's VIPs in Prometheus' text format.

Only code that answers a command imports this: the library takes memory that an idle node does not need.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.duravip.changes import Figures


def exposition(figures: Figures) -> str:
    """`figures` as text, without those that were never measured."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(figures))
    return generate_latest(registry).decode().rstrip("\n")


class _Figures(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        figures = self._figures
        yield GaugeMetricFamily("eccmgr_vips_owned", "VIPs that are plumbed on this node.", figures.owned)
        changes = CounterMetricFamily("eccmgr_vip_changes", "Changes of ownership seen here, by kind.", labels=["kind"])
        for kind, number in figures.changes.items():
            changes.add_metric([kind.value], number)
        yield changes
        if figures.outage_s is not None:
            yield GaugeMetricFamily(
                "eccmgr_vip_last_takeover_outage_seconds",
                "The last takeover: from when this node first saw the owner's session late (or, where that was ended "
                "before, from the decision to take over) until the VIP was plumbed here.",
                figures.outage_s,
            )
        if figures.lease_age_s is not None:
            yield GaugeMetricFamily(
                "eccmgr_vip_lease_age_seconds",
                "Since the last renewal that was answered was sent.",
                figures.lease_age_s,
            )
        fence = GaugeMetricFamily(
            "eccmgr_vip_fence_open",
            "1 while a guardian serves and the deadline of its fence has not passed.",
            labels=["fence"],
        )
        fence.add_metric([figures.fence or "no guardian"], float(figures.is_open))
        yield fence
