"""Users of Redis under Sentinel and in a Redis Cluster: each server demands its own password, kept in files."""

import asyncio
import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from eccmgr.errors import RedisUnreachable
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.redis.password import with_password
from eccmgr.settings import ManagerSettings, load
from tests.integration.fleet import Fleet
from tests.integration.test_redis_acl import NODES, Users
from tests.servers import Server
from tests.waiting import wait_until_sync


@pytest.fixture
def users(each_server: Path, folder: Path, keys: Keys, request: pytest.FixtureRequest) -> Iterator[Users]:
    """Users on a server that a test may configure."""
    made = Users(folder, keys, *getattr(request, "param", ()))
    yield made
    made.server.stop()


async def works(users: Users, base: str, folder: Path) -> None:
    """A manager and nodes, each as its own user at an address like `base`, answer a gather."""
    async with contextlib.AsyncExitStack() as stack:
        fleet = Fleet("", users.keys.cluster, folder, stack)
        for name in ("", *NODES):
            scheme, _, place = base.partition("://")
            fleet.url = with_password(f"{scheme}://{users.name(name)}@{place}", users.password(name))
            await (fleet.node(name) if name else fleet.manager())
        assert await fleet.lines("gather mark") == ["east1: marked", "east2: marked"]
        assert await fleet.lines("gather --batch 1 mark") == ["east1: marked", "east2: marked"]
        assert users.password("") not in await fleet.ask("info")
    assert {refusal.partition(": ")[2] for refusal in users.refused()} <= {"config|get (toplevel)"}


@pytest.mark.asyncio
@pytest.mark.parametrize("users", [("cluster-enabled yes",)], indirect=True)
async def test_all_works_in_a_redis_cluster(users: Users, folder: Path) -> None:
    users.server.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    await asyncio.to_thread(
        wait_until_sync, lambda: "cluster_state:ok" in users.server.call("CLUSTER", "INFO"), "it is formed"
    )
    await works(users, f"redis+cluster://{users.server.address}/", folder)
    link = Link(f"redis+cluster://{users.name('')}:wrong@{users.server.address}/")
    with pytest.raises(RedisUnreachable, match="the nodes refused: invalid username-password"):
        await link.call("PING")
    await link.close()


@pytest.mark.asyncio
async def test_sentinels_and_master_have_their_own_users(users: Users, folder: Path) -> None:
    (folder / "sentinels.password").write_text(f"{secrets.token_hex(16)}\n")
    password = (folder / "sentinels.password").read_text().strip()
    rights = "-@all +auth +hello +ping +sentinel|master +sentinel|get-master-addr-by-name"
    sentinel = Server(
        folder / "sentinel",
        f"sentinel monitor ecc 127.0.0.1 {users.server.port} 1",
        f"user asker on >{password} {rights}",
        "user default off",
        sentinel=True,
    )
    await asyncio.to_thread(sentinel.start)
    try:
        base = f"redis+sentinel://{sentinel.address}/ecc/0?sentinel_username=asker"
        settings = load(ManagerSettings, {"redis": base, "sentinel_password_file": str(folder / "sentinels.password")})
        await works(users, settings.redis, folder)
        link = Link(f"{base}&sentinel_password=wrong")
        with pytest.raises(RedisUnreachable, match="the sentinels refused: invalid username-password"):
            await link.call("PING")
        await link.close()
    finally:
        await asyncio.to_thread(sentinel.stop)
