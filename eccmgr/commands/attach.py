"""`attach`: waits for a command that was sent before, as its gather does or did."""

import re
from dataclasses import dataclass

from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.ids import named_id
from eccmgr.cluster.results import Sent
from eccmgr.commands import rendering
from eccmgr.commands.answer import Answer
from eccmgr.commands.gate import Gate
from eccmgr.commands.gather import GATHER_TIMEOUT_S
from eccmgr.commands.streaming import Stream
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import CommandError, UsageError

_PAST = "all"
_USAGE = "[--timeout S] ID [all]"
_WORDS = re.compile(r"(?:--timeout(?:=| +)(\S+) +)?(\S+)(?: +(all))?\Z", re.IGNORECASE)
_SECONDS = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?\Z")
_ABOUT = (
    "ID is the id of a gather or a broadcast, with or without #. attach shows the responses from now on,\n"
    "with `all` also the earlier ones. It ends as the gather does: when every expected node is accounted\n"
    "for, at the latest when the time of the gather is over. If no gather waits for the command, it ends\n"
    f"after S seconds (default {GATHER_TIMEOUT_S:g}). If the manager that drives a gather is gone, this one takes its\n"
    "place, and goes on with its batches. Another user's command is shown only to callers who may\n"
    "retrieve it."
)


@dataclass(frozen=True)
class AttachWish:
    """An `attach` as it was typed: the id, whether earlier responses are shown, and how long to wait if nobody does."""

    named: str
    past: bool = False
    timeout_s: float = GATHER_TIMEOUT_S

    @classmethod
    def parse(cls, line: str) -> "AttachWish":
        """Parse `[--timeout S] ID [all]`. Raises UsageError."""
        if (typed := _WORDS.match(line.strip())) is None or typed[2].startswith("-"):
            raise UsageError(f"Usage: attach {_USAGE}")
        timeout, named, past = typed.groups()
        if timeout is not None and not _SECONDS.match(timeout):
            raise UsageError(f"--timeout takes seconds, at most 99999; not '{timeout[:80]}'")
        return cls(named, past is not None, GATHER_TIMEOUT_S if timeout is None else float(timeout))


def attach_command(delivery: Delivery, gate: Gate) -> Command:
    """The command `attach` of a manager."""

    async def attach(call: Call) -> Answer:
        wish = AttachWish.parse(call.args[0])
        command_id = named_id(wish.named)

        def check(sent: Sent) -> None:
            if sent.issuer != call.caller.user:
                gate.admit(f"retrieve {command_id}", call.caller)

        stream = Stream(call.caller.emit)
        report = None
        if command_id:
            report = await delivery.attach(
                *(command_id, wish.timeout_s, check, stream.audience),
                past=wish.past,
                runs_on=call.caller.runs_on,
            )
        if report is None:
            raise CommandError(f"Nothing to attach to for '{wish.named[:80]}'")
        return rendering.answer(report, call.caller.form, stream.shown)

    return Command(
        "attach",
        "wait for a command that was sent before, and show the answers as they come",
        attach,
        (Param(_USAGE, rest=True),),
        about=_ABOUT,
        reads=True,
    )
