"""A cluster in memory. Its nodes have the commands about VIPs, and the effects of these can be read."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eccmgr.cluster.view import Seat, View
from eccmgr.commands.answer import Status
from eccmgr.commands.caller import Caller
from eccmgr.commands.dispatch import Reply, reply
from eccmgr.commands.gate import Gate
from eccmgr.commands.table import Table
from eccmgr.duravip.beliefs import Belief
from eccmgr.duravip.placement import Situation, place, preferred_node
from eccmgr.duravip.shares import Shares
from eccmgr.duravip.states import Ownership, assess
from worker.duravip.commands import DuravipCommands
from worker.duravip.model.deeds import Announced, Deed, Did
from worker.duravip.model.table import Participant, Row
from worker.duravip.model.table import VipTable as Vips


@dataclass
class Cluster:
    """The state that all nodes share."""

    stated: Mapping[str, Shares]
    owners: dict[str, str] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    drained: frozenset[str] = frozenset()
    unable: dict[str, dict[str, str]] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    agreed: tuple[str, ...] = ()
    debug: list[bool] = field(default_factory=list)

    def situation(self) -> Situation:
        nodes = frozenset(self.stated)
        return Situation(nodes, assess(self.stated), dict(self.owners), dict(self.pins), self.drained, self.unable)

    def console(self, node: str, *, alone: bool = False) -> "NodeConsole":
        return NodeConsole(MemoryDuravip(self, node), alone=alone)

    def settle(self) -> None:
        for move in place(self.situation()).moves:
            self.owners[move.address] = move.target
            self.epochs[move.address] = self.epochs.get(move.address, 0) + 1


@dataclass
class MemoryDuravip:
    """One node. A VIP that it releases waits for its new owner."""

    cluster: Cluster
    node: str

    async def situation(self) -> Situation:
        return self.cluster.situation()

    async def table(self) -> Vips:
        situation = self.cluster.situation()
        rows = []
        beliefs = {}
        for address, standing in situation.standings.items():
            owner = situation.owners.get(address)
            ownership = Ownership.OWNED if owner else Ownership.UNOWNED
            belief = Belief(standing.names, ownership, standing.agreement, owner)
            beliefs[address] = belief
            rows.append(
                Row(
                    address,
                    belief,
                    self.cluster.epochs.get(address, 0),
                    standing.nodes,
                    preferred_node(standing, standing.nodes),
                    standing.follows,
                    situation.pins.get(address) == owner and owner is not None,
                    None,
                    5420.4,
                    5409.0,
                    standing.reason,
                    {node: why[address] for node, why in situation.unable.items() if address in why},
                )
            )
        participants = [
            Participant(node, f"#ec0-1#{node}", f"#ec1-1#{node}", {each: beliefs[each] for each in shares})
            for node, shares in self.cluster.stated.items()
        ]
        return Vips(rows, participants, situation.drained)

    async def move(self, addresses: Sequence[str], target: str) -> Sequence[Deed]:
        for each in addresses:
            self.cluster.pins[each] = target
        return [deed for each in addresses for deed in self._part(each, target)]

    async def home(self, addresses: Sequence[str]) -> Sequence[Deed]:
        for each in addresses:
            self.cluster.pins.pop(each, None)
        return self._follow_plan(addresses)

    @property
    def view(self) -> View:
        return View(0, {node: Seat(f"#ec0-1#{node}", node, node[:4]) for node in self.cluster.stated}, {})

    async def drain(self, nodes: Sequence[str]) -> Sequence[Deed]:
        self.cluster.drained = self.cluster.drained.union(nodes)
        return self._follow_plan(None)

    async def undrain(self, nodes: Sequence[str]) -> Sequence[Deed]:
        self.cluster.drained = self.cluster.drained.difference(nodes)
        return []

    async def announce(self) -> Announced:
        return Announced(18, self.cluster.agreed, tuple(self.cluster.stated))

    def debug(self, on: bool) -> None:
        self.cluster.debug.append(on)

    def _follow_plan(self, addresses: Sequence[str] | None) -> list[Deed]:
        moves = place(self.cluster.situation()).moves
        wanted = [move for move in moves if addresses is None or move.address in addresses]
        return [deed for move in wanted for deed in self._part(move.address, move.target)]

    def _part(self, address: str, target: str) -> list[Deed]:
        owner, epoch = self.cluster.owners.get(address), self.cluster.epochs.get(address, 0)
        if owner == target:
            return []
        if owner == self.node:
            del self.cluster.owners[address]
            return [Deed(address, Did.RELEASED, epoch)]
        if owner is None and target == self.node:
            self.cluster.owners[address] = target
            self.cluster.epochs[address] = epoch + 1
            return [Deed(address, Did.PLUMBED, epoch + 1, "eth1", 0.0379)]
        return []


class NodeConsole:
    """The console of one node."""

    def __init__(self, duravip: MemoryDuravip, *, alone: bool = False) -> None:
        self._caller = Caller("alice", only_here=alone)
        self.table = Table()
        self.table.add(*DuravipCommands(duravip).commands())

    def reply(self, line: str) -> Reply:
        return asyncio.run(reply(Gate(self.table), line, self._caller))

    def ok(self, line: str) -> str:
        replied = self.reply(f"cluster duravip {line}")
        assert replied.answer.status is Status.OK, replied.body
        return replied.body

    def refused(self, line: str) -> str:
        replied = self.reply(f"cluster duravip {line}")
        assert replied.answer.status is Status.ERROR, replied.body
        assert "Internal error" not in replied.body
        return replied.body
