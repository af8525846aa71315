"""The frames that the prober sends and understands."""

import ipaddress
import struct

import pytest

from tests.fault.lab.holding import changes
from tests.fault.lab.prober import checksum, mac_bytes, request, understood

ASKER, OWNER = "02:77:00:00:01:01", "02:77:00:00:00:0b"


def arp(operation: int, sender: str, target: str, mac: str = OWNER) -> bytes:
    addresses = [ipaddress.ip_address(each).packed for each in (sender, target)]
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + mac_bytes(mac) + addresses[0] + bytes(6) + addresses[1]
    return mac_bytes(ASKER) + mac_bytes(mac) + b"\x08\x06" + body


def advertisement(vip: str, target: str, solicited: bool) -> bytes:
    packed = ipaddress.ip_address(vip).packed
    message = bytes([136, 0, 0, 0, 0x60 if solicited else 0x20, 0, 0, 0]) + packed + b"\x02\x01" + mac_bytes(OWNER)
    header = struct.pack("!IHBB", 6 << 28, len(message), 58, 255) + packed + ipaddress.ip_address(target).packed
    return mac_bytes(ASKER) + mac_bytes(OWNER) + b"\x86\xdd" + header + message


def test_an_answer_tells_to_which_request_it_belongs() -> None:
    assert understood(arp(2, "10.77.1.1", "10.77.9.5")) == ("10.77.1.1", OWNER, 5)
    assert understood(advertisement("fd77::1:1", "fd77::9:1f", True)) == ("fd77::1:1", OWNER, 31)


@pytest.mark.parametrize("operation", [1, 2])
def test_an_announcement_is_no_answer(operation: int) -> None:
    assert understood(arp(operation, "10.77.1.1", "10.77.1.1")) == ("10.77.1.1", OWNER, None)
    assert understood(advertisement("fd77::1:1", "ff02::1", False)) == ("fd77::1:1", OWNER, None)


def test_requests_of_others_are_neither() -> None:
    assert understood(arp(1, "10.77.0.12", "10.77.1.1")) is None
    assert understood(request("10.77.1.1", mac_bytes(ASKER), 3)) is None
    assert understood(request("fd77::1:1", mac_bytes(ASKER), 3)) is None
    assert understood(bytes(60)) is None


def test_solicitation_has_right_checksum_and_target_group() -> None:
    frame = request("fd77::12:3456", mac_bytes(ASKER), 0)
    assert frame[:6].hex(":") == "33:33:ff:12:34:56"
    assert frame[38:54] == ipaddress.ip_address("ff02::1:ff12:3456").packed
    message = frame[54:]
    pseudo = frame[22:54] + struct.pack("!II", len(message), 58)
    assert checksum(pseudo + message) == 0


def test_kernels_word_on_an_address_is_understood() -> None:
    def message(kind: int, address: str) -> bytes:
        packed = ipaddress.ip_address(address).packed
        attributes = struct.pack("HH", 4 + len(packed), 1) + packed + struct.pack("HHI", 8, 8, 0)
        return struct.pack("IHHII", 24 + len(attributes), kind, 0, 0, 0) + bytes(8) + attributes

    both = message(20, "10.77.1.1") + message(21, "fd77::1:1")
    assert list(changes(both)) == [("+", "10.77.1.1"), ("-", "fd77::1:1")]
    assert list(changes(b"")) == []
