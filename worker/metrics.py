"""The metrics of a node in Prometheus' text format.

Only code that answers a scrape imports this: the library takes memory that an idle node does not need.
"""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from eccmgr.metrics.families import Families, as_text
from eccmgr.version import __version__, revision
from worker.duravip.metrics import ADDRESSES_MAX, vip_metrics
from worker.measuring import NodeFigures


def node_exposition(figures: NodeFigures) -> str:
    """`figures` as text."""
    return as_text(_NodeMetrics(figures)).decode().rstrip("\n")


class _NodeMetrics(Collector):
    def __init__(self, figures: NodeFigures) -> None:
        self._figures, self._families = figures, Families(cluster=figures.cluster)

    def collect(self) -> Iterator[Metric]:
        figures, families = self._figures, self._families
        release = {(__version__, revision()): 1.0}
        yield families.gauge("eccmgr_build_info", "The release of this node.", release, "version", "revision")
        yield families.one("eccmgr_redis_up", "1 while Redis answers.", float(figures.redis_up))
        yield from vip_metrics(figures.vips, families)
        ran: Counter[tuple[str, ...]] = Counter()
        for (name, result), number in figures.ran.items():
            ran[name if name in figures.known_commands or name == "module" else "other", result] += number
        about = "Commands that this node ran, whoever sent them."
        yield families.counter("eccmgr_commands_run", about, ran, "command", "result")
        yield families.histogram("eccmgr_command_run_seconds", "How long they took.", figures.took)
        jobs = {(state,): float(number) for state, number in figures.jobs.items()}
        yield families.gauge("eccmgr_jobs", "Unfinished jobs, and those that ended lately, by state.", jobs, "state")
        cut = max(0, figures.vips.owned - ADDRESSES_MAX)
        truncated = {("eccmgr_vip_owned",): float(cut)} if cut else {}
        yield families.gauge("eccmgr_metrics_truncated", "Series that are left out, by family.", truncated, "family")
        yield from families.process()
