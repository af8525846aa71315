"""No garbage in Redis ends a process: every kind of garbage, in every kind of key, on every channel of a cluster.

With VANDAL_S=…, each seed runs for that many seconds and not for a number of rounds.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from eccmgr.redis.keys import Keys
from tests.integration.site import Site
from tests.integration.vandal import Vandal
from tests.servers import Server

ROUNDS = 60
LONGER_S = float(os.environ.get("VANDAL_S", "0"))


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    made = Server(folder / "redis")
    made.start()
    yield made
    made.stop()


@pytest.mark.timeout(900 + 2 * LONGER_S)
@pytest.mark.parametrize(("seed", "signed"), [(1, False), (2, True)], ids=["unsigned", "signed"])
def test_whatever_stands_in_redis_ends_nobody(server: Server, folder: Path, seed: int, signed: bool) -> None:
    site = Site(folder, f"redis://{server.address}/0", signed=signed)
    until = time.monotonic() + LONGER_S
    try:
        site.wait_well("the site is at work")
        with redis.Redis(port=server.port) as client:
            vandal = Vandal(client, Keys("site"), seed)
            while vandal.struck < ROUNDS or time.monotonic() < until:
                if vandal.struck % 10 == 0:
                    site.work()
                vandal.strike()
                vandal.publish()
                if vandal.struck % 5 == 0:
                    for line, answer in site.ask_all().items():
                        assert "Internal error" not in answer, f"{line}: {answer}\n{vandal.done}"
                    site.check()
        # The records of commands that were garbled stay so, but newer commands take their place.
        for _ in range(2):
            site.work()
        site.wait_well(f"all is well after {vandal.done}")
        site.check()
    finally:
        site.processes.end()
