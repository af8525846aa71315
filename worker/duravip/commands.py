"""A node's commands about floating addresses: show, move, drain, plan."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from eccmgr.cluster import names
from eccmgr.commands.answer import NOT_CONCERNED, Answer, Status
from eccmgr.commands.danger import Danger
from eccmgr.commands.describing import DRAINING, LEAVING, Dissected, Hit
from eccmgr.commands.table import Call, Command, Param
from eccmgr.commands.target import nodes_of_target
from eccmgr.duravip.finding import find_vip
from eccmgr.duravip.picture import effect_of_drain, effect_of_loss
from eccmgr.duravip.placement import Placement, Situation, home_of, place
from eccmgr.duravip.states import Agreed
from eccmgr.errors import CommandError, UsageError
from eccmgr.text import words
from eccmgr.text.counting import counted
from eccmgr.text.target_words import looks_like_a_target
from worker.duravip import rendering
from worker.duravip.model.deeds import Deed, Did
from worker.duravip.service import DuravipService

MOVE_USAGE = "cluster duravip move VIP to NODE | NODE to NODE | VIP home"
_PLAN_USAGE = "cluster duravip plan [without TARGET]"
_TARGET = Param("TARGET", kind="target")


class DuravipCommands:
    """The handlers of one node. With thousands of VIPs some work takes long, so it runs outside of the loop that renews
    leases."""

    def __init__(self, duravip: DuravipService) -> None:
        self._duravip = duravip

    def commands(self) -> tuple[Command, ...]:
        """The entries in the table of commands."""
        return (*self._showing(), *self._placing(), *self._watching())

    def _showing(self) -> tuple[Command, ...]:
        return (
            Command(
                "cluster duravip show",
                "the floating addresses and the nodes that carry them",
                self._show,
                about=_ABOUT_SHOW,
                idempotent=True,
                heavy=True,
            ),
            Command(
                "cluster duravip show tables",
                "every participant's beliefs about each floating address, in XML",
                self._tables,
                idempotent=True,
                heavy=True,
            ),
        )

    def _placing(self) -> tuple[Command, ...]:
        return (
            Command(
                "cluster duravip move",
                "move a floating address to a node, all from a node to another, or one home",
                self._move,
                (Param("VIP to NODE | NODE to NODE | VIP home", kind="duravip move", rest=True),),
                about=_ABOUT_MOVE,
            ),
            Command(
                "cluster duravip announce view",
                "read this node's floating addresses anew and publish them; answers when all agree",
                self._announce,
            ),
            Command(
                "cluster duravip plan",
                "the moves that placement would make, and why; moves nothing",
                self._plan,
                (Param("without TARGET", kind="without node", optional=True, rest=True),),
                about="With `without TARGET`: the moves if that node, or the nodes of that target, died.",
                idempotent=True,
            ),
            Command(
                "cluster duravip drain",
                "move all floating addresses off a node, or off the nodes of a target, and keep them off",
                self._drain,
                (_TARGET,),
                about=_ABOUT_DRAIN,
                danger=Danger.ASKS,
            ),
            Command(
                "cluster duravip undrain",
                "let drained nodes have floating addresses again",
                self._undrain,
                (_TARGET,),
                about=_ABOUT_DRAIN,
            ),
        )

    def _watching(self) -> tuple[Command, ...]:
        return (
            Command(
                "cluster duravip debug",
                "log each decision about floating addresses, or stop that",
                self._debug,
                (Param("on|off", kind="switch"),),
            ),
        )

    async def _show(self, _call: Call) -> Answer:
        table = await self._duravip.table()
        return await asyncio.to_thread(lambda: Answer(rendering.as_text(table), facts=rendering.table_facts(table)))

    async def _tables(self, _call: Call) -> Answer:
        table = await self._duravip.table()
        return await asyncio.to_thread(
            lambda: Answer(rendering.as_xml(table), is_xml=True, facts=rendering.table_facts(table))
        )

    async def _move(self, call: Call) -> Answer:
        match _words(call):
            case [what, to, target] if to.lower() == "to":
                return await self._move_to(call, what, target)
            case [vip, home] if home.lower() == "home":
                return await self._move_home(call, vip)
            case [what, target] if target.lower() != "to":
                return await self._move_to(call, what, target)
        raise UsageError(f"Usage: {MOVE_USAGE}")

    async def _move_to(self, call: Call, what: str, target: str) -> Answer:
        situation = await self._duravip.situation()
        if _takes_no_part(situation):
            return Answer(NOT_CONCERNED)
        vip, source = find_vip(what, situation.standings), _find_node(what, situation)
        if vip is not None and source is not None:
            raise CommandError(f"'{what}' is both a VIP and a node; give the VIP's address")
        node = names.resolve(target, situation.nodes)
        if node in situation.drained:
            raise CommandError(f"{node} is drained; see cluster duravip undrain")
        if vip is not None:
            unit = _units(situation.standings, [vip])[vip]
            if why_not := _why_not(situation, unit, node):
                raise CommandError(f"{vip} stays: {why_not}")
            self._refuse_untold(call, situation, vip, node)
            return _answer(await self._duravip.move(unit, node))
        if source is None:
            raise CommandError(f"Unknown VIP or node '{what[:80]}'{names.known(situation.nodes)}")
        if source == node:
            raise CommandError(f"Both are {node}")
        if call.caller.only_here and source != self._duravip.node and source in situation.owners.values():
            raise CommandError(f"{source} was not told to give up its VIPs; {_to_all(call)}")
        return await self._move_all(situation, source, node)

    def _refuse_untold(self, call: Call, situation: Situation, vip: str, target: str) -> None:
        """Refuse a move that did not reach the node that has to act: the VIP's owner, or the new node if the VIP has no
        owner.

        An operator at a node's own console may type the move on the other nodes too, so only a move that was sent is
        refused.
        """
        owner = situation.owners.get(vip)
        if not call.caller.only_here or owner == target or (owner or target) == self._duravip.node:
            return
        untold = f"its owner {owner} was not told" if owner else f"it has no owner, and {target} was not told"
        raise CommandError(f"{vip} stays: {untold}; {_to_all(call)}")

    async def _move_all(self, situation: Situation, source: str, target: str) -> Answer:
        moving: list[str] = []
        stay: list[Deed] = []
        theirs = [vip for vip in situation.standings if situation.owners.get(vip) == source]
        for leader, unit in _units(situation.standings, theirs).items():
            if situation.standings[leader].follows is not None:
                continue
            if why_not := _why_not(situation, unit, target):
                stay.append(Deed(leader, Did.FAILED, reason=why_not))
            else:
                moving.extend(unit)
        deeds = await self._duravip.move(moving, target) if moving else ()
        # Every node sees which VIPs stay; one node reports them.
        return _answer((*deeds, *(stay if self._duravip.node == source else ())))

    async def _move_home(self, call: Call, word: str) -> Answer:
        situation = await self._duravip.situation()
        if _takes_no_part(situation):
            return Answer(NOT_CONCERNED)
        vip = _vip(word, situation.standings)
        why_not = _why_fixed(situation, vip)
        home = await asyncio.to_thread(home_of, situation, vip) if not why_not else None
        if home is None:
            raise CommandError(f"{vip} stays: {why_not or 'no node can carry it'}")
        self._refuse_untold(call, situation, vip, home)
        deeds = await self._duravip.home(_units(situation.standings, [vip])[vip])
        at_home = situation.owners.get(vip) == home and not deeds
        return Answer(f"{vip} is at home on {home}") if at_home else _answer(deeds)

    async def _announce(self, _call: Call) -> Answer:
        try:
            announced = await self._duravip.announce()
        except CommandError:
            if _takes_no_part(await self._duravip.situation()):
                return Answer(NOT_CONCERNED)
            raise
        agreed, nodes = announced.agreed, announced.nodes
        text = f"View {announced.view} announced; agreed by {len(agreed)} of {counted(len(nodes), 'node')}"
        silent = sorted(set(nodes) - set(agreed), key=names.natural)
        facts = {"view": announced.view, "agreed": list(agreed), "expected": list(nodes)}
        if silent:
            return Answer(f"{text}; not by {names.fold(silent)}", Status.PARTIAL, facts=facts)
        return Answer(text, facts=facts)

    async def _plan(self, call: Call) -> Answer:
        situation = await self._duravip.situation()
        if call.args:
            match _words(call):
                case [without, target] if without.lower() == "without":
                    situation = situation.without(await self._nodes(target, situation))
                case _:
                    raise UsageError(f"Usage: {_PLAN_USAGE}")
        return await asyncio.to_thread(_planned, situation)

    async def _drain(self, call: Call) -> Answer:
        situation = await self._duravip.situation()
        if _takes_no_part(situation):
            return Answer(NOT_CONCERNED)
        nodes = await self._nodes(call.args[0], situation)
        placement = await asyncio.to_thread(place, replace(situation, drained=situation.drained.union(nodes)))
        deeds = await self._duravip.drain(nodes)
        return _answer((*deeds, *self._staying(situation, placement, nodes)), f"{_are(nodes)} drained")

    async def _nodes(self, word: str, situation: Situation) -> Sequence[str]:
        """The nodes that `word` means, a node's name or a target. Raises CommandError."""
        if looks_like_a_target(word):
            view = self._duravip.view
            return await asyncio.to_thread(nodes_of_target, word, view)
        return (names.resolve(word, {*situation.nodes, *situation.drained}),)

    def _staying(self, situation: Situation, found: Placement, nodes: Sequence[str]) -> list[Deed]:
        """The VIPs that a drained node keeps because no other node can carry them; only that node reports them."""
        ours = self._duravip.node
        kept = [each for each in found.stranded if situation.owners.get(each) == ours] if ours in nodes else []
        return [Deed(each, Did.FAILED, reason="no other node can carry it now") for each in kept]

    async def survey(self, line: Dissected, hit: Hit) -> Hit:
        """`hit`, with what would become of the VIPs of the node that leaves or is drained."""
        situation = await self._duravip.situation()
        if line.innermost.name in LEAVING:
            return replace(hit, vips=await asyncio.to_thread(effect_of_loss, situation, (self._duravip.node,)))
        if line.innermost.name == DRAINING and line.innermost.arguments:
            with contextlib.suppress(CommandError):
                nodes = await self._nodes(line.innermost.arguments[0], situation)
                return replace(hit, vips=await asyncio.to_thread(effect_of_drain, situation, nodes))
        return hit

    async def _undrain(self, call: Call) -> Answer:
        situation = await self._duravip.situation()
        if _takes_no_part(situation):
            return Answer(NOT_CONCERNED)
        nodes = await self._nodes(call.args[0], situation)
        if not (drained := [node for node in nodes if node in situation.drained]):
            return Answer(f"{_are(nodes)} not drained")
        return _answer(await self._duravip.undrain(drained), f"{_are(drained)} no longer drained")

    async def _debug(self, call: Call) -> Answer:
        switch = call.args[0].lower()
        if switch not in ("on", "off"):
            raise UsageError("Usage: cluster duravip debug on|off")
        self._duravip.debug(switch == "on")
        return Answer(f"DuraVIP debug is {switch}", facts={"debug": switch == "on"})


