"""The commands that send a command to nodes, and those that show the nodes' answers."""

import re
from collections.abc import Awaitable, Callable, Mapping

from eccmgr.cluster import names
from eccmgr.cluster.absence import absent_for
from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.publishing import nobody
from eccmgr.cluster.results import Report
from eccmgr.cluster.view import EVERYONE, Seat, Target, TargetKind
from eccmgr.commands import rendering
from eccmgr.commands.answer import Answer
from eccmgr.commands.carried import FIRST_WORDS
from eccmgr.commands.danger import Danger
from eccmgr.commands.gather import GATHER_TIMEOUT_S, GATHER_USAGE, GatherWish, in_doubt
from eccmgr.commands.membership import unknown_nodes
from eccmgr.commands.secrets import without_secrets
from eccmgr.commands.streaming import Stream
from eccmgr.commands.table import COMMAND, Call, Carries, Command, Handler, Param
from eccmgr.commands.target import ABOUT_TARGETS, one_node, read_in, read_target
from eccmgr.errors import CommandError, NothingSent, RedisUnreachable, UsageError
from eccmgr.text.counting import counted
from eccmgr.text.long_lines import off_loop

_HISTORY = 20
_HISTORY_MAX = 1000

Strangers = Callable[[list[Seat]], Awaitable[Mapping[str, str]]]
"""Answers the nodes at seats that nobody has certified, each with the reason."""

_NODE = Param("NODE", kind="node")
_SUBCLUSTER = Param("NAME", kind="subcluster")
_RETRIEVED = (
    "COMMAND is the text that was sent, however it is quoted, or the id, with or without #. A text that was sent\n"
    "several times means the latest run"
)

_ABOUT_GATHER = (
    f"{ABOUT_TARGETS}\n"
    "The default is @all. A word that looks like a target but names no node is refused; -- begins\n"
    "the COMMAND, whatever it is. The gather ends when every expected node is accounted for, at\n"
    f"the latest after S seconds (default {GATHER_TIMEOUT_S:g}). With --batch at most N nodes, or\n"
    "P% of them, run the command at once, in order of their names; once more than K of them failed,\n"
    "refused or were lost, the others are skipped."
)
_ABOUT_HISTORY = (
    "A line for each, the newest last: id, time, who sent it, its target, how many nodes have\n"
    "answered of those expected, and the command. N is how many,\n"
    f"{_HISTORY} if not given, at most {_HISTORY_MAX}."
)
_ABOUT_FORGET = (
    "A node whose session ended without a leave is expected until it is back, leaves cleanly, is\n"
    "forgotten, or absent_ttl is over. One that is alive, or that a bus file names, is not forgotten."
)
_ABOUT_ABORT = (
    "A node that has not begun the command will not begin it; a node that runs it cancels it. The id\n"
    "may be given with or without #."
)


def _sends(handler: Handler) -> Handler:
    """Wrap the handler of a command that sends to nodes: it then raises NothingSent if certainly nothing was sent."""

    async def send(call: Call) -> Answer | str:
        try:
            return await handler(call)
        except RedisUnreachable as error:
            if error.asked:
                raise
            raise NothingSent(str(error)) from error

    return send


