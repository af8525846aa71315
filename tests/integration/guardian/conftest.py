"""A host in a network namespace of its own, with a client on the same link."""

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.waiting import wait_until_sync
from worker.guardian import wire
from worker.guardian.charter import Charter, Grounds, write_charter
from worker.isolation import isolated

_ROOT = Path(__file__).resolve().parents[3]
_numbers = itertools.count()
ANYTHING = Charter((Grounds("0.0.0.0/0"), Grounds("::/0")), longest_hold_s=3600)
M = TypeVar("M")
_PROBE = """
import socket, sys
lost = 0
for _ in range(int(sys.argv[2])):
    try:
        socket.create_connection((sys.argv[1], 9), 0.9).close()
    except ConnectionRefusedError:
        pass
    except OSError:
        lost += 1
print(lost)
"""


class Guardian:
    """A real guardian process. The test is its agent."""

    def __init__(self, namespace: str, folder: Path, *options: str, charter: Charter = ANYTHING) -> None:
        self.socket, theirs = socket.socketpair()
        given = write_charter(charter)
        words = ("--agent", str(theirs.fileno()), "--charter", str(given))
        command = isolated("worker.guardian", *words, others=False)
        prefix = ["ip", "netns", "exec", namespace] if namespace else []
        with theirs:
            self.process = subprocess.Popen(
                [*prefix, *command, "--lock", str(folder / "guardian.lock"), *options],
                pass_fds=(theirs.fileno(), given),
            )
        os.close(given)
        if os.geteuid() == 0:
            # A guardian that gets no time on a busy machine takes itself for one that was stopped.
            os.setpriority(os.PRIO_PROCESS, self.process.pid, -20)
        self.socket.settimeout(10.0)
        self._lines = wire.Lines()
        self.heard: list[wire.Message] = []

    def say(self, *messages: wire.Message) -> None:
        """Send these messages."""
        self.socket.sendall(b"".join(wire.encode(each) for each in messages))

    def hear(self, kind: type[M], where: Callable[[Any], bool] = lambda _: True) -> M:
        """The next message of this kind. Messages of other kinds stay for later."""
        while True:
            for each in self.heard:
                if isinstance(each, kind) and where(each):
                    self.heard.remove(each)
                    return each
            data = self.socket.recv(65536)
            assert data, f"the guardian ended before it said {kind.__name__}"
            self.heard += self._lines.feed(data)

    def hold(self, seconds: float, *grants: wire.Grant, session: str = "s1") -> float:
        """Extend the fence and plumb these addresses; return the deadline once everything stands."""
        at = wire.boot_time() + seconds
        self.say(wire.Deadline(session, at, (session,)), wire.Plumb(grants, session, at))
        self.hear(wire.Kept)
        for each in grants:
            self.hear(wire.Plumbed, lambda message, name=each.address: message.address == name)
        return at

    def signal(self, number: signal.Signals) -> None:
        """Signal the process."""
        self.process.send_signal(number)

    def close(self) -> None:
        """End it, in whatever state it is."""
        self.socket.close()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


class Host:
    """A namespace with interface `eth1`, and a client's namespace at the other end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        name = f"ecg{os.getpid()}x{next(_numbers)}"
        self.name, self.client = f"{name}h", f"{name}c"
        self.guardians: list[Guardian] = []

    def start(self) -> None:
        """Make the host and its client."""
        run("ip", "netns", "add", self.name)
        run("ip", "netns", "add", self.client)
        run("ip", "-n", self.name, "link", "add", "eth1", "type", "veth", "peer", "eth1", "netns", self.client)
        for each in (self.name, self.client):
            run("ip", "-n", each, "link", "set", "lo", "up")
            run("ip", "netns", "exec", each, "sysctl", "-qw", "net.ipv6.conf.eth1.accept_dad=0")
            run("ip", "-n", each, "link", "set", "eth1", "up")
        self.ip("addr", "add", "10.1.1.200/24", "dev", "eth1")
        self.ip("addr", "add", "2001:db8::200/64", "dev", "eth1", "nodad")
        run("ip", "-n", self.client, "addr", "add", "10.1.1.100/24", "dev", "eth1")
        run("ip", "-n", self.client, "addr", "add", "2001:db8::100/64", "dev", "eth1", "nodad")
        wait_until_sync(lambda: "LOWER_UP" in self.ip("link", "show", "eth1"), "the link is up")

    def stop(self) -> None:
        """Remove the host, with every process in it."""
        try:
            for each in self.guardians:
                each.close()
        finally:
            for name in (self.name, self.client):
                subprocess.run(["ip", "netns", "del", name], check=False)

    def guardian(self, *options: str, charter: Charter = ANYTHING) -> Guardian:
        """Start a guardian here."""
        made = Guardian(self.name, self.folder, *options, charter=charter)
        self.guardians.append(made)
        return made

    def ip(self, *words: str) -> str:
        """Run `ip` on the host."""
        return run("ip", "-n", self.name, *words)

    def run(self, *words: str) -> str:
        """Run a command on the host."""
        return run("ip", "netns", "exec", self.name, *words)

    def client_mac(self) -> str:
        """The client's hardware address, in hexadecimal."""
        return run("ip", "-n", self.client, "-o", "link", "show", "eth1").split("link/ether ")[1][:17].replace(":", "")

    def has(self, address: str) -> bool:
        """Whether the address is on an interface."""
        return f" {address}/" in self.ip("addr", "show")

    def answers(self, address: str) -> bool:
        """Whether the client, after forgetting its neighbours, gets an answer by ARP, or by ND and a packet."""
        subprocess.run(["ip", "-n", self.client, "neigh", "flush", "all"], check=True, capture_output=True)
        if ":" not in address:
            words = ["arping", "-f", "-c", "1", "-w", "1", "-I", "eth1", address]
            found = subprocess.run(["ip", "netns", "exec", self.client, *words], check=False, capture_output=True)
            return found.returncode == 0
        return self.lost(address, 1) == 0

    def lost(self, address: str, count: int) -> int:
        """The number of the client's packets, sent one by one to a closed port, that get no answer within a second."""
        return int(run("ip", "netns", "exec", self.client, sys.executable, "-S", "-c", _PROBE, address, str(count)))


def run(*words: str) -> str:
    """Run a command; return its output."""
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


def _why_not() -> str:
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if lacking := [tool for tool in ("ip", "nft", "arping") if shutil.which(tool) is None]:
        return f"not installed: {', '.join(lacking)}"
    probe = f"ecg{os.getpid()}probe"
    made = subprocess.run(["ip", "netns", "add", probe], check=False, capture_output=True, text=True)
    if made.returncode:
        return f"no network namespaces here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=False)
    return ""


@pytest.fixture(scope="session")
def _namespaces() -> None:
    if why := _why_not():
        pytest.skip(why)


@pytest.fixture
def host(_namespaces: None, folder: Path) -> Iterator[Host]:
    """A host on a link, with a client."""
    made = Host(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
