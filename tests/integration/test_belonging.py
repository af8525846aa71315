"""A node that states no subcluster takes it from its bus file, in any order of starts, and follows changes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from eccmgr.manager import Manager
from tests.integration.fleet import Fleet
from tests.integration.test_absence import bus_file
from tests.waiting import wait_until
from worker.node import EcNode

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left")]


def bus(**given: str) -> str:
    """Write a bus file that gives each of these nodes a subcluster."""
    return "".join(
        f"# Subcluster: {subcluster} = m\nSpread_Segment 10.0.0.255:4803 {{ {node} 10.0.0.1 }}\n"
        for node, subcluster in given.items()
    )


async def is_in(fleet: Fleet, **expected: str) -> None:
    """Wait until the live nodes are in these subclusters."""

    async def there() -> bool:
        view = await fleet.managers[0].delivery.view()
        return {seat.key: seat.subcluster for seat in view.live.values()} == expected

    await wait_until(there, f"the nodes are in {expected}")


@pytest.mark.parametrize("manager_first", [True, False])
async def test_it_is_where_the_bus_file_says(fleet: Fleet, manager_first: bool) -> None:
    manager = await fleet.manager("m1", configuration=" ") if manager_first else None
    if manager:
        bus_file(manager, bus(east1="east", west1="west"))
        await wait_until(lambda: _published(manager), "the bus file is known")
    for name in ("east1", "west1", "other1"):
        await fleet.node(name, None)
    if not manager:
        bus_file(await fleet.manager("m1", configuration=" "), bus(east1="east", west1="west"))
    await is_in(fleet, east1="east", west1="west", other1="default")
    assert await fleet.lines("gather @east mark") == ["east1: marked"]
    assert await fleet.lines("gather @default mark") == ["other1: marked"]
    assert fleet.ran == ["east1", "other1"]
    membership = await fleet.ask("show cluster membership")
    assert membership.count("<Group>ec_sc_east</Group>") == membership.count("<Subcluster>east</Subcluster>") == 1


async def _published(manager: Manager) -> bool:
    return bool((await manager.named.now()).nodes)


async def test_it_follows_a_change_in_the_same_session(fleet: Fleet) -> None:
    manager = await fleet.manager("m1", configuration=" ")
    node = await fleet.node("n1", None)
    bus_file(manager, bus(n1="east"))
    await is_in(fleet, n1="east")
    private = node.session.private_name
    gathering = asyncio.create_task(fleet.lines("gather @east hold"))
    await wait_until(lambda: fleet.ran == ["n1"], "it has begun")
    bus_file(manager, bus(n1="west"))
    await is_in(fleet, n1="west")
    fleet.gate.set()
    assert await gathering == ["n1: held"]
    assert node.session.private_name == private
    assert await fleet.ask("subcluster broadcast east mark") == "Unknown subcluster 'east'; known: west"
    bus_file(manager, "")
    await is_in(fleet, n1="default")


async def test_stated_other_subcluster_stays_as_a_conflict(fleet: Fleet) -> None:
    manager = await fleet.manager("m1", configuration=" ")
    await fleet.node("n1", "west")
    bus_file(manager, bus(n1="east"))

    async def said() -> bool:
        conflict = "Conflict: n1 claims subcluster west, its bus file gives it east; west counts"
        return conflict in (await fleet.ask("info")).splitlines()

    await wait_until(said, "the conflict is said")
    assert await fleet.lines("gather @west mark") == ["n1: marked"]


async def test_commands_during_node_moves_run_once_where_expected(fleet: Fleet) -> None:
    manager = await fleet.manager("m1", configuration=" ")
    # A subcluster without nodes is unknown.
    stay = {"e1": "east", "w1": "west"}
    for name in ("e1", "w1", "n1", "n2", "n3"):
        await fleet.node(name, stay.get(name))
    bus_file(manager, bus(n1="east", n2="west", n3="east"))
    await is_in(fleet, **stay, n1="east", n2="west", n3="east")
    expected: list[str] = []
    async with _sending(fleet, expected):
        for number in range(6):
            here, there = ("west", "east") if number % 2 == 0 else ("east", "west")
            bus_file(manager, bus(n1=here, n2=there, n3=here))
            await is_in(fleet, **stay, n1=here, n2=there, n3=here)
    assert sorted(fleet.ran) == sorted(expected)


@contextlib.asynccontextmanager
async def _sending(fleet: Fleet, expected: list[str]) -> AsyncIterator[None]:
    """Send to the subclusters all the time. `expected` is called with the nodes that each answer lists."""
    over = asyncio.Event()

    async def send(subcluster: str) -> None:
        while not over.is_set():
            lines = await fleet.lines(f"gather @{subcluster} mark")
            assert all(line.endswith(": marked") for line in lines), lines
            expected.extend(line.partition(":")[0] for line in lines)

    sending = [asyncio.create_task(send(subcluster)) for subcluster in ("east", "west")]
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(*sending)


async def test_a_server_without_memory_moves_nobody(fleet: Fleet) -> None:
    manager = await fleet.manager("m1", configuration=" ")
    node = await fleet.node("n1", None)
    bus_file(manager, bus(n1="east"))
    await is_in(fleet, n1="east")
    seen = _places(node)
    names = await manager.link.call("KEYS", f"{manager.keys.tag}*")
    await manager.link.call("DEL", *names)
    await is_in(fleet, n1="east")
    await wait_until(lambda: _published(manager), "the bus file is known again")
    assert seen == []


def _places(node: EcNode) -> list[str]:
    """A list of the subclusters that a node moves to from now on."""
    moved: list[str] = []
    original = node.session.move_to

    async def noted(subcluster: str) -> int | None:
        moved.append(subcluster)
        return await original(subcluster)

    node.session.move_to = noted  # type: ignore[method-assign]
    return moved
