"""A small site for the guides to be read at, and a reader who types what a guide shows."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.daemons import ROOT, Processes, ask_sync
from tests.integration.modules.old_program import OldProgram
from tests.screens import Terminal
from tests.transcripts import WRITES, Step, alike
from tests.waiting import wait_until_sync

USER = "tom"
"""Whoever types, as the pages have it."""
_NODES = {"east1": ("east", "mta"), "east2": ("east", "db"), "west1": ("west", "mta")}
_FREE = {"east1": 71, "east2": 82, "west1": 3}
"""What is free on the disk of each node."""
_CONFIGURATION = """
cluster {
  heartbeats_per_sec = 5
  session_lease = 1.5
  max_step = 0.3
  plumber = "memory"
  fence = "none"
  view_mature_time = 0.5
  Topology "10.1.1.0/24" { interface = "eth1"  cidrmask = "32" }
  Replicate "metrics" { parameters = "audit_series"  max_delay = 0.2 }
}
Binding "duravip-1" { Enable_Duravip = true  Bind_Address = "10.1.1.1" }
exec "nginx" { commands = [ reload = "echo reloaded"  test = "echo the syntax is ok" ] }
exec "disk" { commands = [ check = "%(folder)s/check %(name)s"  free = "echo %(name)s has %(free)s GB" ] }
exec "backup" { commands = [ full = "%(folder)s/backup" ]  long = ( full ) }
sieve "sieve1" { script_dir = "%(folder)s/sieve" }
ecelerity { control = "%(folder)s/mail" }
"""
_BACKUP = "#!/bin/sh\nuntil test -e %(folder)s/go; do sleep 0.1; done\necho 3 databases\n"
_CHECK = "#!/bin/sh\ntest $1 != west1 || test -e %(folder)s/go || { echo the disk is full; exit 1; }\n"
_COUNTER = """
import asyncio, sys, eccmgr
node = eccmgr.Node(sys.argv[1], redis=sys.argv[2], subcluster="shops")
for address, times in (("10.0.0.103", 2), ("10.0.0.104", 2), ("10.0.7.1", 2), ("192.168.1.9", 5)):
    node.series("spam").add(address, times)
asyncio.run(node.run())
"""
_PROGRAMS = {"embedding.md": (ROOT / "docs" / "examples" / "shop.py").read_text(encoding="utf-8"), "logs.md": _COUNTER}
"""What runs as a node of its own beside the others while a guide is read."""
_ENDS_BY_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
_JOB = re.compile(r"Job (\w+) runs at")
_CHANGES_SOON = ("retrieve", "members", "vips", "cluster jobs", "sched history", "sched list", "cluster shared")
"""The beginnings of commands whose answers follow a moment after what they tell."""


class GuideSite:
    """A manager (barca), three nodes that carry an address, and a mail node behind their bridges."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.folder = processes.folder
        self.go = self.folder / "go"
        """Once this file exists, the long command `exec:backup full` ends, and no disk is full."""
        names = {"folder": self.folder}
        (self.folder / "sieve").mkdir()
        (self.folder / "sieve" / "vacation.sieve").write_text("keep;\n")
        for script, text in (("backup", _BACKUP), ("check", _CHECK)):
            (self.folder / script).write_text(text % names)
            (self.folder / script).chmod(0o755)
        for name, free in _FREE.items():
            configuration = _CONFIGURATION % {**names, "name": name, "free": free}
            (self.folder / f"{name}.conf").write_text(configuration)
        (main := self.folder / "manager.conf").write_text("cluster { session_lease = 1.5  heartbeats_per_sec = 5 }\n")
        self.mail = OldProgram(self.folder / "mail").__enter__()
        manager = processes.start("eccmgr", "barca", "-c", str(main), wait=False)
        nodes = {
            name: processes.start(
                *("ecnode", name, "-c", str(self.folder / f"{name}.conf")),
                *("--subcluster", subcluster, "--tag", f"role={role}"),
                wait=False,
            )
            for name, (subcluster, role) in _NODES.items()
        }
        self.endpoints = {"/tmp/2025": manager.endpoint}
        for daemon in (manager, *nodes.values()):
            daemon.wait_ready()
        for name, node in nodes.items():
            self.endpoints[f"/tmp/ecnode-{name}"] = node.endpoint
        wait_until_sync(lambda: "owned,safe" in ask_sync(manager.endpoint, "vips"), "the address has an owner")

    def tidy(self) -> None:
        """Have the address on east1, and no long command under way."""
        manager = self.endpoints["/tmp/2025"]

        def is_home() -> bool:
            ask_sync(manager, "gather cluster duravip move 10.1.1.1 to east1")
            return re.search(r"10\.1\.1\.1 .* east1 .* owned,safe", ask_sync(manager, "vips")) is not None

        wait_until_sync(is_home, "east1 has the address")
        self.go.touch()
        wait_until_sync(lambda: "running" not in ask_sync(manager, "jobs"), "no job runs")
        self.go.unlink()

    @contextlib.contextmanager
    def with_program(self, guide: str) -> Iterator[None]:
        """Run the program of a guide, if it has one, as the node shop1 until the block ends."""
        if guide not in _PROGRAMS:
            yield
            return
        manager = self.endpoints["/tmp/2025"]
        command = [sys.executable, "-c", _ENDS_BY_SIGINT + _PROGRAMS[guide], "shop1", self.processes.url]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as shop:
            try:
                wait_until_sync(lambda: "shop1" in ask_sync(manager, "members"), "the program is a node")
                yield
                shop.send_signal(signal.SIGINT)
                wait_until_sync(lambda: "shop1" not in ask_sync(manager, "members"), "the program has left")
            finally:
                shop.kill()

    def end(self) -> None:
        """End all daemons and the mail node."""
        self.processes.end()
        self.mail.close()


