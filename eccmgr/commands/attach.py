"""`attach`: waits for a command that was sent before, as its gather does or did."""

from eccmgr.cluster.delivery import Delivery
from eccmgr.cluster.publishing import named_id
from eccmgr.cluster.results import Sent
from eccmgr.commands import rendering
from eccmgr.commands.answer import Answer
from eccmgr.commands.gate import Gate
from eccmgr.commands.gather import GATHER_TIMEOUT_S
from eccmgr.commands.streaming import Stream
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import CommandError, UsageError

_PAST = "all"
_ABOUT = (
    "ID is that of a gather or a broadcast, with or without #. attach shows the responses from now on,\n"
    "with `all` also those before. It ends as the gather does: when every expected node is accounted\n"
    "for, at the latest when the time of the gather is over, or after "
    f"{GATHER_TIMEOUT_S:g} s if nobody waits for the\n"
    "command. If the manager that drives a gather is gone, this one takes its place, and goes on with\n"
    "its batches. Another user's command is shown only to those who may retrieve it."
)


def attach_command(delivery: Delivery, gate: Gate) -> Command:
    """The command `attach` of a manager."""

    async def attach(call: Call) -> Answer:
        named, *words = call.args
        if words and words[0].lower() != _PAST:
            raise UsageError("Usage: attach ID [all]")
        command_id = named_id(named)

        def check(sent: Sent) -> None:
            if sent.issuer != call.caller.user:
                gate.admit(f"retrieve {command_id}", call.caller)

        stream = Stream(call.caller.emit)
        report = None
        if command_id:
            report = await delivery.attach(
                *(command_id, GATHER_TIMEOUT_S, check, stream.audience),
                past=bool(words),
                runs_on=call.caller.runs_on,
            )
        if report is None:
            raise CommandError(f"Nothing to attach to for '{named[:80]}'")
        return rendering.answer(report, call.caller.form, stream.shown)

    return Command(
        "attach",
        "wait for a command that was sent before, and show the answers as they come",
        attach,
        (Param("ID"), Param(_PAST, optional=True, choices=lambda: (_PAST,))),
        about=_ABOUT,
        reads=True,
    )