_ABOUT_SHOW = """\
(owned|unowned|moving, safe|UNSAFE|CONFLICT|BROKEN); * marks the owner.
UNSAFE: nodes disagree on the services of the address; it is managed all the same.
CONFLICT: they disagree on its preference or on the VIP that it follows; neither has an effect.
BROKEN: they disagree on its name or address; it is not managed until that is mended."""

_ABOUT_DRAIN = """\
Broadcast it, so that each node takes its part at once. undrain lets the nodes have addresses again. TARGET is a node's
name, or as in preview: a set such as east[1-3], a subcluster (@east), a tag (@role:mta), or several with operators."""

_ABOUT_MOVE = """\
Broadcast it, so that all nodes see it. VIP is an address or a binding's name; NODE a short or a fully qualified name.
`to` may be left out. A moved VIP stays until it is moved again, its owner dies, or it is moved home. Its followers
move with it."""


def _takes_no_part(situation: Situation) -> bool:
    """Whether this node's configuration has no VIPs. A broadcast reaches such a node too."""
    return not situation.nodes and not situation.standings


def _are(nodes: Sequence[str]) -> str:
    return f"{names.fold(nodes, names.RANGES_SHOWN)} {'is' if len(nodes) == 1 else 'are'}"


def _to_all(call: Call) -> str:
    return f"use: broadcast {words.rest(call.text, 0)}"


