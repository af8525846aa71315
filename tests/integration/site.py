"""A small site of real processes with a record of every kind in Redis, and the commands of its operators."""

import datetime as dt
import json
import re
from pathlib import Path

import psutil

from eccmgr.access.certificates import certify
from eccmgr.access.keys import SigningKey, write_key_files
from tests.daemons import Process, Processes, ask_sync

CONFIGURATION = """
cluster {
  heartbeats_per_sec = 5
  session_lease = 1.5
  max_step = 0.3
  plumber = "memory"
  fence = "none"
  Topology "10.9.0.0/16" { interface = "lo"  cidrmask = "32" }
}
Binding "vip-1" { Enable_Duravip = true  Bind_Address = "10.9.0.1" }
exec "nap" { commands = [ nap = "sleep 600"  wink = "sleep 0.1" ]  long = ( nap wink ) }
"""
MANAGER = (
    *("info", "show cluster membership", "history", "retrieve pid", "sched list", "sched history", "preview @all"),
    *("json info", "xml history", "complete 'unicast '", "retrieve exec:nap nap", "gather --timeout 1 pid"),
)
NODE = (
    "cluster info",
    "cluster membership",
    "cluster jobs",
    "cluster duravip show",
    "cluster duravip show tables",
    "pid",
)


def keys_of_all(folder: Path, cluster: str) -> dict[str, tuple[str, ...]]:
    """The flags that name the keys of each daemon: the manager m1 and the nodes a1 and a2."""
    (keys := folder / "keys").mkdir()
    until = dt.date(2099, 1, 1)
    authority, *own = (SigningKey(name.encode().ljust(32, b"."), name, until) for name in ("ca", "m1", "a1", "a2"))
    files = {key.public.name: str(write_key_files(keys, key)[0]) for key in own}
    flags = {"m1": ("--signing-key", files["m1"], "--node-authority", str(authority.public))}
    for key in own[1:]:
        name = key.public.name
        certificate = keys / f"{name}.crt"
        certificate.write_text(certify(authority, cluster, key.public, "default", 4_000_000_000_000).line)
        trusted = ("--trusted-manager", str(own[0].public))
        flags[name] = ("--signing-key", files[name], "--certificate", str(certificate), *trusted)
    return flags


class Site:
    """A manager with a schedule, and two nodes that carry a VIP. One of the nodes has a long job."""

    def __init__(self, folder: Path, url: str, *, signed: bool = False) -> None:
        """With `signed`, commands, schedules and answers are signed and verified."""
        file = folder / "site.conf"
        file.write_text(CONFIGURATION)
        self.processes = Processes(url, "site", folder)
        flags = keys_of_all(folder, "site") if signed else {}

        def start(program: str, name: str) -> Process:
            return self.processes.start(program, name, "-c", str(file), *flags.get(name, ()), wait=False)

        self.nodes = [start("ecnode", name) for name in ("a1", "a2")]
        self.manager = start("eccmgr", "m1")
        for each in (*self.nodes, self.manager):
            each.wait_ready()

    @property
    def daemons(self) -> tuple[Process, ...]:
        return (self.manager, *self.nodes)

    def work(self) -> None:
        """Have a record of every kind in Redis."""
        for line in ("broadcast pid", "sched every 1 broadcast pid", "sched in 9000 broadcast pid"):
            ask_sync(self.manager.endpoint, line)
        for line in ("gather --timeout 1 --batch 1 uptime", "unicast a1 exec:nap nap"):
            ask_sync(self.manager.endpoint, line)

    def ask_all(self) -> dict[str, str]:
        """Give the commands that operators give all day."""
        found = {line: ask_sync(self.manager.endpoint, line) for line in MANAGER}
        for node in self.nodes:
            found |= {f"{node.endpoint.name} {line}": ask_sync(node.endpoint, line) for line in NODE}
        return found

    def check(self) -> None:
        """Check that no process has died or logged a trace."""
        for each in self.daemons:
            assert each.popen.poll() is None, each.log
            assert "Traceback" not in each.log, each.log

    def is_well(self) -> bool:
        """Whether every node answers, one node carries the VIP, and a command of each kind works."""
        report = json.loads(ask_sync(self.manager.endpoint, "json gather --timeout 2 cluster nodename"))
        answered = {node["node"]: node["state"] for node in report.get("nodes", ())} == {"a1": "ok", "a2": "ok"}
        shown = [ask_sync(node.endpoint, "cluster duravip show") for node in self.nodes]
        owners = {re.findall(r"^ \*\s+(\S+)", text, re.MULTILINE)[0] for text in shown if " * " in text}
        owned = len(owners) == 1 and all("(owned,safe)" in text for text in shown)
        made = re.match(r"Job (\w+) runs at", ask_sync(self.manager.endpoint, "sched in 9000 broadcast pid"))
        kept = made is not None and made[1] in ask_sync(self.manager.endpoint, "sched list")
        sent = ask_sync(self.manager.endpoint, "broadcast uptime").startswith("Broadcast")
        members = ask_sync(self.manager.endpoint, "show cluster membership")
        listed = all(re.search(rf"\b{name}\b", members) for name in ("a1", "a2", "m1"))
        return answered and owned and kept and sent and listed and not self._complaints()

    def _complaints(self) -> dict[str, str]:
        bad = re.compile("Internal error|refused|cannot be read|not reachable|no guardian|does not answer")
        # What the audit lacks from an earlier time is told until the daemon ends, with the reason of that time.
        past = re.compile(r"Account: [0-9]+ lines are missing in the audit: .*?(?=\n|\\n|$)")
        return {line: answer for line, answer in self.ask_all().items() if bad.search(past.sub("", answer))}

    def has_workers(self) -> bool:
        """Whether each node has its guardian and its job worker."""
        for node in self.nodes:
            lines = [" ".join(each.cmdline()) for each in psutil.Process(node.popen.pid).children(recursive=True)]
            if not any("worker.jobs" in line for line in lines) or not any("guardian" in line for line in lines):
                return False
        return True