class GuideReader:
    """Types the lines of one guide: at consoles, which stay open, and in a shell."""

    def __init__(self, site: GuideSite) -> None:
        self._site = site
        self._consoles: dict[str, Terminal] = {}
        self._typed: dict[str, list[str]] = {}
        self._jobs: dict[str, str] = {}
        """The ids that this run has for those of the page."""
        site.tidy()

    def type(self, step: Step) -> Step:
        """Type a line; return what was typed, and its answer. A line that is typed again has another answer then."""
        place = step.prompt.split()[-1].rstrip(">")
        line = re.sub(r"\w+", lambda word: self._jobs.get(word[0], word[0]), step.line)
        before = self._typed.get(f"{place} {line}")
        if before or line.startswith("\\again"):
            self._site.go.touch()
        say = self._shell if place == "$" else self._say
        answers = [say(place, line)]

        def is_there() -> bool:
            there = alike(answers[-1], USER) == alike(step.answer, USER)
            if WRITES:
                there = before is None or alike(answers[-1], USER) != alike(before, USER)
            if not there:
                answers.append(say(place, line))
            return there

        if line.startswith(_CHANGES_SOON):
            with contextlib.suppress(AssertionError):
                wait_until_sync(is_there, "the answer is there")
        answer = self._typed[f"{place} {line}"] = answers[-1]
        for shown, real in zip(_JOB.findall("\n".join(step.answer)), _JOB.findall("\n".join(answer)), strict=False):
            self._jobs[shown] = real
        return Step(self._prompt(place), line, answer)

    def _prompt(self, place: str) -> str:
        if place == "$":
            return "$ "
        last = self._consoles[place].text.rpartition("\n")[2]
        return f"{last.split()[0]} {place}> "

    def end(self) -> None:
        """Leave the consoles."""
        for console in self._consoles.values():
            console.type("quit\r")
            assert console.end() == 0

    def _say(self, place: str, line: str) -> list[str]:
        if place not in self._consoles:
            program = [sys.executable, "-m", "cli.ec_console", str(self._site.endpoints[place])]
            state = str(self._site.folder / "state")
            self._consoles[place] = Terminal(program, 150, XDG_STATE_HOME=state, EC_CONSOLE_ENDPOINT="")
            self._consoles[place].wait_prompt()
        return self._as_shown(self._consoles[place].say(line, yes=True))

    def _shell(self, _place: str, line: str) -> list[str]:
        environment = {**os.environ, "EC_CONSOLE_ENDPOINT": str(self._site.endpoints["/tmp/2025"])}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        for shown, real in self._real().items():
            line = line.replace(shown, real)
        command = ["bash", "-c", line]
        ran = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        return self._as_shown(ran.stdout + ran.stderr)

    def _real(self) -> dict[str, str]:
        files = {
            "/etc/eccmgr/eccluster.conf": str(self._site.folder / "manager.conf"),
            "redis://127.0.0.1:6379/0": self._site.processes.url,
        }
        return {**{shown: str(real) for shown, real in self._site.endpoints.items()}, **files}

    def _as_shown(self, text: str) -> list[str]:
        """An answer with the places that the pages name."""
        for shown, real in self._real().items():
            text = text.replace(real, shown)
        return re.sub(r"\s+\n", "\n", text).rstrip("\n").split("\n")
