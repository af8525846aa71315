"""What a line would hit, as a manager knows it: the nodes of its target, and what becomes of their VIPs."""

import asyncio
import contextlib
from collections.abc import Sequence

from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.view import EVERYONE, Target, TargetKind, View
from eccmgr.commands.carried import FIRST_WORDS
from eccmgr.commands.describing import DRAINING, LEAVING, Dissected, Hit, on_nodes
from eccmgr.commands.gather import GatherWish
from eccmgr.commands.normal_form import NormalForm
from eccmgr.commands.secrets import without_secrets
from eccmgr.commands.table import Table
from eccmgr.commands.target import nodes_of_target, one_node, read_in
from eccmgr.duravip.picture import VipEffect, VipReader, effect_of_drain, effect_of_loss
from eccmgr.errors import CommandError, Unreadable
from eccmgr.text.counting import counted

_ABORT = "abort"
_SHOWN_MAX = 80


class Reach:
    """The survey of one manager."""

    def __init__(self, table: Table, delivery: Delivery, vips: VipReader) -> None:
        self._table, self._delivery, self._vips = table, delivery, vips

    async def survey(self, line: Dissected) -> Hit:
        """What `line` would hit. Raises CommandError if its target is unknown, RedisUnreachable and Unreadable."""
        if line.carrier is None:
            if line.innermost.name == _ABORT and line.innermost.arguments:
                return await self._aborted(line.innermost.arguments[0])
            return Hit("this manager") if line.innermost.name in LEAVING else Hit()
        view = await self._delivery.view()
        target = await self._target(line.carrier, view)
        live, _ = view.expected(target)
        nodes = [seat.name for seat in live]
        return Hit(
            on_nodes(target.where or str(target), len(nodes), nodes), len(nodes), await self._effect(line, view, nodes)
        )

    async def _aborted(self, named: str) -> Hit:
        """The nodes on which the command with that id has not ended."""
        report = await self._delivery.retrieve(named)
        if report is None:
            return Hit()
        left, number = sum(not outcome.state.final for outcome in report.outcomes), len(report.outcomes)
        if not left:
            return Hit("", 0)
        shown = without_secrets(report.sent.text)[:_SHOWN_MAX]
        return Hit(f"{left} of {counted(number, 'node')}, where '{shown}' has not ended", left)

    async def _target(self, carrier: NormalForm, view: View) -> Target:
        # A normal form is read as the line itself is.
        command, offset = self._table.find(str(carrier))
        args = command.parse(str(carrier), offset)
        match command.name:
            case "subcluster broadcast":
                return Target(TargetKind.SUBCLUSTER, view.subcluster(args[0]))
            case "unicast":
                return await read_in(view, lambda word: one_node(word, view), args[0])
            case "gather":
                vocabulary = FIRST_WORDS | await self._delivery.vocabulary()
                wish = await read_in(view, lambda line: GatherWish.parse(line, view, vocabulary), args[0])
                return wish.target
        return EVERYONE

    async def _effect(self, line: Dissected, view: View, nodes: Sequence[str]) -> VipEffect | None:
        # A picture that cannot be read must not keep an operator from ending nodes.
        with contextlib.suppress(CommandError, Unreadable):
            if line.innermost.name in LEAVING:
                situation = (await self._vips.read(view)).situation
                return await asyncio.to_thread(effect_of_loss, situation, nodes)
            if line.innermost.name == DRAINING and line.innermost.arguments:
                word = line.innermost.arguments[0]
                drained = await read_in(view, lambda target: nodes_of_target(target, view), word)
                situation = (await self._vips.read(view)).situation
                return await asyncio.to_thread(effect_of_drain, situation, drained)
        return None
