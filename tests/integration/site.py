"""A small site of real processes with a record of every kind in Redis, and the commands of its operators."""

import datetime as dt
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from eccmgr.access.certificates import certify
from eccmgr.access.keys import SigningKey, write_key_files
from tests.daemons import Process, Processes, ask_sync
from tests.vips import vips_in_memory
from tests.waiting import wait_until_sync

CONFIGURATION = f"""
{vips_in_memory(1)}
exec "nap" {{ commands = [ nap = "sleep 600"  wink = "sleep 0.1" ]  long = ( nap wink ) }}
"""
WELL_S = 300.0
"""A busy machine needs minutes for work that otherwise takes seconds."""
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
        """Give the commands that operators give all day, to all daemons at once."""

        def ask(daemon: Process) -> dict[str, str]:
            lines = MANAGER if daemon is self.manager else NODE
            return {f"{daemon.endpoint.name} {line}": ask_sync(daemon.endpoint, line) for line in lines}

        with ThreadPoolExecutor(len(self.daemons)) as pool:
            return {line: answer for answers in pool.map(ask, self.daemons) for line, answer in answers.items()}

    def check(self) -> None:
        """Check that no process has died or logged a trace."""
        for each in self.daemons:
            assert each.popen.poll() is None, each.log
            assert "Traceback" not in each.log, each.log

    def wait_well(self, when: str, timeout_s: float = WELL_S) -> None:
        """Wait until nothing is amiss. A failure says what was amiss at last."""
        amiss: list[str] = []

        def is_well() -> bool:
            amiss[:] = self.amiss()
            return not amiss

        try:
            wait_until_sync(is_well, when, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\nAmiss at last:\n" + "\n".join(amiss)) from None

    def amiss(self) -> list[str]:
        """What is not as it should be: a process that a node lacks, an answer that shows a fault."""
        return [*self._workers_amiss(), *self._commands_amiss(), *self._vips_amiss(), *self._complaints()]

    def _workers_amiss(self) -> list[str]:
        """The guardians and job workers that are missing."""
        missing = []
        for node in self.nodes:
            lines = [" ".join(each.cmdline()) for each in psutil.Process(node.popen.pid).children(recursive=True)]
            lacks = [what for what in ("worker.jobs", "guardian") if not any(what in line for line in lines)]
            missing += [f"{node.endpoint.name} has no process {what}, only {lines}" for what in lacks]
        return missing

    def _commands_amiss(self) -> list[str]:
        """The answers to commands of each kind that do not work."""
        said = ask_sync(self.manager.endpoint, "json gather --timeout 2 cluster nodename")
        answered = {node["node"]: node["state"] for node in json.loads(said).get("nodes", ())}
        amiss = [] if answered == {"a1": "ok", "a2": "ok"} else [f"not every node answers: {said}"]
        said = ask_sync(self.manager.endpoint, "sched in 9000 broadcast pid")
        made, listed = re.match(r"Job (\w+) runs at", said), ask_sync(self.manager.endpoint, "sched list")
        if made is None or made[1] not in listed:
            amiss.append(f"a schedule is not kept: {said}: {listed}")
        if not (said := ask_sync(self.manager.endpoint, "broadcast uptime")).startswith("Broadcast"):
            amiss.append(f"a broadcast is not sent: {said}")
        members = ask_sync(self.manager.endpoint, "show cluster membership")
        if not all(re.search(rf"\b{name}\b", members) for name in ("a1", "a2", "m1")):
            amiss.append(f"a member is not listed: {members}")
        return amiss

    def _vips_amiss(self) -> list[str]:
        """What the nodes show, unless all of them show the VIP with the same owner."""
        shown = [ask_sync(node.endpoint, "cluster duravip show") for node in self.nodes]
        owners = {re.findall(r"^ \*\s+(\S+)", text, re.MULTILINE)[0] for text in shown if " * " in text}
        is_owned = len(owners) == 1 and all("(owned,safe)" in text for text in shown)
        return (
            [] if is_owned else [f"{node.endpoint.name}: {text}" for node, text in zip(self.nodes, shown, strict=True)]
        )

    def _complaints(self) -> list[str]:
        bad = re.compile("Internal error|refused|cannot be read|not reachable|no guardian|does not answer")
        # What the audit lacks from an earlier time is told until the daemon ends, with the reason of that time.
        past = re.compile(r"Account: [0-9]+ lines are missing in the audit: .*?(?=\n|\\n|$)")
        return [f"{line}: {answer}" for line, answer in self.ask_all().items() if bad.search(past.sub("", answer))]
