"""The program that notes a host's floating addresses and its kernel fence as they change.

    python -m tests.fault.lab.holding OUT

It runs on the host. Each line has the wall clock, in nanoseconds, at which the kernel reported the change:

    + time address      plumbed
    - time address      unplumbed
    N time text         what `nft monitor` says: the fence renewed, closed, touched
"""

import ipaddress
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

_IPV4, _IPV6 = 0x10, 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
_NEW, _GONE = 20, 21
_ADDRESS, _LOCAL = 1, 2


def changes(data: bytes) -> Iterator[tuple[str, str]]:
    """The (`+` or `-`, address) of each kernel message."""
    while len(data) >= 24:
        length, kind = struct.unpack("IH", data[:6])
        attributes = dict(_attributes(data[24:length]))
        raw = attributes.get(_LOCAL) or attributes.get(_ADDRESS)
        if kind in (_NEW, _GONE) and raw is not None:
            yield "+" if kind == _NEW else "-", str(ipaddress.ip_address(raw))
        data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack("HH", data[:4])
        if length < 4:
            return
        yield kind, data[4:length]
        data = data[(length + 3) & ~3 :]


def main() -> None:
    """Note every change until killed."""
    with (
        open(sys.argv[1], "a", buffering=1) as out,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink,
        subprocess.Popen(["nft", "monitor"], stdout=subprocess.PIPE, bufsize=0) as nft,
    ):
        assert nft.stdout is not None
        netlink.bind((0, _IPV4 | _IPV6))
        rest = b""
        while True:
            for ready in select.select([netlink.fileno(), nft.stdout.fileno()], [], [])[0]:
                if ready == netlink.fileno():
                    told = changes(netlink.recv(65536))
                    out.writelines(f"{sign} {time.time_ns()} {address}\n" for sign, address in told)
                elif said := nft.stdout.read(65536):
                    *whole, rest = (rest + said).split(b"\n")
                    out.writelines(f"N {time.time_ns()} {line.decode()}\n" for line in whole)
                else:
                    return


if __name__ == "__main__":
    main()
