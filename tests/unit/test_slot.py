"""A node's description of a Redis Cluster is read."""

import pytest

from eccmgr.redis.place import Spot
from eccmgr.redis.slot import Shard, read_masters

TABLE = """\
a1 127.0.0.1:7000@17000,host.example master - 0 1700 3 connected 0-99 101 [100->-b2]
b2 :7001@17001 myself,master - 0 0 5 connected 100 5000-16383
c3 127.0.0.1:7002@17002 slave a1 0 1700 3 connected
d4 127.0.0.1:7003@17003 master,fail - 1 1 2 disconnected
e5 :0@0 master,noaddr - 1 1 1 disconnected 103
f6 2001:db8::1:7004@17004 master - 0 1 6 connected
"""


@pytest.mark.parametrize(
    ("slot", "owner"), [(0, 7000), (99, 7000), (101, 7000), (100, 7001), (16383, 7001), (102, None)]
)
def test_the_owner_of_a_slot_is_found(slot: int, owner: int | None) -> None:
    assert next((shard.spot.port for shard in read_masters(TABLE, "h", slot) if shard.owns), None) == owner


def test_masters_are_read_with_addresses_epochs_and_faults() -> None:
    assert list(read_masters(TABLE, "asked.example", 103)) == [
        Shard(Spot("127.0.0.1", 7000, 3), failed=False, owns=False),
        Shard(Spot("asked.example", 7001, 5), failed=False, owns=False),
        Shard(Spot("127.0.0.1", 7003, 2), failed=True, owns=False),
        Shard(Spot("2001:db8::1", 7004, 6), failed=False, owns=False),
    ]
