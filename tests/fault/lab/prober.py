"""The client's prober program. Every 10 ms it asks which host answers for each VIP, and which host serves it.

    python -m tests.fault.lab.prober OUT MAC VIP…

It writes lines to OUT. All times are nanoseconds of the wall clock; the kernel stamps arrivals:

    R asked round            a round of requests begins
    A asked heard vip mac    `mac` answered the request for `vip` of the round that began at `asked`
    G heard vip mac          `mac` announced `vip` without a request
    E sent heard vip host    the echo of a datagram
    L late                   answers that could not be told to a round: they were more than 0.3 s late

Each round asks with another sender address of a small ring. The answers repeat it, so each answer is known to belong to
its request and not to the next one. MAC is the prober's own, not that of its host. Otherwise the host's neighbour
cache, by which the datagrams find their way, would learn from the answers more than a client's does.
"""

import contextlib
import functools
import ipaddress
import os
import select
import signal
import socket
import struct
import sys
import time

PERIOD_S = 0.01
ECHO_PORT = 7
_RING = 32
_FIRST = {4: ipaddress.ip_address("10.77.9.0"), 6: ipaddress.ip_address("fd77::9:0")}
_SO_TIMESTAMPNS = 35
_SOL_PACKET, _ADD_MEMBERSHIP, _PROMISCUOUS = 263, 1, 1
_ETH_P_ALL = 3
_ARP, _IPV6 = b"\x08\x06", b"\x86\xdd"
_ICMPV6, _SOLICIT, _ADVERTISE = 58, 135, 136
_FLUSH_EVERY = 25


def mac_bytes(mac: str) -> bytes:
    """The six bytes of a hardware address."""
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(mac: bytes) -> str:
    """The text of a hardware address."""
    return mac.hex(":")


def request(vip: str, mac: bytes, index: int) -> bytes:
    """A frame that asks for the host of `vip`, sent from the address `index` of the ring."""
    target = ipaddress.ip_address(vip)
    asker = (_FIRST[target.version] + index).packed
    if target.version == 4:
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + asker + bytes(6) + target.packed
        return b"\xff" * 6 + mac + _ARP + body
    group = ipaddress.ip_address("ff02::1:ff00:0").packed[:13] + target.packed[13:]
    message = struct.pack("!BBHI", _SOLICIT, 0, 0, 0) + target.packed + b"\x01\x01" + mac
    pseudo = asker + group + struct.pack("!II", len(message), _ICMPV6)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255) + asker + group
    return b"\x33\x33" + group[12:] + mac + _IPV6 + header + message


