"""A manager is killed at a random moment of a gather. The console goes on at another one, and its account is true.

`python -m tests.fault.killed_managers` plays fifty kills; SEED and KILLS come from the environment.
"""

import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from eccmgr.redis.embedded import EmbeddedServer
from tests.daemons import ROOT, Process, Processes, ask_sync
from tests.times import FAULT_TIMES
from tests.waiting import wait_until_sync

_NODES = ("east1", "east2", "east3", "west1", "west2")
_WITHOUT_MARK = "east3"
"""This node does not have the command, and fails."""
_GATHERS = ("", "--batch 1", "--batch 2", "--batch 1 --max-failures 0", "--batch 2 --max-failures 1")
_ID = re.compile(r"^# (\w{12})  ")


@dataclass
class Kills:
    """A cluster with two managers: one is killed and started again, the other one stays."""

    processes: Processes
    seed: str
    played: int = 0
    _marks: Path = field(init=False)
    _stays: Process = field(init=False)
    _tokens: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._marks = self.processes.folder / "marks"
        self._marks.touch()
        config = self.processes.folder / "main.conf"
        config.write_text(f"cluster {{ {FAULT_TIMES} }}\n")
        flags = ("--config", str(config))
        self._stays = self.processes.start("eccmgr", "stays", *flags, wait=False)
        for name in _NODES:
            node = ("ecnode", name, *flags, "--subcluster", name[:4])
            if name == _WITHOUT_MARK:
                self.processes.start(*node, wait=False)
            else:
                marks = ("--marks", str(self._marks))
                self.processes.start(*node, *marks, wait=False, module="tests.fault.marking_node")
        for process in self.processes.started:
            process.wait_ready()

    def play(self) -> None:
        """Kill one manager in the midst of one gather, and check the account of the console."""
        dies = self.processes.manager("dies", "--config", str(self.processes.folder / "main.conf"))
        self._tokens += 1
        options, hold_ms = self.chance.choice(_GATHERS), self.chance.choice((20, 100, 300))
        token = f"t{self._tokens}"
        console = self._console(dies, f"gather {options} mark {token} {hold_ms}".replace("  ", " "))
        wait_until_sync(lambda: token in ask_sync(self._stays.endpoint, "history 1"), "the command is sent")
        time.sleep(self.chance.uniform(0, 0.2 + 2.5 * hold_ms / 1000))
        dies.end(signal.SIGKILL)
        out, err = console.communicate(timeout=120)
        self.played += 1
        self._check(f"{options} {token} {hold_ms}", out, err, console.returncode)
        self._check_marks(token, options)

    def _console(self, first: Process, command: str) -> "subprocess.Popen[str]":
        endpoints = f"{first.endpoint},{self._stays.endpoint}"
        return subprocess.Popen(
            [sys.executable, "-m", "cli.ec_console", *command.split()],
            cwd=ROOT,
            env={**os.environ, "EC_CONSOLE_ENDPOINT": endpoints},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _check(self, what: str, out: str, err: str, code: int) -> None:
        found = _ID.match(out)
        assert found is not None, (self.seed, what, out, err)
        kept = ask_sync(self._stays.endpoint, f"retrieve {found[1]}")
        assert out == f"{kept}\n", (self.seed, what, out, kept, err)
        # One node fails each time.
        assert (code, err) == (3, ""), (self.seed, what, err)
        assert not re.search(r"\((pending|running)", out), (self.seed, what, out)

    def _check_marks(self, token: str, options: str) -> None:
        lines = [line.split() for line in self._marks.read_text().splitlines()]
        events = [(float(at), what, node) for what, mark, node, _, at in lines if mark == token and what != "heard"]
        ran = [node for _, what, node in events if what == "ran"]
        assert len(ran) == len(set(ran)), (self.seed, token, "ran twice", events)
        if "--batch 1" in options:
            assert ran == sorted(ran), (self.seed, token, events)
        if "--batch 1 --max-failures 0" in options:
            assert ran == ["east1", "east2"], (self.seed, token, "went on after the failure", events)
        if options.startswith("--batch"):
            width, at_once = int(options.split()[1]), 0
            for _, what, _ in sorted(events):
                at_once += 1 if what == "ran" else -1
                assert at_once <= width, (self.seed, token, "too many at once", events)


def main() -> int:
    """Return 0 if every account was true."""
    seed = os.environ.get("SEED") or secrets.token_hex(4)
    kills = int(os.environ.get("KILLS") or 50)
    folder = Path(tempfile.mkdtemp(prefix="ecc-"))
    with EmbeddedServer(folder / "redis") as server:
        processes = Processes(server.url, "lab", folder)
        try:
            played = Kills(processes, seed)
            for _ in range(kills):
                played.play()
                print(".", end="", flush=True)
        finally:
            processes.end()
    shutil.rmtree(folder)
    print(f"\nseed {seed}: {played.played} kills; each account equals `retrieve`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
