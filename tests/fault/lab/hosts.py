"""Hosts on one machine: namespaces that die with the process that made them. A switch joins them, and can separate
them.

A host is a process in namespaces of its own (network, process ids, mounts, name). No name refers to it: when it ends,
the kernel kills every process in it and removes its interfaces. So a crash leaves nothing behind.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import wait_until_sync

ROOT = Path(__file__).resolve().parents[3]
NETWORK = "10.77.0.{}/16"
NETWORK6 = "fd77::{}/64"
TOOLS = ("ip", "nft", "arping", "unshare", "nsenter")
_PR_SET_PDEATHSIG = 1
_BEGIN = """
mount -t tmpfs tmpfs /run && hostname "$1" && ip link set lo up && echo up || exit 1
while :; do sleep 3600 & wait $!; done
"""
_SWITCH = """
table bridge lab {
  set parted {
    type ifname . ifname
  }
  chain forward {
    type filter hook forward priority 0
    iifname . oifname @parted drop
  }
}
"""


class NoLab(Exception):
    """Raised if this machine cannot make namespaces; the message gives the reason."""


def _killed_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def clean_environment() -> dict[str, str]:
    """The environment, without the variables that our programs read as options."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("ECCMGR_", "EC_", "COV_"))}


class Namespace:
    """The namespaces of one host, held by a process. Raises NoLab if they cannot be made."""

    def __init__(self, name: str) -> None:
        self.name = name
        kinds = ("--net", "--mount", "--uts", "--pid", "--ipc")
        self._started: list[subprocess.Popen[bytes]] = []
        self._holder = subprocess.Popen(
            ["unshare", *kinds, "--fork", "--kill-child=KILL", "--mount-proc", "sh", "-c", _BEGIN, "sh", name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_killed_with_parent,
        )
        assert self._holder.stdout is not None
        assert self._holder.stderr is not None
        if self._holder.stdout.readline() != b"up\n":
            why = self._holder.stderr.read().decode().strip()
            self.end()
            raise NoLab(f"no namespaces can be made here: {why}")
        (self.pid,) = _children(self._holder.pid)
        """The id of its first process, as seen from outside."""
        self._inside = os.readlink(f"/proc/{self.pid}/ns/pid")

    def command(self, *command: str) -> tuple[str, ...]:
        """The command that runs `command` inside the namespaces of the host."""
        entered = ("nsenter", "-t", str(self.pid), "-n", "-m", "-u", "-p", "-i")
        return (*entered, "env", "-C", str(ROOT), *command)  # Entering leads to the root folder.

    def run(self, *command: str, text: str = "", check: bool = True) -> str:
        """Run a short command on the host's network, and return its output. Raises RuntimeError with its message."""
        entered = ("nsenter", "-t", str(self.pid), "-n", *command)
        done = subprocess.run(entered, input=text, capture_output=True, text=True, timeout=30, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{self.name}: {' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def start(self, *command: str, log: Path, more: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program inside. The returned process ends with the program. Signals must go to `pids`, not to that
        process."""
        self._started = [each for each in self._started if each.poll() is None]
        with log.open("ab") as output:
            started = subprocess.Popen(
                self.command(*command),
                cwd=ROOT,
                env=clean_environment() | (more or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_killed_with_parent,
            )
        self._started.append(started)
        return started

    def processes(self) -> dict[int, str]:
        """The processes inside, without zombies: their ids as seen from here, and their command lines."""
        found = {}
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and int(entry.name) != self.pid:
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{entry.name}/ns/pid") == self._inside:
                        line = Path(f"/proc/{entry.name}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                        if line and not line.startswith("sleep "):
                            found[int(entry.name)] = line
        return found

    def pids(self, *words: str) -> list[int]:
        """The ids of the processes whose command line has one of `words`; of all processes if no word is given."""
        return [pid for pid, line in self.processes().items() if not words or any(word in line for word in words)]

    def signal(self, number: signal.Signals, pids: Iterable[int]) -> None:
        """Send a signal to processes that may have ended."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self, *words: str) -> None:
        """Kill the processes that `pids` finds, and wait until they are gone. There must be at least one."""
        self.signal(signal.SIGKILL, struck := self.pids(*words))
        assert struck, f"{words} do not run on {self.name}"
        wait_until_sync(lambda: not set(struck) & self.processes().keys(), f"{words} end on {self.name}")

    def end(self) -> None:
        """End the host with every process in it."""
        for stream in (self._holder.stdout, self._holder.stderr):
            if stream is not None:
                stream.close()
        for each in (self._holder, *self._started):
            each.kill()  # nsenter stops itself if its program was stopped, and never continues.
            each.wait(30)


def _children(pid: int) -> tuple[int, ...]:
    return tuple(int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


@dataclass
class Lab:
    """A switch and the hosts on it; a context manager."""

    folder: Path
    names: Sequence[str]
    hosts: dict[str, Namespace] = field(default_factory=dict)

    def __enter__(self) -> "Lab":
        if lacking := [tool for tool in TOOLS if shutil.which(tool) is None]:
            raise NoLab(f"not installed: {', '.join(lacking)}")
        try:
            self.switch = Namespace("switch")
            self.switch.run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
            self.switch.run("ip", "link", "set", "br0", "up")
            self.switch.run("nft", "-f", "-", text=_SWITCH)
            for name in self.names:
                self.add(name)
        except (OSError, RuntimeError) as error:
            self.__exit__()
            raise NoLab(str(error)) from error
        return self

    def __exit__(self, *_: object) -> None:
        for host in (*self.hosts.values(), *([self.switch] if hasattr(self, "switch") else [])):
            host.end()
        self.hosts.clear()

    def number(self, name: str) -> int:
        """The number of the host, which its addresses contain."""
        return self.names.index(name) + 11

    def address(self, name: str) -> str:
        """The host's own address."""
        return NETWORK.format(self.number(name)).split("/")[0]

    def mac(self, name: str) -> str:
        """The host's hardware address."""
        return f"02:77:00:00:00:{self.number(name):02x}"

    def add(self, name: str) -> Namespace:
        """Add a host with its interface eth0; a host that is gone returns under the same name."""
        host = Namespace(name)
        self.hosts[name] = host
        port = ("type", "veth", "peer", "name", "eth0", "address", self.mac(name), "netns", str(host.pid))
        self.switch.run("ip", "link", "add", f"p-{name}", *port)
        self.switch.run("ip", "link", "set", f"p-{name}", "master", "br0", "up")
        host.run("ip", "link", "set", "eth0", "up")
        host.run("ip", "addr", "add", NETWORK.format(self.number(name)), "dev", "eth0")
        host.run("ip", "addr", "add", NETWORK6.format(self.number(name)), "dev", "eth0", "nodad")
        return host

    def remove(self, name: str) -> None:
        """Remove the host at once, as a power cut would; `add` brings it back."""
        # Remove its port first: a network may still answer for a while after its last process is gone.
        self.switch.run("ip", "link", "del", f"p-{name}")
        self.hosts.pop(name).end()

    def link(self, name: str, up: bool) -> None:
        """Take the host's link down at the switch, like a pulled cable, or put it up."""
        self.switch.run("ip", "link", "set", f"p-{name}", "up" if up else "down")

    def part(self, name: str, others: Iterable[str]) -> None:
        """Block all traffic between the host and the `others`; all links stay up."""
        self.switch.run("nft", "add", "element", "bridge", "lab", "parted", self._pairs(name, others))

    def join(self, name: str, others: Iterable[str]) -> None:
        """End the block of `part`."""
        self.switch.run("nft", "delete", "element", "bridge", "lab", "parted", self._pairs(name, others))

    def _pairs(self, name: str, others: Iterable[str]) -> str:
        return "{ " + ", ".join(f"p-{name} . p-{o}, p-{o} . p-{name}" for o in others if o != name) + " }"


@contextlib.contextmanager
def made_or_skipped(folder: Path, names: Sequence[str]) -> Iterator[Lab]:
    """A lab for a test. If this machine cannot make one, the test is skipped with the reason."""
    import pytest

    if os.geteuid() or sys.platform != "linux":
        pytest.skip("network namespaces want Linux and root")
    try:
        lab = Lab(folder, names).__enter__()
    except NoLab as error:
        pytest.skip(str(error))
    try:
        yield lab
    finally:
        lab.__exit__()


def now_ns() -> int:
    """The clock of all records: the wall clock of the machine, with which the kernel stamps packets."""
    return time.time_ns()
