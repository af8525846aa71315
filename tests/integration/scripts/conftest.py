"""The cluster for the scripts' contract tests, on fakeredis and on the real server."""

from collections.abc import Iterator

import pytest
import redis

from eccmgr.redis.keys import Keys
from tests.fake_server import FakeRedis
from tests.integration.scripts.cluster import Cluster


@pytest.fixture(params=["fakeredis", "server"])
def cluster(request: pytest.FixtureRequest, keys: Keys) -> Iterator[Cluster]:
    """A cluster without members. After the test, no key without a lifetime may be left."""
    if request.param == "fakeredis":
        client = FakeRedis()
    else:
        client = redis.Redis(unix_socket_path=str(request.getfixturevalue("redis_server").socket))
    with client:
        made = Cluster(client, keys)
        yield made
        immortal = made.immortal()
        if left := list(client.scan_iter(f"{keys.tag}*", count=1000)):
            client.unlink(*left)
    assert not immortal, f"keys without a lifetime: {immortal}"
