"""A guarded manager and its node, for all tests of one file."""

import uuid
from collections.abc import Iterator

import pytest
import redis

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.conftest import make_folder
from tests.daemons import Processes
from tests.integration.access.guarded import Guarded, start_guarded


@pytest.fixture(scope="module")
def guarded(redis_server: EmbeddedServer) -> Iterator[Guarded]:
    keys = Keys(f"t{uuid.uuid4().hex[:12]}")
    with make_folder() as folder:
        processes = Processes(redis_server.url, keys.cluster, folder)
        try:
            yield start_guarded(processes)
        finally:
            processes.end()
            with redis.Redis(unix_socket_path=str(redis_server.socket)) as client:
                for key in client.scan_iter(f"{keys.tag}*", count=1000):
                    client.unlink(key)
