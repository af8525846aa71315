"""The membership: joins, leaves, deaths, names, the leader, and the list of members."""

import asyncio
import dataclasses
import re
from xml.etree import ElementTree as ET

import pytest

from eccmgr.cluster.heartbeats import Heartbeats
from eccmgr.cluster.members import Member, MemberReader, Membership, Role, read_membership
from eccmgr.cluster.options import ClusterOptions
from eccmgr.cluster.session import Session
from eccmgr.errors import NameInUse
from eccmgr.redis.connect import Link
from eccmgr.redis.keys import Keys
from eccmgr.version import full_version
from tests.daemons import QUICK, ask
from tests.integration.fleet import Fleet, die
from tests.waiting import wait_until
from worker.node import EcNode

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("nothing_left", "no_tasks_left", "no_blocking")]


async def members(node: EcNode) -> Membership:
    """The members, as `node` reads them."""
    return await read_membership(node.link, node.keys)


async def names(node: EcNode) -> list[str | None]:
    """The names of the nodes, as `node` reads them."""
    return [member.node_name for member in (await members(node)).of(Role.NODE)]


async def ask_node(node: EcNode, command: str) -> str:
    """The answer of the node's own listener."""
    (answer,) = await ask(str(node.endpoints[0].path), command)
    return answer


class TestList:
    async def test_it_has_this_very_shape(self, fleet: Fleet) -> None:
        manager = await fleet.manager("barca")
        node = await fleet.node("pono", "east")
        assert (
            await fleet.ask("show cluster membership")
            == f"""\
<ClusterMembership cluster="{fleet.cluster}" view="2">
  <Member>
    <Private_Name>{node.session.private_name}</Private_Name>
    <Node_Name>pono</Node_Name>
    <Subcluster>east</Subcluster>
    <Node_Type>Node</Node_Type>
    <Version>{full_version()}</Version>
    <Address>127.0.0.1:0</Address>
    <Groups><Group>ec_console</Group><Group>ec_sc_east</Group><Group>{fleet.cluster}</Group></Groups>
  </Member>
  <Member>
    <Private_Name>{manager.session.private_name}</Private_Name>
    <Node_Name>(Null)</Node_Name>
    <Subcluster>(Null)</Subcluster>
    <Node_Type>Manager</Node_Type>
    <Version>{full_version()}</Version>
    <Address>127.0.0.1:0</Address>
    <Groups><Group>{fleet.cluster}</Group></Groups>
  </Member>
</ClusterMembership>"""
        )

    async def test_listing_parses_and_orders_nodes_by_name(self, fleet: Fleet) -> None:
        await fleet.manager("barca")
        for name in ("east10", "east2", "West1"):
            await fleet.node(name)
        tree = ET.fromstring(await fleet.ask("show cluster membership"))
        assert [each.text for each in tree.iter("Node_Name")] == ["east2", "east10", "West1", "(Null)"]

    async def test_a_node_prints_the_same_as_text(self, fleet: Fleet) -> None:
        node = await fleet.node("pono", "east")
        await fleet.manager("barca")
        first, second = (await ask_node(node, "cluster membership")).split("\n\n")
        assert first == (
            f"Private Name: {node.session.private_name}\nNode Name: pono\nSubcluster: east\nNode Type: Node\n"
            f"Version: {full_version()}\nAddress: 127.0.0.1:0\nGroups: ec_console, ec_sc_east, {fleet.cluster}"
        )
        assert "\nNode Name: (Null)\nSubcluster: (Null)\nNode Type: Manager\n" in second

    async def test_a_private_name_tells_what_and_where(self, fleet: Fleet) -> None:
        manager, node = await fleet.manager("barca"), await fleet.node("pono")
        assert re.fullmatch(r"#mgr-\d+-[0-9a-f]{8}#barca", manager.session.private_name)
        assert re.fullmatch(r"#ec0-\d+-[0-9a-f]{8}#pono", node.session.private_name)


