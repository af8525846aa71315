"""A node follows changes of its floating addresses, or refuses them."""

import asyncio
from pathlib import Path

import pytest

from eccmgr.redis.embedded import EmbeddedServer
from eccmgr.redis.keys import Keys
from tests.daemons import node, running
from tests.listeners import Client

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]

GOOD = """cluster { Topology "10.1.1.0/24" { interface = "eth1" } }
Binding "duravip-1" { Enable_Duravip = on  Bind_Address = "10.1.1.1" }
"""


async def test_change_or_reload_with_impossible_vip_changes_nothing(
    redis_server: EmbeddedServer, cluster_keys: Keys, folder: Path
) -> None:
    made = await asyncio.to_thread(node, redis_server.url, cluster_keys.cluster, folder, "east1", configuration=GOOD)
    assert made.store.loaded.main is not None
    async with running(made), await Client.open(str(folder / "n-east1")) as client:
        refused = await client.ask("config set Binding duravip-1 Bind_Address 10.9.9.9")
        assert 'VIP 10.9.9.9 of Binding "duravip-1" is outside of every Topology' in refused
        await asyncio.to_thread(Path(made.store.loaded.main).write_text, GOOD.replace("10.1.1.1", "10.9.9.9"))
        refused = await client.ask("config reload")
        assert refused.startswith("Reconfigure failed\n")
        assert 'VIP 10.9.9.9 of Binding "duravip-1" is outside of every Topology' in refused
        assert await client.ask("config get Binding duravip-1 Bind_Address") == 'Bind_Address = "10.1.1.1"'
