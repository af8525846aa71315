"""Daemons of the version before this one, from the history of the checkout, beside daemons of today."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import ROOT, Processes, ask_sync
from tests.integration.site import CONFIGURATION, keys_of_all
from tests.waiting import wait_until_sync

pytestmark = [pytest.mark.usefixtures("nothing_left"), pytest.mark.timeout(300)]
BEFORE, TODAY = "before", "today"


def _git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return b"" if done.returncode else done.stdout


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages of the last commit that had another version."""
    changed = _git("log", "-1", "--format=%H", "-G^__version__ =", "--", "eccmgr/version.py").decode().strip()
    packed = _git("archive", f"{changed}^", "eccmgr", "worker", "cli") if changed else b""
    if not packed:
        pytest.skip("this checkout has no history back to the version before")
    folder = tmp_path_factory.mktemp("earlier")
    subprocess.run(["tar", "--extract", "--directory", folder], input=packed, check=True)
    return folder


class MixedSite:
    """A manager, a node of the version before (a1) and a node of today (a2); both nodes may carry one address."""

    def __init__(self, processes: dict[str, Processes], folder: Path, *, manager: str, signed: bool) -> None:
        file = folder / "site.conf"
        file.write_text(CONFIGURATION)
        flags = keys_of_all(folder, processes[manager].cluster) if signed else {}
        self.nodes = {
            name: processes[age].start("ecnode", name, "-c", str(file), *flags.get(name, ()), wait=False)
            for age, name in ((BEFORE, "a1"), (TODAY, "a2"))
        }
        self.manager = processes[manager].start("eccmgr", "m1", *flags.get("m1", ()), wait=False)
        for daemon in (self.manager, *self.nodes.values()):
            daemon.wait_ready()

    def fields(self, command: str) -> Any:
        """The fields of the manager's answer."""
        return json.loads(ask_sync(self.manager.endpoint, f"json {command}"))

    def states(self, command: str) -> dict[str, str]:
        """The state of each expected node after a gather of `command`."""
        return {node["node"]: node["state"] for node in self.fields(f"gather --timeout 20 {command}").get("nodes", ())}

    def owner(self) -> str | None:
        """The node that carries the address, if one does."""
        shown = self.fields("vips")["vips"]
        return shown[0]["owner"] if shown else None


@pytest.fixture
def processes(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path, earlier: Path
) -> Iterator[dict[str, Processes]]:
    """Start daemons of each of the two versions, in one cluster."""
    made = {}
    for age, source in ((BEFORE, earlier), (TODAY, ROOT)):
        (own := folder / age).mkdir()
        made[age] = Processes(redis_server.url, cluster_keys.cluster, own, source)
    yield made
    for started in made.values():
        started.end()


@pytest.mark.parametrize(
    ("manager", "signed"),
    [(TODAY, False), (TODAY, True), (BEFORE, True)],
    ids=["today", "today-signed", "before-signed"],
)
def test_two_versions_work_side_by_side(
    processes: dict[str, Processes], folder: Path, manager: str, signed: bool
) -> None:
    site = MixedSite(processes, folder, manager=manager, signed=signed)
    both = {"a1": "ok", "a2": "ok"}
    wait_until_sync(lambda: site.states("cluster nodename") == both, "both nodes answer")
    versions = {member["name"]: member["version"] for member in site.fields("members")["members"]}
    assert versions["a1"] != versions["a2"]
    for command in ("--batch 1 pid", "a[1-2] cluster duravip show", "exec:nap wink"):
        assert site.states(command) == both, command
    assert ask_sync(site.manager.endpoint, "sched in 1 broadcast pid").startswith("Job ")
    wait_until_sync(lambda: site.owner() is not None, "a node carries the address")
    first = str(site.owner())
    assert site.nodes[first].end() == 0
    wait_until_sync(lambda: site.owner() in set(site.nodes) - {first}, "the other node takes the address")
    wait_until_sync(lambda: " ok " in ask_sync(site.manager.endpoint, "sched history"), "the schedule has run")
