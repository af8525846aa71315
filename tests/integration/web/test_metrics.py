"""The metrics of a manager: a scrape that Prometheus reads, with its bounds."""

import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from eccmgr.cluster.delivery_tally import DeliveryTally
from eccmgr.feed.topics import FeedTopic
from eccmgr.metrics.manager import ADDRESSES_MAX, SUBCLUSTERS_MAX, ManagerFigures, exposition
from eccmgr.metrics.watching import Scraped
from eccmgr.web.seen import SeenRequests
from tests.integration.fleet import Fleet
from tests.integration.web.conftest import fetch, serving
from tests.waiting import wait_until


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Each sample by its name and the values of its labels, in the order of their names."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.asyncio
async def test_scrape_tells_of_nodes_commands_and_requests(fleet: Fleet) -> None:
    manager = await serving(fleet)
    for name in ("east1", "east2"):
        await fleet.node(name, "east")
    await fleet.ask("gather mark")
    await fleet.ask("gather fail")
    assert "Unknown" in await fleet.ask("nonsense")

    async def shown() -> bool:
        found = samples((await fetch(manager.pages.url, "/metrics")).text)
        return found.get(("eccmgr_members", "node", "east")) == 2

    await wait_until(shown, "both nodes are in the metrics")
    text = (await fetch(manager.pages.url, "/metrics")).text
    found = samples(text)
    assert found["eccmgr_redis_up",] == 1
    assert found["eccmgr_leader",] == 1
    assert found["eccmgr_members", "manager", ""] == 1
    assert found["eccmgr_commands_total", "gather", "ok"] == 1
    assert found["eccmgr_commands_total", "gather", "partial"] == 1
    assert found["eccmgr_command_nodes_total", "ok"] == 2
    assert found["eccmgr_command_nodes_total", "failed"] == 2
    assert found["eccmgr_gather_duration_seconds_count",] == 2
    assert found["eccmgr_response_seconds_bucket", "+Inf"] == 4
    assert found["eccmgr_http_requests_total", "200", "/metrics"] >= 1
    assert found["eccmgr_sessions", "fresh"] + found["eccmgr_sessions", "late"] == 2
    assert "east1" not in text
    if promtool := shutil.which("promtool"):
        said = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True)
        assert said.returncode == 0, said.stdout + said.stderr


def test_large_cluster_is_cut_and_says_so() -> None:
    subclusters = [
        {"name": f"s{n}", "live": 1, "late": 0, "absent": 1, "versions": {f"v{n}": 1}, "lease_ages": [1] + [0] * 7}
        for n in range(SUBCLUSTERS_MAX + 9)
    ]
    cluster = {
        "redis": "7.0 standalone",
        "view": 1,
        "round_trip_ms": 1.0,
        "era": 1,
        "oldest_lease_age_ms": 120,
        "managers": ["m"],
        "subclusters": subclusters,
    }
    vips = [
        {"address": f"10.{n // 250}.{n % 250}.1", "state": "owned", "owner": "n", "epoch": 1, "since": None}
        for n in range(ADDRESSES_MAX + 5)
    ]
    scraped = Scraped({FeedTopic.CLUSTER: (cluster,), FeedTopic.VIPS: vips, FeedTopic.JOBS: ()})
    ran = {("gather", "ok"): 1, ("evil\n", "ok"): 1, ("module", "ok"): 1}
    figures = ManagerFigures(
        *(True, True, scraped, DeliveryTally(), ran, frozenset({"gather"})),
        *({}, 0, 0, SeenRequests()),
    )
    found = samples(exposition(figures).decode())
    assert found["eccmgr_members", "node", "other"] == 9
    assert found["eccmgr_members_absent", "other"] == 9
    assert found["eccmgr_metrics_truncated", "eccmgr_vip_held"] == 5
    assert found["eccmgr_commands_total", "other", "ok"] == 1
    assert sum(name[0] == "eccmgr_vip_held" for name in found) == ADDRESSES_MAX
