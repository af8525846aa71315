"""A node announces its tags and its facts, and every change of them."""

import pytest

from eccmgr.cluster.facts import facts
from eccmgr.node.embedded import Node
from tests import daemons
from tests.integration.fleet import Fleet, die
from tests.integration.test_absence import bus_file
from tests.integration.test_belonging import bus
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


async def test_info_says_which_source_counts(fleet: Fleet) -> None:
    manager = await fleet.manager("m1", configuration=" ")
    bus_file(manager, bus(n1="north", n2="north"))
    node = await fleet.node("n1", "west", configuration="cluster { subcluster = east  tags = [ Role = mta ] }")
    other = await fleet.node("n2", None)
    await wait_until(lambda: other.session.identity.subcluster == "north", "the bus file counts")
    main = node.store.loaded.main
    (info,) = await daemons.ask(str(node.endpoints[0].path), "cluster info")
    assert (
        f"Subcluster: west, from the command line; without effect: east ({main}:1:11), north (its bus file)\n"
        f"Tags: role=mta, from {main}:1:30\n"
        f"Facts: arch="
    ) in info
    (info,) = await daemons.ask(str(other.endpoints[0].path), "cluster info")
    assert "Subcluster: north, from its bus file\nTags: none\n" in info


async def test_gather_finds_nodes_by_their_tags(fleet: Fleet) -> None:
    await fleet.manager()
    for name, role in (("east1", "mta"), ("east2", "db"), ("west1", "mtx")):
        await fleet.node(name, name[:4], configuration=f"cluster {{ tags = [ role = {role} ] }}")
    assert await fleet.lines("gather @role:mt* mark") == ["east1: marked", "west1: marked"]
    assert await fleet.lines("gather @east&role:m*^@all!west1 mark") == ["east2: marked"]
    described = await fleet.ask("describe gather @role:mt* shutdown")
    assert described.startswith("shutdown on 2 nodes of @role:mt*")
    assert (await fleet.ask("unicast @all!role:mt* mark")).startswith("Sent ")
    refusal = await fleet.ask("unicast @role:mt* mark")
    assert refusal == "One node is wanted, but @role:mt* means 2: east1,west1; use gather"
    await fleet.shows("retrieve mark", "east2: marked")
    assert sorted(fleet.ran) == ["east1", "east2", "east2", "west1"]


async def test_schedule_looks_for_tags_at_its_run(fleet: Fleet) -> None:
    await fleet.manager()
    for name, role in (("east1", "mta"), ("east2", "db")):
        await fleet.node(name, configuration=f"cluster {{ tags = [ role = {role} ] }}")
    assert (await fleet.ask('sched in 0 gather "@all & role:mta" mark')).startswith("Job ")
    await wait_until(lambda: fleet.ran == ["east1"], "the schedule has run")


async def test_lost_node_is_found_by_its_tags(fleet: Fleet) -> None:
    await fleet.manager()
    await fleet.node("n1", configuration="cluster { tags = [ role = mta ] }")
    dead = await fleet.node("n2", configuration="cluster { tags = [ role = mta ] }")
    await die(dead)

    async def noticed() -> bool:
        return "n2" in (await fleet.managers[0].delivery.view()).absent

    await wait_until(noticed, "the death is noticed")
    first, second = await fleet.lines("gather @role:mta mark")
    assert (first, second.split(" since")[0]) == ("n1: marked", "n2: (absent")