class TestComingAndGoing:
    async def test_each_join_and_leave_raises_the_view(self, fleet: Fleet) -> None:
        first = await fleet.node("east1")
        assert first.session.joined_view == 1
        second = await fleet.node("east2")
        assert second.session.joined_view == 2
        await second.session.leave()
        assert (await members(first)).view == 3

    async def test_departed_node_leaves_list_and_targets(self, fleet: Fleet) -> None:
        await fleet.manager()
        await fleet.node("east1")
        leaving = await fleet.node("east2")
        leaving.stop()
        await wait_until(lambda: not leaving.session.joined.is_set(), "it leaves")
        await wait_until(lambda: _targets(fleet, "1 node"), "nobody expects it")
        assert "east2" not in await fleet.ask("show cluster membership")
        assert await fleet.lines("gather mark") == ["east1: marked"]

    async def test_heartbeat_during_leave_does_not_join_again(self, fleet: Fleet) -> None:
        witness, leaving = await fleet.node("east1"), await fleet.node("east2")
        await asyncio.gather(leaving.session.leave(), leaving.heartbeats.join())
        assert await names(witness) == ["east1"]
        assert not leaving.session.joined.is_set()

    async def test_dead_node_leaves_the_list_with_its_lease(self, fleet: Fleet) -> None:
        witness = await fleet.node("east1")
        await die(await fleet.node("east2"))
        await wait_until(lambda: _are(witness, ["east1"]), "its session ends")

    async def test_a_removed_node_is_forgotten_after_its_time(self, fleet: Fleet) -> None:
        quick = dataclasses.replace(QUICK, absent_ttl_s=0.3)
        manager = await fleet.manager(options=quick)
        await fleet.node("east1", options=quick)
        await die(await fleet.node("east2", options=quick))

        async def forgotten() -> bool:
            return [seat.name for seat in await manager.delivery.view()] == ["east1"]

        await wait_until(forgotten, "the removed node is forgotten")
        assert await fleet.ask("unicast east2 mark") == "Unknown node 'east2'; known: east1"
        assert await fleet.lines("gather mark") == ["east1: marked"]

    async def test_lapsed_node_rejoins_under_a_new_private_name(self, fleet: Fleet) -> None:
        await fleet.manager()
        node = await fleet.node("east1")
        before = node.session.private_name
        await node.link.call("ZADD", node.keys.sessions, 0, before)
        await wait_until(lambda: node.session.private_name != before and node.session.joined.is_set(), "it is back")
        assert await fleet.lines("gather mark") == ["east1: marked"]


async def _targets(fleet: Fleet, count: str) -> bool:
    return (await fleet.ask("broadcast version")).endswith(f" to {count}")


async def _are(node: EcNode, expected: list[str]) -> bool:
    return await names(node) == expected


class TestNames:
    async def test_second_node_with_a_live_name_is_refused(self, fleet: Fleet) -> None:
        first = await fleet.node("East1")
        second = Session(first.link, first.keys, QUICK, dataclasses.replace(first.session.identity, name="EAST1"))
        with pytest.raises(NameInUse, match=r"^Node name 'EAST1' is in use by #ec0-\S+#East1, which is alive; stop it"):
            await Heartbeats(first.link, first.keys, QUICK, second).join()
        assert await names(first) == ["East1"]

    async def test_replacing_node_takes_the_name_and_ends_runs(self, fleet: Fleet) -> None:
        await fleet.manager()
        old = await fleet.node("east1")
        sent = await fleet.broadcast("hold")
        await wait_until(lambda: fleet.ran == ["east1"], "the command runs")
        new = await fleet.node("EAST1", replace=True)
        assert await fleet.lines("gather mark") == ["EAST1: marked"]
        assert fleet.ran == ["east1", "EAST1"]
        await fleet.shows(f"retrieve {sent}", "east1: (aborted)")
        assert not old.session.joined.is_set()
        assert new.session.joined.is_set()

    async def test_replaced_node_does_not_retake_its_name(self, fleet: Fleet) -> None:
        await fleet.manager()
        old = await fleet.node("east1", replace=True)
        ended: list[bool] = []
        abandon = old.heartbeats.on_superseded
        old.heartbeats.on_superseded = lambda: (abandon(), ended.append(True))[0]
        new = await fleet.node("EAST1", replace=True)
        await wait_until(lambda: len(ended) >= 2, "the old one has found the new one alive, and again")
        assert new.session.joined.is_set()
        assert await fleet.lines("gather mark") == ["EAST1: marked"]
        await die(new)
        await wait_until(old.session.joined.is_set, "the old one has the name again")

    async def test_resembling_names_are_different_nodes(self, fleet: Fleet) -> None:
        alike = ["barca", "barca.example.com", "Barca-2", "xbarca", "barca10"]
        await fleet.manager("barca")
        nodes = [await fleet.node(name) for name in alike]
        assert sorted(str(name) for name in await names(nodes[0])) == sorted(alike)
        for name in alike:
            assert await fleet.lines(f"gather {name.upper()} cluster nodename") == [f"{name}: {name}"]
        lines = await fleet.lines("gather cluster nodename")
        assert sorted(lines) == sorted(f"{name}: {name}" for name in alike)

    async def test_nodes_end_spares_a_manager_of_its_name(self, fleet: Fleet) -> None:
        manager = await fleet.manager("pono")
        witness, node = await fleet.node("east1"), await fleet.node("pono")
        await node.session.leave()
        listed = await members(witness)
        assert [member.private_name for member in listed.of(Role.MANAGER)] == [manager.session.private_name]


