"""The neighbours learn at once which host carries an address, and again when there is reason to doubt it."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest

from tests.integration.guardian.conftest import Guardian, Host
from worker.guardian import wire

V4, V6 = "10.1.1.1", "2001:db8::1"
VIPS = (wire.Address(V4, 32, "eth1"), wire.Address(V6, 128, "eth1"))
STOPPED_S = 2.0
"""Longer than a guardian's longest wait: only then does it know that it was stopped."""
OFTEN = wire.Announcing(count=3, over_s=0.2, refresh_s=3600)

LISTEN = """
import socket, sys
from worker.guardian.announce import claim
heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
heard.bind(("eth1", 3))
print("listening", flush=True)
while True:
    frame, place = heard.recvfrom(256)
    found = claim(frame) if place[2] != 4 else None
    if found:
        print(found[0], frame[:6].hex(), flush=True)
"""
CLAIM = """
import socket, sys
from worker.guardian.announce import advertisement, gratuitous_arp
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
make = advertisement if ":" in sys.argv[1] else gratuitous_arp
out.sendto(make(bytes.fromhex("020000000009"), sys.argv[1]), ("eth1", 0))
"""


def python(host: Host, text: str, *arguments: str) -> list[str]:
    return ["ip", "netns", "exec", host.client, sys.executable, "-S", "-c", text, *arguments]


class Claims:
    """The claims that the client hears: the address, and the destination of the frame."""

    def __init__(self, stream: BinaryIO) -> None:
        """`stream` has a line for each claim, and must not read ahead."""
        self._stream = stream

    def __iter__(self) -> "Claims":
        return self

    def __next__(self) -> list[str]:
        return self._stream.readline().decode().split()

    def after(self, act: Callable[[], object]) -> list[str]:
        """The next claim. Act until there is one, since an address is claimed at most once a second."""
        while not select.select([self._stream], [], [], 0.1)[0]:
            act()
        return next(self)


