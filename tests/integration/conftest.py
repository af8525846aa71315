"""Fixtures for tests with real daemons."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import Processes


@pytest.fixture
def processes(redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path) -> Iterator[Processes]:
    """Starts daemons as real processes, and ends those that are left."""
    made = Processes(redis_server.url, cluster_keys.cluster, folder)
    yield made
    made.end()