def _words(call: Call) -> list[str]:
    return [word.text for word in words.split(call.args[0])]


def _planned(situation: Situation) -> Answer:
    placement = place(situation)
    return Answer(rendering.plan_as_text(situation, placement), facts=rendering.plan_facts(situation, placement))


def _answer(deeds: Sequence[Deed], lead: str = "") -> Answer:
    lines = [lead] * bool(lead) + [str(deed) for deed in deeds]
    failed = [deed for deed in deeds if deed.did is Did.FAILED]
    status = Status.OK if not failed else Status.ERROR if len(failed) == len(deeds) else Status.PARTIAL
    return Answer("\n".join(lines) or NOT_CONCERNED, status, facts={"vips": [deed.facts() for deed in deeds]})


def _vip(word: str, standings: Mapping[str, Agreed]) -> str:
    address = find_vip(word, standings)
    if address is None:
        every = (name for standing in standings.values() for name in standing.names)
        raise CommandError(f"Unknown VIP '{word[:80]}'{names.known(every)}")
    return address


def _find_node(word: str, situation: Situation) -> str | None:
    """The live node with this name; None if there is no such node. Raises CommandError if the name fits several
    nodes."""
    index = names.NameIndex(situation.nodes)
    return index.find(word) if index.fitting(word) else None


def _units(standings: Mapping[str, Agreed], leaders: Iterable[str]) -> dict[str, list[str]]:
    """Each of these VIPs with its followers, the VIP first."""
    units = {leader: [leader] for leader in leaders}
    for address, standing in standings.items():
        if standing.follows in units:
            units[standing.follows].append(address)
    return units


def _why_fixed(situation: Situation, vip: str) -> str:
    standing = situation.standings[vip]
    if not standing.managed:
        return f"it is BROKEN ({standing.reason})"
    if standing.follows is not None:
        return f"it follows {standing.follows}; move that"
    return ""


def _why_not(situation: Situation, unit: Sequence[str], target: str) -> str:
    """The reason why a VIP and its followers cannot be moved to a node; empty if they can."""
    if fixed := _why_fixed(situation, unit[0]):
        return fixed
    for member in unit:
        standing = situation.standings[member]
        if target not in standing.nodes:
            return f"{target} takes no part in {member}; its nodes: {_fold(standing.nodes)}"
        if (reason := situation.unable.get(target, {}).get(member)) is not None:
            return f"{target} cannot carry {member} now{f': {reason}' if reason else ''}"
    return ""


def _fold(nodes: Iterable[str]) -> str:
    return names.fold(nodes, names.RANGES_SHOWN)
