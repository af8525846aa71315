"""The same round with Salt: `test.ping` to 20 minions, by its client library and by its command.

It needs Salt's programs on PATH, or their folder in the variable SALT (`pip install salt` in an environment of its
own), and says so if they are missing.
"""

import os
import shutil
import socket
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

from ops.bench import gather
from ops.bench.fleet import Fleet, fleet
from ops.bench.table import Row, ratio

_ROUNDS = 5
_READY_S = 180.0
_MASTER = """
interface: 127.0.0.1
publish_port: {publish}
ret_port: {ret}
root_dir: {folder}
pki_dir: {folder}/pki
sock_dir: {folder}/sock
user: root
auto_accept: true
worker_threads: 3
timeout: 60
"""
_MINION = """
master: 127.0.0.1
publish_port: {publish}
master_port: {ret}
id: {name}
root_dir: {folder}
pki_dir: {folder}/pki
sock_dir: {folder}/sock
user: root
"""
_CLIENT = """
import statistics, sys, time
import salt.client
client, seconds = salt.client.LocalClient(sys.argv[1]), []
for _ in range(int(sys.argv[3])):
    started = time.perf_counter()
    answers = client.cmd("*", "test.ping", timeout=60)
    seconds.append(time.perf_counter() - started)
    if len(answers) != int(sys.argv[2]):
        sys.exit(f"{len(answers)} answers")
print(statistics.median(seconds))
"""


def measure() -> dict[str, Any]:
    """The figures: medians in ms of the peer's two ways and of our gather; `missing` if the peer is not installed."""
    salt = shutil.which("salt", path=os.pathsep.join((os.environ.get("SALT", ""), os.environ.get("PATH", os.defpath))))
    if salt is None:
        return {"missing": "salt"}
    with fleet() as running:
        master = _start(running, Path(salt).parent)
        library_s, command_s = _library(salt, master), _command(salt, master)
    return {"library_ms": round(library_s * 1000), "command_ms": round(command_s * 1000), "gather_ms": gather.gathers()}


def rows(figures: dict[str, Any]) -> list[Row]:
    """The rows of the printed table."""
    name = f"gather, {gather.NODES} processes"
    if "missing" in figures:
        return [Row(name, "", "Salt is not installed", "1 x")]
    ours = round(figures["gather_ms"], 2)
    return [
        ratio(name, ours, figures["library_ms"], "ms", 1, "Salt's client library"),
        ratio(name, ours, figures["command_ms"], "ms", 1, "Salt's command"),
    ]


def _start(running: Fleet, programs: Path) -> Path:
    """Start a master and its minions, and wait until all answer; return the folder of the master's configuration."""
    ports = {"publish": _free_port(), "ret": _free_port()}
    master = _configured(running, "master", _MASTER, ports)
    running.spawn(str(programs / "salt-master"), "-c", str(master), "-l", "error")
    for number in range(gather.NODES):
        minion = _configured(running, f"node{number}", _MINION, ports)
        running.spawn(str(programs / "salt-minion"), "-c", str(minion), "-l", "error")
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        asked = [str(programs / "salt"), "-c", str(master), "*", "test.ping", "--out=txt", "--timeout=5"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=_READY_S, check=False).stdout
        if answer.count(": True") == gather.NODES:
            return master
    raise RuntimeError(f"the minions do not come: {answer[-500:]}")


def _configured(running: Fleet, name: str, text: str, ports: dict[str, int]) -> Path:
    folder = running.folder / f"salt-{name}"
    folder.mkdir()
    kind = "master" if name == "master" else "minion"
    (folder / kind).write_text(text.format(folder=folder, name=name, **ports))
    return folder


def _library(salt: str, master: Path) -> float:
    python = Path(salt).read_text().splitlines()[0].removeprefix("#!")
    words = (python, "-c", _CLIENT, str(master / "master"), str(gather.NODES), str(_ROUNDS))
    done = subprocess.run(words, capture_output=True, text=True, timeout=_READY_S, check=True)
    return float(done.stdout.split()[-1])


def _command(salt: str, master: Path) -> float:
    seconds = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        subprocess.run([salt, "-c", str(master), "*", "test.ping", "--out=txt"], capture_output=True, check=True)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