@contextlib.contextmanager
def listening(host: Host) -> Iterator[Claims]:
    """The client listens during the block."""
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with subprocess.Popen(python(host, LISTEN), stdout=subprocess.PIPE, bufsize=0, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            yield Claims(process.stdout)
        finally:
            process.kill()


def claim(host: Host, address: str) -> None:
    subprocess.run(python(host, CLAIM, address), check=True, env={**os.environ, "PYTHONPATH": os.getcwd()})


def return_link(host: Host) -> None:
    host.ip("link", "set", "eth1", "down")
    host.ip("link", "set", "eth1", "up")


def ready(host: Host, announcing: wire.Announcing = OFTEN) -> Guardian:
    made = host.guardian()
    made.say(wire.Configure(VIPS, announcing=announcing))
    made.hear(wire.Ready)
    return made


@pytest.mark.parametrize("address", [V4, V6])
def test_address_is_announced_as_often_as_configured(host: Host, address: str) -> None:
    guardian = ready(host)
    with listening(host) as heard:
        guardian.hold(60, wire.Grant(address, 1))
        claims = [next(heard) for _ in range(3)]
    assert claims == [[address, "ffffffffffff" if address == V4 else "333300000001"]] * 3


def test_it_is_announced_again_at_each_refresh(host: Host) -> None:
    guardian = ready(host, wire.Announcing(count=1, refresh_s=0.2))
    with listening(host) as heard:
        guardian.hold(60, wire.Grant(V4, 1))
        assert [next(heard)[0] for _ in range(4)] == [V4] * 4


@pytest.mark.parametrize("address", [V4, V6])
def test_a_rival_is_answered(host: Host, address: str) -> None:
    guardian = ready(host, wire.Announcing(count=1, refresh_s=3600))
    with listening(host) as heard:
        guardian.hold(60, wire.Grant(address, 1))
        next(heard)
        assert heard.after(lambda: claim(host, address))[0] == address


@pytest.mark.parametrize("address", [V4, V6])
def test_whoever_was_stopped_gives_way_to_a_rival(host: Host, address: str) -> None:
    guardian = ready(host)
    guardian.hold(60, wire.Grant(V4, 1), wire.Grant(V6, 1))
    guardian.signal(signal.SIGSTOP)
    claim(host, address)
    time.sleep(STOPPED_S)
    guardian.signal(signal.SIGCONT)
    said = guardian.hear(wire.NotPlumbed)
    assert (said.address, said.reason) == (address, "another host announces it: 02:00:00:00:00:09")
    assert not host.has(address)
    assert host.has(V4 if address == V6 else V6)


def test_returning_link_or_process_is_announced_again(host: Host) -> None:
    guardian = ready(host, wire.Announcing(count=1, refresh_s=3600))
    with listening(host) as heard:
        guardian.hold(60, wire.Grant(V4, 1))
        next(heard)
        guardian.signal(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        guardian.signal(signal.SIGCONT)
        assert next(heard)[0] == V4
        assert heard.after(lambda: return_link(host))[0] == V4


def test_only_known_neighbours_are_told_on_request(host: Host) -> None:
    host.ip("neigh", "add", "10.1.1.100", "lladdr", "02:00:00:00:00:64", "dev", "eth1", "nud", "permanent")
    guardian = ready(host, wire.Announcing(count=1, refresh_s=3600, all_hosts=False))
    with listening(host) as heard:
        guardian.hold(60, wire.Grant(V4, 1))
        assert next(heard) == [V4, "020000000064"]


def test_unknown_gateway_is_resolved_and_then_told(host: Host) -> None:
    host.ip("route", "add", "default", "via", "10.1.1.100", "dev", "eth1")
    guardian = ready(host, wire.Announcing(count=5, over_s=8.0, refresh_s=3600, all_hosts=False))
    mac = host.client_mac()
    with listening(host) as heard:
        guardian.hold(60, wire.Grant(V4, 1))
        assert next(each for each in heard if each[0] == V4) == [V4, mac]


RATE = """
from worker.guardian.announce import Announcer
from worker.guardian.interfaces import Interfaces
from worker.guardian.wire import Address
interfaces = Interfaces()
announcer = Announcer(interfaces, lambda: {each.name: each for each in interfaces.links()})
def sent():
    return int(open("/sys/class/net/eth1/statistics/tx_packets").read())
vips = [Address(f"10.8.{each // 250}.{each % 250 + 1}", 32, "eth1") for each in range(1000)]
before = sent()
announcer.begin(vips, 100.0)
announcer.send(100.0)
first = sent() - before
assert announcer.next_at() > 100.0, "it would be asked again at once"
announcer.send(100.05)
print(first, sent() - before)
announcer.forget(each.address for each in vips)
before = sent()
announcer.send(200.0)
print(sent() - before)
"""


def test_thousands_are_announced_at_a_bounded_rate(host: Host) -> None:
    said = subprocess.run(
        ["ip", "netns", "exec", host.name, sys.executable, "-S", "-c", RATE],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ).stdout.split()
    burst, then, forgotten = (int(each) for each in said)
    assert 190 <= burst <= 210
    assert 280 <= then <= 320
    assert forgotten <= 10


# Counts the claims alone: the kernel sends packets of its own, whenever it likes.
NEVER_AGAIN = """
import socket
from worker.guardian.announce import Announcer, claim
from worker.guardian.interfaces import Interfaces
from worker.guardian.wire import Address, Announcing
interfaces = Interfaces()
announcer = Announcer(interfaces, lambda: {each.name: each for each in interfaces.links()})
tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(3))
tap.bind(("eth1", 3))
claims = []
def hear():
    try:
        while True:
            frame, place = tap.recvfrom(256)
            claims.extend([frame] if place[2] == 4 and claim(frame) else [])
    except BlockingIOError:
        return
def pass_time(*times):
    for now in times:
        announcer.send(now)
    hear()
    print(len(claims), announcer.next_at())
announcer.configure(Announcing(count=2, over_s=1.0, refresh_s=0), 100.0)
announcer.begin([Address("10.8.0.1", 32, "eth1")], 100.0)
pass_time(100.0, 101.0, 102.0)
announcer.configure(Announcing(count=2, over_s=1.0, refresh_s=60), 200.0)
pass_time(200.0, 260.0)
announcer.configure(Announcing(count=2, over_s=1.0, refresh_s=0), 261.0)
pass_time(320.0, 400.0)
"""


def test_no_refresh_follows_until_one_is_configured(host: Host) -> None:
    said = subprocess.run(
        ["ip", "netns", "exec", host.name, sys.executable, "-S", "-c", NEVER_AGAIN],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    ).stdout.splitlines()
    assert said == ["2 inf", "3 320.0", "3 inf"]
