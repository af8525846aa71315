"""The one gate: every way from a line and a caller to what carries it out leads through here.

Console frames, requests, answers at hand, what a broadcast carries, schedules, jobs and modules' own calls all pass it;
so does the command inside a command, before it is sent. Nothing else calls a handler or a `say`.
"""

import functools
from collections import Counter
from dataclasses import dataclass

from eccmgr.commands.answer import Answer, split_form
from eccmgr.commands.caller import Caller, Origin
from eccmgr.commands.carried import carried
from eccmgr.commands.table import Call, Carries, Command, Table
from eccmgr.errors import CommandError


@dataclass(frozen=True)
class Admitted:
    """A command that has passed the gate: found, its arguments read, its caller entitled to it."""

    command: Command
    call: Call

    async def run(self) -> Answer:
        """Carry it out. Raises what its handler raises."""
        answer = await self.command.handler(self.call)
        return Answer(answer) if isinstance(answer, str) else answer


class Gate:
    """The gate of one process, in front of its table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.passed: Counter[Origin] = Counter()
        """How many commands came by each way, those inside others included."""

    def admit(self, line: str, caller: Caller) -> Admitted:
        """The command of `line`, for `caller` to run. Raises CommandError where there is none, or it is not for him."""
        command, at = self.table.find(line)
        args = command.parse(line, at)
        self._authorize(caller, command, args)
        return Admitted(command, Call(args, caller, line, functools.partial(self._carry, command, caller)))

    async def run(self, line: str, caller: Caller) -> Answer:
        """Carry out `line`. Raises EccmgrError with the answer to give where it cannot be."""
        return await self.admit(line, caller).run()

    def answer_at_hand(self, line: str, caller: Caller) -> str | None:
        """The answer to `line` where it is at hand, and `line` is as monitoring writes it: the command's name, no more.

        None where it takes a task to answer. Raises CommandError where the command is not for `caller`.
        """
        command = self.table.commands.get(line)
        if command is None or command.say is None:
            return None
        self._authorize(caller, command, ())
        return command.say()

    def _carry(self, command: Command, caller: Caller, text: str) -> str:
        assert command.carries is not None, f"the table does not say that {command.name} carries a command"
        sent = carried(text)
        if command.carries is Carries.FOR_ITSELF:
            inside = self.admit(split_form(sent)[1], caller)
            if inside.command.refusal:
                raise CommandError(inside.command.refusal)
            if inside.command.carries is not None:
                carried(inside.call.args[-1])
        else:
            # A node finds it in a table of its own.
            self._authorize(caller, None, (sent,))
        return sent

    def _authorize(self, caller: Caller, _command: Command | None, _args: tuple[str, ...]) -> None:
        """Whether `caller` may run a command of this table, or (None) have nodes run one. Everybody may, so far."""
        self.passed[caller.origin] += 1
