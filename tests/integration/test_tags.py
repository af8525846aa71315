"""A node announces its tags and its facts, and every change of them."""

import pytest

from eccmgr.cluster.facts import facts
from eccmgr.node.embedded import Node
from tests import daemons
from tests.integration.fleet import Fleet
from tests.waiting import wait_until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]


async def tags(fleet: Fleet, node: str) -> dict[str, str]:
    """The tags of a live node, without its facts, as the manager sees them."""
    view = await fleet.managers[0].delivery.view()
    announced = dict(view.live[node].tags)
    assert facts().items() <= announced.items()
    return {name: value for name, value in announced.items() if name not in facts()}


async def test_tags_of_the_file_are_announced(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("n1", configuration='cluster { tags = [ role = "mta" dc = "ams" ] }')
    await fleet.node("n2")
    assert await tags(fleet, "n1") == {"role": "mta", "dc": "ams"}
    assert await tags(fleet, "n2") == {}


async def test_set_tags_count_at_the_next_heartbeat(fleet: Fleet) -> None:
    await fleet.manager()
    node = await fleet.node("n1")
    private = node.session.private_name
    (answer,) = await daemons.ask(str(node.endpoints[0].path), "config set cluster tags = [ role = db ]")
    assert answer == "tags = [ role = db ]"

    async def tagged() -> bool:
        return await tags(fleet, "n1") == {"role": "db"}

    await wait_until(tagged, "the tags are announced")
    assert node.session.private_name == private


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("[ os = plan9 ]", "the tag 'os' is a fact that the node states itself"),
        ("mta", "a dictionary of tags such as [ role = mta dc = ams ]"),
    ],
)
async def test_wrong_tags_are_refused_and_change_nothing(fleet: Fleet, value: str, why: str) -> None:
    await fleet.manager()
    node = await fleet.node("n1")
    (answer,) = await daemons.ask(str(node.endpoints[0].path), f"config set cluster tags = {value}")
    assert why in answer
    assert await tags(fleet, "n1") == {}


async def test_embedded_node_announces_its_tags(fleet: Fleet) -> None:
    await fleet.manager()
    async with Node("n1", redis=fleet.url, cluster=fleet.cluster, tags={"Role": "web"}):
        assert await tags(fleet, "n1") == {"role": "web"}
