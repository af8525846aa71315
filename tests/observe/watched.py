"""A small real site that a real Prometheus watches: four clusters on one Redis, their managers and nodes."""

import asyncio
import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from eccmgr.redis.embedded import EmbeddedServer, end_with_parent
from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.observe.quicker import quicker
from tests.waiting import wait_until

RULES = ROOT / "ops/prometheus/eccmgr.rules.yml"
TOKEN = "observer-" + "t" * 20
LEASE_S = 4.0
PATIENT_LEASE_S = 80.0
"""The lease of the cluster `patient`: its last eighth is long enough to be seen."""
_VIPS = """
Binding "{binding}" {{ Bind_Address = "10.1.1.1"  Enable_Duravip = true }}
exec "try" {{ commands = [ no = "/bin/false"  nap = "/bin/sleep 30" ]  long = ( nap ) }}
"""
_CLUSTER = """
cluster {{ session_lease = {lease}  heartbeats_per_sec = 2  max_step = 2  plumber = "memory"  fence = "none"
  view_mature_time = 1  Topology "10.1.1.0/24" {{ interface = "lo"  cidrmask = "32" }} }}
"""


@dataclass
class WatchedSite:
    """The site. Daemons are known by their names; `prometheus` is the address of the Prometheus that watches them."""

    folder: Path
    server: EmbeddedServer
    prometheus: str = ""
    daemons: dict[str, Process] = field(default_factory=dict)
    targets: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """The job, the address and the cluster of each daemon that is scraped."""
    _groups: dict[tuple[str, str], Processes] = field(default_factory=dict)

    def manager(self, name: str, cluster: str, lease_s: float = LEASE_S) -> None:
        """Start a manager, again where it was before."""
        text = _CLUSTER.format(lease=lease_s)
        text += f'Http_Listener {{ Token_File = "{self.folder}/tokens" }}\n'
        self._start("eccmgr", name, cluster, text, "eccmgr")

    def node(
        self,
        name: str,
        cluster: str,
        *,
        carries: bool = True,
        lease_s: float = LEASE_S,
        binding: str = "mail",
        is_slow: bool = False,
        **how: Any,
    ) -> None:
        """Start a node. It carries 10.1.1.1 if it is chosen. One node of the host may be slow: a program adds the
        address in 7 s."""
        text = _CLUSTER.format(lease=lease_s)
        if is_slow:
            text = text.replace('plumber = "memory"', f'plumber = "exec"  plumber_program = "{self.folder}/plumb"')
        text += _VIPS.format(binding=binding) if carries else ""
        self._start("ecnode", name, cluster, text, "ecnode", **how)

    def _start(
        self, program: str, name: str, cluster: str, text: str, job: str, *, url: str = "", module: str = ""
    ) -> None:
        (self.folder / f"{name}.conf").write_text(text)
        place = self.targets[name][1] if name in self.targets else f"127.0.0.1:{free_port()}"
        url = url or self.server.url
        group = self._groups.setdefault((cluster, url), Processes(url, cluster, self.folder))
        flags = ("-c", str(self.folder / f"{name}.conf"), "--http", place)
        self.daemons[name] = group.start(program, name, *flags, wait=False, module=module)
        self.targets[name] = job, place, cluster

    async def ready(self, *names: str) -> None:
        """Wait until these daemons are ready, and scraped."""
        self.tell_targets()
        for name in names:
            await asyncio.to_thread(self.daemons[name].wait_ready)

    def forget(self, name: str) -> None:
        """End a daemon for good, and scrape it no longer."""
        self.daemons.pop(name).end()
        del self.targets[name]
        self.tell_targets()

    def carries(self, name: str) -> bool:
        """Whether a node says that it carries the address."""
        with urllib.request.urlopen(f"http://{self.targets[name][1]}/metrics", timeout=60) as answer:
            return b"eccmgr_vip_owned{" in answer.read()

    def kill(self, name: str) -> None:
        """Kill a daemon, with what it has started."""
        self.daemons[name].popen.kill()
        self.daemons[name].popen.wait()

    @contextlib.contextmanager
    def stopped(self, pid: int) -> Iterator[None]:
        """A process is stopped during the block, with what it has started."""
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            process.suspend()
        try:
            yield
        finally:
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    async def ask(self, manager: str, command: str) -> str:
        """A manager's answer, also to one that takes long."""
        return await asyncio.to_thread(ask_sync, self.daemons[manager].endpoint, command, 180)

    async def owner(self) -> str:
        """The node of `main` that carries the address; "" if none does."""
        found = re.search(r"10\.1\.1\.1 +mail +(\w+)", await self.ask("m1", "vips"))
        return found[1] if found else ""

    def tell_targets(self) -> None:
        """Tell Prometheus what to scrape. It follows the file."""
        for job in ("eccmgr", "ecnode"):
            groups = [
                # A node tells its cluster itself.
                {"targets": [place], "labels": {"cluster": cluster} if job == "eccmgr" else {}}
                for kind, place, cluster in self.targets.values()
                if kind == job
            ]
            (self.folder / "new.json").write_text(json.dumps(groups))
            (self.folder / "new.json").replace(self.folder / f"{job}.json")

    def firing(self) -> Mapping[str, list[Mapping[str, str]]]:
        """The labels of the alerts that fire now, by name."""
        with urllib.request.urlopen(f"{self.prometheus}/api/v1/alerts", timeout=60) as answer:
            alerts = json.load(answer)["data"]["alerts"]
        found: dict[str, list[Mapping[str, str]]] = {}
        for alert in alerts:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    async def fires(self, alert: str) -> bool:
        """Whether an alert fires now."""
        return alert in await asyncio.to_thread(self.firing)

    def end(self) -> None:
        """End all daemons, whatever signals come meanwhile."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for group in self._groups.values():
            group.end()


@contextlib.asynccontextmanager
async def watched_site(folder: Path) -> AsyncIterator[WatchedSite]:
    """The site, once all is well and watched."""
    with EmbeddedServer(folder / "redis") as server, contextlib.ExitStack() as stack:
        site = WatchedSite(folder, server)
        stack.callback(site.end)
        (folder / "tokens").write_text(f"prometheus:{TOKEN}\n")
        (folder / "tokens").chmod(0o600)
        for name, cluster, lease_s in (
            ("m1", "main", LEASE_S),
            ("m2", "main", LEASE_S),
            ("p1", "patient", PATIENT_LEASE_S),
            ("c1", "crowd", LEASE_S),
        ):
            site.manager(name, cluster, lease_s)
        site.node("n1", "main")
        site.node("n2", "main")
        site.node("n3", "main", carries=False)
        site.node("p2", "patient", lease_s=PATIENT_LEASE_S)
        # The user of guardians runs the program.
        folder.chmod(0o755)
        (folder / "plumb").write_text('#!/bin/sh\nif [ "$1" = plumb ]; then sleep 7; fi\n')
        (folder / "plumb").chmod(0o755)
        site.node("s1", "slow")
        site.node("s2", "slow", is_slow=True)
        site.tell_targets()
        stack.enter_context(_prometheus(site))
        await site.ready(*site.daemons)
        await wait_until(lambda: _is_held(site), "a node carries the address", 180)
        yield site


async def _is_held(site: WatchedSite) -> bool:
    return await site.owner() != ""


@contextlib.contextmanager
def _prometheus(site: WatchedSite) -> Iterator[None]:
    """Prometheus, with the rules of the project in their quicker form."""
    (site.folder / "rules.yml").write_text(quicker(RULES.read_text()))
    scrapes = "".join(
        f"  - job_name: {job}\n    authorization: {{ credentials: {TOKEN} }}\n"
        f"    file_sd_configs: [ {{ files: [ {site.folder}/{job}.json ] }} ]\n"
        for job in ("eccmgr", "ecnode")
    )
    (site.folder / "prometheus.yml").write_text(
        "global: { scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s }\n"
        f"rule_files: [ rules.yml ]\nscrape_configs:\n{scrapes}"
    )
    place = f"127.0.0.1:{free_port()}"
    site.prometheus = f"http://{place}"
    program = shutil.which("prometheus")
    assert program is not None
    words = [program, f"--config.file={site.folder}/prometheus.yml", f"--storage.tsdb.path={site.folder}/samples"]
    with (site.folder / "prometheus.log").open("wb") as log:
        running = subprocess.Popen(
            [*words, f"--web.listen-address={place}", "--query.lookback-delta=20s"],
            stdout=log,
            stderr=log,
            preexec_fn=end_with_parent,
        )
    try:
        yield
    finally:
        running.terminate()
        running.wait(60)


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])
