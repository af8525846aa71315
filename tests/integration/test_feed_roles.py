"""A caller with limited roles sees the topics of the feed that a role names."""

import pytest

from eccmgr.access.policy import Policy
from eccmgr.control import frames
from tests.daemons import OWN_USER
from tests.integration.fleet import Fleet
from tests.listeners import Client

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]


def roles(*allowed: str) -> str:
    """A configuration that allows the user of the tests no more than these patterns."""
    patterns = " ".join(f'"{pattern}"' for pattern in allowed)
    role = f'Role "{OWN_USER}" {{ allow = ( {patterns} ) }}'
    return f"Control_Listener {{ Enable_Authorization = true }}\nAuthorization {{ {role} }}\n"


async def test_role_shows_only_the_topics_that_it_names(fleet: Fleet) -> None:
    await fleet.manager(configuration=roles("^feed members", "^feed vips"))
    path = str(fleet.managers[0].endpoints[0].path)
    for topics, allowed in (("members", True), ("members vips", True), ("members audit", False), ("all", False)):
        async with await Client.open(path) as client:
            client.request(f"feed {topics}", id=1, stream=True)
            kind, _ = await client.frame()
            assert (topics, kind) == (topics, frames.CHUNK if allowed else frames.RESULT)


async def test_role_that_is_taken_away_ends_a_feed(fleet: Fleet) -> None:
    manager = await fleet.manager(configuration=roles("^feed members"))
    async with await Client.open(str(manager.endpoints[0].path)) as client:
        client.request("feed members", id=1, stream=True)
        assert (await client.fields(frames.CHUNK))["full"]
        manager.gate.policy = Policy()
        await fleet.node("east1")
        result = await client.fields(frames.RESULT)
        assert (result["status"], result["exit"]) == ("denied", 5)
