"""Commands that go to nodes, and those that bring back what the nodes answered."""

import re
from dataclasses import dataclass

from eccmgr import words
from eccmgr.cluster import names
from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.results import Outcome, Report
from eccmgr.cluster.view import EVERYONE, Target, TargetKind, View
from eccmgr.commands import rendering
from eccmgr.commands.answer import Answer
from eccmgr.commands.secrets import without_secrets
from eccmgr.commands.table import COMMAND, Call, Command, Param, refused
from eccmgr.errors import CommandError, NotAvailable, UsageError

_GATHER_USAGE = "gather [--timeout S] [TARGET] COMMAND"
_GATHER_TIMEOUT_S = 30.0
_TIMEOUT_MAX_S = 24 * 3600.0
_NOT_YET = ("--batch", "--max-failures")
_NUMBER = re.compile(r"\d+(\.\d+)?\Z")

_NODE = Param("NODE", kind="node")
_SUBCLUSTER = Param("NAME", kind="subcluster")
_RETRIEVED = "COMMAND is the text as it was sent, or the id, with or without #."


class Fleet:
    """The handlers of one manager."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def commands(self) -> tuple[Command, ...]:
        """The table's entries."""
        return (
            Command("broadcast", "publish a command to every node", self._broadcast, (COMMAND,)),
            Command(
                "subcluster broadcast",
                "publish a command to the nodes of one subcluster",
                self._subcluster_broadcast,
                (_SUBCLUSTER, COMMAND),
            ),
            Command(
                "unicast",
                "publish a command to one node",
                self._unicast,
                (_NODE, COMMAND),
                about="NODE may be the node's short or its fully qualified name.",
            ),
            Command("retrieve", "what every node answered", self._retrieve, (COMMAND,), about=_RETRIEVED),
            Command(
                "subcluster retrieve",
                "what the nodes of one subcluster answered",
                self._subcluster_retrieve,
                (_SUBCLUSTER, COMMAND),
                about=_RETRIEVED,
            ),
            Command(
                "retrieve_node",
                "what one node answered",
                self._retrieve_node,
                (_NODE, COMMAND),
                about=_RETRIEVED,
            ),
            Command(
                "gather",
                "publish a command, wait, and show what every node answered",
                self._gather,
                (Param("[--timeout S] [TARGET] COMMAND", kind="gather", rest=True),),
                about=(
                    "TARGET is @all (the default), @NAME (a subcluster) or a node's name. It ends when every expected\n"
                    f"node is accounted for, at the latest after S seconds (default {_GATHER_TIMEOUT_S:g})."
                ),
            ),
            Command("flush control cache", "clear the results buffer", self._flush),
            refused("preview"),
            refused("abort"),
            refused("history"),
        )

    async def _broadcast(self, call: Call) -> Answer:
        return await self._send(call, EVERYONE, call.args[0])

    async def _subcluster_broadcast(self, call: Call) -> Answer:
        view = await self._delivery.view()
        return await self._send(call, Target(TargetKind.SUBCLUSTER, view.subcluster(call.args[0])), call.args[1])

    async def _unicast(self, call: Call) -> Answer:
        view = await self._delivery.view()
        return await self._send(call, Target(TargetKind.NODE, view.node(call.args[0]).name), call.args[1])

    async def _send(self, call: Call, target: Target, text: str) -> Answer:
        published = await self._delivery.publish(text, target, call.caller.user, shown=without_secrets(text))
        sent = published.sent
        facts = {
            "id": sent.id,
            "target": str(target),
            "expected": len(published.live) + len(published.absent),
        }
        return Answer(rendering.sent_line(sent, len(published.live)), facts=facts)

    async def _retrieve(self, call: Call) -> Answer:
        return rendering.answer(await self._found(call.args[0]))

    async def _subcluster_retrieve(self, call: Call) -> Answer:
        report = await self._found(call.args[1])
        part = report.only(Target(TargetKind.SUBCLUSTER, call.args[0]))
        if not part.outcomes:
            name = (await self._delivery.view()).subcluster(call.args[0])
            raise CommandError(f"{report.sent.id} was not sent to subcluster '{name}'")
        return rendering.answer(part)

    async def _retrieve_node(self, call: Call) -> Answer:
        report = await self._found(call.args[1])
        expected = [outcome.node for outcome in report.outcomes]
        view = await self._delivery.view()
        node = names.resolve(call.args[0], (*(seat.name for seat in view), *expected))
        part = report.only(Target(TargetKind.NODE, node))
        if not part.outcomes:
            raise CommandError(f"{report.sent.id} was not sent to node '{node}'")
        return rendering.answer(part)

    async def _found(self, named: str) -> Report:
        report = await self._delivery.retrieve(named)
        if report is None:
            raise CommandError(f"Nothing to retrieve for '{without_secrets(named)}'")
        return report

    async def _gather(self, call: Call) -> Answer:
        view = await self._delivery.view()
        wish = GatherWish.parse(call.args[0], view)
        emit = call.caller.emit
        shown: set[str] = set()

        async def tell(outcome: Outcome) -> None:
            if emit is not None:
                shown.add(outcome.node)
                event = {
                    "event": "response",
                    "line": rendering.line(outcome),
                    **rendering.node_facts(outcome),
                }
                await emit(event)

        shown_text = without_secrets(wish.text)
        report = await self._delivery.gather(wish.text, wish.target, call.caller.user, wish.timeout_s, tell, shown_text)
        return rendering.answer(report, frozenset(shown) if emit is not None else None)

    async def _flush(self, _call: Call) -> str:
        cleared = await self._delivery.flush()
        return f"Flushed {cleared} {'command' if cleared == 1 else 'commands'}"


