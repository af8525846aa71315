"""A caller sees and ends only the results that a role allows, and no secret."""

import pytest

from eccmgr.redis.keys import Keys
from tests.daemons import Processes
from tests.integration.access.guarded import Guarded, start_guarded
from tests.listeners import Client
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.usefixtures("nothing_left")
NOT_AUTHORIZED = "Not Authorized for this command"
ALLOWED = ("^retrieve uptime$", "^history$", "^config (get|eval|begin|set|replay|rollback)", "^gather config get")


@pytest.fixture
def reader(processes: Processes, cluster_keys: Keys) -> Guarded:
    """Daemons whose limited callers may see the results of `uptime`, and read and change the configuration."""
    return start_guarded(processes, ALLOWED)


def test_results_of_another_are_neither_seen_nor_ended(reader: Guarded) -> None:
    sent = reader.administer("gather exec:ok nothing").split()[1]
    napping = reader.administer("broadcast exec:ok nap").split()[1]
    wait_until_sync(lambda: "running" in reader.administer(f"retrieve {napping}"), "it runs")
    reader.administer("gather uptime")
    for line in (f"retrieve #{sent}", f"retrieve {sent}", f"abort #{napping}", f"abort {napping}", "retrieve #"):
        assert reader.ask(line) == NOT_AUTHORIZED
    for line in (f"retrieve_node east1 {sent}", f"subcluster retrieve default {sent}", "flush control cache"):
        assert reader.ask(line) == NOT_AUTHORIZED
    assert "east1: up " in reader.ask("retrieve uptime")
    assert "running" in reader.administer(f"retrieve {napping}")
    reader.administer(f"abort #{napping}")


@pytest.mark.parametrize("carrier", ["", "xml ", "json ", "gather ", "gather xml "])
def test_secrets_of_the_configuration_are_masked(reader: Guarded, carrier: str) -> None:
    answer = reader.ask(f"{carrier}config get Datasource d uri")
    assert "********" in answer
    assert "S3cr3t" not in answer


@pytest.mark.asyncio
async def test_transaction_of_another_session_is_not_replayed(reader: Guarded) -> None:
    async with await Client.open(reader.manager.endpoint) as other, await Client.open(reader.limited) as own:
        await other.ask("config begin")
        await other.ask("config set Message_Expiration 77")
        assert "77" in await other.ask("config replay")
        assert await own.ask("config replay") == "No transaction is open"
        assert "77" not in await own.ask("config get Message_Expiration")
