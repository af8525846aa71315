"""The alert rules, the dashboard and the runbooks: they fit each other, and the metrics of running daemons."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.daemons import ROOT
from tests.integration.fleet import Fleet
from tests.integration.web.conftest import fetch, serving

PROMETHEUS = ROOT / "ops/prometheus"
RULES = PROMETHEUS / "eccmgr.rules.yml"
DASHBOARD = ROOT / "ops/grafana/eccmgr.json"
ALERTS = {
    "ManagerDown",
    "NoLeader",
    "RedisDown",
    "RedisSlow",
    "NodeLost",
    "ManyNodesLost",
    "LeasesCritical",
    "VipUnserved",
    "VipTwoHolders",
    "VipFlapping",
    "VipDisagreement",
    "FenceShut",
    "TakeoverSlow",
    "CommandsFailing",
    "GatherSlow",
    "JobsStuck",
    "SchedulesFailing",
    "ScheduleLate",
    "AuthFailures",
    "VersionSkew",
    "ConfigUnsaved",
    "ViewChurn",
    "MetricsTruncated",
}
MEASURED_ALONE = {"eccmgr_vip_last_takeover_outage_seconds"}
"""What a node tells only once it has measured it."""


def expressions() -> Iterator[str]:
    """What rules and dashboard ask for."""
    yield from re.findall(r"expr: (.*?)\n +for:", RULES.read_text(), re.DOTALL)
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def named() -> set[str]:
    """The metrics that they name."""
    return {name for text in expressions() for name in re.findall(r"\b(?:eccmgr|process)_[a-z_]+", text)}


async def families(fleet: Fleet) -> dict[str, str]:
    """What a manager and a node tell, each with its kind."""
    manager = await serving(fleet)
    node = await fleet.node("east1", configuration='Http_Listener { Listen = "127.0.0.1:0" }\n')
    texts = [(await fetch(url, "/metrics")).text for url in (manager.pages.url, node.pages.url)]
    return dict(pair for text in texts for pair in re.findall(r"^# TYPE (\S+) (\S+)", text, re.MULTILINE))


@pytest.mark.asyncio
async def test_every_metric_named_exists_in_a_scrape(fleet: Fleet) -> None:
    shown = set()
    for name, kind in (await families(fleet)).items():
        shown |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    assert len(named()) > 30
    assert named() - shown - MEASURED_ALONE == set()


@pytest.mark.asyncio
async def test_every_metric_is_named_in_the_documentation(fleet: Fleet) -> None:
    text = (ROOT / "docs/web.md").read_text()
    told = {name for name in await families(fleet) if not name.startswith(("eccmgr_logs_", "process_"))}
    assert {name for name in told if not re.search(rf"`{name}[`{{]", text)} == set()


def test_every_alert_has_severity_and_runbook() -> None:
    text = RULES.read_text()
    rules = text.split("- alert: ")[1:]
    assert sorted(rule.partition("\n")[0] for rule in rules) == sorted(ALERTS)
    sections = re.findall(r"^## (\w+)$", (ROOT / "docs/runbooks.md").read_text(), re.MULTILINE)
    for rule in rules:
        name = rule.partition("\n")[0]
        assert re.search(r"\n +for: \d+[smh]\n", rule), name
        assert re.search(r"\n +severity: (critical|warning|info)\n", rule), name
        assert rule.count(f"/docs/runbooks.md#{name.lower()}\n") == 1
        assert name in sections
    tested = re.findall(r"^  - name: (\w+)$", (PROMETHEUS / "eccmgr.test.yml").read_text(), re.MULTILINE)
    assert sorted(tested) == sorted(ALERTS)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "eccmgr.rules.yml"),
        ("test", "rules", "eccmgr.test.yml"),
        ("check", "config", "prometheus.yml"),
    ],
)
def test_promtool_finds_no_fault_in_alerts(words: tuple[str, ...]) -> None:
    done = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