class TestReset:
    async def test_reset_gives_and_states_a_new_private_name(self, fleet: Fleet) -> None:
        node = await fleet.node("pono")
        before = node.session.private_name
        answer = await ask_node(node, "cluster reset")
        assert answer == f"Cluster connection reset: {node.session.private_name}"
        assert node.session.private_name != before
        listed = await members(node)
        assert [member.private_name for member in listed.members] == [node.session.private_name]

    async def test_late_heartbeat_during_join_joins_only_once(self, fleet: Fleet) -> None:
        node = await fleet.node("pono")
        node.session.joined.clear()
        joining, resetting = asyncio.create_task(node.heartbeats.join()), asyncio.create_task(node.session.reset())
        await asyncio.gather(joining, resetting)
        assert [m.private_name for m in (await members(node)).members] == [node.session.private_name]

    async def test_running_command_answers_under_its_own_life(self, fleet: Fleet) -> None:
        await fleet.manager()
        node = await fleet.node("pono")
        sent = await fleet.broadcast("hold")
        await wait_until(lambda: fleet.ran == ["pono"], "the command runs")
        await node.session.reset()
        assert (await fleet.lines(f"retrieve {sent}"))[0].startswith("pono: (running, ")
        fleet.gate.set()
        await fleet.shows(f"retrieve {sent}", "pono: held")

    async def test_member_stays_unchanged_while_redis_is_away(
        self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        node = await fleet.node("pono")
        before = node.session.private_name
        with monkeypatch.context() as patch:
            patch.setattr(node.session, "_link", Link(f"unix://{fleet.folder}/none.sock"))
            assert (await ask_node(node, "cluster reset")).startswith("Redis is not reachable: ")
            await node.session._link.close()
        assert node.session.private_name == before
        assert await names(node) == ["pono"]


class TestLeader:
    async def test_leader_is_oldest_manager_else_oldest_node(self, fleet: Fleet) -> None:
        first, second = await fleet.node("east1"), await fleet.node("east2")
        assert (await members(second)).leader_line == "east1 is leader"
        barca = await fleet.manager("barca")
        await fleet.manager("milan")
        assert (await members(second)).leader_line == "barca is leader"
        assert "Cluster Group: " + fleet.cluster + " (barca is leader)" in await fleet.ask("info")
        await barca.session.leave()
        assert (await members(first)).leader_line == "milan is leader"

    async def test_leaders_death_makes_the_next_lead(self, fleet: Fleet) -> None:
        leader, next_one, last = [await fleet.node(name) for name in ("east3", "east2", "east1")]
        await wait_until(lambda: leader.session.leads, "the oldest leads")
        await die(leader)
        await wait_until(lambda: next_one.session.leads, "the next leads")
        assert await names(last) == ["east1", "east2"]
        assert not last.session.leads

    async def test_a_cluster_without_members_has_no_leader(self, link: Link, cluster_keys: Keys) -> None:
        membership = await read_membership(link, cluster_keys)
        assert (membership.leader_line, membership.members, membership.view) == ("no leader", (), 0)

    async def test_reader_parses_what_has_changed(
        self, fleet: Fleet, link: Link, cluster_keys: Keys, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        parsed: list[bytes] = []
        parse = Member.parse
        monkeypatch.setattr(Member, "parse", lambda raw: parsed.append(raw) or parse(raw))
        reader = MemberReader(link, cluster_keys)
        await fleet.node("east1")
        first = await reader.read()
        assert (await reader.read()).members is first.members
        await fleet.node("east2")
        await link.call("HSET", cluster_keys.members, "x", "not a record")
        again = await reader.read()
        assert [member.node_name for member in again.members] == ["east1", "east2"]
        assert again.members[0] is first.members[0]
        assert len(parsed) == 3
        await link.call("HDEL", cluster_keys.members, "x")
        assert (await reader.read()).members == again.members

    async def test_info_of_a_node_reads_no_members(self, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
        node = await fleet.node("east1")
        await wait_until(lambda: node.session.leads, "it leads")
        monkeypatch.setattr(Member, "parse", None)
        (answer,) = await ask(str(node.endpoints[0].path), "cluster info")
        assert "(east1 is leader)" in answer


async def test_default_options_survive_more_than_one_lost_heartbeat() -> None:
    options = ClusterOptions()
    assert options.session_lease_s > 2 * options.heartbeat_s
    assert options.max_step_s >= 1.2 * options.heartbeat_s
