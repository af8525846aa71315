"""A guardian does only what its charter permits, whatever its agent asks for."""

import math
from dataclasses import replace

import pytest

from worker.guardian.charter import Charter, Grounds, Server, read_charter, write_charter
from worker.guardian.wire import (
    Address,
    Announcing,
    Configure,
    Deadline,
    Ending,
    Grant,
    Message,
    Plumb,
    Unplumb,
    WireError,
)

CHARTER = Charter((Grounds("10.1.1.0/28", "eth2", 32), Grounds("10.1.1.0/24", "eth1", 24), Grounds("2001:db8::/64")))
NOW = 1000.0


def permitted(*wanted: Address, charter: Charter = CHARTER) -> tuple[Address, ...]:
    return charter.permitted(Configure(wanted)).vips


@pytest.mark.parametrize(
    "address",
    [
        Address("10.1.1.77", 24, "eth1"),
        Address("10.1.1.7", 32, "eth2"),
        Address("2001:db8::7", 128, "any0"),
        Address("2001:db8::7", 0, "other0"),
    ],
)
def test_an_address_of_a_topology_is_permitted(address: Address) -> None:
    assert permitted(address) == (address,)


@pytest.mark.parametrize(
    "address",
    [
        Address("192.0.2.1", 24, "eth1"),
        Address("127.0.0.53", 8, "lo"),
        Address("10.1.1.77", 24, "lo"),
        Address("10.1.1.77", 24, ""),
        Address("10.1.1.77", 999, "eth1"),
        Address("10.1.1.77", 0, "eth1"),
        Address("10.1.1.7", 24, "eth1"),
        Address("2001:db8::7", 129, "any0"),
        Address("2001:db8::7", -1, "any0"),
    ],
)
def test_an_address_elsewhere_is_not_permitted(address: Address) -> None:
    assert permitted(address) == ()


def test_an_empty_charter_permits_nothing() -> None:
    assert permitted(Address("10.1.1.77", 24, "eth1"), charter=Charter()) == ()


@pytest.mark.parametrize(
    "text",
    [
        "2001:db8::1 }; } table inet x { }",
        "fe80::1%eth0 }; include /etc/shadow",
        "10.1.1.1\n",
        "10.1.1.01",
        "10.1.1",
        "2001:DB8::1",
        "2001:db8:0::1",
        "::ffff:a01:14d",
        "::ffff:10.1.1.77",
        "--help",
        "",
    ],
)
def test_text_that_is_no_address_ends_service(text: str) -> None:
    with pytest.raises(WireError) as caught:
        permitted(Address(text, 32, "eth1"), charter=Charter((Grounds("0.0.0.0/0"), Grounds("::/0"))))
    assert not text or text not in str(caught.value)


def test_plumber_and_fence_are_the_charters() -> None:
    asked = Configure((), plumber="memory", fence="none")
    got = replace(CHARTER, plumber="netlink", fence="").permitted(asked)
    assert (got.plumber, got.fence) == ("netlink", "")
    assert CHARTER.permitted(asked) == asked


GOOD: list[Message] = [
    Configure((), "exec", "valid_lft", Announcing(100, 60, 0, all_hosts=False), 3600),
    Deadline("s", NOW + 10, ("a",)),
    Plumb((Grant("10.1.1.1", 1 << 50),), "s", NOW - 5),
    Ending("return 1", ("k",), "redis", 6379),
]


@pytest.mark.parametrize("message", GOOD, ids=lambda message: type(message).__name__)
def test_what_agents_say_is_within_bounds(message: Message) -> None:
    CHARTER.check(message, NOW)


@pytest.mark.parametrize(
    "message",
    [
        Deadline("s", NOW + 10.1),
        Deadline("s", NOW + 365 * 86400),
        Deadline("s", math.inf),
        Deadline("s\nlevel=info", NOW),
        Deadline(2000 * "s", NOW),
        Deadline("s", NOW, 65 * ("a",)),
        Plumb((), "s", math.inf),
        Plumb((Grant("10.1.1.1", -1),), "s", NOW),
        Unplumb((Grant("10.1.1.1", 1 << 60),), "x"),
        Unplumb((), 2000 * "x"),
        Configure((), "sh -c id"),
        Configure((), fence="open"),
        Configure((), announcing=Announcing(10**9)),
        Configure((), announcing=Announcing(over_s=math.inf)),
        Configure((), if_check_s=0),
        Ending(70_000 * "x", ()),
        Ending("return 1", (), "redis", 70_000),
    ],
    ids=repr,
)
def test_what_is_beyond_bounds_is_refused(message: Message) -> None:
    with pytest.raises(WireError):
        CHARTER.check(message, NOW)


def test_slow_heartbeats_get_their_longer_deadline() -> None:
    replace(CHARTER, longest_hold_s=30).check(Deadline("s", NOW + 29), NOW)


def test_only_a_master_that_moves_is_named() -> None:
    here, there = Server("first", 1, password="secret"), Ending("", (), "second", 2)
    assert replace(CHARTER, server=here).server_of(there) == here
    assert replace(CHARTER, server=here, moves=True).server_of(there) == replace(here, host="second", port=2)
    assert CHARTER.server_of(there) is None


def test_a_charter_is_read_as_written() -> None:
    charter = replace(CHARTER, server=Server("first", 1, password="pä\n"), moves=True, plumber="exec", fence="none")
    for each in (charter, Charter()):
        assert read_charter(write_charter(each)) == each
    assert "pä" not in repr(charter)
