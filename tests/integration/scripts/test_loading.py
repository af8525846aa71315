"""Scripts are called by their digest; a server that does not know a script gets its text."""

import pytest

from eccmgr.cluster.calls.views import roster
from eccmgr.cluster.options import ClusterOptions
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.scripts import script


@pytest.mark.asyncio
async def test_script_forgotten_by_the_server_is_sent_again(link: Link, cluster_keys: Keys) -> None:
    call = roster(cluster_keys, ClusterOptions(), 60_000)
    first = await link.run(call)
    await link.call("SCRIPT", "FLUSH")
    assert await link.run(call) == first


def test_a_script_is_read_once() -> None:
    assert script("join") is script("join")