class Fleet:
    """The handlers of one manager."""

    def __init__(self, delivery: Delivery, strangers: Strangers) -> None:
        self._delivery = delivery
        self._strangers = strangers

    def commands(self) -> tuple[Command, ...]:
        """The commands to nodes, for a manager's table."""
        return (*self._sending(), *self._retrieving(), *self._gathering(), *self._upkeep())

    def _sending(self) -> tuple[Command, ...]:
        return (
            Command(
                "broadcast",
                "publish a command to every node",
                _sends(self._broadcast),
                (COMMAND,),
                carries=Carries.FOR_NODES,
            ),
            Command(
                "subcluster broadcast",
                "publish a command to the nodes of one subcluster",
                _sends(self._subcluster_broadcast),
                (_SUBCLUSTER, COMMAND),
                carries=Carries.FOR_NODES,
            ),
            Command(
                "unicast",
                "publish a command to one node",
                _sends(self._unicast),
                (_NODE, COMMAND),
                carries=Carries.FOR_NODES,
                about="NODE is the node's short or its fully qualified name, or a TARGET (see preview) of one node.",
            ),
        )

    def _retrieving(self) -> tuple[Command, ...]:
        return (
            Command("retrieve", "every node's answer", self._retrieve, (COMMAND,), about=f"{_RETRIEVED}.", reads=True),
            Command(
                "subcluster retrieve",
                "the answers of one subcluster's nodes",
                self._subcluster_retrieve,
                (_SUBCLUSTER, COMMAND),
                about=f"{_RETRIEVED} that was sent to any node of the subcluster.",
                heavy=True,
                reads=True,
            ),
            Command(
                "retrieve_node",
                "one node's answer",
                self._retrieve_node,
                (_NODE, COMMAND),
                about=f"{_RETRIEVED} that was sent to the node.",
                heavy=True,
                reads=True,
            ),
        )

    def _gathering(self) -> tuple[Command, ...]:
        return (
            Command(
                "gather",
                "publish a command, wait, and show every node's answer",
                _sends(self._gather),
                (Param(GATHER_USAGE.removeprefix("gather "), kind="gather", rest=True),),
                carries=Carries.FOR_NODES,
                about=_ABOUT_GATHER,
            ),
        )

    def _upkeep(self) -> tuple[Command, ...]:
        return (
            Command("flush control cache", "clear the results buffer", self._flush, danger=Danger.ASKS),
            Command(
                "preview",
                "the nodes that a target means now; sends nothing",
                self._preview,
                (Param("TARGET", kind="target"),),
                about=ABOUT_TARGETS,
                reads=True,
            ),
            Command(
                "history",
                "the latest commands sent to nodes",
                self._history,
                (Param("N", optional=True),),
                about=_ABOUT_HISTORY,
                heavy=True,
                reads=True,
            ),
            Command(
                "forget",
                "forget an absent node: from then on it is not expected",
                self._forget,
                (_NODE,),
                about=_ABOUT_FORGET,
            ),
            Command(
                "abort",
                "withdraw a command; shows its state on each node",
                self._abort,
                (Param("#ID"),),
                about=_ABOUT_ABORT,
                danger=Danger.ASKS,
            ),
        )

    async def _broadcast(self, call: Call) -> Answer:
        return await self._send(call, EVERYONE, call.args[0])

    async def _subcluster_broadcast(self, call: Call) -> Answer:
        view = await self._delivery.view()
        return await self._send(call, Target(TargetKind.SUBCLUSTER, view.subcluster(call.args[0])), call.args[1])

    async def _unicast(self, call: Call) -> Answer:
        view = await self._delivery.view()
        target = await read_in(view, lambda word: one_node(word, view), call.args[0])
        return await self._send(call, target, call.args[1])

    async def _send(self, call: Call, target: Target, typed: str) -> Answer:
        text = await off_loop(call.carry, typed)
        shown = await off_loop(without_secrets, text)
        published = await self._delivery.publish(text, target, call.caller.user, shown=shown)
        sent = published.sent
        facts = {
            "id": sent.id,
            "target": str(target),
            "expected": len(published.live) + len(published.absent),
            "absent": [seat.name for seat in published.absent],
        }
        return Answer(rendering.sent_line(published), facts=facts)

    async def _retrieve(self, call: Call) -> Answer:
        return rendering.answer(await self._found(call.args[0]), call.caller.form)

    async def _subcluster_retrieve(self, call: Call) -> Answer:
        asked, named = call.args
        latest = await self._found(named)
        part = await self._delivery.latest_for(Target(TargetKind.SUBCLUSTER, asked), latest, named)
        if part is None:
            name = (await self._delivery.view()).subcluster(asked)
            raise _sent_to_others(latest, named, f"subcluster '{name}'")
        return rendering.answer(part, call.caller.form)

    async def _retrieve_node(self, call: Call) -> Answer:
        asked, named = call.args
        latest = await self._found(named)
        expected = [outcome.node for outcome in latest.outcomes]
        view = await self._delivery.view()
        node = names.resolve(asked, (*(seat.name for seat in view), *expected))
        part = await self._delivery.latest_for(Target(TargetKind.NODE, node), latest, named)
        if part is None:
            raise _sent_to_others(latest, named, f"node '{node}'")
        return rendering.answer(part, call.caller.form)

    async def _found(self, named: str) -> Report:
        report = await self._delivery.retrieve(named)
        if report is None:
            raise CommandError(f"Nothing to retrieve for '{await off_loop(without_secrets, named)}'")
        return report

    async def _gather(self, call: Call) -> Answer:
        view = await self._delivery.view_as_told()
        vocabulary = FIRST_WORDS
        if await off_loop(lambda line: in_doubt(line, view), call.args[0]):
            vocabulary |= await self._delivery.vocabulary()
        wish = await read_in(view, lambda line: GatherWish.parse(line, view, vocabulary), call.args[0])
        stream = Stream(call.caller.emit)
        text = await off_loop(call.carry, wish.text)
        masked = await off_loop(without_secrets, text)
        report = await self._delivery.gather(
            text,
            wish.target,
            call.caller.user,
            wish.timeout_s,
            stream.audience,
            masked,
            wish.pace,
            runs_on=call.caller.runs_on,
            proposed=call.caller.proposed_id,
        )
        return rendering.answer(report, call.caller.form, stream.shown)

    async def _preview(self, call: Call) -> Answer:
        view = await self._delivery.view()
        target = await read_in(view, lambda word: read_target(word, view), call.args[0])
        live, absent = view.expected(target)
        if not live:
            raise CommandError(nobody(target, view))
        called = [seat.name for seat in live]
        unknown = await self._strangers(live)
        facts = {"target": str(target), "expected": len(live), "names": called, "unknown": dict(unknown)}
        facts["absent"] = [seat.name for seat in absent]
        text = f"{names.fold(called)}  ({counted(len(live), 'node')})"
        return Answer(f"{text}\nUnknown: {unknown_nodes(unknown)}" if unknown else text, facts=facts)

    async def _history(self, call: Call) -> Answer:
        number = call.args[0] if call.args else str(_HISTORY)
        if not re.fullmatch("[0-9]{1,4}", number) or not 1 <= int(number) <= _HISTORY_MAX:
            raise UsageError(f"history takes a number from 1 to {_HISTORY_MAX}, not '{number[:80]}'")
        commands = await self._delivery.history(int(number))
        text = "\n".join(map(rendering.past_line, commands)) or "No command has been sent to nodes lately"
        return Answer(text, facts={"commands": [rendering.past_facts(past) for past in commands]})

    async def _abort(self, call: Call) -> Answer:
        report = await self._delivery.abort(call.args[0], call.caller.user)
        if report is None:
            raise CommandError(f"Nothing to abort for '{call.args[0][:80]}'")
        return rendering.answer(report, call.caller.form)

    async def _forget(self, call: Call) -> Answer:
        seat = await self._delivery.forget(call.args[0], call.caller.user)
        since = None if seat.since_ms is None else rendering.iso_time(seat.since_ms)
        return Answer(f"Forgot {seat.name}, {absent_for(seat.since_ms)}", facts={"node": seat.name, "since": since})

    async def _flush(self, call: Call) -> Answer:
        cleared = await self._delivery.flush(call.caller.user)
        return Answer(f"Flushed {counted(cleared, 'command')}", facts={"flushed": cleared})


def _sent_to_others(latest: Report, named: str, target: str) -> CommandError:
    sent = latest.sent
    return CommandError(
        f"'{without_secrets(named)}' was not sent to {target}; it was sent to {sent.target} as {sent.id}"
    )
