"""The echo program of a host: answers each datagram with the host's name, from the address it was sent to.

python -m tests.fault.lab.echo NAME
"""

import contextlib
import select
import socket
import sys

from tests.fault.lab.prober import ECHO_PORT

_IP_PKTINFO = 8


def main() -> None:
    """Answer for ever."""
    name = sys.argv[1].encode()
    four = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    four.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
    four.bind(("", ECHO_PORT))
    six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    six.bind(("", ECHO_PORT))
    while True:
        for sock in select.select([four, six], [], [])[0]:
            with contextlib.suppress(OSError):
                data, ancillary, _, source = sock.recvmsg(64, 128)
                sock.sendmsg([data + b" " + name], [(a, b, _as_source(sock, c)) for a, b, c in ancillary], 0, source)


def _as_source(sock: socket.socket, info: bytes) -> bytes:
    """The packet information to send from the requested address, by the interface that routing chooses."""
    if sock.family == socket.AF_INET:
        return bytes(4) + info[8:12] + bytes(4)
    return info[:16] + bytes(4)


if __name__ == "__main__":
    main()
