"""The command `paniclog`: the latest errors of a daemon, kept in memory."""

from collections.abc import Sequence

from eccmgr.commands.answer import Answer
from eccmgr.commands.table import Call, Command, Param
from eccmgr.errors import UsageError
from eccmgr.logs.files import PANICS_MAX

_SHOWN = 20
_ABOUT = (
    f"The lines that the paniclog gets: errors, with their traces. The newest is last. N is how many, {_SHOWN} if not\n"
    f"given, at most {PANICS_MAX}. They are kept in memory, and gone when this process ends."
)


def paniclog_command(panics: Sequence[str]) -> Command:
    """The command, for `panics`, to which lines are added later."""

    async def show(call: Call) -> Answer:
        number = call.args[0] if call.args else str(_SHOWN)
        if not number.isdigit() or len(number) > 4 or not 1 <= int(number) <= PANICS_MAX:
            raise UsageError(f"paniclog takes a number from 1 to {PANICS_MAX}, not '{number[:80]}'")
        lines = list(panics)[-int(number) :]
        return Answer("\n".join(lines) or "No panic since this process began", facts={"panics": lines})

    return Command(
        "paniclog", "the latest errors of this process", show, (Param("N", optional=True),), reads=True, about=_ABOUT
    )