@dataclass(frozen=True)
class GatherWish:
    """What a gather was asked for."""

    timeout_s: float
    target: Target
    text: str

    @classmethod
    def parse(cls, line: str, view: View) -> "GatherWish":
        """Read `[OPTIONS] [TARGET] COMMAND`; `view` tells which words name a node. Raises CommandError."""
        timeout_s, at = _GATHER_TIMEOUT_S, 0
        while line[at:].startswith("--"):
            word = words.next_word(line, at)
            name, given, value = word.text.partition("=")
            at = _next(line, word.end)
            if name in _NOT_YET:
                raise NotAvailable(f"gather {name} is not available yet in this release")
            if name != "--timeout":
                raise UsageError(f"gather has no option {name}. Usage: {_GATHER_USAGE}")
            if not given:
                if at == len(line):
                    raise UsageError(f"Usage: {_GATHER_USAGE}")
                word = words.next_word(line, at)
                value, at = word.text, _next(line, word.end)
            timeout_s = _seconds(value)
        if at == len(line):
            raise UsageError(f"Usage: {_GATHER_USAGE}")
        target, at = _target(line, at, view)
        return cls(timeout_s, target, words.rest(line, at))


def _target(line: str, at: int, view: View) -> tuple[Target, int]:
    """The target that the word at `at` is, and where the command begins."""
    end = re.compile(r"\S+").match(line, at)
    word = end.group() if end is not None else ""
    after = _next(line, at + len(word))
    follows = after < len(line)
    if word.startswith("@"):
        if not follows:
            raise UsageError(f"Usage: {_GATHER_USAGE}")
        if word.lower() == "@all":
            return EVERYONE, after
        return Target(TargetKind.SUBCLUSTER, view.subcluster(word[1:])), after
    if "[" in word or "," in word:
        raise NotAvailable("Node sets are not available yet in this release; use @all, @SUBCLUSTER or one node's name")
    if follows and (name := _member(word, view)) is not None:
        return Target(TargetKind.NODE, name), after
    return EVERYONE, at


def _member(word: str, view: View) -> str | None:
    """The node that `word` names whole, or by its fully qualified name; a bare label might be a command's word."""
    if word.lower() not in view.live and word.lower() not in view.absent and "." not in word:
        return None
    try:
        return view.node(word).name
    except CommandError:
        return None


def _seconds(value: str) -> float:
    if not _NUMBER.match(value) or not 0 < float(value) <= _TIMEOUT_MAX_S:
        raise UsageError(f"--timeout takes seconds, at most {_TIMEOUT_MAX_S:.0f}; not '{value}'")
    return float(value)


def _next(line: str, at: int) -> int:
    return len(line) - len(line[at:].lstrip())
