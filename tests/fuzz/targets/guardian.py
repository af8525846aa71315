"""The input of a guardian: its agent's lines, its charter, the kernel's messages."""

import os
import struct

from tests.fuzz.target import fuzzed
from worker.guardian.charter import Charter, Grounds, Server, read_charter, write_charter
from worker.guardian.interfaces import parse_address
from worker.guardian.netlink import NetlinkReply, _replies, attributes
from worker.guardian.wire import Configure, Lines, WireError, encode

_LINES = (
    b'["Deadline",{"session":"#a","at":',
    b'["Configure",{"vips":[{"address":"10.1.1.1","prefix":32,"interface":"eth1"}]',
    b"}]\n",
    b"1e999",
    b"NaN",
    b"10.1.1.1",
)
_CHARTER = Charter((Grounds("10.1.1.0/24", "eth1", 32), Grounds("fd00::/64")), Server("localhost", 6379), moves=True)


@fuzzed(WireError, words=_LINES)
def guardian_lines(data: bytes) -> None:
    """An agent's lines are messages within the charter, or are refused."""
    for message in Lines().feed(data + b"\n"):
        assert Lines().feed(encode(message)) == [message]
        _CHARTER.check(message, 100.0)
        if isinstance(message, Configure):
            permitted = _CHARTER.permitted(message)
            assert all(each.interface == "eth1" or ":" in each.address for each in permitted.vips)


@fuzzed(
    OSError,
    words=(
        b'{"grounds":[',
        b'"server":null',
        b'"moves":true',
        b'"longest_hold_s":10.0',
        b'"network":"0.0.0.0/0"',
        b"}",
    ),
)
def charter(data: bytes) -> None:
    """A charter is complete, or the guardian does not start."""
    descriptor = os.memfd_create("charter", os.MFD_CLOEXEC)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    read = read_charter(descriptor)
    assert read_charter(write_charter(read)) == read


@fuzzed(
    OSError,
    words=(struct.pack("=IHHII", 24, 20, 0, 1, 1), struct.pack("=HH", 8, 1), b"\x0a\1\1\1", b"\2\x20\0\0\1\0\0\0"),
)
def netlink_replies(data: bytes) -> None:
    """The kernel's messages: replies, events, attributes, addresses."""
    for _, reply in _replies(data):
        attributes(reply.body, 8)
        parse_address(reply)
    parse_address(NetlinkReply(20, 0, data))