def checksum(data: bytes) -> int:
    """The Internet checksum."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)


def understood(frame: bytes) -> tuple[str, str, int | None] | None:
    """The vip, the mac and the index in the ring of an answer; the index is None if nobody asked. None for other
    frames."""
    if frame[12:14] == _ARP and len(frame) >= 42:
        operation = struct.unpack("!H", frame[20:22])[0]
        sender, target = frame[28:32], frame[38:42]
        if operation != 2 and sender != target:
            return None
        index = int.from_bytes(target) - int(_FIRST[4])
        mac = mac_text(frame[22:28])
        return str(ipaddress.ip_address(sender)), mac, index if 0 <= index < _RING else None
    if frame[12:14] == _IPV6 and frame[20] == _ICMPV6 and len(frame) >= 86 and frame[54] == _ADVERTISE:
        index = int.from_bytes(frame[38:54]) - int(_FIRST[6])
        solicited = frame[58] & 0x40 and 0 <= index < _RING
        return str(ipaddress.ip_address(frame[62:78])), mac_text(frame[80:86]), index if solicited else None
    return None


class Prober:
    """The prober's sockets and notes."""

    def __init__(self, out: str, mac: str, vips: list[str]) -> None:
        self._out = open(out, "a", buffering=1 << 20)  # noqa: SIM115
        self._mac, self._vips = mac_bytes(mac), vips
        self._raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._raw.bind(("eth0", 0))
        everything = struct.pack("iHH8s", socket.if_nametoindex("eth0"), _PROMISCUOUS, 0, b"")
        self._raw.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, everything)
        self._echo = {4: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)}
        self._echo[6] = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        for each in (self._raw, *self._echo.values()):
            each.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            each.setblocking(False)
        self._frames = [[request(vip, self._mac, index) for vip in vips] for index in range(_RING)]
        self._asked = [0] * _RING
        self.ends = False

    def run(self) -> None:
        """Probe until told to end."""
        poll = select.poll()
        readers = {self._raw.fileno(): self._read_raw}
        for each in self._echo.values():
            readers[each.fileno()] = functools.partial(self._read_echo, each)
        for number in readers:
            poll.register(number, select.POLLIN)
        number, due = 0, time.monotonic()
        while not self.ends:
            left = due - time.monotonic()
            if left <= 0:
                self._round(number)
                number, due = number + 1, max(due + PERIOD_S, time.monotonic() + PERIOD_S / 2)
                left = due - time.monotonic()
            for ready, event in poll.poll(max(0.0, left * 1000)):
                if event & select.POLLIN:
                    readers[ready]()
                elif event & select.POLLERR:
                    self._forget_error(ready)
        self._out.close()

    def _round(self, number: int) -> None:
        index = number % _RING
        asked = self._asked[index] = time.time_ns()
        self._out.write(f"R {asked} {number}\n")
        for frame in self._frames[index]:
            with contextlib.suppress(OSError):
                self._raw.send(frame)
        for vip in self._vips:
            with contextlib.suppress(OSError):
                self._echo[6 if ":" in vip else 4].sendto(str(asked).encode(), (vip, ECHO_PORT))
        if number % _FLUSH_EVERY == 0:
            self._out.flush()

    def _read_raw(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, heard = _received(self._raw)
                if frame[6:12] == self._mac or (answer := understood(frame)) is None or answer[0] not in self._vips:
                    continue
                vip, mac, index = answer
                if index is None:
                    self._out.write(f"G {heard} {vip} {mac}\n")
                elif heard - self._asked[index] < _RING * PERIOD_S * 1e9 * 0.9:
                    self._out.write(f"A {self._asked[index]} {heard} {vip} {mac}\n")
                else:
                    self._out.write(f"L {heard}\n")

    def _read_echo(self, sock: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                with contextlib.suppress(ConnectionError, _Unreachable):
                    data, heard, source = _received_from(sock)
                    sent, _, host = data.decode().partition(" ")
                    self._out.write(f"E {sent} {heard} {source} {host}\n")

    def _forget_error(self, number: int) -> None:
        for each in (self._raw, *self._echo.values()):
            if each.fileno() == number:
                each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


class _Unreachable(OSError):
    """Raised if an earlier datagram could not be delivered."""


def _received(sock: socket.socket) -> tuple[bytes, int]:
    frame, ancillary, _, _ = sock.recvmsg(2048, 64)
    return frame, _stamp(ancillary)


def _received_from(sock: socket.socket) -> tuple[bytes, int, str]:
    try:
        data, ancillary, _, source = sock.recvmsg(2048, 64)
    except BlockingIOError:
        raise
    except OSError as error:
        raise _Unreachable from error
    return data, _stamp(ancillary), source[0]


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return int(seconds * 1_000_000_000 + nanoseconds)
    raise AssertionError("the kernel did not stamp a packet")


def main() -> None:
    """Probe until SIGTERM."""
    out, mac, *vips = sys.argv[1:]
    prober = Prober(out, mac, vips)

    def end(*_: object) -> None:
        prober.ends = True

    signal.signal(signal.SIGTERM, end)
    with contextlib.suppress(OSError):  # Otherwise the machine's load shows in the figures.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    prober.run()


if __name__ == "__main__":
    main()
