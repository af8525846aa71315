"""The metrics of a manager in Prometheus' text format.

Only a scrape imports this: the library takes memory. No label holds a node's name, and each family has a bound.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from eccmgr.cluster.delivery_tally import DeliveryTally
from eccmgr.duravip.states import Agreement
from eccmgr.feed.topics import FeedTopic
from eccmgr.metrics.families import Families, as_text
from eccmgr.metrics.watching import Scraped
from eccmgr.redis.trips import RoundTrips
from eccmgr.schedules.schedule import Fate
from eccmgr.schedules.tally import ScheduleTally
from eccmgr.version import __version__, revision
from eccmgr.web.seen import SeenRequests

_PLAIN = Families()
SUBCLUSTERS_MAX, VERSIONS_MAX, ADDRESSES_MAX = 50, 10, 1000
_LATE_FROM, _CRITICAL_FROM = 4, 7
"""Leases are fresh, late and critical by the eighths of their length that have passed."""

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
    """What a manager knows of itself and of the cluster at a scrape. `redis_up`: Redis answered the last call."""

    leads: bool
    redis_up: bool
    scraped: Scraped
    deliveries: DeliveryTally
    ran: Mapping[tuple[str, str], int]
    known_commands: frozenset[str]
    refused: Mapping[str, int]
    connections: int
    unsaved: int
    seen: SeenRequests
    logs: Mapping[str, float] = field(default_factory=dict)
    """What this manager has collected, by the names of the metrics without `eccmgr_logs_`."""
    trips: RoundTrips = field(default_factory=RoundTrips)
    ended: Mapping[str, int] = field(default_factory=dict)
    """The sessions of nodes that ended, by how."""
    schedules: ScheduleTally = field(default_factory=ScheduleTally)


def exposition(figures: ManagerFigures) -> bytes:
    """`figures` as text."""
    return as_text(_ManagerMetrics(figures))


class _ManagerMetrics(Collector):
    def __init__(self, figures: ManagerFigures) -> None:
        self._figures = figures
        self._truncated: Counter[tuple[str, ...]] = Counter()

    def collect(self) -> Iterator[Metric]:
        figures = self._figures
        release = {(__version__, revision()): 1.0}
        yield _PLAIN.gauge("eccmgr_build_info", "The release of this manager.", release, "version", "revision")
        yield _PLAIN.one("eccmgr_leader", "1 on the leader of the cluster.", float(figures.leads))
        yield _PLAIN.one("eccmgr_redis_up", "1 while Redis answers.", float(figures.redis_up))
        if figures.scraped.cluster:
            yield from self._cluster()
            yield from self._members()
        yield from self._sessions_and_redis()
        yield from self._vips()
        yield from self._jobs_and_schedules()
        yield from self._commands()
        yield from self._logs()
        yield from self._ways_in()
        yield from _PLAIN.process()
        about = "Series that were summed up as other, by family."
        yield _PLAIN.gauge("eccmgr_metrics_truncated", about, self._truncated, "family")

    def _cluster(self) -> Iterator[Metric]:
        cluster = self._figures.scraped.cluster
        words = str(cluster["redis"] or "").split(" ")
        version, mode = (*words, "", "")[:2]
        yield _PLAIN.gauge("eccmgr_redis_info", "The server of Redis.", {(version, mode): 1.0}, "version", "mode")
        yield _PLAIN.one("eccmgr_view", "The number of the present view.", float(cluster["view"] or 0))
        about = "Changes of the membership since Redis keeps it: the number of the view."
        yield _PLAIN.total("eccmgr_view_changes", about, float(cluster["view"] or 0))
        about = "The life of Redis' memory of floating addresses; it begins anew when Redis has lost that."
        yield _PLAIN.one("eccmgr_era", about, float(cluster["era"]))
        about = "The age of the oldest lease of a live node."
        yield _PLAIN.one("eccmgr_oldest_lease_age_seconds", about, cluster["oldest_lease_age_ms"] / 1000)
        about = "The latest round trip to Redis."
        yield _PLAIN.one("eccmgr_redis_last_round_trip_seconds", about, cluster["round_trip_ms"] / 1000)
        leases: Counter[tuple[str, ...]] = Counter({("fresh",): 0, ("late",): 0, ("critical",): 0})
        for each in cluster["subclusters"]:
            for share, number in enumerate(each["lease_ages"]):
                kind = "critical" if share >= _CRITICAL_FROM else "late" if share >= _LATE_FROM else "fresh"
                leases[(kind,)] += number
        yield _PLAIN.gauge("eccmgr_sessions", "Live nodes by the age of their leases.", leases, "lease")

    def _sessions_and_redis(self) -> Iterator[Metric]:
        figures = self._figures
        ended = {(reason,): float(number) for reason, number in figures.ended.items()}
        about = "Sessions of nodes that ended since this manager began to listen."
        yield _PLAIN.counter("eccmgr_sessions_ended", about, ended, "reason")
        about = "How long calls of Redis took that were waited for."
        yield _PLAIN.histogram("eccmgr_redis_round_trip_seconds", about, figures.trips.times)
        about = "How often the connection to Redis was lost and made anew."
        yield _PLAIN.total("eccmgr_redis_reconnects", about, figures.trips.reconnects)

    def _jobs_and_schedules(self) -> Iterator[Metric]:
        figures = self._figures
        jobs: Counter[tuple[str, ...]] = Counter({("queued",): 0, ("running",): 0})
        jobs.update((str(job["state"]),) for job in figures.scraped.items[FeedTopic.JOBS])
        yield _PLAIN.gauge("eccmgr_jobs", "Jobs of all nodes that the feed shows, by state.", jobs, "state")
        finished = {(state,): float(number) for state, number in figures.scraped.finished.items()}
        about = "Jobs whose ends this manager has seen while it was scraped."
        yield _PLAIN.counter("eccmgr_jobs_finished", about, finished, "state")
        runs = {(fate.value,): float(figures.schedules.runs[fate]) for fate in Fate if fate is not Fate.RUNNING}
        yield _PLAIN.counter("eccmgr_schedule_runs", "Runs whose ends this manager noted.", runs, "result")
        about = "From when a run was due until this manager took it."
        yield _PLAIN.histogram("eccmgr_schedule_lag_seconds", about, figures.schedules.lag)

    def _members(self) -> Iterator[Metric]:
        cluster = self._figures.scraped.cluster
        live: Counter[tuple[str, ...]] = Counter({("manager", ""): len(cluster["managers"])})
        absent: Counter[tuple[str, ...]] = Counter()
        versions: Counter[str] = Counter()
        for index, each in enumerate(cluster["subclusters"]):
            name = each["name"] if index < SUBCLUSTERS_MAX else "other"
            live["node", name] += each["live"] + each["late"]
            absent[(name,)] += each["absent"]
            versions.update(each["versions"])
        self._cut("eccmgr_members", len(cluster["subclusters"]), SUBCLUSTERS_MAX)
        yield _PLAIN.gauge("eccmgr_members", "Live members.", live, "role", "subcluster")
        yield _PLAIN.gauge("eccmgr_members_absent", "Absent nodes.", absent, "subcluster")
        common: Counter[tuple[str, ...]] = Counter({(name,): n for name, n in versions.most_common(VERSIONS_MAX)})
        if rest := versions.total() - common.total():
            common[("other",)] = rest
        self._cut("eccmgr_members_by_version", len(versions), VERSIONS_MAX)
        yield _PLAIN.gauge("eccmgr_members_by_version", "Live nodes by their version.", common, "version")

    def _vips(self) -> Iterator[Metric]:
        vips = sorted(self._figures.scraped.items[FeedTopic.VIPS], key=lambda vip: str(vip["address"]))
        states: Counter[tuple[str, ...]] = Counter({(state,): 0 for state in ("held", "free", "reserved", "unsettled")})
        states.update((str(vip["state"]),) for vip in vips)
        yield _PLAIN.gauge("eccmgr_vips", "Floating addresses by their state.", states, "state")
        disagreeing = {
            (kind.value.lower(),): float(self._figures.scraped.disagreeing.get(kind.value, 0))
            for kind in Agreement
            if kind is not Agreement.SAFE
        }
        about = "Floating addresses on whose configuration nodes disagree, by what that means."
        yield _PLAIN.gauge("eccmgr_vips_disagreeing", about, disagreeing, "kind")
        self._cut("eccmgr_vip_held", len(vips), ADDRESSES_MAX)
        shown = vips[:ADDRESSES_MAX]
        held = {(str(vip["address"]),): float(vip["owner"] is not None) for vip in shown}
        yield _PLAIN.gauge("eccmgr_vip_held", "1 if a node holds the address.", held, "address")
        epochs = {(str(vip["address"]),): float(vip["epoch"]) for vip in shown}
        yield _PLAIN.gauge("eccmgr_vip_epoch", "The number of its latest owner.", epochs, "address")
        since = {
            (str(vip["address"]),): datetime.fromisoformat(vip["since"]).timestamp() for vip in shown if vip["since"]
        }
        about = "Since when its owner holds it."
        yield _PLAIN.gauge("eccmgr_vip_last_change_timestamp_seconds", about, since, "address")

    def _commands(self) -> Iterator[Metric]:
        figures = self._figures
        ran: Counter[tuple[str, ...]] = Counter()
        for (name, result), number in figures.ran.items():
            ran[name if name in figures.known_commands or name == "module" else "other", result] += number
        yield _PLAIN.counter("eccmgr_commands", "Commands that this manager ran.", ran, "command", "result")
        tally = figures.deliveries
        nodes = Counter({(state.value,): number for state, number in tally.nodes.items()})
        yield _PLAIN.counter("eccmgr_command_nodes", "The nodes of gathers, by their state.", nodes, "state")
        yield _PLAIN.one("eccmgr_gathers_in_flight", "Gathers that wait now.", float(tally.in_flight))
        yield _PLAIN.histogram("eccmgr_gather_duration_seconds", "How long gathers took.", tally.gathers)
        yield _PLAIN.histogram("eccmgr_response_seconds", "How long nodes took to answer gathers.", tally.answers)

    def _logs(self) -> Iterator[Metric]:
        for name, text in _OF_LOGS.items():
            kind = _PLAIN.one if name in _LOGS_NOW else _PLAIN.total
            yield kind(f"eccmgr_logs_{name}", text, self._figures.logs.get(name, 0.0))

    def _ways_in(self) -> Iterator[Metric]:
        figures = self._figures
        refused = Counter({(reason.replace(" ", "_"),): number for reason, number in figures.refused.items()})
        yield _PLAIN.counter("eccmgr_refused", "Refusals, by reason.", refused, "reason")
        failed = {
            ("scram",): figures.refused.get("failed sign-ins", 0),
            **{(kind,): number for kind, number in figures.seen.failed.items()},
        }
        yield _PLAIN.counter("eccmgr_auth_failures", "Failed sign-ins.", failed, "mechanism")
        yield _PLAIN.one("eccmgr_control_connections", "Consoles that are connected.", figures.connections)
        about = "Changes of the configuration that are not written back."
        yield _PLAIN.one("eccmgr_config_unsaved_changes", about, figures.unsaved)
        requests = {(route, str(code)): number for (route, code), number in figures.seen.requests.items()}
        yield _PLAIN.counter("eccmgr_http_requests", "Requests over HTTP.", requests, "route", "code")
        yield _PLAIN.one("eccmgr_http_streams", "Event streams that are open.", figures.seen.streams)

    def _cut(self, family: str, number: int, most: int) -> None:
        if number > most:
            self._truncated[(family,)] = number - most
