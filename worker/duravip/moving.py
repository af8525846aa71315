"""One node's part in moving VIPs: to a node, home, and off a drained node."""

import asyncio
import math
from collections.abc import Iterable, Sequence

from eccmgr.duravip.placement import home_of
from eccmgr.duravip.records import MOVED
from worker.duravip.carrying import Carrying
from worker.duravip.model.deeds import Deed, Did
from worker.duravip.placing import Placing
from worker.guardian.wire import boot_time

HOME = "home"
"""The reason that an operator's move home leaves in a record."""
_MOVE_WAIT_S = 15.0
_JUST_NOW_S = 5.0


class Moving:
    """Gives VIPs up or waits until they have come, and says what happened to each."""

    def __init__(self, carrying: Carrying, placing: Placing) -> None:
        self._carrying, self._placing = carrying, placing

    async def move(self, addresses: Sequence[str], target: str) -> Sequence[Deed]:
        """Take this node's part in moving VIPs to a node, where they stay; answers nothing if this node has no part.

        The caller has checked that the VIPs can move there, and names them with all their followers.
        """
        return await self._take_part(addresses, dict.fromkeys(addresses, target), MOVED)

    async def home(self, addresses: Sequence[str]) -> Sequence[Deed]:
        """Take the pins off moved VIPs, and take this node's part in moving them home."""
        situation = self._placing.situation()
        homes = {address: await asyncio.to_thread(home_of, situation, address) for address in addresses}
        return await self._take_part(addresses, {a: home for a, home in homes.items() if home is not None}, HOME)

    async def _take_part(self, addresses: Iterable[str], targets: dict[str, str], reason: str) -> list[Deed]:
        agent = self._carrying.agent
        began = boot_time()
        ours = [address for address in addresses if address in agent.vips and agent.vips[address].held]
        given = {a: agent.vips[a].held for a in ours if a in targets and not self._is_us(targets[a])}
        stay = [a for a in ours if a in targets and self._is_us(targets[a])]
        fresh = [a for a in stay if agent.vips[a].record.reason == reason and self._carried_at(a) > began - _JUST_NOW_S]
        self._carrying.do(agent.restate([a for a in stay if a not in fresh], reason))
        for target in {targets[a] for a in given}:
            self._carrying.do(agent.give_up([a for a in given if targets[a] == target], target, reason))
        coming = [a for a in addresses if a in targets and self._is_us(targets[a]) and a not in stay]
        deeds = [self._plumbed(a) for a in (stay if reason == MOVED else fresh)]
        if coming:
            released_before = {a: self._released_upto(a) for a in coming}
            await self._placing.until(
                # A VIP that we could not plumb was given up, so its released epoch has grown.
                lambda: all(self._has_come(a, reason) or self._released_upto(a) > released_before[a] for a in coming),
                _MOVE_WAIT_S,
            )
            deeds += [self._plumbed(a) if self._has_come(a, reason) else self._missed(a) for a in coming]
        if given:
            await self._placing.until(lambda: all(self._has_gone(a, epoch) for a, epoch in given.items()), _MOVE_WAIT_S)
            deeds += [self._released(a, epoch, targets[a]) for a, epoch in given.items()]
        return deeds

    def _carried_at(self, address: str) -> float:
        carried = self._carrying.carried.get(address)
        return carried.at if carried is not None else -math.inf

    def _has_come(self, address: str, reason: str) -> bool:
        vip = self._carrying.agent.vips.get(address)
        return vip is not None and vip.held != 0 and vip.plumbed == vip.held and vip.record.reason == reason

    def _released_upto(self, address: str) -> int:
        vip = self._carrying.agent.vips.get(address)
        return vip.released if vip is not None else 0

    def _has_gone(self, address: str, epoch: int) -> bool:
        vip = self._carrying.agent.vips[address]
        return vip.unplumbed >= epoch and vip.record.epoch > epoch and vip.record.owner != ""

    def _released(self, address: str, epoch: int, target: str) -> Deed:
        owner = self._placing.situation().owners.get(address)
        if owner is not None and owner.lower() == target.lower():
            return Deed(address, Did.RELEASED, epoch)
        return Deed(address, Did.FAILED, epoch, reason=f"{target} did not take it; {owner or 'nobody'} has it")

    def _plumbed(self, address: str) -> Deed:
        carried = self._carrying.carried.get(address)
        epoch = self._carrying.agent.vips[address].held
        took_s = carried.took_s if carried is not None and carried.epoch == epoch else 0.0
        return Deed(address, Did.PLUMBED, epoch, self._placing.interfaces.get(address, ""), took_s)

    def _missed(self, address: str) -> Deed:
        reason = self._carrying.agent.vips[address].reason if address in self._carrying.agent.vips else ""
        owner = self._placing.situation().owners.get(address)
        silent = (
            f"its owner {owner} did not release it in time; was it told? broadcast the move"
            if owner
            else "it was not free in time"
        )
        return Deed(address, Did.FAILED, reason=reason or (silent if owner else "it was not free in time"))

    async def drain(self, nodes: Sequence[str]) -> Sequence[Deed]:
        """Drain nodes, and take this node's part in moving their VIPs away."""
        await self._mark(nodes, "1")
        if not any(map(self._is_us, nodes)):
            return []
        agent = self._carrying.agent
        held = {address: vip.held for address, vip in agent.vips.items() if vip.held}
        await self._placing.until(lambda: not any(vip.held or vip.moving for vip in agent.vips.values()), _MOVE_WAIT_S)
        return [Deed(a, Did.RELEASED, epoch) for a, epoch in held.items() if agent.vips[a].unplumbed >= epoch]

    async def undrain(self, nodes: Sequence[str]) -> Sequence[Deed]:
        """End the drain of nodes, which may then have VIPs again."""
        await self._mark(nodes, "")
        return []

    async def _mark(self, nodes: Sequence[str], mark: str) -> None:
        """Say of `nodes` that they are drained, or with "" that they are not.

        Every node that hears the command does this. Each begins with itself and goes on behind itself, and leaves out
        those that another one has marked: so a drain of many nodes takes few calls, and reaches a node that is deaf.
        """
        here = next((at for at, node in enumerate(nodes) if self._is_us(node)), 0)
        for number, node in enumerate((*nodes[here:], *nodes[:here])):
            if number == 0 or (node.lower() in self._placing.said.drained) != bool(mark):
                await self._carrying.say(f"!{node.lower()}", mark)

    def _is_us(self, node: str) -> bool:
        return node.lower() == self._carrying.agent.node
